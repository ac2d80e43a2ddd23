#!/bin/bash
# killer.sh - executors are killed all the time and every result is right, of tasks and of calls of actors, alone and
# on 3 ranks; nothing is left at the end. KILL_SECONDS: how long each (default 5).
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export TB_DEBUG=1
seconds=${KILL_SECONDS:-5} failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

survives() { # NAME COMMAND...
    local rc=0
    timeout -k 5 $((seconds * 10)) "${@:2}" "$seconds" >"$out" 2>&1 || rc=$?
    grep survived "$out"
    if [ $rc = 0 ] && ! grep -q 'left at the end\|not released\|not ended' "$out"; then
        echo "[       OK ] $1"
    else
        echo "FAILED: $1: status $rc"; cat "$out"; failed=1
    fi
}

survives every_result_is_right_while_executors_are_killed_alone tests/faults/killer
survives every_result_is_right_while_executors_are_killed_on_3_ranks mpirun -np 3 --oversubscribe tests/faults/killer
survives every_call_is_right_or_told_while_executors_are_killed_alone tests/faults/killer_actors
survives every_call_is_right_or_told_while_executors_are_killed_on_3_ranks \
    mpirun -np 3 --oversubscribe tests/faults/killer_actors
exit $failed
