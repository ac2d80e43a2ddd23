#!/bin/sh
# The hand-shakes between processes under the C11 memory model: needs a C++ compiler and Relacy (relacy-dev).
set -e
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# -w: what warnings there are, are about Relacy's headers.
${CXX:-g++} -std=c++11 -O0 -w "${srcdir:-.}/tests/model/handshakes.cc" -o "$out/handshakes"
"$out/handshakes"
