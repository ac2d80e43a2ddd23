#!/bin/bash
# run.sh - what users write compiles cleanly, and what they must not write is a compile error that
# names the offending type, with gcc and clang, whichever of them are here.
set -u
here=$(dirname "$(readlink -f "$0")")
include=$here/../../include
failed=0 compilers=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() { echo "FAILED: $*"; cat "$log"; failed=1; }

for cc in gcc clang; do
    command -v $cc >/dev/null || { echo "no $cc here: not tried"; continue; }
    compilers=$((compilers + 1))
    for opt in -O0 -O2; do
        flags=(-std=c11 -Wall -Wextra -Wpedantic -Werror "$opt" -I"$include" -fsyntax-only)
        $cc "${flags[@]}" "$here/good.c" >"$log" 2>&1 || fail "$cc $opt good.c does not compile"
        for bad in "$here"/bad_*.c; do
            says=$(sed -n '1s|^/\* says: \(.*\) \*/$|\1|p' "$bad")
            if $cc "${flags[@]}" "$bad" >"$log" 2>&1; then
                fail "$cc $opt $(basename "$bad") compiles"
            elif ! grep -q "error:.*$says" "$log"; then
                fail "$cc $opt $(basename "$bad") does not name '$says'"
            fi
        done
    done
done
for cxx in g++ clang++; do
    command -v $cxx >/dev/null || continue
    $cxx -std=c++17 -Wall -Wextra -Wpedantic -Werror -I"$include" -fsyntax-only \
        "$here/header.cc" >"$log" 2>&1 || fail "$cxx header.cc does not compile"
done
[ $compilers -gt 0 ] || { echo "neither gcc nor clang is here"; exit 77; }
exit $failed
