#!/bin/bash
# ends.sh - however a job ends, no process of it stays, also none that a task has started and detached, nor a file of ours in /dev/shm or the temp
# directory; the status is the driver's where there is one, and where a rank or its zygote was lost a
# message says which. A signal that the program handles ends nothing. Of a mpirun that was killed, Open
# MPI's own vader_segment.* and session directory may stay (known, see doc/architecture.md).
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
segments() { find /dev/shm -maxdepth 1 -user "$(id -u)" -name 'vader_segment.*' | sort; }
segments >"$work/segments"
strays() {
    segments | comm -13 "$work/segments" - | while read -r f; do
        grep -qF "$f" /proc/[0-9]*/maps 2>/dev/null || echo "$f"
    done
}
# What Open MPI left of the mpirun that was killed here. Looks twice: a job that starts beside may not map its own yet.
clean() {
    strays >"$work/strays"
    read -rt 1 <>"$work/never"
    strays | comm -12 "$work/strays" - | while read -r f; do rm -f "$f"; done
    rm -rf "$work"
}
trap clean EXIT
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
mkfifo "$work/never"
cp tests/mpi/ends "$work/tb-ends"
failed=0

files() { ls -1 /dev/shm "$TMPDIR" | grep -vE '^vader_segment|^ompi\.|^$|:$|^pmix' | sort; }
# What is there now and was not before, up to 10 s: that of a job which starts beside this one goes at once.
stays() { # BEFORE
    local until=$((SECONDS + 10))
    while new=$(comm -13 <(echo "$1") <(files)); [ -n "$new" ]; do
        [ $SECONDS -lt $until ] || { echo "$new"; return; }
        read -rt 0.05 <>"$work/never"
    done
}
processes() { pgrep -f "^$work/tb-ends" | wc -l; }
# until all that are there now have ended, up to 60 s; then none may be left
gone() {
    local p
    for p in $(pgrep -f "^$work/tb-ends"); do
        timeout 60 tail -s 0.1 --pid="$p" -f /dev/null
    done
    [ "$(processes)" = 0 ]
}

# The processes of the job that runs; `first` is what was launched: mpirun, or the program itself.
children() { [ -n "$1" ] && pgrep -P "$1" -x "$2"; }
rank() { # N: the driver is 0
    if [ $launch = alone ]; then echo "$first"; else children "$first" tb-ends | sed -n "$(($1 + 1))p"; fi
}
zygote() { children "$(rank "$1")" tb-ends; }
executes=0 # a rank that has executors

# STATUS: a number, or bad: not 0. SAYS: a pattern that one line on stderr has to match, and only one.
ends() { # NAME STATUS SAYS HOW KILL-COMMAND LAUNCHER...
    local name=$1 status=$2 says=$3 how=$4 kill=$5 before rc=0 fifo=$work/out lines said pid since took rest
    shift 5
    before=$(files)
    rm -f "$fifo"; mkfifo "$fifo"
    # In a group of its own, as the foreground job of a terminal.
    timeout -k 5 60 setsid "$@" "$work/tb-ends" "$how" >"$fifo" 2>"$work/err" &
    pid=$!
    exec 7<"$fifo"
    until read -r said <&7 && [ "${said%$'\r'}" = ready ]; do
        kill -0 $pid 2>/dev/null || { echo "FAILED: $name: never ready"; cat "$work/err"; failed=1; return; }
    done
    first=$(pgrep -P $pid)
    since=$EPOCHREALTIME
    [ -z "$kill" ] || eval "$kill" || echo "FAILED: $name: $kill" failed=1
    exec 8<&7 7<&-
    wait $pid 2>/dev/null || rc=$?
    exec 8<&-
    lines=$(grep -cE -- "$says" "$work/err")
    gone; rest=$?
    took=$(awk -v a="$since" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.1f", b - a}')
    if [ $rest != 0 ]; then
        echo "FAILED: $name: processes stay:"; pgrep -af "^$work/tb-ends"; failed=1
        pkill -9 -f "^$work/tb-ends"
    elif rest=$(stays "$before") && [ -n "$rest" ]; then
        echo "FAILED: $name: files stay: $rest"; failed=1
    elif [ $rc = 124 ] || { [ "$status" = bad ] && [ $rc = 0 ]; } ||
         { [ "$status" != bad ] && [ $rc != "$status" ]; }; then
        echo "FAILED: $name: status $rc instead of $status"; cat "$work/err"; failed=1
    elif [ -n "$says" ] && [ "$lines" != 1 ]; then
        echo "FAILED: $name: $lines lines say $says"; cat "$work/err"; failed=1
    elif [ -z "$says" ] && grep -E '^thornback|tb_' "$work/err"; then
        echo "FAILED: $name: it is not quiet"; failed=1
    else
        echo "[       OK ] $name ($took s)"
    fi
}

host=$(uname -n)
lost="^thornback: rank [0-2] on host $host: the process that starts executors was ended by signal 9 "
left='^thornback: the end of the job ended [1-9][0-9]* tasks? unfinished '
end() { # NAME STATUS SAYS HOW KILL-COMMAND
    local line=()
    [ $launch = alone ] || line=(mpirun -np ${ranks:-3} --oversubscribe)
    ends "${launch}_$1" "$2" "$3" "$4" "$5" "${line[@]}"
}
for launch in alone mpirun; do
    [ $launch = alone ] || executes=1
    end returns 5 "" return ""
    end finalizes_with_busy_tasks 5 "$left" finalize ""
    end finalizes_while_threads_wait 5 "$left" finalize_while_threads_wait ""
    end returns_without_finalize 3 "$left" return_early ""
    end exits_well 0 "$left" exit_0 ""
    end exits 3 "$left" exit ""
    end exits_in_another_thread 3 "$left" exit_in_a_thread ""
    end exits_and_joins_a_waiting_thread 3 "$left" exit_joins_a_waiting_thread ""
    end returns_while_threads_use_the_store 5 "$left" return_while_threads_use_the_store ""
    end finalizes_while_a_view_is_read 5 "$left" finalize_while_a_view_is_read ""
    end returns_while_threads_submit 5 "$left" return_while_threads_submit ""
    end finalizes_while_threads_submit 5 "$left" finalize_while_threads_submit ""
    end exits_in_a_handler bad "" exit_in_a_handler 'kill -INT $(rank 0)'
    end task_exits_in_a_thread 5 "$left" exit_in_a_task ""
    end forks_a_child_that_exits 5 "$left" fork_a_child_that_exits ""
    end aborts bad "" abort ""
    end crashes bad "" crash ""
    end driver_killed bad "" wait 'kill -9 $(rank 0)'
    end driver_terminated bad "" wait 'kill -TERM $(rank 0)'
    end executor_killed 5 "$left" lose_one_task ""
    # The driver, being the program's, does not adopt: what tasks have started then outlives a zygote that is killed.
    [ $launch != alone ] || export ENDS_WITHOUT_STRAYS=1
    end zygote_killed bad "$lost" wait 'kill -9 $(zygote $executes)'
    end zygote_killed_while_driver_computes bad "$lost" wait_computing 'kill -9 $(zygote 0)'
    end zygote_killed_and_reaped bad "${lost% was*}" wait_reaping 'kill -9 $(zygote 0)'
    unset ENDS_WITHOUT_STRAYS
    end interrupted bad "" wait 'kill -INT -- -$first'
    end hung_up bad "" wait 'kill -HUP -- -$first'
done

# The program decides what signals to its group mean, and its tasks live on with it.
launch=alone
for signal in INT HUP QUIT USR1 USR2; do
    end survives_$signal 5 "$left" survive_a_signal "kill -$signal -- -\$first"
done
# Ctrl-C at a terminal. `exec`, or a $SHELL that stays between, as dash does, would be ended by it too.
if command -v script >/dev/null; then
    printf '#!/bin/bash\nexec script -qec "exec $*" /dev/null <"%s"\n' "$work/keys" >"$work/terminal"
    chmod +x "$work/terminal"
    mkfifo "$work/keys"
    exec 9<>"$work/keys"
    ends terminal_interrupts bad "" wait "printf '\003' >&9" "$work/terminal"
    ends terminal_interrupt_is_survived 5 "" survive_a_signal "printf '\003' >&9" "$work/terminal"
    exec 9>&-
fi
launch=mpirun
end passes_on_a_signal_that_the_driver_survives 5 "$left" survive_a_signal 'kill -USR1 $first'
end launcher_terminated bad "" wait 'kill -TERM $first'
end launcher_killed bad "" wait 'kill -9 $first'
end worker_killed bad 'process rank 1 .*on node .* exited on signal 9 ' wait 'kill -9 $(rank 1)'
end worker_crashes bad 'process rank 2 .*on node .* exited on signal 11 |ERROR: AddressSanitizer: SEGV' wait 'kill -SEGV $(rank 2)'
end worker_aborts bad 'process rank 1 .*on node .* exited on signal 6 ' wait 'kill -ABRT $(rank 1)'

# Ranks of several hosts that hear nothing of each other.
export TB_VIRTUAL_NODES=3 TB_HEARTBEAT=3
silent() { echo "^thornback: rank $1 on host $host: nothing was heard of rank $2 on host $host for 3 s "; }
end silent_worker bad "$(silent 0 2)" wait 'kill -STOP $(rank 2)'
end silent_worker_while_driver_computes bad "$(silent 0 1)" wait_computing 'kill -STOP $(rank 1)'
TB_VIRTUAL_NODES=2 ranks=2 end silent_driver bad "$(silent 1 0)" wait 'kill -STOP $(rank 0)'
exit $failed
