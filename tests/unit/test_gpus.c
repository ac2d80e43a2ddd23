/* test_gpus.c - holds node/gpus: what is found in variables and in /dev, on made-up machines;
 * how ranks share GPUs, never one twice; and how a task is told which are its. */
#include "unit.h"
#include "tree.h"
#include "node/gpus.h"

static const char *const kinds[] = {"cuda", "rocr", "hip", "ze"};

/* "cuda: 0 1" */
static const char *text_of(const struct tbi_gpus *gpus)
{
    static char text[TBI_GPUS_MAX * TBI_GPU_ID];
    size_t at = (size_t)sprintf(text, "%s:", kinds[gpus->kind]);

    for (unsigned i = 0; i < gpus->n; i++)
        at += (size_t)sprintf(text + at, " %s", gpus->id[i]);
    return text;
}

static void assert_found(const char *want)
{
    struct tbi_system sys = tree_system();
    struct tbi_gpus gpus;
    char why[200];

    assert_int_equal(tbi_gpus_find(&sys, &gpus, why, sizeof why), 0);
    assert_string_equal(text_of(&gpus), want);
}

static void assert_found_with(const char *name, const char *value, const char *want)
{
    tree.n = 0;
    tree_set(name, value);
    assert_found(want);
}

static void nvidia_devices(unsigned n)
{
    char path[40];

    tree_file("/dev/nvidiactl", "");
    tree_file("/dev/nvidia-uvm", "");
    tree_file("/dev/nvidia-caps/nvidia-cap1", "");
    for (unsigned i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/dev/nvidia%u", i);
        tree_file(path, "");
    }
}

/* Node 0 is the processor. */
static void amd_devices(unsigned n)
{
    char path[80], text[200];

    tree_file("/dev/kfd", "");
    for (unsigned i = 0; i <= n; i++) {
        snprintf(path, sizeof path, "/sys/class/kfd/kfd/topology/nodes/%u/properties", i);
        snprintf(text, sizeof text, "cpu_cores_count %u\nsimd_count %u\nmax_waves 8\n"
                 "drm_render_minor %u\n", i == 0 ? 64 : 0, i == 0 ? 0 : 440, i == 0 ? 0 : 127 + i);
        tree_file(path, text);
        snprintf(path, sizeof path, "/dev/dri/renderD%u", 127 + i);
        if (i > 0)
            tree_file(path, "");
    }
}

static void intel_device(unsigned minor, const char *address)
{
    char path[80], to[80];

    snprintf(path, sizeof path, "/dev/dri/renderD%u", minor);
    tree_file(path, "");
    snprintf(path, sizeof path, "/sys/pci/%s/vendor", address);
    tree_file(path, "0x8086\n");
    snprintf(path, sizeof path, "/sys/class/drm/renderD%u/device", minor);
    snprintf(to, sizeof to, "../../../pci/%s", address);
    tree_link(path, to);
}

static void a_machine_without_gpus_has_none(void **state)
{
    (void)state;
    assert_found("cuda:");
}

static void cuda_lists_indices_uuids_and_parts(void **state)
{
    (void)state;
    assert_found_with("CUDA_VISIBLE_DEVICES", "2,0", "cuda: 2 0");
    assert_found_with("CUDA_VISIBLE_DEVICES", " 3 , 1,", "cuda: 3 1");
    assert_found_with("CUDA_VISIBLE_DEVICES",
                      "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,MIG-GPU-8932f937-d72c-4106-c12f-"
                      "20bd9faed9f6/13/0,MIG-5c2b8f4a-1111-5e7a-9a0b-0123456789ab",
                      "cuda: GPU-8932f937-d72c-4106-c12f-20bd9faed9f6 MIG-GPU-8932f937-d72c-4106-"
                      "c12f-20bd9faed9f6/13/0 MIG-5c2b8f4a-1111-5e7a-9a0b-0123456789ab");
    assert_found_with("CUDA_VISIBLE_DEVICES", "1,1,0,1", "cuda: 1 0");
}

static void a_list_may_say_none(void **state)
{
    (void)state;
    nvidia_devices(4);
    assert_found_with("CUDA_VISIBLE_DEVICES", "", "cuda:");
    assert_found_with("CUDA_VISIBLE_DEVICES", "-1", "cuda:");
    assert_found_with("CUDA_VISIBLE_DEVICES", "NoDevFiles", "cuda:");
    assert_found_with("CUDA_VISIBLE_DEVICES", "0,2,-1,1", "cuda: 0 2");
    assert_found_with("ROCR_VISIBLE_DEVICES", "", "rocr:");
    assert_found_with("HIP_VISIBLE_DEVICES", "-1", "hip:");
}

/* For these runtimes an empty text is as good as none. */
static void hip_and_level_zero_take_empty_for_unset(void **state)
{
    (void)state;
    nvidia_devices(2);
    assert_found_with("HIP_VISIBLE_DEVICES", "", "cuda: 0 1");
    assert_found_with("ZE_AFFINITY_MASK", "", "cuda: 0 1");
}

static void every_vendor_has_its_variable(void **state)
{
    (void)state;
    assert_found_with("ROCR_VISIBLE_DEVICES", "1,GPU-4b2c1a9f8d3e6f", "rocr: 1 GPU-4b2c1a9f8d3e6f");
    assert_found_with("HIP_VISIBLE_DEVICES", "0,2", "hip: 0 2");
    assert_found_with("ZE_AFFINITY_MASK", "0.1,1", "ze: 0.1 1");
}

static void the_first_variable_counts_without_devices(void **state)
{
    (void)state;
    tree_set("ZE_AFFINITY_MASK", "3");
    tree_set("ROCR_VISIBLE_DEVICES", "2");
    assert_found("rocr: 2");
    tree_set("CUDA_VISIBLE_DEVICES", "1");
    assert_found("cuda: 1");
}

/* SLURM sets all of them where nobody told it the vendor. */
static void of_several_variables_the_one_with_devices_counts(void **state)
{
    (void)state;
    tree_set("CUDA_VISIBLE_DEVICES", "0,1");
    tree_set("ROCR_VISIBLE_DEVICES", "0,1");
    tree_set("ZE_AFFINITY_MASK", "0,1");
    tree_set("GPU_DEVICE_ORDINAL", "0,1");
    assert_found("cuda: 0 1");
    amd_devices(4);
    assert_found("rocr: 0 1");
}

static void slurm_says_which_without_a_vendor(void **state)
{
    (void)state;
    tree_set("SLURM_JOB_GPUS", "4,6,7");
    assert_found("cuda: 4 6 7");
    tree_set("SLURM_STEP_GPUS", "6");
    assert_found("cuda: 6");
    tree_set("ROCR_VISIBLE_DEVICES", "0");
    assert_found("rocr: 0");
    assert_found_with("GPU_DEVICE_ORDINAL", "1,0", "cuda: 1 0");
    amd_devices(3);
    assert_found_with("GPU_DEVICE_ORDINAL", "1,0", "rocr: 1 0");
    assert_found_with("SLURM_STEP_GPUS", "", "rocr: 0 1 2");
}

/* Its numbers are the host's; of devices that it hides, the vendor's runtime does not know. */
static void numbers_of_slurm_are_those_that_the_runtime_gives(void **state)
{
    (void)state;
    nvidia_devices(2);
    assert_found_with("SLURM_JOB_GPUS", "4,6", "cuda: 0 1");
    nvidia_devices(8);
    assert_found_with("SLURM_JOB_GPUS", "4,6", "cuda: 4 6");
}

static void nvidia_devices_are_counted_once(void **state)
{
    (void)state;
    nvidia_devices(3);
    assert_found("cuda: 0 1 2");
}

/* A container that was given the host's GPUs 5 and 7 has these files, and CUDA numbers from 0. */
static void devices_are_numbered_as_the_runtime_does(void **state)
{
    (void)state;
    tree_file("/dev/nvidia5", "");
    tree_file("/dev/nvidia7", "");
    assert_found("cuda: 0 1");
}

static void devices_that_cannot_be_opened_do_not_count(void **state)
{
    (void)state;
    nvidia_devices(1);
    tree_link("/dev/nvidia1", "/nowhere/at/all"); /* as good as forbidden, for root too */
    assert_found("cuda: 0");
}

static void amd_devices_need_the_compute_driver(void **state)
{
    char kfd[64];

    (void)state;
    amd_devices(2);
    assert_found("rocr: 0 1");
    snprintf(kfd, sizeof kfd, "%s/dev/kfd", tree.root);
    assert_int_equal(unlink(kfd), 0);
    assert_found("cuda:");
}

static void amd_devices_of_other_containers_do_not_count(void **state)
{
    char render[64];

    (void)state;
    amd_devices(4);
    snprintf(render, sizeof render, "%s/dev/dri/renderD129", tree.root);
    assert_int_equal(unlink(render), 0);
    assert_found("rocr: 0 1 2");
}

static void intel_cards_count_but_not_the_processors_graphics(void **state)
{
    (void)state;
    intel_device(128, "0000:00:02.0");
    assert_found("cuda:");
    intel_device(129, "0000:03:00.0");
    intel_device(130, "0000:5a:00.0");
    assert_found("ze: 0 1");
}

static void a_name_that_is_too_long_is_an_error(void **state)
{
    struct tbi_system sys = tree_system();
    char list[100], why[200] = "";
    struct tbi_gpus gpus;

    (void)state;
    memset(list, 'G', 64);
    list[64] = '\0';
    tree_set("CUDA_VISIBLE_DEVICES", list);
    assert_int_equal(tbi_gpus_find(&sys, &gpus, why, sizeof why), -1);
    assert_non_null(strstr(why, "CUDA_VISIBLE_DEVICES=GGG"));
    assert_non_null(strstr(why, "at most 63"));
    list[63] = '\0';
    assert_int_equal(tbi_gpus_find(&sys, &gpus, why, sizeof why), 0);
    assert_string_equal(gpus.id[0], list);
}

static void too_many_gpus_are_an_error(void **state)
{
    struct tbi_system sys = tree_system();
    char list[2000], why[200] = "";
    struct tbi_gpus gpus;
    size_t at = 0;

    (void)state;
    for (int i = 0; i < TBI_GPUS_MAX + 1; i++)
        at += (size_t)sprintf(list + at, "%s%d", i > 0 ? "," : "", i);
    tree_set("ZE_AFFINITY_MASK", list);
    assert_int_equal(tbi_gpus_find(&sys, &gpus, why, sizeof why), -1);
    assert_non_null(strstr(why, "ZE_AFFINITY_MASK: more than 64"));
    *strrchr(list, ',') = '\0';
    assert_int_equal(tbi_gpus_find(&sys, &gpus, why, sizeof why), 0);
    assert_int_equal(gpus.n, TBI_GPUS_MAX);
}

/* ---- sharing ---- */

/* Each rank's list as the variable of its kind, and what each is to keep. */
struct rank {
    uint32_t kind;
    const char *list, *keeps;
};

static void assert_shared(unsigned n, const struct rank *rank)
{
    struct tbi_gpus *all = calloc(n, sizeof *all), mine;
    struct tbi_system sys = tree_system();
    char why[200];

    for (unsigned r = 0; r < n; r++) {
        tree.n = 0;
        tree_set(tbi_gpus_variable(rank[r].kind), rank[r].list);
        assert_int_equal(tbi_gpus_find(&sys, &all[r], why, sizeof why), 0);
    }
    for (unsigned r = 0; r < n; r++) {
        tbi_gpus_share(all, n, r, &mine);
        assert_string_equal(text_of(&mine), rank[r].keeps);
    }
    free(all);
}
#define SHARED(...)                                                                                \
    assert_shared(sizeof((struct rank[]){__VA_ARGS__}) / sizeof(struct rank),                      \
                  (struct rank[]){__VA_ARGS__})
enum { CUDA = TBI_GPUS_CUDA, ROCR = TBI_GPUS_ROCR, ZE = TBI_GPUS_ZE };

static void ranks_that_see_the_same_gpus_get_neighbours(void **state)
{
    (void)state;
    SHARED({CUDA, "0,1,2,3", "cuda: 0 1"}, {CUDA, "0,1,2,3", "cuda: 2 3"});
    SHARED({CUDA, "7,5,3", "cuda: 7 5"}, {CUDA, "7,5,3", "cuda: 3"});
}

static void a_rank_alone_keeps_all_in_its_order(void **state)
{
    (void)state;
    SHARED({CUDA, "3,1,2", "cuda: 3 1 2"});
}

static void lists_without_a_common_gpu_stay(void **state)
{
    (void)state;
    SHARED({CUDA, "0,1,2", "cuda: 0 1 2"}, {CUDA, "3", "cuda: 3"}, {CUDA, "", "cuda:"});
}

static void what_overlaps_evens_out_the_rest(void **state)
{
    (void)state;
    SHARED({CUDA, "0,1,2,3", "cuda: 0 1"}, {CUDA, "2,3", "cuda: 2 3"});
    SHARED({CUDA, "0,1", "cuda: 0 1"}, {CUDA, "1,2,3", "cuda: 2 3"});
}

static void with_more_ranks_than_gpus_the_last_get_none(void **state)
{
    (void)state;
    SHARED({CUDA, "0,1", "cuda: 0"}, {CUDA, "0,1", "cuda: 1"}, {CUDA, "0,1", "cuda:"});
}

static void parts_of_a_mig_gpu_are_shared_out_singly(void **state)
{
    (void)state;
    SHARED({CUDA, "MIG-a,MIG-b,GPU-c", "cuda: MIG-a MIG-b"}, {CUDA, "MIG-b,GPU-c", "cuda: GPU-c"});
}

static void a_part_and_its_whole_go_to_one_rank(void **state)
{
    (void)state;
    SHARED({ZE, "0.0,0.1", "ze: 0.0 0.1"}, {ZE, "0,1", "ze: 1"});
    SHARED({ZE, "0.0,0.1", "ze: 0.0"}, {ZE, "0.0,0.1", "ze: 0.1"});
}

static void equal_numbers_of_two_vendors_are_different(void **state)
{
    (void)state;
    SHARED({CUDA, "0", "cuda: 0"}, {ROCR, "0", "rocr: 0"});
}

static void no_gpu_is_given_twice_and_none_is_lost(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int round = 0; round < 300; round++) {
        unsigned n = 1 + (unsigned)(unit_random(&seed) % 5), given[8] = {0};
        struct tbi_gpus *all = calloc(n, sizeof *all), mine;
        bool seen[8] = {false};

        for (unsigned r = 0; r < n; r++)
            for (unsigned g = 0; g < 8; g++)
                if (unit_random(&seed) % 3 == 0) {
                    sprintf(all[r].id[all[r].n++], "GPU-%u", g);
                    seen[g] = true;
                }
        for (unsigned r = 0; r < n; r++) {
            tbi_gpus_share(all, n, r, &mine);
            for (unsigned i = 0; i < mine.n; i++)
                given[atoi(mine.id[i] + 4)]++;
        }
        for (unsigned g = 0; g < 8; g++)
            assert_int_equal(given[g], seen[g]);
        free(all);
    }
}

/* ---- telling ---- */

static void assert_told(uint32_t kind, const char *list, unsigned n, const uint32_t *which,
                        const char *variable, const char *value)
{
    struct tbi_system sys = tree_system();
    struct tbi_gpus gpus;
    char text[100], why[100];

    tree.n = 0;
    tree_set(tbi_gpus_variable(kind), list);
    assert_int_equal(tbi_gpus_find(&sys, &gpus, why, sizeof why), 0);
    assert_int_equal(tbi_gpus_value(&gpus, which, n, text, sizeof text), strlen(value));
    assert_string_equal(text, value);
    assert_string_equal(tbi_gpus_variable(gpus.kind), variable);
}

static void a_task_is_told_its_gpus_in_the_vendors_words(void **state)
{
    (void)state;
    assert_told(CUDA, "4,GPU-abc,6", 2, (uint32_t[]){1, 2}, "CUDA_VISIBLE_DEVICES", "GPU-abc,6");
    assert_told(ROCR, "4,5,6", 1, (uint32_t[]){2}, "ROCR_VISIBLE_DEVICES", "6");
    assert_told(TBI_GPUS_HIP, "4,5,6", 2, (uint32_t[]){2, 0}, "HIP_VISIBLE_DEVICES", "6,4");
    assert_told(ZE, "0.1,1", 2, (uint32_t[]){0, 1}, "ZE_AFFINITY_MASK", "0.1,1");
}

static void a_task_without_gpus_sees_none(void **state)
{
    (void)state;
    assert_told(CUDA, "0,1", 0, NULL, "CUDA_VISIBLE_DEVICES", "");
    assert_told(ROCR, "0,1", 0, NULL, "ROCR_VISIBLE_DEVICES", "");
    assert_told(TBI_GPUS_HIP, "0,1", 0, NULL, "HIP_VISIBLE_DEVICES", "-1");
    assert_told(ZE, "0,1", 0, NULL, "ZE_AFFINITY_MASK", "65535");
}

static void a_short_buffer_is_not_overrun(void **state)
{
    struct tbi_gpus gpus = {.n = 2, .id = {"GPU-abc", "GPU-def"}};
    char text[12] = "...........";

    (void)state;
    assert_int_equal(tbi_gpus_value(&gpus, (uint32_t[]){0, 1}, 2, text, 6), 15);
    assert_string_equal(text, "GPU-a");
    assert_string_equal(text + 6, ".....");
    assert_int_equal(tbi_gpus_value(&gpus, (uint32_t[]){0, 1}, 2, NULL, 0), 15);
}

/* Else HIP would look for the second of the one GPU that ROCr left. */
static void what_would_choose_again_is_unset(void **state)
{
    const char *const *names = tbi_gpus_unset(ROCR);

    (void)state;
    assert_string_equal(names[0], "HIP_VISIBLE_DEVICES");
    assert_string_equal(names[1], "CUDA_VISIBLE_DEVICES");
    assert_string_equal(names[2], "GPU_DEVICE_ORDINAL");
    assert_null(names[3]);
    assert_null(tbi_gpus_unset(CUDA)[0]);
}

#define ON_A_TREE(test) cmocka_unit_test_setup_teardown(test, tree_begin, tree_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_A_TREE(a_machine_without_gpus_has_none),
        ON_A_TREE(cuda_lists_indices_uuids_and_parts),
        ON_A_TREE(a_list_may_say_none),
        ON_A_TREE(hip_and_level_zero_take_empty_for_unset),
        ON_A_TREE(every_vendor_has_its_variable),
        ON_A_TREE(the_first_variable_counts_without_devices),
        ON_A_TREE(of_several_variables_the_one_with_devices_counts),
        ON_A_TREE(slurm_says_which_without_a_vendor),
        ON_A_TREE(numbers_of_slurm_are_those_that_the_runtime_gives),
        ON_A_TREE(nvidia_devices_are_counted_once),
        ON_A_TREE(devices_are_numbered_as_the_runtime_does),
        ON_A_TREE(devices_that_cannot_be_opened_do_not_count),
        ON_A_TREE(amd_devices_need_the_compute_driver),
        ON_A_TREE(amd_devices_of_other_containers_do_not_count),
        ON_A_TREE(intel_cards_count_but_not_the_processors_graphics),
        ON_A_TREE(a_name_that_is_too_long_is_an_error),
        ON_A_TREE(too_many_gpus_are_an_error),
        ON_A_TREE(ranks_that_see_the_same_gpus_get_neighbours),
        ON_A_TREE(a_rank_alone_keeps_all_in_its_order),
        ON_A_TREE(lists_without_a_common_gpu_stay),
        ON_A_TREE(what_overlaps_evens_out_the_rest),
        ON_A_TREE(with_more_ranks_than_gpus_the_last_get_none),
        ON_A_TREE(parts_of_a_mig_gpu_are_shared_out_singly),
        ON_A_TREE(a_part_and_its_whole_go_to_one_rank),
        ON_A_TREE(equal_numbers_of_two_vendors_are_different),
        cmocka_unit_test(no_gpu_is_given_twice_and_none_is_lost),
        ON_A_TREE(a_task_is_told_its_gpus_in_the_vendors_words),
        ON_A_TREE(a_task_without_gpus_sees_none),
        cmocka_unit_test(a_short_buffer_is_not_overrun),
        cmocka_unit_test(what_would_choose_again_is_unset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
