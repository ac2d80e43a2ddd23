#!/bin/bash
# slurm.sh - wordcount runs from tbrun and the batch template over two nodes of a private SLURM. Deep
# test: needs root and the packages slurm-wlm and munge.
set -u
here=$(dirname "$(readlink -f "$0")")
[ "$(id -u)" = 0 ] || { echo "a private SLURM needs root"; exit 77; }
for c in slurmctld munged ip; do
    command -v $c >/dev/null || [ -x /usr/sbin/$c ] ||
        { echo "a private SLURM needs $c: apt-get install slurm-wlm munge iproute2"; exit 77; }
done
slurm=$here/../bed/slurm.sh
export SLURM_PREFIX=tbslurm OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
out=$(mktemp)
trap '"$slurm" down >/dev/null 2>&1; rm -f "$out"' EXIT
"$slurm" up 2 >/dev/null || exit 1
TBRUN=$here/../../mpi_launch/tbrun timeout -k 5 300 "$slurm" run --export=ALL \
    "$here/../../mpi_launch/thornback.sbatch" "$PWD/examples/wordcount" /usr/share/common-licenses \
    >"$out" 2>&1
rc=$?
cat "$out"
[ $rc = 0 ] && grep -q 'different words' "$out" && grep -q 'mpirun -np 4 ' "$out" &&
    echo "[       OK ] wordcount_over_two_slurm_nodes"
