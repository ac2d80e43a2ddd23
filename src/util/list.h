/* list.h - an intrusive doubly linked list that knows nothing of what it links. The head is a node
 * of its own that links to itself when the list is empty. A node is in at most one list; one that
 * is in none is zeroed or was unlinked, and unlinking it again does nothing. */
#ifndef TBI_LIST_H
#define TBI_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct tbi_link {
    struct tbi_link *next, *prev;
};

#define TBI_ENTRY(link, type, member) ((type *)((char *)(link) - offsetof(type, member)))

static inline void tbi_list_init(struct tbi_link *head)
{
    head->next = head->prev = head;
}
static inline bool tbi_list_empty(const struct tbi_link *head)
{
    return head->next == head;
}
static inline void tbi_list_insert_before(struct tbi_link *at, struct tbi_link *link)
{
    link->next = at;
    link->prev = at->prev;
    at->prev->next = link;
    at->prev = link;
}
static inline void tbi_list_append(struct tbi_link *head, struct tbi_link *link)
{
    tbi_list_insert_before(head, link);
}
static inline bool tbi_list_linked(const struct tbi_link *link)
{
    return link->next != NULL;
}
static inline void tbi_list_unlink(struct tbi_link *link)
{
    if (link->next == NULL)
        return;
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

#endif
