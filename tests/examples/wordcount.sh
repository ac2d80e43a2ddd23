#!/bin/bash
# wordcount.sh - its counts are those of a pipeline of tr, sort and uniq on real text, alone, under
# mpirun and over three hosts; links and binary files are left out.
. "$(dirname "$0")"/common
program=$PWD/examples/wordcount
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
text=$work/text
mkdir -p "$text/deep/er"
cp -rL /usr/share/common-licenses "$text/licenses" 2>/dev/null
find /usr/share/doc -maxdepth 2 -name copyright -size -200k 2>/dev/null | head -n 300 |
    while read -r f; do cat "$f" >>"$text/deep/$(printf '%s' "$f" | cksum | cut -d' ' -f1)"; done
printf 'end\xc3\xa4of.file_without-newline Don'"'"'t' >"$text/deep/er/odd"
: >"$text/empty"
printf 'binary \0 words' >"$text/binary"
ln -s licenses "$text/link"; ln -s odd "$text/deep/er/link"
[ "$(find "$text" -type f | wc -l)" -gt 10 ] || { echo "too little text on this machine"; exit 1; }
find "$text" -type f ! -name binary -print0 | sort -z | while IFS= read -r -d '' f; do
    cat "$f"; echo
done | LC_ALL=C tr -cs 'A-Za-z' '\n' | LC_ALL=C tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort |
    LC_ALL=C uniq -c | sed 's/^ *//' | LC_ALL=C sort >"$work/expected"
check() { # LABEL COMMAND...
    local label=$1
    shift
    "${limit[@]}" "$@" 2>"$work/err" | sed 's/^ *//' | LC_ALL=C sort >"$work/got"
    if [ -s "$work/expected" ] && cmp "$work/expected" "$work/got"; then
        echo "[       OK ] wordcount_$label"
    else
        cat "$work/err"; diff "$work/expected" "$work/got" | head; echo "FAILED: $label"; failed=1
    fi
}
check alone "$program" --all "$text"
check np4 mpirun -np 4 --oversubscribe "$program" --all "$text"
TB_VIRTUAL_NODES=2 check virtual_nodes mpirun -np 4 --oversubscribe "$program" --all "$text"
if can_use_bed; then
    export HOSTS_PREFIX=tbwords PLAIN=1
    trap '"$bed" down >/dev/null 2>&1; rm -rf "$work"' EXIT
    "$bed" up 3 >/dev/null
    check hosts "$bed" run -np 3 -- "$program" --all "$text"
fi
"$program" "$work/nowhere" >/dev/null 2>"$work/err"
[ $? = 1 ] && grep -q "cannot read the directory" "$work/err" || { echo "FAILED: no directory"; failed=1; }
exit $failed
