/* stats.c - a service that keeps statistics of a stream of readings, and answers while they come.
 *
 *   stats [FILE...]        (default: eight streams that it makes up)
 *
 * A line of a file is a reading, "key value". Tasks read the files in pieces and sum up what they read, batch by
 * batch; actors have the statistics, each of its share of the keys. While the tasks feed them the driver asks them
 * how far they are, and at the end for the result: for each key how often it came, mean, standard deviation, least
 * and greatest value. A task that dies is run again, and what it had fed before counts once: batches have numbers. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <thornback.h>

enum { KEY_BYTES = 32, PIECE_BYTES = 4 << 20, BATCH_LINES = 100000, SHARDS_MAX = 16, UNDER_WAY = 4 * SHARDS_MAX,
       MADE_UP = 8, MADE_UP_LINES = 1000000 };

static void *need(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "stats: out of memory\n");
        exit(1);
    }
    return p;
}

/* ---- a table of statistics: open addressing ---- */

struct entry {
    char key[KEY_BYTES];        /* ended and filled up by 0; empty: a free place */
    uint64_t n;
    double mean, m2, min, max;  /* m2: the sum of squared distances from the mean */
};

struct table {
    struct entry *entry;
    size_t mask, n;
};

/* FNV-1a (Fowler, Noll, Vo), its high half folded in. */
static uint64_t hash_of(const char *key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *key != 0; key++)
        h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return h ^ h >> 29;
}

/* The entry of this key, or the free place for it. */
static struct entry *find(const struct table *t, const char *key)
{
    size_t i = (size_t)(hash_of(key) >> 8) & t->mask; /* shards go by the low bits */

    while (t->entry[i].key[0] != 0 && strcmp(t->entry[i].key, key) != 0)
        i = (i + 1) & t->mask;
    return &t->entry[i];
}

/* Two summaries into one (Chan, Golub, LeVeque 1979). */
static void merge(struct table *t, const struct entry *from)
{
    struct entry *to;
    double n, delta;

    if (t->entry == NULL || t->n * 3 > t->mask * 2) {
        struct table old = *t;

        *t = (struct table){.mask = old.entry == NULL ? 63 : old.mask * 2 + 1};
        t->entry = need(calloc(t->mask + 1, sizeof *t->entry));
        for (size_t i = 0; old.entry != NULL && i <= old.mask; i++)
            if (old.entry[i].key[0] != 0)
                merge(t, &old.entry[i]);
        free(old.entry);
    }
    to = find(t, from->key);
    if (to->key[0] == 0) {
        *to = *from;
        t->n++;
        return;
    }
    n = (double)(to->n + from->n);
    delta = from->mean - to->mean;
    to->m2 += from->m2 + delta * delta * (double)to->n * (double)from->n / n;
    to->mean += delta * (double)from->n / n;
    to->n += from->n;
    to->min = fmin(to->min, from->min);
    to->max = fmax(to->max, from->max);
}

/* Those of a shard, to `to`; NULL only counts. */
static size_t entries_of(const struct table *t, size_t shard, size_t shards, struct entry *to)
{
    size_t n = 0;

    for (size_t i = 0; t->entry != NULL && i <= t->mask; i++)
        if (t->entry[i].key[0] != 0 && hash_of(t->entry[i].key) % shards == shard) {
            if (to != NULL)
                to[n] = t->entry[i];
            n++;
        }
    return n;
}

/* ---- the actors ---- */

struct stats {
    struct table table;
    uint32_t *next;             /* next[pieces]: the number of the batch that comes next of each */
    size_t pieces;
    int64_t readings;
};

/* (pieces) */
static int stats_init(tb_call *call, struct stats *self)
{
    self->pieces = (size_t)tb_arg_int64(call, 0);
    self->next = need(calloc(self->pieces + 1, sizeof *self->next));
    return 0;
}

static void stats_fini(struct stats *self)
{
    free(self->table.entry);
    free(self->next);
}

/* (piece, number of the batch, summaries): one that came before, from an earlier run of its task, is left out. */
static int stats_feed(tb_call *call, struct stats *self)
{
    size_t piece = (size_t)tb_arg_int64(call, 0), n;
    uint32_t number = (uint32_t)tb_arg_int64(call, 1);
    const struct entry *entry;
    int rc = tb_arg_records(call, 2, &entry, &n);

    if (rc != 0)
        return rc;
    if (piece >= self->pieces || number > self->next[piece])
        return tb_fail(call, "batch %u of piece %zu does not follow", number, piece);
    if (number < self->next[piece])
        return tb_return(call, false);
    self->next[piece]++;
    for (size_t i = 0; i < n; i++) {
        merge(&self->table, &entry[i]);
        self->readings += (int64_t)entry[i].n;
    }
    return tb_return(call, true);
}

static int stats_readings(tb_call *call, struct stats *self)
{
    return tb_return(call, self->readings);
}

static int stats_report(tb_call *call, struct stats *self)
{
    struct entry *to;
    int rc = tb_return_records(call, 0, &to, self->table.n);

    if (rc == 0)
        entries_of(&self->table, 0, 1, to);
    return rc;
}
TB_ACTOR(stats, struct stats, .init = stats_init, .fini = stats_fini);
TB_METHOD(stats, stats_feed);
TB_METHOD(stats, stats_readings);
TB_METHOD(stats, stats_report);

/* ---- the tasks that feed them ---- */

struct feed {
    const tb_actor *shard;      /* shard[shards] */
    size_t shards, piece;
    uint32_t batch;
    struct table table;         /* of this batch */
    size_t lines, bad;
    tb_ref under_way[UNDER_WAY];
    size_t n;                   /* calls under way */
};

/* Waits until at most `n` calls are under way. */
static int drain(struct feed *f, size_t n)
{
    int rc = 0;

    while (rc == 0 && f->n > n) {
        rc = tb_get(f->under_way[0], NULL); /* the oldest */
        tb_must(tb_release(f->under_way[0]));
        memmove(f->under_way, f->under_way + 1, --f->n * sizeof f->under_way[0]);
    }
    return rc;
}

/* Each shard gets each batch, be it empty, so that the numbers follow each other. */
static int send_batch(struct feed *f)
{
    struct entry *part = need(malloc((f->table.n + 1) * sizeof *part));
    int rc = 0;

    for (size_t s = 0; rc == 0 && s < f->shards; s++) {
        size_t n = entries_of(&f->table, s, f->shards, part);

        rc = drain(f, UNDER_WAY - 1);
        f->under_way[f->n++] = tb_actor_call(f->shard[s], stats_feed, (int64_t)f->piece, (int64_t)f->batch,
                                             tb_records(part, n));
    }
    free(part);
    free(f->table.entry);
    f->table = (struct table){0};
    f->batch++;
    f->lines = 0;
    return rc;
}

/* A reading, in a line that is ended by 0. */
static void take_line(struct feed *f, const char *line)
{
    struct entry e = {.n = 1};
    size_t len = strcspn(line, " \t");
    char *end;

    errno = 0;
    e.mean = strtod(line + len, &end);
    if (len == 0 || len >= KEY_BYTES || end == line + len || end[strspn(end, " \t\r")] != 0 || !isfinite(e.mean)) {
        f->bad += line[0] != 0;
        return;
    }
    memcpy(e.key, line, len);
    e.min = e.max = e.mean;
    merge(&f->table, &e);
}

static int feed_text(struct feed *f, char *text)
{
    int rc = 0;

    while (rc == 0 && *text != 0) {
        size_t len = strcspn(text, "\n");
        bool last = text[len] == 0;

        text[len] = 0;
        take_line(f, text);
        if (++f->lines == BATCH_LINES)
            rc = send_batch(f);
        text += len + !last;
    }
    return rc;
}

/* The lines that begin in bytes from .. to - 1 of the file; NULL if it cannot be read. The caller frees it. */
static char *read_piece(const char *path, int64_t from, int64_t to)
{
    FILE *file = fopen(path, "rb");
    size_t room = (size_t)(to - from) + 4096, n = 0;
    char *text = need(malloc(room + 1));
    int c = '\n';

    if (file == NULL || fseeko(file, from == 0 ? 0 : (off_t)from - 1, SEEK_SET) != 0)
        goto failed;
    while (from > 0 && (c = getc(file)) != '\n' && c != EOF) { /* to the first line that begins here */
    }
    while (c != EOF && ftello(file) < to) {
        do {
            c = getc(file);
            if (n == room)
                text = need(realloc(text, (room *= 2) + 1));
            if (c != EOF)
                text[n++] = (char)(c == 0 ? '?' : c);
        } while (c != EOF && c != '\n');
    }
    if (ferror(file))
        goto failed;
    fclose(file);
    text[n] = 0;
    return text;
failed:
    if (file != NULL)
        fclose(file);
    free(text);
    return NULL;
}

/* A stream of readings of 40 sensors, the same each time (xorshift64*, Vigna 2016). */
static char *make_up(size_t piece)
{
    char *text = need(malloc(MADE_UP_LINES * 32)), *to = text;
    uint64_t x = UINT64_C(0x9e3779b97f4a7c15) * (piece + 1);

    for (int i = 0; i < MADE_UP_LINES; i++) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        to += sprintf(to, "sensor%02d %d.%02d\n", (int)(x % 40), (int)(x >> 8 & 1023), (int)(x >> 20) % 50 + 50);
    }
    return text;
}

/* (shards, piece, path, from, to) -> lines that are no readings. An empty path: a stream that is made up. */
static int feed(tb_call *call)
{
    struct feed f = {.piece = (size_t)tb_arg_int64(call, 1)};
    const char *path = tb_arg_string(call, 2);
    int64_t from = tb_arg_int64(call, 3), to = tb_arg_int64(call, 4);
    char *text;
    int rc = tb_arg_array(call, 0, &f.shard, &f.shards);

    if (rc != 0 || (rc = tb_call_error(call)) != 0)
        return rc;
    text = path[0] == 0 ? make_up(f.piece) : read_piece(path, from, to);
    if (text == NULL)
        return tb_fail(call, "cannot read '%s': %s", path, strerror(errno));
    rc = feed_text(&f, text);
    free(text);
    if (rc == 0)
        rc = send_batch(&f);
    if (rc == 0)
        rc = drain(&f, 0);
    return rc != 0 ? rc : tb_return(call, (int64_t)f.bad);
}
TB_TASK(feed, .max_retries = 20);

/* ---- the driver ---- */

struct piece { const char *path; int64_t from, to; };

static struct piece *plan(int files, char **path, size_t *n, int64_t *bytes)
{
    struct piece *piece = need(calloc(MADE_UP, sizeof *piece));

    *n = files == 0 ? MADE_UP : 0;
    *bytes = 0;
    for (size_t i = 0; i < *n; i++)
        piece[i].path = "";
    for (int i = 0; i < files; i++) {
        struct stat st;

        if (stat(path[i], &st) != 0 || !S_ISREG(st.st_mode)) {
            fprintf(stderr, "stats: cannot read the file '%s'\n", path[i]);
            tb_finalize();
            exit(1);
        }
        *bytes += (int64_t)st.st_size;
        for (int64_t from = 0; from < st.st_size; from += PIECE_BYTES) {
            int64_t to = from + PIECE_BYTES;

            piece = need(realloc(piece, (*n + 1) * sizeof *piece));
            piece[(*n)++] = (struct piece){path[i], from, to < st.st_size ? to : st.st_size};
        }
    }
    return piece;
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static int64_t readings(const tb_actor *shard, size_t shards)
{
    tb_ref r[SHARDS_MAX] = {{0}};
    int64_t n[SHARDS_MAX], sum = 0;

    for (size_t s = 0; s < shards; s++)
        r[s] = tb_actor_call(shard[s], stats_readings);
    tb_must(tb_get_all(r, shards, n));
    for (size_t s = 0; s < shards; s++)
        sum += n[s];
    tb_must(tb_release_all(r, shards));
    return sum;
}

/* Says every second how far the actors are, until all pieces are fed. Returns the lines that are no readings. */
static int64_t watch(const tb_actor *shard, size_t shards, tb_ref *fed, size_t n, double begin)
{
    int64_t bad = 0, one;
    size_t ready = 0;

    while (ready < n && n > 0) {
        tb_must(tb_wait(fed, n, n, 1, &ready));
        if (ready < n)
            fprintf(stderr, "%.0f s: %lld readings\n", now() - begin, (long long)readings(shard, shards));
    }
    for (size_t i = 0; i < n; i++) {
        tb_must(tb_get(fed[i], &one));
        bad += one;
    }
    tb_must(tb_release_all(fed, n));
    return bad;
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static size_t print_report(const tb_actor *shard, size_t shards)
{
    struct entry *all = NULL;
    size_t n = 0;

    for (size_t s = 0; s < shards; s++) {
        tb_ref r = tb_actor_call(shard[s], stats_report);
        const struct entry *part;
        size_t more;

        tb_must(tb_get_records(r, &part, &more));
        all = need(realloc(all, (n + more + 1) * sizeof *all));
        memcpy(all + n, part, more * sizeof *all);
        n += more;
        tb_must(tb_release(r));
    }
    qsort(all, n, sizeof *all, by_key);
    for (size_t i = 0; i < n; i++)
        printf("%s %llu %.12g %.12g %.12g %.12g\n", all[i].key, (unsigned long long)all[i].n, all[i].mean,
               all[i].n > 1 ? sqrt(all[i].m2 / (double)(all[i].n - 1)) : 0.0, all[i].min, all[i].max);
    free(all);
    return n;
}

int main(int argc, char **argv)
{
    tb_actor shard[SHARDS_MAX];
    struct piece *piece;
    size_t shards, npieces, keys;
    int64_t bytes, bad, sum;
    double cpus, begin;
    tb_ref *fed;

    tb_must(tb_init(&argc, &argv, NULL));
    begin = now();
    piece = plan(argc - 1, argv + 1, &npieces, &bytes);
    fed = need(malloc((npieces + 1) * sizeof *fed));
    tb_must(tb_cluster_resources("CPU", &cpus));
    shards = cpus < 1 ? 1 : cpus > SHARDS_MAX ? SHARDS_MAX : (size_t)cpus;
    for (size_t s = 0; s < shards; s++)
        shard[s] = tb_actor_new(stats, (int64_t)npieces);
    for (size_t i = 0; i < npieces; i++)
        fed[i] = tb_remote(feed, tb_array(shard, shards), (int64_t)i, piece[i].path, piece[i].from, piece[i].to);
    bad = watch(shard, shards, fed, npieces, begin);
    begin = now() - begin;
    sum = readings(shard, shards);
    keys = print_report(shard, shards);
    fprintf(stderr, "%lld readings of %zu keys, %lld other lines, %zu actors, %.3f seconds, %.0f readings/s",
            (long long)sum, keys, (long long)bad, shards, begin, (double)sum / begin);
    if (bytes > 0)
        fprintf(stderr, ", %.1f MB/s", (double)bytes / begin / 1e6);
    fprintf(stderr, "\n");
    for (size_t s = 0; s < shards; s++)
        tb_must(tb_actor_release(shard[s]));
    free(fed);
    free(piece);
    return tb_finalize();
}
