#!/bin/bash
# oom.sh - a task that takes more memory than the job may have is killed by the kernel, is run again, fails
# with CRASHED, and nobody else is harmed. Needs root and a memory control group (v1 or v2) of its own.
set -u
skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "not root: no control group can be made"
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/tb-oom-$$ limit=memory.limit_in_bytes
elif [ -f /sys/fs/cgroup/cgroup.subtree_control ]; then
    group=/sys/fs/cgroup/tb-oom-$$ limit=memory.max
else
    skip "no control groups here"
fi
mkdir "$group" 2>/dev/null || skip "no control group can be made"
trap 'rmdir "$group"' EXIT
echo $((256 << 20)) 2>/dev/null >"$group/$limit" || skip "memory cannot be limited"
out=$(TB_STORE=32M timeout -k 5 120 bash -c "echo \$\$ >$group/cgroup.procs && exec tests/faults/oom" 2>&1)
rc=$?
echo "$out"
if [ $rc = 0 ] && grep -q '^signal 9 attempt 1$' <<<"$out" && grep -q 'out-of-memory killer' <<<"$out"; then
    echo "[       OK ] a_task_that_takes_too_much_memory_crashes_alone"
else
    echo "FAILED: status $rc"
    exit 1
fi
