#!/bin/bash
# placement.sh - over three hosts of the bed with two worker ranks each, or with one: tasks run where their
# arguments are, only where they may, fairly and without idle CPUs; actors are reached from everywhere, and
# come back elsewhere; each host's GPUs are shared between its ranks; and TB_SHOW_MAP shows what every rank has.
# Needs root and iproute2.
set -u
here=$(dirname "$(readlink -f "$0")")
bed=$here/../bed/hosts.sh
[ "$(id -u)" = 0 ] || { echo "the bed of several hosts needs root"; exit 77; }
command -v ip >/dev/null || { echo "the bed of several hosts needs ip: apt-get install iproute2"; exit 77; }
. "$here/../mpi/placed"
export HOSTS_PREFIX=tbplace
trap '"$bed" down >/dev/null 2>&1; rm -f "$out"' EXIT
"$bed" up 3 >/dev/null || exit 1
run() { # NAME NP COMMAND...
    runs "hosts_$1" "$bed" run -np "$2" ${ASAN_OPTIONS:+-x ASAN_OPTIONS} ${LSAN_OPTIONS:+-x LSAN_OPTIONS} -- "${@:3}"
}

run locality 6 "$programs/locality"
TB_FETCH=p2p run locality_by_messages 4 "$programs/locality"
run strategies 6 "$programs/strategies"
run groups 6 "$programs/groups"
run actors 6 "$programs/actors"
TB_FETCH=p2p run actors_by_messages 4 "$programs/actors"
run fair_one_node 2 "$programs/fair"
run fair_three_nodes 4 "$programs/fair"
TB_AHEAD=0 run fair_when_nothing_is_sent_ahead 4 "$programs/fair"
TB_NUM_CPUS=8 run makespan 6 "$PWD/bench/makespan"

# Rank 0 takes nothing of the first host: its ranks 3 and 6 share what is there.
CUDA_VISIBLE_DEVICES=GPU-aaa,GPU-bbb,GPU-ccc,GPU-ddd TB_SHOW_MAP=1 TB_NUM_CPUS=4 TB_MEMORY=3000000000 \
    TB_RANKS='5:Custom=2,label.zone=a' \
    says hosts_gpus_and_map "thornback: rank 0 on tbplace0: the driver, runs no tasks
thornback: rank 1 on tbplace1: 4 CPUs, 2 GPUs, 3 GB for tasks
thornback: rank 2 on tbplace2: 4 CPUs, 2 GPUs, 3 GB for tasks
thornback: rank 3 on tbplace0: 4 CPUs, 2 GPUs, 3 GB for tasks
thornback: rank 4 on tbplace1: 4 CPUs, 2 GPUs, 3 GB for tasks
thornback: rank 5 on tbplace2: 4 CPUs, 2 GPUs, 3 GB for tasks, 2 Custom, zone=a
thornback: rank 6 on tbplace0: 4 CPUs, 2 GPUs, 3 GB for tasks
rank 1: 2 GPUs; all: GPU-aaa,GPU-bbb; single: GPU-aaa GPU-bbb
rank 2: 2 GPUs; all: GPU-aaa,GPU-bbb; single: GPU-aaa GPU-bbb
rank 3: 2 GPUs; all: GPU-aaa,GPU-bbb; single: GPU-aaa GPU-bbb
rank 4: 2 GPUs; all: GPU-ccc,GPU-ddd; single: GPU-ccc GPU-ddd
rank 5: 2 GPUs; all: GPU-ccc,GPU-ddd; single: GPU-ccc GPU-ddd
rank 6: 2 GPUs; all: GPU-ccc,GPU-ddd; single: GPU-ccc GPU-ddd" \
    "$bed" run -np 7 -x CUDA_VISIBLE_DEVICES ${ASAN_OPTIONS:+-x ASAN_OPTIONS} -- "$programs/gpus"
exit $failed
