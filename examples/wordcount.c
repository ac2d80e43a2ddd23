/* wordcount.c - counts the words of every text file under a directory.
 *
 *   wordcount [--all] [DIR]        (default: /usr/share/doc)
 *
 * Map tasks read files and make tables of words, one for each reduce task by the words' hash; the
 * tables are objects in the store. Reduce tasks add the tables up, wherever they lie. The driver only
 * lists files and prints. A word is a run of A-Z and a-z, lower-cased; files are regular, no links,
 * without a NUL byte in their first 8 KiB. --all prints every word with its count. */
#define _XOPEN_SOURCE 700
#include <ctype.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <thornback.h>

enum { REDUCERS = 4, MAP_BYTES = 4 << 20, TOP = 20, TEXT_HEAD = 8192 };

/* ---- a table of words: open addressing; a word's text follows its length in `text` ---- */

struct table {
    struct slot { uint64_t hash, count; size_t at; uint32_t len; } *slot;
    size_t mask, n;
    char *text;
    size_t bytes, room;
};

static void *need(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "wordcount: out of memory\n");
        exit(1);
    }
    return p;
}

static void grow(struct table *t)
{
    struct slot *old = t->slot;
    size_t n = old == NULL ? 0 : t->mask + 1;

    t->mask = (n == 0 ? 1024 : n * 2) - 1;
    t->slot = need(calloc(t->mask + 1, sizeof *t->slot));
    for (size_t k = 0; k < n; k++)
        if (old[k].count > 0) {
            size_t i = old[k].hash & t->mask;

            while (t->slot[i].count > 0)
                i = (i + 1) & t->mask;
            t->slot[i] = old[k];
        }
    free(old);
}

/* FNV-1a (Fowler, Noll, Vo), and its high half folded in, for reducers go by the low bits too. */
static uint64_t hash_of(const char *word, uint32_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (uint32_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)word[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

static void count(struct table *t, const char *word, uint32_t len, uint64_t times)
{
    uint64_t h = hash_of(word, len);
    struct slot *s;
    size_t i;

    if (t->slot == NULL || t->n * 3 > t->mask * 2)
        grow(t);
    for (i = h & t->mask; (s = &t->slot[i])->count > 0; i = (i + 1) & t->mask)
        if (s->hash == h && s->len == len && memcmp(t->text + s->at, word, len) == 0) {
            s->count += times;
            return;
        }
    if (t->bytes + len > t->room) {
        t->room = (t->bytes + len) * 2;
        t->text = need(realloc(t->text, t->room));
    }
    memcpy(t->text + t->bytes, word, len);
    *s = (struct slot){h, times, t->bytes, len};
    t->bytes += len;
    t->n++;
}

static void free_table(struct table *t)
{
    free(t->slot);
    free(t->text);
}

/* A table as an object: for each word its count (8 bytes), its length (4) and its letters. */
static size_t packed_bytes(const struct table *t, unsigned part, unsigned parts)
{
    size_t bytes = 0;

    for (size_t i = 0; t->slot != NULL && i <= t->mask; i++)
        if (t->slot[i].count > 0 && t->slot[i].hash % parts == part)
            bytes += 12 + t->slot[i].len;
    return bytes;
}

static int return_part(tb_call *call, size_t result, const struct table *t, unsigned part,
                       unsigned parts)
{
    char *to;
    int rc = tb_return_array(call, result, &to, packed_bytes(t, part, parts));

    for (size_t i = 0; rc == 0 && t->slot != NULL && i <= t->mask; i++)
        if (t->slot[i].count > 0 && t->slot[i].hash % parts == part) {
            memcpy(to, &t->slot[i].count, 8);
            memcpy(to + 8, &t->slot[i].len, 4);
            memcpy(to + 12, t->text + t->slot[i].at, t->slot[i].len);
            to += 12 + t->slot[i].len;
        }
    return rc;
}

static void add_packed(struct table *t, const char *from, size_t bytes)
{
    for (const char *end = from + bytes; from < end;) {
        uint64_t times;
        uint32_t len;

        memcpy(&times, from, 8);
        memcpy(&len, from + 8, 4);
        count(t, from + 12, len, times);
        from += 12 + len;
    }
}

/* ---- the tasks ---- */

static void count_words(struct table *t, char *text, size_t n)
{
    size_t i = 0;

    while (i < n) {
        size_t begin;

        while (i < n && !((text[i] | 32) >= 'a' && (text[i] | 32) <= 'z'))
            i++;
        for (begin = i; i < n && (text[i] | 32) >= 'a' && (text[i] | 32) <= 'z'; i++)
            text[i] |= 32;
        if (i > begin)
            count(t, text + begin, (uint32_t)(i - begin), 1);
    }
}

/* Reads a whole file; NULL if it cannot be read or is no text. The caller frees it. */
static char *read_text(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    size_t room = TEXT_HEAD * 2, got;
    char *text;

    *n = 0;
    if (f == NULL)
        return NULL;
    text = need(malloc(room));
    while ((got = fread(text + *n, 1, room - *n, f)) > 0) {
        *n += got;
        if (memchr(text, 0, *n < TEXT_HEAD ? *n : TEXT_HEAD) != NULL) {
            free(text);
            fclose(f);
            return NULL;
        }
        if (*n == room)
            text = need(realloc(text, room *= 2));
    }
    fclose(f);
    return text;
}

/* (paths, each ended by 0) -> a table for each reducer, {files, bytes} */
static int map(tb_call *call)
{
    struct table t = {0};
    int64_t sums[2] = {0, 0};
    const char *paths;
    size_t n;
    int rc = tb_arg_array(call, 0, &paths, &n);

    for (const char *p = paths; rc == 0 && p < paths + n; p += strlen(p) + 1) {
        size_t bytes;
        char *text = read_text(p, &bytes);

        if (text == NULL)
            continue;
        sums[0]++;
        sums[1] += (int64_t)bytes;
        count_words(&t, text, bytes);
        free(text);
    }
    for (unsigned part = 0; rc == 0 && part < REDUCERS; part++)
        rc = return_part(call, part, &t, part, REDUCERS);
    free_table(&t);
    return rc != 0 ? rc : tb_return_at(call, REDUCERS, tb_array(sums, 2));
}
TB_TASK(map);

/* (tables...) -> their sum */
static int reduce(tb_call *call)
{
    struct table t = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < tb_num_args(call); i++) {
        const char *packed;
        size_t n;

        rc = tb_arg_array(call, i, &packed, &n);
        if (rc == 0)
            add_packed(&t, packed, n);
    }
    if (rc == 0)
        rc = return_part(call, 0, &t, 0, 1);
    free_table(&t);
    return rc;
}
TB_TASK(reduce);

/* ---- the driver ---- */

static struct batch {
    char *paths;
    size_t n, room, bytes;
} batch;
static tb_ref *maps; /* maps[nmaps * (REDUCERS + 1)] */
static size_t nmaps;

static void submit_batch(void)
{
    if (batch.n == 0)
        return;
    maps = need(realloc(maps, (nmaps + 1) * (REDUCERS + 1) * sizeof *maps));
    tb_must(tb_remote_n(map, maps + nmaps++ * (REDUCERS + 1), REDUCERS + 1,
                        tb_array(batch.paths, batch.n)));
    batch.n = batch.bytes = 0;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    size_t len = strlen(path) + 1;

    (void)ftw;
    if (type != FTW_F || !S_ISREG(st->st_mode))
        return 0;
    if (batch.n + len > batch.room) {
        batch.room = (batch.n + len) * 2;
        batch.paths = need(realloc(batch.paths, batch.room));
    }
    memcpy(batch.paths + batch.n, path, len);
    batch.n += len;
    batch.bytes += (size_t)st->st_size;
    if (batch.bytes >= MAP_BYTES)
        submit_batch();
    return 0;
}

static const char *letters;
static int by_count(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    uint32_t len = x->len < y->len ? x->len : y->len;
    int c;

    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    c = memcmp(letters + x->at, letters + y->at, len);
    return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

static void print(struct table *t, size_t most)
{
    size_t n = 0;

    for (size_t i = 0; t->slot != NULL && i <= t->mask; i++)
        if (t->slot[i].count > 0)
            t->slot[n++] = t->slot[i];
    letters = t->text;
    qsort(t->slot, n, sizeof *t->slot, by_count);
    for (size_t i = 0; i < n && i < most; i++)
        printf("%7llu %.*s\n", (unsigned long long)t->slot[i].count, (int)t->slot[i].len,
               t->text + t->slot[i].at);
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

int main(int argc, char **argv)
{
    bool all = argc > 1 && strcmp(argv[1], "--all") == 0;
    const char *dir = argc > 1 + all ? argv[1 + all] : "/usr/share/doc";
    struct table words = {0};
    tb_value *tables;
    tb_ref sums[REDUCERS];
    int64_t files = 0, bytes = 0;
    double begin;

    tb_must(tb_init(&argc, &argv, NULL));
    begin = now();
    if (nftw(dir, visit, 32, FTW_PHYS) != 0) {
        fprintf(stderr, "wordcount: cannot read the directory '%s'\n", dir);
        tb_finalize();
        return 1;
    }
    submit_batch();
    tables = need(malloc((nmaps + 1) * sizeof *tables));
    for (unsigned part = 0; part < REDUCERS; part++) {
        for (size_t m = 0; m < nmaps; m++)
            tables[m] = tb_value_of(maps[m * (REDUCERS + 1) + part]);
        tb_must(tb_remote_v(reduce, NULL, &sums[part], 1, tables, nmaps));
    }
    for (size_t m = 0; m < nmaps; m++) {
        const int64_t *sum;

        tb_must(tb_get_array(maps[m * (REDUCERS + 1) + REDUCERS], &sum, NULL));
        files += sum[0];
        bytes += sum[1];
    }
    for (unsigned part = 0; part < REDUCERS; part++) {
        const char *packed;
        size_t n;

        tb_must(tb_get_array(sums[part], &packed, &n));
        add_packed(&words, packed, n);
    }
    begin = now() - begin;
    print(&words, all ? SIZE_MAX : TOP);
    if (!all)
        printf("%lld files, %lld bytes, %zu different words, %.3f seconds, %.1f MB/s\n",
               (long long)files, (long long)bytes, words.n, begin, (double)bytes / begin / 1e6);
    tb_must(tb_release_all(maps, nmaps * (REDUCERS + 1)));
    tb_must(tb_release_all(sums, REDUCERS));
    free(tables);
    free(maps);
    free(batch.paths);
    free_table(&words);
    return tb_finalize();
}
