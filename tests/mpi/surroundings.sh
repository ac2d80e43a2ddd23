#!/bin/bash
# surroundings.sh - where memory, descriptors, processes or address space are short, a job works with what there is, or
# says in one line which limit it is; it does not hang, and no process dies of it.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
program=$PWD/tests/mpi/surroundings
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/out
failed=0
result() { # NAME STATUS PROBLEM
    if [ -z "$3" ]; then
        echo "[       OK ] $1"
    else
        echo "FAILED: $1: status $2, $3"; cat "$out"; failed=1
    fi
}
run() { # COMMAND...: its output in $out, its status in $rc
    rc=0
    timeout -k 5 120 "$@" >"$out" 2>&1 || rc=$?
}
lines() { # N PATTERN: what is wrong if the pattern does not stand in N lines
    local n
    n=$(grep -cE -- "$2" "$out")
    [ "$n" = "$1" ] || echo "$n lines instead of $1 have: $2; "
}
works() { # NAME COMMAND...
    local name=$1
    shift
    run "$@"
    result "$name" $rc "$([ $rc = 0 ] || echo "expected: 0; "; lines 1 '^0 begun')"
}
says() { # NAME PATTERN COMMAND...: tb_init fails, one line says why
    local name=$1 pattern=$2
    shift 2
    run "$@"
    result "$name" $rc "$([ $rc != 0 ] && [ $rc != 124 ] && [ $rc -lt 128 ] || echo "expected: an error; "
                          lines 1 "^-[0-9]+ .*$pattern"; lines 0 '^0 begun')"
}
both="mpirun -np 2 --oversubscribe" three="mpirun -np 3 --oversubscribe"

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    with_shm() { # MB COMMAND...
        local size=$1
        shift
        run unshare -m bash -c "mount -t tmpfs -o size=${size}m none /dev/shm && $*"
    }
    with_shm 400 TB_CREATE_TIMEOUT=1 TB_STORE=100M "$both $program beside"
    result puts_into_a_full_dev_shm_fail_and_succeed_when_there_is_room $rc \
        "$([ $rc = 0 ] || echo "expected: 0; "; lines 3 '^-8 put by the driver'; lines 3 '^-8 put by a task'
           lines 1 '^0 put by the driver'; lines 1 '^0 put by a task'; lines 1 '^0 begun')"
    with_shm 64 "$program put 30"
    result a_job_alone_does_not_care_for_dev_shm $rc "$(lines 1 '^0 put')"
    with_shm 64 TB_VIRTUAL_NODES=2 "$both $program put 30"
    result nor_do_ranks_that_share_no_memory $rc "$(lines 1 '^0 put')"
    with_shm 64 "mpirun -np 9 --oversubscribe $program"
    result what_mpi_itself_needs_is_told_apart_from_the_store $rc \
        "$([ $rc = 1 ] || echo "expected: 1; "; lines 1 '^-8 .*whatever TB_STORE is.*fewer ranks')"
fi

# Address space.
works a_store_fits_into_ulimit_v bash -c "ulimit -v 2000000; exec $three $program tasks 20"
works alone_too bash -c "ulimit -v 1000000; exec $program tasks 20"
says a_store_that_does_not_fit_into_ulimit_v '-v. leaves .*set TB_STORE lower' \
    bash -c "ulimit -v 2000000; TB_STORE=600M exec $three $program"
says nor_into_memory 'of memory; set TB_STORE lower' env TB_STORE=15T "$program"

# Private memory: a rank has a table of its part of the store there.
works a_store_fits_into_ulimit_d bash -c "ulimit -d 100000; exec $three $program tasks 20"
works alone_into_ulimit_d_too bash -c "ulimit -d 60000; exec $program tasks 20"
says a_store_whose_table_does_not_fit_into_ulimit_d '-d. leaves .*set TB_STORE lower' \
    bash -c "ulimit -d 100000; TB_STORE=1T exec $program"
for n in 30000 20000 10000 5000 2000; do
    says "with_ulimit_d_of_${n}_it_ends_with_an_error" 'limit of private memory .ulimit -d. on host .* leaves .* set it higher' bash -c "ulimit -d $n; exec $program"
done

# Each process that runs tasks takes two descriptors of the one that starts them.
for n in 14 12 10; do
    works "with_${n}_descriptors_tasks_run" bash -c "ulimit -n $n; exec $program tasks 300"
done
for n in 0 1 2 3 6; do
    full="tb_init on host .* needs [0-9]+ free descriptors, and there (is|are) $n: Too many open files .*ulimit -n, is 256"
    says "with_${n}_free_descriptors_it_ends_with_an_error" "$full" bash -c "ulimit -n 256; exec $program fill $n"
    run $both bash -c "ulimit -n 256; exec $program fill $n" # before MPI, so each rank speaks for itself
    result "with_${n}_on_each_rank_too" $rc "$([ $rc = 1 ] || echo "expected: 1; "; grep -qE "^thornback: $full" "$out" ||
        echo "not said: $full; "; lines 0 'MPI_INIT|Signal')"
done
works with_7_free_descriptors_tasks_run bash -c "ulimit -n 256; exec $program fill 7"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then # the limit is of a user who has no other processes
    cp "$program" "$work/program"
    chmod -R a+rX "$work"
    works with_4_processes_tasks_run setpriv --reuid $((20000 + $$ % 10000)) --clear-groups \
        env -i PATH="$PATH" bash -c "ulimit -u 4; exec $work/program tasks 50"
    result it_says_which_limit_that_is $rc "$(lines 1 'ulimit -u.*tasks wait')"
fi

# Settings that cannot work: one line, of rank 0 alone.
for how in env "$both"; do
    setting() { # VARIABLE VALUE PATTERN
        says "setting_$1=$2_$([ "$how" = env ] || echo on_ranks)" "$1=$2.*$3" env "$1=$2" $how "$program"
    }
    setting TB_STORE 10 'is too small: 1M to 16T'
    setting TB_STORE 1000T 'is too large: 1M to 16T'
    setting TB_MAX_EXECUTORS 5000 'is too large: 1 to 1024'
    setting TB_CREATE_TIMEOUT nan 'a number from 0 on is expected'
    setting TB_CANCEL_GRACE 1e-300 'is too small: 0.001'
    setting TB_HEARTBEAT 0.5 'is too small: 1 to 1000000, or 0'
    setting TB_NUM_GPUS 65 'is too large: 0 to 64'
    setting TB_RANKS 7:num_cpus=1 'there is no rank 7'
    setting TB_RESOURCES Disk=inf 'the amount of a resource is a number'
    setting TB_VIRTUAL_NODES 9 ''
    run env TB_STROE=1G $how "$program"
    result "an_unknown_setting_is_named_once_$([ "$how" = env ] || echo on_ranks)" $rc "$(lines 1 'TB_STROE is set.*TB_STORE')"
done
run env TB_STORE=10 "$(dirname "$0")/../../mpi_launch/tbrun" -n 2 -- "$program"
result tbrun_gives_the_status_of_a_setting_that_cannot_work $rc "$([ $rc = 1 ] || echo "expected: 1"; lines 1 '^-12 TB_STORE=10 ')"

# A program of a decimal comma reads and writes settings as others do.
localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8" 2>/dev/null
works a_decimal_comma_does_not_matter env LOCPATH="$work" LC_ALL=de_DE.UTF-8 TB_NUM_CPUS=1.5 "$program" locale
result it_was_one $rc "$(lines 0 'no such locale'; lines 1 '^0 begun, Disk 0.5$')"
exit $failed
