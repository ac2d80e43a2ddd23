#!/bin/bash
# ends.sh - however a job ends, no process of it stays, nor a file of ours in /dev/shm or the temp
# directory; and the status is the driver's where there is one. Of a mpirun that was killed, Open MPI's
# own vader_segment.* and session directory may stay (known, see doc/architecture.md).
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
segments() { find /dev/shm -maxdepth 1 -user "$(id -u)" -name 'vader_segment.*' | sort; }
segments >"$work/segments"
clean() { # what Open MPI left of the mpirun that was killed here
    segments | comm -13 "$work/segments" - | while read -r f; do
        cat /proc/[0-9]*/maps 2>/dev/null | grep -qF "$f" || rm -f "$f"
    done
    rm -rf "$work"
}
trap clean EXIT
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
cp tests/mpi/ends "$work/tb-ends"
failed=0

files() { ls -1 /dev/shm "$TMPDIR" | grep -vE '^vader_segment|^ompi\.|^$|:$|^pmix' | sort; }
processes() { pgrep -f "^$work/tb-ends" | wc -l; }
# until all that are there now have ended, up to 60 s; then none may be left
gone() {
    local p
    for p in $(pgrep -f "^$work/tb-ends"); do
        timeout 60 tail --pid="$p" -f /dev/null
    done
    [ "$(processes)" = 0 ]
}

ends() { # NAME STATUS(or any) HOW KILL-COMMAND
    local name=$1 status=$2 how=$3 kill=${4:-} before rc=0 fifo=$work/out pid
    shift 4
    before=$(files)
    rm -f "$fifo"; mkfifo "$fifo"
    timeout -k 5 60 "$@" "$work/tb-ends" "$how" >"$fifo" 2>"$work/err" &
    pid=$!
    exec 7<"$fifo"
    until read -r line <&7 && [ "$line" = ready ]; do
        kill -0 $pid 2>/dev/null || { echo "FAILED: $name: never ready"; cat "$work/err"; failed=1; return; }
    done
    [ -z "$kill" ] || eval "$kill"
    exec 8<&7 7<&-
    wait $pid || rc=$?
    exec 8<&-
    if ! gone; then
        echo "FAILED: $name: processes stay:"; pgrep -af "^$work/tb-ends"; failed=1
        pkill -9 -f "^$work/tb-ends"
    elif [ "$(files)" != "$before" ]; then
        echo "FAILED: $name: files stay: $(files)"; failed=1
    elif [ "$status" != any ] && [ $rc != "$status" ]; then
        echo "FAILED: $name: status $rc instead of $status"; cat "$work/err"; failed=1
    else
        echo "[       OK ] $name"
    fi
}

mpi="mpirun -np 3 --oversubscribe"
worker='kill -9 $(pgrep -P $(pgrep -P $pid mpirun) tb-ends | tail -n 1)'
driver='kill -9 $(pgrep -P $(pgrep -P $pid mpirun) tb-ends | head -n 1)'
ends alone_and_returns 5 return "" env
ends alone_with_busy_tasks 5 finalize "" env
ends alone_and_exits_early 3 exit "" env
ends alone_and_aborts any abort "" env
ends alone_and_killed any wait 'kill -9 $(pgrep -P $pid tb-ends)' env
ends mpirun_and_returns 5 return "" $mpi
ends mpirun_with_busy_tasks 5 finalize "" $mpi
ends mpirun_and_exits_early any exit "" $mpi
ends mpirun_and_aborts any abort "" $mpi
ends mpirun_worker_killed any wait "$worker" $mpi
ends mpirun_driver_killed any wait "$driver" $mpi
ends mpirun_terminated any wait 'kill -TERM $(pgrep -P $pid mpirun)' $mpi
ends mpirun_killed any wait 'kill -9 $(pgrep -P $pid mpirun)' $mpi
exit $failed
