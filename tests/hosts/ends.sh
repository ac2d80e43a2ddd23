#!/bin/bash
# ends.sh - however a job over three hosts of the bed ends, a host that is killed or cut off included: no
# process of it stays on any host, nor a file of ours; the status is the driver's or not 0, and a message
# says which rank on which host was lost. Needs root and iproute2. The hang limits are ten times what
# is wanted.
set -u
bed=$(dirname "$(readlink -f "$0")")/../bed/hosts.sh
[ "$(id -u)" = 0 ] || { echo "the bed of several hosts needs root"; exit 77; }
command -v ip >/dev/null || { echo "the bed of several hosts needs ip: apt-get install iproute2"; exit 77; }
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PLAIN=1
export HOSTS_PREFIX=te$$x # a bed of this run alone: it cuts and kills hosts
work=$(mktemp -d)
trap '"$bed" down >/dev/null 2>&1; rm -rf "$work"' EXIT
"$bed" up 3 >/dev/null || exit 1
cp tests/mpi/ends "$work/tb-ends"
failed=0
host=$HOSTS_PREFIX hosts="${HOSTS_PREFIX}0 ${HOSTS_PREFIX}1 ${HOSTS_PREFIX}2"
flags= # for mpirun

ours() { pgrep -f "^$work/tb-ends"; }
rank() { # N: its process; zygote and executors have its environment too, but are children of ours
    local p
    for p in $(ours); do
        if tr '\0' '\n' <"/proc/$p/environ" | grep -qx "OMPI_COMM_WORLD_RANK=$1" &&
           [ "$(cat "/proc/$(awk '{print $4}' "/proc/$p/stat")/comm")" != tb-ends ]; then
            echo "$p"
        fi
    done
}
zygote() { pgrep -P "$(rank "$1")" -x tb-ends; }
mpirun_pid() { pgrep -P "$(pgrep -P $pid hosts.sh || echo $pid)" -x mpirun || pgrep -P $pid -x mpirun; }
gone() {
    local p
    for p in $(ours); do
        timeout 60 tail -s 0.1 --pid="$p" -f /dev/null
    done
    ! ours >/dev/null
}
files() { for h in $hosts; do "$bed" exec "$h" ls -1 /dev/shm /run/mpi-testbed/$host/tmp; done | grep -vE '^vader_segment|^ompi\.|^$|:$|^pmix'; }

reaches() { "$bed" exec "$1" bash -c "echo >/dev/tcp/$2/1" 2>&1 | grep -q refused; } # nobody listens there
heal() { # the hosts that were cut off; the kernel takes up to a second to see that the cable is in
    local h
    for h in $hosts; do "$bed" heal "$h"; done
    for h in ${host}1 ${host}2; do
        until reaches ${host}0 "$h" && reaches "$h" ${host}0; do
            [ $SECONDS -lt 1000 ] || { echo "FAILED: $h is not reached"; exit 1; }
        done
    done
}

# While a host is cut off a plain mpirun does not end, when all of its ranks have: it is healed before.
# STATUS: a number, or bad: not 0. SAYS: what a line has to match, "" nothing, if there is nothing lost.
ends() { # NAME STATUS SAYS HOW KILL-COMMAND
    local name=$1 status=$2 says=$3 how=$4 kill=$5 rc=0 fifo=$work/out said since took stays
    rm -f "$fifo"; mkfifo "$fifo"
    # shellcheck disable=SC2086
    timeout -k 5 120 "$bed" run -np 4 --map-by node $flags ${ASAN_OPTIONS:+-x ASAN_OPTIONS} -- \
        "$work/tb-ends" "$how" >"$fifo" 2>"$work/err" &
    pid=$!
    exec 7<"$fifo"
    until read -r said <&7 && [ "$said" = ready ]; do
        kill -0 $pid 2>/dev/null || { echo "FAILED: $name: never ready"; cat "$work/err"; failed=1; return; }
    done
    cat <&7 >/dev/null &
    exec 7<&-
    since=$EPOCHREALTIME
    [ -z "$kill" ] || eval "$kill" || { echo "FAILED: $name: $kill"; failed=1; }
    gone; stays=$?
    took=$(awk -v a="$since" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}')
    [ -n "$flags" ] || heal
    wait $pid 2>/dev/null || rc=$?
    [ -z "$flags" ] || heal
    if [ $stays != 0 ]; then
        echo "FAILED: $name: processes stay:"; pgrep -af "^$work/tb-ends"; failed=1
        pkill -9 -f "^$work/tb-ends"
    elif [ -n "$(files)" ]; then
        echo "FAILED: $name: files stay: $(files)"; failed=1
    elif [ $rc = 124 ] || { [ "$status" = bad ] && [ $rc = 0 ]; } ||
         { [ "$status" != bad ] && [ $rc != "$status" ]; }; then
        echo "FAILED: $name: status $rc instead of $status"; cat "$work/err"; failed=1
    elif [ -n "$says" ] && [ "$(grep -cE -- "$says" "$work/err")" != 1 ]; then
        echo "FAILED: $name: not one line says $says"; cat "$work/err"; failed=1
    elif [ -z "$says" ] && grep -E "^thornback|tb_" "$work/err"; then
        echo "FAILED: $name: it is not quiet"; failed=1
    else
        echo "[       OK ] hosts_$name ($took s)"
    fi
}

export TB_HEARTBEAT=4
silent() { echo "^thornback: rank 0 on host ${host}0: nothing was heard of rank $1 on host ${host}$2 for 4 s "; }
left='^thornback: the end of the job ended [1-9][0-9]* tasks? unfinished '
ends returns 5 "" return ""
ends returns_without_finalize 3 "$left" return_early ""
ends exits_well 0 "$left" exit_0 ""
ends exits_in_another_thread 3 "$left" exit_in_a_thread ""
ends remote_rank_killed bad "process rank 1 .* on node ${host}1 exited on signal 9" wait 'kill -9 $(rank 1)'
ends remote_rank_killed_while_objects_travel bad "process rank 2 .* on node ${host}2 exited on signal 9" \
    wait_fetching 'kill -9 $(rank 2)'
ends driver_killed bad "process rank 0 .* on node ${host}0 exited on signal 9" wait 'kill -9 $(rank 0)'
ends remote_zygote_killed bad "^thornback: rank 2 on host ${host}2: the process that starts executors was ended by signal 9 " \
    wait 'kill -9 $(zygote 2)'
ends remote_rank_stopped bad "$(silent 2 2)" wait 'kill -STOP $(rank 2)'
ends host_killed bad "" wait '"$bed" kill ${host}2'
ends host_cut bad "$(silent 2 2)" wait '"$bed" cut ${host}2'
ends host_cut_while_objects_travel bad "$(silent 1 1)" wait_fetching '"$bed" cut ${host}1'
ends first_host_cut bad "$(silent '[12]' '[12]')" wait '"$bed" cut ${host}0'
ends launcher_killed bad "" wait 'kill -9 $(mpirun_pid)'

# With what tbrun tells it, mpirun itself notices, and ends too.
TB_HEARTBEAT=10
flags=$(PATH=$PATH "$(dirname "$0")/../../mpi_launch/tbrun" --host a,b --dry-run -- x 2>&1 | grep -o -- '--mca oob_[^ ]* [0-9]*' | tr '\n' ' ')
ends host_cut_that_mpirun_notices bad "Remote daemon: .* on node ${host}2" wait '"$bed" cut ${host}2'
ends host_cut_that_mpirun_notices_while_objects_travel bad "Remote daemon: .* on node ${host}1" \
    wait_fetching '"$bed" cut ${host}1'
exit $failed
