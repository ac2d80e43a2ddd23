#!/bin/bash
# programs.sh - the whole-program tests over three hosts of the bed: with Open MPI's own defaults, as a
# user's plain mpirun would, and with fetches by messages; at the end nothing may be left on the books of
# any rank. Needs root and iproute2.
set -u
bed=$(dirname "$(readlink -f "$0")")/../bed/hosts.sh
[ "$(id -u)" = 0 ] || { echo "the bed of several hosts needs root"; exit 77; }
command -v ip >/dev/null || { echo "the bed of several hosts needs ip: apt-get install iproute2"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 HOSTS_PREFIX=tbprog PLAIN=1 TB_DEBUG=1
failed=0
out=$(mktemp)
trap '"$bed" down >/dev/null 2>&1; rm -f "$out"' EXIT
"$bed" up 3 >/dev/null || exit 1
for fetch in auto p2p; do
    for program in tests/run/test_*; do
        [ -f "$program" ] && [ -x "$program" ] || continue
        echo "== three hosts: $program, fetch $fetch"
        TB_FETCH=$fetch timeout -k 5 "${RUN_LIMIT:-120}" "$bed" run -np 3 -x TB_FETCH -x TB_DEBUG -- \
            "$PWD/$program" >"$out" 2>&1 || { echo "FAILED: $program"; failed=1; }
        cat "$out"
        ! grep -q 'left at the end\|not released' "$out" || { echo "FAILED: $program leaks"; failed=1; }
    done
done
exit $failed
