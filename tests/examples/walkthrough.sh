#!/bin/bash
# walkthrough.sh - every claim of the walk-through holds, alone, under mpirun, on virtual nodes and over
# three hosts.
. "$(dirname "$0")"/common
program=$PWD/examples/walkthrough
check() { # LABEL COMMAND...
    local label=$1
    shift
    if "${limit[@]}" "$@" 2>&1 | tee -a /dev/stderr | grep -q 'every claim of the walk-through holds'; then
        echo "[       OK ] walkthrough_$label"
    else
        echo "FAILED: $label"; failed=1
    fi
}
check alone "$program"
check np2 mpirun -np 2 "$program"
check np4 mpirun -np 4 --oversubscribe "$program"
TB_VIRTUAL_NODES=2 check virtual_nodes mpirun -np 3 --oversubscribe "$program"
if can_use_bed; then
    export HOSTS_PREFIX=tbwalk PLAIN=1
    trap '"$bed" down >/dev/null 2>&1' EXIT
    "$bed" up 3 >/dev/null
    check hosts "$bed" run -np 3 -- "$program"
fi
exit $failed
