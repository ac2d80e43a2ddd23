#!/bin/bash
# misuse.sh - wrong use and wrong surroundings give an error that names the thing and the remedy, and no
# hang; and ranks and executors are where they should be, whatever Open MPI's default binding is.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
misuse=$PWD/tests/mpi/misuse ends=$PWD/tests/mpi/ends openmp=$PWD/tests/mpi/openmp
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
says() { # NAME PATTERN COMMAND...
    local name=$1 pattern=$2 rc=0
    shift 2
    timeout -k 5 60 "$@" >"$out" 2>&1 || rc=$?
    if [ $rc != 124 ] && [ $rc -lt 128 ] && grep -qE -- "$pattern" "$out"; then
        echo "[       OK ] misuse_$name"
    else
        echo "FAILED: $name: status $rc, expected: $pattern"; cat "$out"; failed=1
    fi
}
both="mpirun -np 2 --oversubscribe"
says get_before_init '^-15 tb_get before tb_init' "$misuse" before
says finalize_before_init '^-15 tb_finalize before tb_init' "$misuse" before
says get_after_finalize '^-15 tb_get after tb_finalize' "$misuse" after
says finalize_twice '^-15 tb_finalize is called twice' "$misuse" after
says init_after_finalize '^-15 tb_init after tb_finalize' "$misuse" after
says wait_after_finalize '^-15 tb_wait after tb_finalize' "$misuse" after
says init_from_a_thread '^-15 tb_init is called from a second thread' "$misuse" thread
[ ! -x "$openmp" ] || says openmp_before_init '^4950 -15 .*OpenMP' "$openmp"
says bad_setting '^-12 TB_STORE=much: a number from 0 on' env TB_STORE=much "$misuse"
says bad_heartbeat '^-12 TB_HEARTBEAT=0.5 is too small: 1 to 1000000, or 0 are possible .seconds' env TB_HEARTBEAT=0.5 "$misuse"
says bad_unit '^-12 TB_STORE=1X: a number, perhaps with K' env TB_STORE=1X "$misuse"
says bad_fault "^-12 TB_FAULT=clam:3: there is no point 'clam'; did you mean claim" env TB_FAULT=clam:3 "$misuse"
says bad_fault_on_all_ranks "^-12 TB_FAULT=claim:3x: 'claim' cannot be '3x'" env TB_FAULT=claim:3x $both "$misuse"
says bad_fetch '^-12 TB_FETCH=fast: one of auto, rma, p2p' env TB_FETCH=fast $both "$misuse"
says unknown_setting 'TB_STROE is set.*did you mean TB_STORE' env TB_STROE=1G "$misuse"
says leaked_refs_are_named '^thornback: 1 ref was not released before tb_finalize: [^ ]+$' env TB_DEBUG=1 "$misuse"
unread() { # NAME PROGRAM EXPECTED: what is said of failures that nobody reads, sorted, alone and with ranks
    local how said
    for how in env "$both"; do
        said=$($how "$misuse" "$2" 2>&1 | grep "^thornback: '" | sed 's/ (rank.*//' | sort)
        if [ "$said" = "$3" ]; then
            echo "[       OK ] misuse_$1_$how"
        else
            echo "FAILED: $1 ($how): $said"; failed=1
        fi
    done
}
unread failures_that_nobody_reads_are_reported_once unread \
    "thornback: 'fails' failed and nobody has read why: the task failed: no luck
thornback: 'not_registered' failed and nobody has read why: the function is not registered: 'not_registered' is not a remote function: write TB_TASK(not_registered); below its definition, in the same file"
unread a_failure_that_nobody_reads_is_said_once_with_a_count unread_often \
    "thornback: 'fails' failed and nobody has read why: the task failed: no luck
thornback: 'fails' failed in the same way 4 more times, unread: the task failed"
quiet() { # NAME N COMMAND...: N runs end well, and say of no failure that nobody has read it
    local name=$1 n=$2
    shift 2
    for ((i = 0; i < n; i++)); do
        timeout -k 5 60 "$@" >"$out" 2>&1 && ! grep -q "read why\|unread" "$out" && continue
        echo "FAILED: $name:"; cat "$out"; failed=1
        return
    done
    echo "[       OK ] misuse_$name"
}
quiet a_timeout_of_a_queue_is_not_unread_at_the_end 20 "$misuse" ends_under_gets
quiet a_put_that_the_end_keeps_waiting_is_not_unread 3 env TB_STORE=16M "$misuse" ends_under_puts
says ranks_that_spin_run_tasks '^driver [0-9]+ executor [0-9]+$' env TB_IDLE=spin $both "$misuse" affinity
says spinning_alone_runs_tasks '^driver [0-9]+ executor [0-9]+$' env TB_IDLE=spin "$misuse" affinity
says virtual_nodes_alone '^-12 TB_VIRTUAL_NODES=2: there is one rank' env TB_VIRTUAL_NODES=2 "$misuse"
says descriptors_closed 'is out of reach, for the program closed a descriptor of the library' "$misuse" closes
says descriptors_closed_on_rank_0 'the program closed a descriptor of the library|MPI did not return for 2 s .*closed' env TB_HEARTBEAT=2 $both "$misuse" closes
says virtual_nodes_alone_as_they_were_set '^-12 TB_VIRTUAL_NODES=1000000: there is one rank' env TB_VIRTUAL_NODES=1000000 "$misuse"
says too_many_virtual_nodes '^-12 TB_VIRTUAL_NODES=5: the host of rank 0 has 2 ranks' env TB_VIRTUAL_NODES=5 $both "$misuse"
says other_program 'rank 1 runs another program' mpirun --oversubscribe -np 1 "$misuse" : -np 1 "$ends"
says other_version 'rank 1 runs another version of Thornback' mpirun --oversubscribe -np 1 "$misuse" : -np 1 "$PWD/tests/mpi/other_version"
says no_thread_alone '^-[0-9]+ no thread can be started: ' "$PWD/tests/mpi/no_thread"
says no_thread_with_workers '^-[0-9]+ no thread can be started: ' $both "$PWD/tests/mpi/no_thread"
says init_from_a_thread_on_all_ranks '^-15 tb_init is called from a second thread' $both "$misuse" thread
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
    says small_shm '^-8 the object store does not fit on host .*set TB_STORE lower' \
        unshare -m bash -c "mount -t tmpfs -o size=60m none /dev/shm && TB_STORE=64M $both $misuse"
    old() { says "$1" "$2" unshare -m bash -c "mount -t tmpfs -o size=300m none /dev/shm && TB_STORE=64M $both $PWD/tests/mpi/old_kernel $3"; }
    full='the object store of rank [01] on host .* finds no more memory .*: /dev/shm is full; set TB_STORE lower'
    old shm_full_for_a_task_of_an_old_kernel "$full" task
    old shm_full_for_a_put_on_an_old_kernel "$full" put
    old other_bus_errors_go_to_the_program "^the program's own handler" other
fi

# Placement: the driver may use every core, executors their rank's share: with one worker, all.
all=$(nproc --all)
[ "$(nproc)" != "$all" ] || {
    says plain_mpirun_binds_nobody_to_one_core "^driver $all executor $all\$" mpirun -np 2 "$misuse" affinity
    says alone_uses_every_core "^driver $all executor $all\$" "$misuse" affinity
    [ "$all" -lt 2 ] || says a_chosen_binding_is_kept '^driver 1 executor 1$' mpirun -np 2 --bind-to core "$misuse" affinity
    [ "$all" -lt 2 ] || says what_mpirun_may_not_use_its_ranks_do_not '^driver 1 executor 1$' taskset -c 0 $both "$misuse" affinity
}
exit $failed
