#!/bin/bash
# million.sh - 1,000,000 queued empty tasks run to the end and take at most 512 bytes each on rank 0.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
failed=0
for launcher in env "mpirun -np 2 --oversubscribe"; do
    timeout -k 5 "${RUN_LIMIT:-240}" $launcher "$PWD/tests/mpi/million" || { echo "FAILED: $launcher"; failed=1; }
done
exit $failed
