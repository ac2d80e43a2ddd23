#!/bin/bash
# tbrun.sh - tbrun shows and runs the right line, passes the program's status on, says what is wrong with
# bad arguments, and leaves nothing behind even when mpirun is killed.
set -u
tbrun=$(dirname "$(readlink -f "$0")")/../../mpi_launch/tbrun
program=$PWD/tests/mpi/ends
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
failed=0
expect() { # NAME STATUS PATTERN COMMAND...
    local name=$1 status=$2 pattern=$3 rc=0
    shift 3
    timeout -k 5 300 "$@" >"$work/out" 2>&1 || rc=$?
    if [ $rc = "$status" ] && grep -qE -- "$pattern" "$work/out"; then
        echo "[       OK ] tbrun_$name"
    else
        echo "FAILED: $name: status $rc"; cat "$work/out"; failed=1
    fi
}
unset SLURM_JOB_ID SLURM_NTASKS SLURM_JOB_NUM_NODES "${!TB_@}"
expect shows_the_line 0 '^tbrun: mpirun -np 3 --bind-to none --oversubscribe ./app a$' "$tbrun" -n 3 --dry-run -- ./app a
expect laptop_default 0 'mpirun -np 2 ' "$tbrun" --dry-run ./app
expect host_list 0 'mpirun -np 3 .*--host a,b --map-by node' "$tbrun" --host a,b --dry-run -- ./app
printf '# hosts\na\nb slots=2\nc\n' >"$work/hosts"
expect host_file 0 'mpirun -np 4 .*--hostfile' "$tbrun" --hostfile "$work/hosts" --dry-run -- ./app
expect slurm_job 0 'mpirun -np 8 --bind-to none --map-by node --mca oob_tcp_keepalive_time 3 .* ./app' env SLURM_JOB_ID=1 SLURM_NTASKS=8 SLURM_JOB_NUM_NODES=2 "$tbrun" --dry-run -- ./app
expect virtual_nodes 0 '-x TB_VIRTUAL_NODES ./app' "$tbrun" --virtual-nodes 2 --dry-run -- ./app
expect bad_number 2 '-n none: a number of ranks' "$tbrun" -n none -- ./app
expect bad_option 2 'unknown option --nodes' "$tbrun" --nodes 3 -- ./app
expect no_program 2 'tbrun \[-n RANKS\]' "$tbrun" -n 3
expect runs_and_passes_the_status_on 5 '^ready' "$tbrun" -n 3 -- "$program" return
expect runs_virtual_nodes 5 '^ready' "$tbrun" -n 4 --virtual-nodes 2 -- "$program" finalize

# Until the job says that it is ready, or ends.
begin() { # NAME COMMAND...
    mkfifo "$work/$1"
    timeout -k 5 300 "${@:2}" >"$work/$1" 2>"$work/err" &
    pid=$!
    grep -m 1 ready <"$work/$1" >"$work/out"
}

# The vader_segment files that the processes below PID map: others on this host belong to jobs beside.
below() { local child; echo "$1"; for child in $(pgrep -P "$1"); do below "$child"; done; }
segments_of() { # PID
    below "$1" | while read -r p; do grep -ohE '/dev/shm/vader_segment[^ ]*' "/proc/$p/maps" 2>/dev/null; done | sort -u
}
there() { while read -r f; do [ ! -e "$f" ] || echo "$f"; done; } # of the files named on standard input

begin killed "$tbrun" -n 3 -- "$program" wait
segments_of $pid >"$work/ours"
pkill -9 -P "$(pgrep -P $pid tbrun)" mpirun || failed=1
wait $pid
until=$((SECONDS + 60))
while [ -n "$(there <"$work/ours")" ] && [ $SECONDS -lt $until ]; do :; done
if grep -q ready "$work/out" && [ -s "$work/ours" ] && [ -z "$(there <"$work/ours")" ] &&
   [ -z "$(find "$work" -name 'tbrun.*')" ]; then
    echo "[       OK ] tbrun_cleans_up_after_a_killed_mpirun"
else
    echo "FAILED: left behind: $(there <"$work/ours") $(ls "$work")"; failed=1
fi

begin first "$tbrun" -n 2 -- "$program" wait
first=$pid
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
begin second mpirun -np 2 --oversubscribe "$program" wait
segments_of $pid >"$work/theirs"
pkill -TERM -P $first tbrun
wait $first
if [ -s "$work/theirs" ] && there <"$work/theirs" | cmp -s - "$work/theirs"; then
    echo "[       OK ] tbrun_leaves_the_files_of_jobs_that_began_later"
else
    echo "FAILED: of $(tr '\n' ' ' <"$work/theirs") are left: $(there <"$work/theirs")"; failed=1
fi
pkill -TERM -P $pid mpirun
wait $pid
exit $failed
