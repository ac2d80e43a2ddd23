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
fi

# Each process that runs tasks takes two descriptors of the one that starts them.
for n in 14 12 10 9; do
    works "with_${n}_descriptors_tasks_run" bash -c "ulimit -n $n; exec $program tasks 300"
done
exit $failed
