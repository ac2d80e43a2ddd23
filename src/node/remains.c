#include "node/remains.h"

#include <string.h>

enum { AMOUNTS = 10 };

struct amount {
    const char *what;
    unsigned long long n;
};

static void list(const struct tbi_agent *agent, const struct tbi_sched *sched, unsigned living,
                 struct amount amount[AMOUNTS])
{
    struct tbi_agent_counts a = tbi_agent_counts(agent);
    struct tbi_sched_counts s = sched != NULL ? tbi_sched_counts(sched)
                                              : (struct tbi_sched_counts){0};
    struct amount all[AMOUNTS] = {
        {"processes of tasks", living > a.executors ? living : a.executors},
        {"tasks on the node", a.jobs},
        {"objects on the node", a.objects},
        {"pins", a.pins},
        {"leases", a.leases},
        {"bytes of the store", a.store_used},
        {"tasks of the head", s.tasks},
        {"objects of the head", s.objects},
        {"makers of objects of the head", s.makers},
        {"direct calls that the head has not heard of", s.announced},
    };

    memcpy(amount, all, sizeof all);
}

static const char *check(const struct tbi_agent *agent, const struct tbi_sched *sched)
{
    const char *why = tbi_agent_check(agent);

    return why == NULL && sched != NULL ? tbi_sched_check(sched) : why;
}

bool tbi_remains_none(const struct tbi_agent *agent, const struct tbi_sched *sched,
                      unsigned living)
{
    struct amount amount[AMOUNTS];

    list(agent, sched, living, amount);
    for (int i = 0; i < AMOUNTS; i++)
        if (amount[i].n != 0)
            return false;
    return check(agent, sched) == NULL;
}

void tbi_remains_report(const struct tbi_agent *agent, const struct tbi_sched *sched,
                        unsigned living, unsigned rank, FILE *to)
{
    struct amount amount[AMOUNTS];
    const char *why = check(agent, sched), *sep = "";
    char line[1024];
    int n = snprintf(line, sizeof line, "thornback: rank %u: left at the end:", rank);

    list(agent, sched, living, amount);
    for (int i = 0; i < AMOUNTS; i++)
        if (amount[i].n != 0) {
            n += snprintf(line + n, sizeof line - (size_t)n, "%s %s: %llu", sep,
                          amount[i].what, amount[i].n);
            sep = ",";
        }
    if (why != NULL)
        snprintf(line + n, sizeof line - (size_t)n, "%s %s", sep, why);
    if (*sep != 0 || why != NULL)
        fprintf(to, "%s\n", line); /* in one go, so that the lines of ranks do not mix */
}
