#!/bin/bash
# run.sh - tests of what processes and threads share, and the seeded world, built for aarch64 and run by qemu. (On a
# strongly ordered machine qemu does not reorder memory accesses as an aarch64 may: for that there is tests/model.)
# Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user. CMocka for arm64 is taken from the machine's own
# package sources into a folder of this build, so that no foreign architecture need be added to the system; without
# apt-get, or without its sources, this fails and says so.
set -eu
if [ "$(uname -m)" = aarch64 ]; then
    echo "this is an aarch64: the same tests run among the others"
    exit 0
fi
src=${srcdir:-.} work=$PWD/tests/arm64/work cc=aarch64-linux-gnu-gcc
for tool in $cc qemu-aarch64; do
    command -v $tool >/dev/null || { echo "$tool is missing: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"; exit 1; }
done
mkdir -p "$work"/{lists,cache/archives}/partial "$work"/{debs,root,objects}

cmocka=$work/root/usr/lib/aarch64-linux-gnu
if [ ! -e "$cmocka/libcmocka.so.0" ]; then
    apt=(apt-get -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State::lists="$work/lists"
        -o Dir::Cache="$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)")
    { "${apt[@]}" -qq update && (cd "$work/debs" && "${apt[@]}" -qq download libcmocka0 libcmocka-dev) &&
        for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/root"; done; } >"$work/apt.log" 2>&1 ||
        { cat "$work/apt.log"; echo "CMocka for arm64 cannot be had from this machine's package sources"; exit 1; }
fi

# All of the core but its version, and what needs hwloc's header, which is another for each architecture.
export cc src work
flags="-std=c11 -D_GNU_SOURCE -DHAVE_CONFIG_H -O2 -g -I. -I$src/include -I$src/src -I$work/root/usr/include"
export flags
make -s core-sources | tr ' ' '\n' | grep '\.c$' | grep -v 'node/cores\.c\|api/version\.c' | sort -u |
    xargs -P 2 -I{} sh -c '$cc $flags -c "$src/{}" -o "$work/objects/$(echo {} | tr / _).o"'
rm -f "$work/core.a"
aarch64-linux-gnu-ar rc "$work/core.a" "$work"/objects/*.o

export TB_WORLDS=${TB_WORLDS:-200}
for test in ring bell slots fair_lock codec quota map world; do
    files=$src/tests/unit/test_$test.c
    [ $test != world ] || files="$files $(echo "$src"/tests/unit/world*.c)"
    $cc $flags $files "$work/core.a" "$cmocka"/libcmocka.so.0 -pthread -lm -o "$work/test_$test"
    echo "== test_$test for aarch64"
    timeout "${RUN_LIMIT:-600}" qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH="$cmocka" "$work/test_$test"
done
