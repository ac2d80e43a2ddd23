/* settings.h - what can be set from outside: one table of names, defaults, units and help. The
 * environment comes before tb_config, which comes before what is found out about the machine. */
#ifndef TBI_SETTINGS_H
#define TBI_SETTINGS_H

#include "exec/slots.h"
#include "net/messages.h"
#include "thornback.h"

#include <stdbool.h>
#include <stdio.h>

/* Least and most say what is possible besides the default: OR_0(x) is 0 and from x on. Of texts and choices they
 * say nothing.
 *
 *    field               variable            kind    default least        most           unit, help */
#define TBI_SETTINGS(X)                                                                            \
    X(num_cpus,           TB_NUM_CPUS,        NUMBER,  0,    OR_0(0.0001), 100000,        "CPUs",   \
      "of each worker rank; 0: its share of the cores of its host")                                \
    X(num_gpus,           TB_NUM_GPUS,        COUNT,   -1,   0,            TBI_GPUS_MAX,  "GPUs",   \
      "of each worker rank; -1: its share of those that are found")                                \
    X(memory,             TB_MEMORY,          BYTES,   0,    OR_0(1),      64 * TERA,     "bytes",  \
      "that tasks of a worker rank may ask for; 0: its share of what the host may use")            \
    X(resources,          TB_RESOURCES,       TEXT,    0,    0,            0,             "NAME=AMOUNT,...", \
      "that each worker rank has besides, as Custom=2,Disk=0.5")                                   \
    X(labels,             TB_LABELS,          TEXT,    0,    0,            0,             "KEY=VALUE,...", \
      "of each worker rank, for tasks that ask for them")                                          \
    X(ranks,              TB_RANKS,           TEXT,    0,    0,            0,             "RANK:NAME=AMOUNT,...;...", \
      "what single ranks have instead, as 3:num_cpus=8,num_gpus=2,Custom=1,label.zone=a;4:...")    \
    X(bind,               TB_BIND,            CHOICE,  0,    0,            0,             "auto, yes, no", \
      "whether a task is bound to its cores; auto: not on the host of rank 0, which needs some too") \
    X(show_map,           TB_SHOW_MAP,        CHOICE,  0,    0,            0,             "no, yes", \
      "whether the ranks, their hosts and what they have are printed at the start")                \
    X(store,              TB_STORE,           BYTES,   0,    OR_0(MEGA),   16 * TERA,     "bytes",  \
      "of each rank's part of the object store, as 512M or 2G; 0: 30 % of what the host has")      \
    X(max_executors,      TB_MAX_EXECUTORS,   COUNT,   0,    OR_0(1),      TBI_SLOTS_MAX, "processes", \
      "of a rank at a time, not counting actors and those whose task waits (1024 with these); 0: 4 a CPU and 8")              \
    X(inline_bytes,       TB_INLINE,          BYTES,   2048, 0,            MEGA,          "bytes",  \
      "values up to this size travel in messages instead of the store")                            \
    X(create_timeout,     TB_CREATE_TIMEOUT,  NUMBER,  10,   OR_0(0.001),  1e6,           "seconds", \
      "that a new object waits for room before it fails with STORE_FULL")                          \
    X(ahead,              TB_AHEAD,           COUNT,   64,   0,            1e6,           "tasks",  \
      "sent to a node beyond what it can run at once, until it is known how long they run")                                             \
    X(offers,             TB_OFFERS,          COUNT,   16,   0,            1000,          "tasks",  \
      "that an executor is given beyond the one it runs")                                          \
    X(nested,             TB_NESTED,          COUNT,   64,   0,            1e6,           "tasks",  \
      "that wait on a node for tasks of its own that submitted them; 0: all go through rank 0")    \
    X(overtakes,          TB_OVERTAKES,       COUNT,   64,   0,            1e6,           "tasks",  \
      "that may overtake one that does not fit, or an older and shallower one, or resume before one that waits") \
    X(cancel_grace,       TB_CANCEL_GRACE,    NUMBER,  2,    OR_0(0.001),  1e6,           "seconds", \
      "that a cancelled task may go on before its process is killed")                              \
    X(virtual_nodes,      TB_VIRTUAL_NODES,   COUNT,   1,    1,            1e6,           "nodes",  \
      "that the ranks of a host are split into, as if they were several hosts")                    \
    X(fetch,              TB_FETCH,           CHOICE,  0,    0,            0,             "auto, rma, p2p", \
      "how objects travel between hosts: as the MPI allows, one-sided, or by messages")            \
    X(heartbeat,          TB_HEARTBEAT,       NUMBER,  10,   OR_0(1),      1e6,           "seconds", \
      "without news of a rank of another host, or in one call of MPI, that end the job; 0: never") \
    X(idle,               TB_IDLE,            CHOICE,  0,    0,            0,             "sleep, spin", \
      "what a rank does without news; spin answers sooner and wants a core of its own")            \
    X(job_seed,           TB_JOB_SEED,        COUNT,   0,    0,            1e9,           "number", \
      "that the seeds of tasks depend on, see tb_call_seed; another one gives other random numbers") \
    X(log_prefix,         TB_LOG_PREFIX,      CHOICE,  0,    0,            0,             "no, yes", \
      "precede each line that a task prints by its function, rank and process")                    \
    X(log_dir,            TB_LOG_DIR,         TEXT,    0,    0,            0,             "directory", \
      "where each rank also appends what its tasks print, to rank-R.out and rank-R.err")           \
    X(keep_descriptors,   TB_KEEP_DESCRIPTORS, CHOICE, 0,    0,            0,             "no, yes", \
      "files that the program opened before tb_init stay open in tasks; no: they are /dev/null there") \
    X(debug,              TB_DEBUG,           COUNT,   0,    0,            9,             "level",  \
      "1: tb_finalize names the refs that the driver did not release, or what leaked without any; tasks that crash say where")  \
    X(fault,              TB_FAULT,           TEXT,    0,    0,            0,             "point:n[,point:n...]", \
      "lets the n-th passing of a named point go wrong, for tests: see doc/faults.md")

enum { TBI_SETTING_TEXT = 2048 }; /* bytes of a text, its final 0 included */
#define TBI_SETTING_FIELD_NUMBER(field) double field;
#define TBI_SETTING_FIELD_COUNT(field) double field;
#define TBI_SETTING_FIELD_BYTES(field) double field;
#define TBI_SETTING_FIELD_CHOICE(field) double field;
#define TBI_SETTING_FIELD_TEXT(field) char field[TBI_SETTING_TEXT];

/* Plain bytes without pointers: rank 0's is sent to the others as it is. */
struct tbi_settings {
#define FIELD(field, variable, kind, def, least, most, unit, help) TBI_SETTING_FIELD_##kind(field)
    TBI_SETTINGS(FIELD)
#undef FIELD
};

enum { TBI_FETCH_AUTO = 0, TBI_FETCH_BY_RMA = 1, TBI_FETCH_BY_P2P = 2 };
enum { TBI_BIND_AUTO = 0, TBI_BIND_YES = 1, TBI_BIND_NO = 2 };
enum { TBI_IDLE_SLEEP = 0, TBI_IDLE_SPIN = 1 };

/* Writes the table as Markdown: doc/settings.md is this. */
void tbi_settings_document(FILE *to);

/* Fills from the environment and the config (may be NULL). 0, or TB_ERR_ARGUMENT with the last error
 * naming the variable, its value and what is possible. Numbers are written with a point, whatever the program's
 * locale is. */
int tbi_settings_read(struct tbi_settings *settings, const tb_config *config);

/* A line for each TB_* variable that is no setting. */
void tbi_settings_warn(FILE *to);

#endif
