#!/bin/bash
# crashes.sh - after thousands of executors killed at random points, alone and on ranks of two hosts, memory,
# rings, pins, handles, processes and descriptors are where they began. TB_SEED chooses other points.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp tests/faults/crashes "$work/tb-crashes"
failed=0

# Each point in its turn by chance; what is passed all the time, more rarely.
plan="seed:${TB_SEED:-1},frame_delay:300"
unset TB_SEED
for point in $(tests/unit/test_fault --points); do
    case $point in
        frame_delay) ;;
        alloc) plan+=,$point:1501+ ;;
        claim | record | bell) plan+=,$point:503+ ;;
        *) plan+=,$point:1% ;;
    esac
done
export TB_DEBUG=1 TB_STORE=32M TB_NUM_CPUS=2 TB_FAULT=$plan

gone() {
    local p
    for p in $(pgrep -f "^$work/tb-crashes"); do
        timeout 60 tail --pid="$p" -f /dev/null
    done
    ! pgrep -f "^$work/tb-crashes" >/dev/null
}

crashes() { # NAME COMMAND...
    local name=$1 rc=0
    shift
    timeout -k 5 "${RUN_LIMIT:-240}" "$@" >"$work/out" 2>&1 || rc=$?
    if [ $rc = 0 ] && grep -q '^as it began$' "$work/out" && gone &&
       ! grep -q 'left at the end\|not released\|not ended' "$work/out"; then
        grep killed "$work/out"
        echo "[       OK ] $name"
    else
        echo "FAILED: $name: status $rc, TB_FAULT=$plan"; grep -v 'out of memory' "$work/out"
        pgrep -af "^$work/tb-crashes"; failed=1
    fi
}

crashes alone_after_3000_crashes "$work/tb-crashes" 1 "${KILLS:-1500}"
export TB_VIRTUAL_NODES=2
crashes on_ranks_after_3000_crashes mpirun -np 3 --oversubscribe "$work/tb-crashes" 2 "${KILLS:-1500}"
exit $failed
