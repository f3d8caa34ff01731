#!/bin/bash
# syscalls.sh - system calls a message, by strace on every process of the server
# SPDX-License-Identifier: Apache-2.0
#
#   syscalls.sh COUNT COMMAND...: COMMAND must deliver COUNT messages.  Needs strace and root.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
n=$1; shift
out=$BENCH_WORK/strace.$$
pids=$(tr '\n' ',' < "$BENCH_CGROUP/cgroup.procs"); pids=${pids%,}
strace -f -qq -o "$out" -p "$pids" & s=$!
sleep 1.5
"$@" > /dev/null
sleep 3
kill -INT $s; wait $s 2>/dev/null
python3 - "$out" "$n" <<'X'
import re,sys,collections,json,os
c=collections.Counter(); n=int(sys.argv[2])
for l in open(sys.argv[1],errors="replace"):
    m=re.match(r"\d+ +([a-z_0-9]+)\(",l)
    if m: c[m.group(1)]+=1
keys="fsync fdatasync sync_file_range syncfs openat open creat rename renameat renameat2 link linkat unlink unlinkat fork clone clone3 vfork execve connect accept accept4 fcntl flock stat newfstatat fstat write pwrite64 writev read poll epoll_wait".split()
out={"name":"syscalls","peer":os.environ.get("BENCH_PEER"),"n":n,"total":round(sum(c.values())/n,1)}
for k in keys:
    if c[k]: out[k]=round(c[k]/n,2)
out["other"]=dict((k,round(v/n,1)) for k,v in c.most_common(40) if k not in keys and v/n>=1)
print(json.dumps(out))
X
rm -f "$out"
