#!/bin/bash
# points.sh - every point of TB_FAULT, alone and on ranks: it is passed, it fires, once and often; each get
# returns, with the right value unless a fault hit that tree of tasks; no fault costs more than one tree;
# the job ends by itself, and nothing is left on anybody's books. A new row in the table is tried by itself.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
points=$PWD/tests/faults/points
names=$("$PWD/tests/unit/test_fault" --points)
out=$(mktemp)
trap 'rm -f "$out"' EXIT
export TB_DEBUG=1 TB_STORE=64M TB_NUM_CPUS=2
failed=0
no() { echo "FAILED: $*"; cat "$out"; failed=1; }

run() { # FAULT COMMAND...
    TB_FAULT=$1 timeout -k 5 "${RUN_LIMIT:-60}" "${@:2}" >"$out" 2>&1
}
count() { # NAME fired|passed: over all ranks
    grep -oE " $1 [0-9]+ of [0-9]+" "$out" |
        awk -v of="$2" '{ n += of == "fired" ? $2 : $4 } END { print n + 0 }'
}

try() { # NAME FAULT COMMAND...
    local name=$1 fired trees rc=0
    run "$2" "${@:3}" || rc=$?
    if [ $rc != 0 ]; then
        no "$name: TB_FAULT=$2 ${*:3}: status $rc"
        return
    fi
    fired=$(count "${2%%:*}" fired)
    trees=$(sed -nE 's/^([0-9]+) right, ([0-9]+) failed$/\2/p' "$out")
    if [ "$fired" = 0 ]; then
        no "$name: TB_FAULT=$2: it did not fire"
    elif [ -z "$trees" ] || [ "$trees" -gt "$fired" ]; then
        no "$name: TB_FAULT=$2 fired $fired times and cost ${trees:-?} trees"
    elif grep -q 'left at the end\|not ended\|not released' "$out"; then
        no "$name: TB_FAULT=$2: something is left"
    else
        echo "[       OK ] $name: TB_FAULT=$2 fired $fired times and cost $trees trees"
    fi
}

each() { # TITLE RANKS COMMAND...
    local title=$1 ranks=$2 name all n
    shift 2
    all=$(printf '%s:0,' $names)
    run "${all%,}" "$@" || no "$title: without faults: status $?"
    local counts=$(cat "$out")
    for name in $names; do
        echo "$counts" >"$out"
        n=$(($(count "$name" passed) / ranks))
        if [ "$name" = frame_delay ]; then
            [ "$ranks" = 1 ] || try "${title}_$name" "$name:3000" "$@"
        elif [ "$n" = 0 ]; then
            no "$title: $name is never passed"
        else
            try "${title}_${name}_once" "$name:$((n / 2 + 1))" "$@"
            try "${title}_${name}_often" "$name:$((n / 10 + 2))+" "$@"
        fi
    done
}

each alone 1 "$points"
export TB_VIRTUAL_NODES=2
each ranks 2 mpirun -np 3 --oversubscribe "$points"
unset TB_VIRTUAL_NODES

# That nothing is left was seen to be said when it is not so.
leak() { # NAME PATTERN COMMAND...
    if run "" "${@:3}" && grep -qE "$2" "$out"; then
        echo "[       OK ] $1"
    else
        no "$1"
    fi
}
leak a_leak_of_the_driver_is_named 'rank 0: left at the end: objects on the node: 1, bytes of the store: 16384, objects of the head: 1' \
    "$points" leak
leak a_leak_on_a_worker_is_named_by_it 'rank 1: left at the end: objects on the node: 1, bytes of the store: 16384$' \
    mpirun -np 2 "$points" leak
exit $failed
