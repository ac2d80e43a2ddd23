#!/bin/bash
# soak.sh - the soak as a test: all modes, SOAK_SECONDS each.
exec "$(dirname "$(readlink -f "$0")")/soak"
