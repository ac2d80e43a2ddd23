#!/bin/bash
# stats.sh - its statistics are those that awk computes from the same files, line by line, alone, under mpirun, on
# virtual nodes and over three hosts, and also when tasks are killed while they feed the actors; lines that are no
# readings are counted; a file that is not there is named.
. "$(dirname "$0")"/common
program=$PWD/examples/stats
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LC_ALL=C awk -v dir="$work" 'BEGIN {
    srand(7)
    for (i = 0; i < 400000; i++) {
        file = dir "/" (i % 3 ? "long" : "short")
        printf "key%03d %s%.3f\n", int(rand() * 211), i % 7 ? "" : "-", 1e6 + rand() * 10 >file
        if (i % 50000 == 0)
            printf "no_value\nkey000 12abc\n\n%s 1\n", "a_key_that_is_longer_than_any_key_may_be" >file
    }
    printf "\tlast\t 5e3 \r\nend 1e-3" >(dir "/odd")
}'
files=("$work/long" "$work/short" "$work/odd")
# n, mean, standard deviation in two passes, least, greatest
LC_ALL=C awk 'length($1) < 32 && /^[^ \t]/ && $2 ~ /^-?[0-9.]+(e-?[0-9]+)?$/ {
    k = $1; v = $2 + 0
    if (!(k in n) || v < min[k]) min[k] = v
    if (!(k in n) || v > max[k]) max[k] = v
    n[k]++; sum[k] += v; line[++lines] = k " " v; value[lines] = v; key[lines] = k
} END {
    for (i = 1; i <= lines; i++) { d = value[i] - sum[key[i]] / n[key[i]]; square[key[i]] += d * d }
    for (k in n)
        printf "%s %d %.12g %.12g %.12g %.12g\n", k, n[k], sum[k] / n[k],
               (n[k] > 1 ? sqrt(square[k] / (n[k] - 1)) : 0), min[k], max[k]
}' "${files[@]}" | LC_ALL=C sort >"$work/expected"
[ "$(wc -l <"$work/expected")" = 212 ] || { echo "awk found $(wc -l <"$work/expected") keys"; exit 1; }

# Keys and counts are the same, and all figures but for 1e-9 of them.
same() {
    paste -d ' ' "$work/expected" "$work/got" | LC_ALL=C awk '
        NF != 12 || $1 != $7 || $2 != $8 { print "not the same:", $0; bad = 1 }
        { for (i = 3; i <= 6; i++) { d = $i - $(i + 6); if (d * d > 1e-18 * $i * $i) { print "differs:", $0; bad = 1 } } }
        END { exit bad || NR != 212 }' | head -5
    return "${PIPESTATUS[1]}"
}
check() { # LABEL COMMAND...
    local label=$1
    shift
    if "${limit[@]}" "$@" 2>"$work/err" | LC_ALL=C sort >"$work/got" && same &&
        grep -q '^400001 readings of 212 keys, 25 other lines, .* readings/s' "$work/err"; then
        echo "[       OK ] stats_$label: $(grep 'readings/s' "$work/err")"
    else
        cat "$work/err"; echo "FAILED: $label"; failed=1
    fi
}
check alone "$program" "${files[@]}"
check np4 mpirun -np 4 --oversubscribe "$program" "${files[@]}"
TB_VIRTUAL_NODES=2 check virtual_nodes mpirun -np 4 --oversubscribe "$program" "${files[@]}"
TB_NUM_CPUS=3 TB_FAULT=submit:13+ check with_tasks_killed "$program" "${files[@]}"
grep -q 'submit [1-9][0-9]* of' "$work/err" || { cat "$work/err"; echo "FAILED: no task was killed"; failed=1; }
if can_use_bed; then
    export HOSTS_PREFIX=tbstat PLAIN=1
    trap '"$bed" down >/dev/null 2>&1; rm -rf "$work"' EXIT
    "$bed" up 3 >/dev/null
    check hosts "$bed" run -np 3 -- "$program" "${files[@]}"
fi
"$program" "$work/nowhere" >/dev/null 2>"$work/err"
[ $? = 1 ] && grep -q "cannot read the file" "$work/err" || { echo "FAILED: no file"; failed=1; }
exit $failed
