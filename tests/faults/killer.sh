#!/bin/bash
# killer.sh - executors are killed all the time and every result is right, alone and on 3 ranks.
# KILL_SECONDS: how long each (default 5).
set -eu
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
seconds=${KILL_SECONDS:-5}
timeout -k 5 $((seconds * 10)) tests/faults/killer "$seconds"
echo "[       OK ] every_result_is_right_while_executors_are_killed_alone"
timeout -k 5 $((seconds * 10)) mpirun -np 3 --oversubscribe tests/faults/killer "$seconds"
echo "[       OK ] every_result_is_right_while_executors_are_killed_on_3_ranks"
