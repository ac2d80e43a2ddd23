#!/bin/bash
# placement.sh - under mpirun, on virtual nodes: tasks run where their arguments are, only where they may,
# fairly and without idle CPUs; placement groups and actors are where they should be, and actors reached from
# everywhere; the GPUs of a host are shared between its ranks, whichever variable names them; and TB_SHOW_MAP
# shows what every rank has.
set -u
. "$(dirname "$0")"/placed
trap 'rm -f "$out"' EXIT
unset CUDA_VISIBLE_DEVICES ROCR_VISIBLE_DEVICES HIP_VISIBLE_DEVICES ZE_AFFINITY_MASK
run() { # NAME RANKS NODES COMMAND...
    TB_VIRTUAL_NODES=$3 runs "$1" mpirun -np "$2" --oversubscribe "${@:4}"
}

run locality_four_nodes 4 4 "$programs/locality"
TB_FETCH=p2p run locality_two_ranks_a_node 6 3 "$programs/locality"
run strategies 4 4 "$programs/strategies"
run groups 4 4 "$programs/groups"
run groups_two_ranks_a_node 6 3 "$programs/groups"
run actors 4 4 "$programs/actors"
TB_FETCH=p2p run actors_two_ranks_a_node 6 3 "$programs/actors"
run fair_one_node 2 1 "$programs/fair"
run fair_three_nodes 4 4 "$programs/fair"
TB_AHEAD=0 run fair_when_nothing_is_sent_ahead 4 4 "$programs/fair"
TB_NUM_CPUS=8 run makespan 4 4 bench/makespan 3000

gpus() { # NAME LINES [VARIABLE=VALUE...]
    says "gpus_$1" "$2" env "${@:3}" mpirun -np 3 --oversubscribe "$programs/gpus"
}
four=GPU-aaa,GPU-bbb,GPU-ccc,GPU-ddd
none='rank 1: 0 GPUs
rank 2: 0 GPUs
a task that asks for one: -10 '\''has'\'' failed: the task needs 1 GPU; no node has any GPUs'
gpus of_a_host_are_shared_between_its_ranks 'rank 1: 2 GPUs; all: GPU-aaa,GPU-bbb; single: GPU-aaa GPU-bbb
rank 2: 2 GPUs; all: GPU-ccc,GPU-ddd; single: GPU-ccc GPU-ddd' CUDA_VISIBLE_DEVICES=$four
gpus an_odd_one_goes_to_the_first 'rank 1: 2 GPUs; all: GPU-a,GPU-b; single: GPU-a GPU-b
rank 2: 1 GPUs; all: GPU-c; single: GPU-c' ROCR_VISIBLE_DEVICES=GPU-a,GPU-b,GPU-c
gpus parts_have_names_too 'rank 1: 1 GPUs; all: MIG-GPU-8932f937/1/0; single: MIG-GPU-8932f937/1/0
rank 2: 1 GPUs; all: MIG-GPU-8932f937/1/1; single: MIG-GPU-8932f937/1/1' \
    CUDA_VISIBLE_DEVICES=MIG-GPU-8932f937/1/0,MIG-GPU-8932f937/1/1
gpus of_level_zero 'rank 1: 2 GPUs; all: 0.0,0.1; single: 0.0 0.1
rank 2: 2 GPUs; all: 1.0,1.1; single: 1.0 1.1' ZE_AFFINITY_MASK=0.0,0.1,1.0,1.1
gpus that_slurm_names 'rank 1: 2 GPUs; all: 2,3; single: 2 3
rank 2: 1 GPUs; all: 6; single: 6' SLURM_STEP_GPUS=2,3,6
gpus an_empty_list_means_none "$none" CUDA_VISIBLE_DEVICES=
gpus an_empty_list_comes_before_what_slurm_names "$none" CUDA_VISIBLE_DEVICES= SLURM_STEP_GPUS=0,1
gpus less_may_be_used_than_there_are 'rank 1: 1 GPUs; all: GPU-aaa; single: GPU-aaa
rank 2: 1 GPUs; all: GPU-ccc; single: GPU-ccc' CUDA_VISIBLE_DEVICES=$four TB_NUM_GPUS=1
gpus none_of_them_need_be_used "$none" CUDA_VISIBLE_DEVICES=$four TB_NUM_GPUS=0
gpus more_than_were_found_are_numbered 'rank 1: 3 GPUs; all: 0,1,2; single: 0 1 2
rank 2: 3 GPUs; all: 3,4,5; single: 3 4 5' CUDA_VISIBLE_DEVICES= TB_NUM_GPUS=3
gpus a_rank_may_have_others 'rank 1: 0 GPUs
rank 2: 2 GPUs; all: 0,1; single: 0 1' CUDA_VISIBLE_DEVICES= TB_RANKS='1:num_gpus=0;2:num_gpus=2'
says gpus_each_is_given_once_though_two_ranks_list_it 'rank 1: 2 GPUs; all: GPU-x,GPU-y; single: GPU-x GPU-y
rank 2: 1 GPUs; all: GPU-z; single: GPU-z' mpirun --oversubscribe -np 1 "$programs/gpus" : \
    -np 1 env CUDA_VISIBLE_DEVICES=GPU-x,GPU-y "$programs/gpus" : \
    -np 1 env CUDA_VISIBLE_DEVICES=GPU-y,GPU-z "$programs/gpus"

host=$(uname -n)
gpus map_shows_what_every_rank_has "thornback: rank 0 on $host: the driver, runs no tasks
thornback: rank 1 on $host: 4 CPUs, 2 GPUs, 3 GB for tasks, 1.5 Custom, 1 License, disk=fast, zone=a
thornback: rank 2 on $host: 6 CPUs, 2 GPUs, 3 GB for tasks, 1.5 Custom, zone=a
rank 1: 2 GPUs; all: GPU-aaa,GPU-bbb; single: GPU-aaa GPU-bbb
rank 2: 2 GPUs; all: GPU-ccc,GPU-ddd; single: GPU-ccc GPU-ddd" TB_SHOW_MAP=1 CUDA_VISIBLE_DEVICES=$four \
    TB_NUM_CPUS=4 TB_MEMORY=3000000000 TB_RESOURCES=Custom=1.5 TB_LABELS=zone=a \
    TB_RANKS='1:License=1,label.disk=fast;2:num_cpus=6'
exit $failed
