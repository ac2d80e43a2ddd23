#!/bin/bash
# report.sh - SIGUSR2 to rank 0 alone makes all ranks write what they wait for, each with its pid.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
lines=('rank 0 \(pid [0-9]+ on host [^)]+\): '
    'rank 1 \(pid [0-9]+ on host [^)]+\): '
    'rank 2 \(pid [0-9]+ on host [^)]+\): '
    "rank [12]: process [0-9]+ \\(pid [1-9][0-9]*\\) has run 'lasts' for [0-9.]+ s; 1 task given to it")
coproc JOB { timeout -k 5 120 mpirun -np 3 --oversubscribe tests/mpi/report 2>&1; }
job=$JOB_PID
exec {in}>&"${JOB[1]}"
while [ ${#lines[@]} -gt 0 ]; do
    IFS= read -r line <&"${JOB[0]}" || { echo "FAILED: the job ended, and nobody wrote: ${lines[*]}"; exit 1; }
    echo "$line"
    for i in "${!lines[@]}"; do
        [[ ! $line =~ ${lines[$i]} ]] || unset "lines[$i]"
    done
done
echo >&"$in"
wait "$job"
