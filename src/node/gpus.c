#include "node/gpus.h"
#include "node/share.h"
#include "util/alloc.h"

#include <ctype.h>
#include <dirent.h>
#include <unistd.h>

/* How a runtime is told "none". CUDA: "if the variable is set to an empty string, no GPU devices
 * are visible" (CUDA programming guide, environment variables). ROCr: SelectZeroDevices() is
 * envVal.empty() (rocr-runtime, amd_filter_device.cpp). HIP takes an empty text for unset, and
 * ends the list at an invalid index (clr, rocdevice.cpp). Level Zero takes an empty text for
 * unset as well, and skips devices that are not there (compute-runtime,
 * execution_environment.cpp). */
static const struct variable {
    const char *name, *none;
    bool empty_is_unset;
    const char *unset[4]; /* ROCr chooses first, then HIP and OpenCL choose among the rest */
} variables[] = {
    [TBI_GPUS_CUDA] = {"CUDA_VISIBLE_DEVICES", "", false, {NULL}},
    [TBI_GPUS_ROCR] = {"ROCR_VISIBLE_DEVICES", "", false,
                       {"HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", NULL}},
    [TBI_GPUS_HIP] = {"HIP_VISIBLE_DEVICES", "-1", true, {NULL}},
    [TBI_GPUS_ZE] = {"ZE_AFFINITY_MASK", "65535", true, {NULL}},
};
enum { KINDS = sizeof variables / sizeof variables[0] };

const char *tbi_gpus_variable(uint32_t kind)
{
    return variables[kind].name;
}

const char *const *tbi_gpus_unset(uint32_t kind)
{
    return variables[kind].unset;
}

size_t tbi_gpus_value(const struct tbi_gpus *gpus, const uint32_t *which, unsigned n, char *to,
                      size_t size)
{
    size_t at = 0;

    if (n == 0)
        return (size_t)snprintf(to, size, "%s", variables[gpus->kind].none);
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(at < size ? to + at : NULL, at < size ? size - at : 0, "%s%s",
                               i > 0 ? "," : "", gpus->id[which[i]]);
    return at;
}

/* ---- lists ---- */

static bool listed(const struct tbi_gpus *gpus, const char *id)
{
    for (unsigned i = 0; i < gpus->n; i++)
        if (strcmp(gpus->id[i], id) == 0)
            return true;
    return false;
}

static void number(struct tbi_gpus *gpus, unsigned n)
{
    gpus->n = n < TBI_GPUS_MAX ? n : TBI_GPUS_MAX;
    for (unsigned i = 0; i < gpus->n; i++)
        snprintf(gpus->id[i], sizeof gpus->id[i], "%u", i);
}

/* "0, GPU-8932f937,MIG-GPU-8932f937/1/0" */
static int parse(const char *name, const char *text, struct tbi_gpus *gpus, char *why, size_t size)
{
    const char *end;

    gpus->n = 0;
    for (const char *at = text;; at = end + 1) {
        char id[TBI_GPU_ID];
        size_t n;

        at += strspn(at, " \t");
        end = at + strcspn(at, ",");
        n = (size_t)(end - at);
        while (n > 0 && isspace((unsigned char)at[n - 1]))
            n--;
        if (n >= sizeof id) {
            snprintf(why, size, "%s=%s: the name of a GPU has at most %zu characters", name, text,
                     sizeof id - 1);
            return -1;
        }
        snprintf(id, sizeof id, "%.*s", (int)n, at);
        if (id[0] == '-' || strcmp(id, "NoDevFiles") == 0)
            return 0;
        if (n > 0 && !listed(gpus, id)) {
            if (gpus->n == TBI_GPUS_MAX) {
                snprintf(why, size, "%s: more than %d GPUs; leave some out", name, TBI_GPUS_MAX);
                return -1;
            }
            memcpy(gpus->id[gpus->n++], id, sizeof id);
        }
        if (*end == '\0')
            return 0;
    }
}

/* ---- devices ---- */

/* Calls `is` for each entry of a folder. */
static unsigned count_in(const struct tbi_system *sys, const char *path,
                         bool (*is)(const struct tbi_system *sys, const char *name))
{
    DIR *dir = tbi_system_open_folder(sys, path);
    const struct dirent *e;
    unsigned n = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL)
        n += is(sys, e->d_name);
    if (dir != NULL)
        closedir(dir);
    return n;
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static bool is_nvidia(const struct tbi_system *sys, const char *name)
{
    char path[300];

    snprintf(path, sizeof path, "/dev/%s", name);
    return strncmp(name, "nvidia", 6) == 0 && is_number(name + 6) && tbi_system_usable(sys, path);
}

/* A node of the kernel's list for ROCm that computes: "simd_count 440", "drm_render_minor 128". */
static bool is_amd(const struct tbi_system *sys, const char *name)
{
    char path[400], text[4096];
    const char *simd, *minor;
    unsigned n;

    snprintf(path, sizeof path, "/sys/class/kfd/kfd/topology/nodes/%s/properties", name);
    if (!is_number(name) || !tbi_system_read(sys, path, text, sizeof text) ||
        (simd = strstr(text, "simd_count ")) == NULL || strtoul(simd + 11, NULL, 10) == 0 ||
        (minor = strstr(text, "drm_render_minor ")) == NULL || sscanf(minor + 17, "%u", &n) != 1)
        return false;
    snprintf(path, sizeof path, "/dev/dri/renderD%u", n);
    return tbi_system_usable(sys, path);
}

/* Not the graphics inside of the processor, which always has this address. */
static bool is_intel(const struct tbi_system *sys, const char *name)
{
    char path[TBI_PATH + 300], address[256], vendor[16];
    ssize_t n;

    if (strncmp(name, "renderD", 7) != 0 || !is_number(name + 7))
        return false;
    snprintf(path, sizeof path, "/sys/class/drm/%s/device/vendor", name);
    if (!tbi_system_read(sys, path, vendor, sizeof vendor) || strncmp(vendor, "0x8086", 6) != 0)
        return false;
    snprintf(path, sizeof path, "%s/sys/class/drm/%s/device", sys->root, name);
    n = readlink(path, address, sizeof address - 1);
    address[n > 0 ? n : 0] = '\0';
    if (strstr(address, "0000:00:02.0") != NULL)
        return false;
    snprintf(path, sizeof path, "/dev/dri/%s", name);
    return tbi_system_usable(sys, path);
}

static unsigned devices_of(const struct tbi_system *sys, uint32_t kind)
{
    switch (kind) {
    case TBI_GPUS_CUDA:
        return count_in(sys, "/dev", is_nvidia);
    case TBI_GPUS_ZE:
        return count_in(sys, "/dev/dri", is_intel);
    default:
        return tbi_system_usable(sys, "/dev/kfd")
                   ? count_in(sys, "/sys/class/kfd/kfd/topology/nodes", is_amd) : 0;
    }
}

/* ---- finding ---- */

static const char *set_to(const struct tbi_system *sys, uint32_t kind)
{
    const char *text = sys->getenv(variables[kind].name);

    return text != NULL && (text[0] != '\0' || !variables[kind].empty_is_unset) ? text : NULL;
}

int tbi_gpus_find(const struct tbi_system *sys, struct tbi_gpus *gpus, char *why, size_t size)
{
    static const char *const slurm[] = {"SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL"};
    uint32_t first = KINDS, here = KINDS;
    const char *text;
    unsigned n;

    memset(gpus, 0, sizeof *gpus);
    for (uint32_t k = KINDS; k-- > 0;)
        if (set_to(sys, k) != NULL) {
            first = k;
            here = devices_of(sys, k) > 0 ? k : here;
        }
    if (first != KINDS) {
        gpus->kind = here != KINDS ? here : first;
        return parse(variables[gpus->kind].name, set_to(sys, gpus->kind), gpus, why, size);
    }
    while (gpus->kind < KINDS && devices_of(sys, gpus->kind) == 0)
        gpus->kind++;
    if (gpus->kind == KINDS)
        gpus->kind = TBI_GPUS_CUDA;
    n = devices_of(sys, gpus->kind);
    for (unsigned i = 0; i < sizeof slurm / sizeof slurm[0]; i++) {
        text = sys->getenv(slurm[i]);
        if (text == NULL || text[0] == '\0')
            continue;
        if (parse(slurm[i], text, gpus, why, size) != 0)
            return -1;
        /* SLURM numbers all GPUs of the host; where it hides the others, ours are numbered anew. */
        if (gpus->n == n)
            number(gpus, n);
        return 0;
    }
    number(gpus, n);
    return 0;
}

/* ---- sharing ---- */

/* The id that stands for a GPU: that of the whole one where some rank lists it, for "0" and
 * "0.1" must not go to two ranks. */
static void name_of(const struct tbi_gpus *all, unsigned n, const struct tbi_gpus *of, unsigned i,
                    char name[TBI_GPU_ID])
{
    char *dot;

    memcpy(name, of->id[i], TBI_GPU_ID);
    if (of->kind != TBI_GPUS_ZE || (dot = strchr(name, '.')) == NULL)
        return;
    *dot = '\0';
    for (unsigned r = 0; r < n; r++)
        if (all[r].kind == TBI_GPUS_ZE && listed(&all[r], name))
            return;
    *dot = '.';
}

struct gpu {
    uint32_t kind;
    char name[TBI_GPU_ID];
};

static unsigned find(const struct gpu *gpu, unsigned n, uint32_t kind, const char *name)
{
    unsigned i = 0;

    while (i < n && (gpu[i].kind != kind || strcmp(gpu[i].name, name) != 0))
        i++;
    return i;
}

void tbi_gpus_share(const struct tbi_gpus *all, unsigned n, unsigned me, struct tbi_gpus *mine)
{
    unsigned total = 0, ngpus = 0, *owner, *of; /* of[]: the GPU of each listed id */
    struct gpu *gpu;
    bool *may;

    for (unsigned r = 0; r < n; r++)
        total += all[r].n;
    gpu = tbi_alloc_zeroed(total, sizeof *gpu);
    of = tbi_alloc_zeroed(total, sizeof *of);
    owner = tbi_alloc_zeroed(total, sizeof *owner);
    total = 0;
    for (unsigned r = 0; r < n; r++)
        for (unsigned i = 0; i < all[r].n; i++) {
            struct gpu one = {.kind = all[r].kind};
            unsigned at;

            name_of(all, n, &all[r], i, one.name);
            at = find(gpu, ngpus, one.kind, one.name);
            if (at == ngpus)
                gpu[ngpus++] = one;
            of[total++] = at;
        }
    may = tbi_alloc_zeroed((size_t)n * ngpus, sizeof *may);
    total = 0;
    for (unsigned r = 0; r < n; r++)
        for (unsigned i = 0; i < all[r].n; i++)
            may[r * ngpus + of[total++]] = true;
    tbi_share(n, ngpus, may, owner);
    *mine = (struct tbi_gpus){.kind = all[me].kind};
    total = 0;
    for (unsigned r = 0; r < me; r++)
        total += all[r].n;
    for (unsigned i = 0; i < all[me].n; i++)
        if (owner[of[total + i]] == me)
            memcpy(mine->id[mine->n++], all[me].id[i], TBI_GPU_ID);
    free(gpu);
    free(of);
    free(owner);
    free(may);
}
