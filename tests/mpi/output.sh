#!/bin/bash
# output.sh - what tasks print reaches the driver's terminal, whole line by whole line, in order and
# complete when tb_finalize returns, from one rank or several; with prefixes and into files when wanted;
# and what goes wrong with output costs output and nothing else: a closed stdout, a reader that is gone
# or does not read, children that hold a task's pipes.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
output=$PWD/tests/mpi/output
out=$work/out err=$work/err
failed=0 launcher= rc=0

run() {
    timeout -k 5 "${RUN_LIMIT:-120}" $launcher "$output" "$@" >"$out" 2>"$err" || rc=$?
    sed -i '/^-----*$/,/^-----*$/d' "$err" # what mpirun itself has to say
}
verdict() { # NAME WHY: why it failed, or nothing
    local name="$1${launcher:+ ($launcher)}"
    if [ $rc = 0 ] && [ -z "$2" ]; then
        echo "[       OK ] $name"
    else
        echo "FAILED: $name: status $rc: $2"; head -n 5 "$out" "$err"; failed=1
    fi
    rc=0
}
test_() { # NAME COMMAND...: a function that says what is wrong
    local name=$1 why
    shift
    "$@" >"$work/why" || echo "it returned $?" >>"$work/why"
    verdict "$name" "$(cat "$work/why")"
}

# Says what is wrong with the lines of `chatter`: each whole, each task's in order, none missing.
lines() { # FILE out|err STEP TASKS LINES [PREFIXED]
    awk -v who="$2" -v step="$3" -v tasks="$4" -v lines="$5" -v prefixed="${6:-}" '
        prefixed && !sub(/^\(chatters rank=[0-9]+ pid=[0-9]+\) /, "") { print "no prefix: " $0; exit }
        $1 == who && NF == 5 && $3 == k[$2] + 0 && $4 == ($2 * 31 + $3 * 7) % 300 &&
            length($5) == $4 + 1 && $5 ~ /^x*\.$/ { k[$2] += step; n++; next }
        { print "line " NR ": " $0; exit }
        END { want = tasks * int((lines + step - 1) / step); if (n != want) print n + 0 " of " want }
        ' "$1"
}

whole() { run chatter 8 1500; lines "$out" out 1 8 1500; lines "$err" err 4 8 1500; }
# The driver prints as well, and readers take little at a time.
beside() {
    { timeout -k 5 "${RUN_LIMIT:-120}" $launcher "$output" chatter 8 1500 too 2>&3 || echo $? >"$work/rc"
    } 3> >(slow "$err") > >(slow "$out")
    wait
    [ ! -e "$work/rc" ] || rc=$(cat "$work/rc")
    rm -f "$work/rc"
    lines <(grep -v '^driver' "$out") out 1 8 1500
    lines <(grep -v '^driver' "$err") err 4 8 1500
    for f in "$out" "$err"; do
        lines <(grep '^driver' "$f") driver 1 1 "$(grep -c '^driver' "$f")"
    done
}
slow() { dd bs=512 of="$1" status=none; }

# Each line says what its prefix says (again and again, if the same function left it unfinished).
own() { # TIMES FILE
    awk -v want="$1" '
        { p = $0; sub(/\) .*/, "", p); sub(/^\(/, "", p); text = $0; sub(/^\([^)]*\) /, ""); n += gsub(p, "") }
        $0 != "" { print "line " NR ": " text; exit }
        END { if (n != want) print n + 0 " of " want }' "$2"
}

prefixed() {
    export TB_LOG_PREFIX=yes
    run chatter 8 500
    lines "$out" out 1 8 500 yes
    lines "$err" err 4 8 500 yes
    [ "$launcher" != "$mpi3" ] || for r in 1 2; do
        grep -q "rank=$r " "$out" || echo "nothing from rank $r"
    done
    run names
    own 600 "$out"
    own 400 "$err"
    unset TB_LOG_PREFIX
}
plain() {
    run names
    [ "$(grep -o 'pid=' "$out" | wc -l)" = 600 ] && [ "$(wc -l <"$err")" = 400 ] || echo "not all lines"
    [ "$(tr -dc '\0(' <"$out" | wc -c)" = 0 ] || echo "a mark or a prefix is left"
}

same() { cmp -s <(sort "$1") <(sort "${@:2}") || echo "${*:2} are not what was printed"; }
files() {
    export TB_LOG_DIR=$work/logs
    rm -rf "$TB_LOG_DIR"
    run chatter 8 300
    same "$out" "$TB_LOG_DIR"/rank-*.out
    same "$err" "$TB_LOG_DIR"/rank-*.err
    cp "$out" "$work/before"
    run chatter 8 300
    cat "$out" >>"$work/before"
    same "$work/before" "$TB_LOG_DIR"/rank-*.out
    TB_LOG_DIR=/dev/null/logs run chatter 8 300
    lines "$out" out 1 8 300
    [ "$(grep -c 'warning: TB_LOG_DIR=/dev/null/logs: rank [01] cannot write files there: Not a dir' "$err")" = 1 ] ||
        echo "not one warning"
    mkdir -p "$work/full"; for r in 0 1 2; do ln -sf /dev/full "$work/full/rank-$r.out"; done
    TB_LOG_DIR=$work/full run chatter 8 300
    lines "$out" out 1 8 300
    grep -q 'cannot write to its file of what tasks print to stdout .*No space left' "$err" || echo "no warning"
    unset TB_LOG_DIR
}

killed() {
    run dies
    grep -qx 'an unfinished line' "$out" || echo "the unfinished line is lost"
    [ "$(cat "$err")" = $'first\nlast words' ] || echo "stderr is not complete"
}
at_an_exit() {
    local status
    run exits
    status=$rc rc=0
    [ $status = 1 ] || echo "status $status"
    [ "$(grep -xE 'first|last words' "$err")" = $'first\nlast words' ] || echo "its last words are missing"
    grep -q "signal 9.*; the last it wrote to stderr: last words" "$err" || echo "no last words in the error"
}
at_the_end() {
    run stays
    grep -qx 'said before the end' "$out" && grep -qx 'said before the end, too' "$err" || echo "it is lost"
}
stdin() {
    echo data | run stdin
    grep -qx 'task -1 driver data' "$out" || echo "the task read something"
}

closed() {
    timeout -k 5 60 $launcher bash -c 'exec "$@" >&-' - "$output" chatter 4 500 >"$out" 2>"$err" || rc=$?
    lines "$err" err 4 4 500
    timeout -k 5 60 $launcher bash -c 'exec "$@" 2>&-' - "$output" chatter 4 500 >"$out" 2>"$err" || rc=$?
    lines "$out" out 1 4 500
    timeout -k 5 60 $launcher bash -c '"$@" <&- | head -n 1; exit ${PIPESTATUS[0]}' - \
        "$output" chatter 4 3000 >"$out" 2>"$err" || rc=$?
    lines "$err" err 4 4 3000
}

children() {
    local waits prints
    run children
    [ "$(grep -vx 'from a child' "$out" | wc -l)" = 2 ] || echo "what the tasks printed is not whole"
    [ "$(grep -cx 'leaves them' "$err")" = 2 ] || echo "stderr is not whole"
    while read -r _ waits prints; do
        timeout 60 tail --pid="$waits" -f /dev/null || echo "child $waits outlives the job"
        timeout 60 tail --pid="$prints" -f /dev/null || echo "child $prints outlives the job"
    done < <(grep '^children' "$out")
}

stopped() {
    local told= pid
    rm -f "$work"/fifo "$work"/told; mkfifo "$work"/fifo "$work"/told
    exec 7<>"$work/fifo"
    timeout -k 5 "${RUN_LIMIT:-120}" $launcher "$output" stopped "$work/fifo" "$work/told" 20000 \
        >"$work/rest" 2>"$err" &
    pid=$!
    exec 8<>"$work/told"
    read -r -t 100 told <&8
    [ "$told" = "0 ended" ] || echo "tasks that print without end: $told"
    exec 8<"$work/fifo" 7>&-
    cat <&8 >"$out"
    exec 8<&-
    wait $pid || rc=$?
    grep -vx 'an unfinished line' "$out" >"$work/lines"
    lines "$work/lines" out 1 3 20000
    grep -vxE 'first|last words' "$err" >"$work/lines"
    lines "$work/lines" err 4 3 20000
}

mpi2="mpirun -np 2 --oversubscribe" mpi3="mpirun -np 3 --oversubscribe"
for launcher in "" "$mpi2" "$mpi3"; do
    test_ lines_of_concurrent_tasks_arrive_whole_and_all whole
    test_ the_driver_s_own_lines_and_theirs_stay_whole beside
    test_ a_prefix_names_function_rank_and_process prefixed
    test_ without_prefixes_lines_are_as_printed plain
    test_ files_of_each_rank_hold_what_its_tasks_print files
    test_ a_killed_task_s_unfinished_line_arrives killed
    test_ a_crashed_task_s_last_words_come_though_the_driver_exits at_an_exit
    test_ what_a_task_that_finalize_ends_had_printed_arrives at_the_end
    test_ a_task_reads_an_empty_stdin stdin
    test_ a_closed_stdout_or_a_reader_that_is_gone_costs_output_alone closed
    test_ children_that_hold_a_tasks_pipes_hold_nothing_up children
    test_ a_terminal_that_is_stopped_stops_who_prints_too_much_alone stopped
done
exit $failed
