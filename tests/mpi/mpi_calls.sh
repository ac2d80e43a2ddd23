#!/bin/bash
# mpi_calls.sh - a program that calls MPI itself while Thornback runs gets an error that names the function and
# the remedy, in the driver and in tasks, alone and with ranks: no hang, no crash, and a task's call costs that
# task alone. However it is linked: with the library as an archive or shared, with tables of functions filled in
# as they are called or all at once and then sealed.
set -u
[ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
shared=$PWD/tests/mpi/mpi_calls static=$PWD/tests/mpi/mpi_calls_sealed
out=$(mktemp)
trap 'rm -f "$out"' EXIT
failed=0
both="mpirun -np 2 --oversubscribe"
says() { # NAME STATUS PATTERN COMMAND...
    local name=$1 status=$2 pattern=$3 rc=0
    shift 3
    timeout -k 5 60 "$@" >"$out" 2>&1 || rc=$?
    if [ $rc = "$status" ] && grep -qE -- "$pattern" "$out" && ! grep -q 'came back\|signal 11' "$out"; then
        echo "[       OK ] $name"
    else
        echo "FAILED: $name: status $rc, expected $status: $pattern"; cat "$out"; failed=1
    fi
}
tasks() { # HOW COMMAND...: each prints its claims itself
    local how=$1 rc=0
    shift
    timeout -k 5 100 "$@" >"$out" 2>&1 || rc=$?
    grep '^\[       OK \]' "$out" | sed "s/\$/_$how/"
    [ $rc = 0 ] || { echo "FAILED: tasks $how: status $rc"; cat "$out"; failed=1; }
}
tasks alone "$shared" tasks
tasks of_two_ranks $both "$static" tasks
tasks of_two_ranks_shared $both "$shared" tasks
tasks on_virtual_nodes env TB_VIRTUAL_NODES=2 mpirun -np 3 --oversubscribe "$static" tasks
tasks alone "$static" actor
tasks of_two_ranks $both "$shared" actor

init='after tb_init, which initialises MPI itself .*: leave the call out$'
finalize='before tb_finalize, which finalises MPI itself: leave the call out$'
running="between tb_init and tb_finalize, where MPI is Thornback's .*: let tasks do the work\$"
none='in a program that was started without mpirun, so there is no MPI: let tasks do the work$'
for name in $("$shared" list); do
    why=$running alone=$none
    case $name in
        MPI_Init*) why=$init alone=$init ;;
        MPI_Finalize) why=$finalize alone=$finalize ;;
    esac
    says "a_driver_alone_that_calls_${name}_ends_with_an_error" 1 "^thornback: $name is called $alone" "$static" driver $name
    case $name in # of each family one, for each start of two ranks takes a while
        MPI_Init|MPI_Init_thread|MPI_Finalize|MPI_Comm_dup|MPI_Send|MPI_Irecv|MPI_Probe|MPI_Barrier|MPI_Allreduce|MPI_Win_create|MPI_File_open)
            says "a_driver_of_two_ranks_that_calls_${name}_ends_with_an_error" 1 "^thornback: $name is called $why" \
                $both "$shared" driver $name ;;
    esac
done
says another_thread_of_the_driver_is_no_exception 1 "^thornback: MPI_Bcast is called $running" $both "$static" thread MPI_Bcast
says what_is_harmless_may_be_called_alone 0 '^initialised 0, in a task 0, rank 0 of 0$' "$static" allowed
says what_is_harmless_may_be_called_with_ranks 0 '^initialised 1, in a task 1, rank 0 of 2$' $both "$shared" allowed
says after_a_job_alone_MPI_is_the_programs 0 '^sum 5$' "$static" after
says after_a_job_alone_MPI_is_the_programs_shared 0 '^sum 5$' "$shared" after
says after_a_job_with_ranks_MPI_itself_answers 1 'MPI_FINALIZE|after MPI_F' $both "$static" finalized
exit $failed
