# common.sh - what the peer scripts share; sourced, not run
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2046
#
# Each is called as  peers/NAME.sh start|stop [MODE]; start writes $BENCH_WORK/NAME/env, the variables that
# the workload scripts read.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
peer=$(basename "$0" .sh)
: "${BENCH_WORK:?set it first: export BENCH_WORK=\$(mktemp -d)}"   # scratch: binaries, peers, mailboxes
mkdir -p "$BENCH_WORK"; chmod 755 "$BENCH_WORK"
W=$BENCH_WORK/$peer
cgroot=$(awk '$3=="cgroup2"{print $2; exit}' /proc/mounts)
CG=
if [ -n "$cgroot" ] && [ -w "$cgroot/cgroup.procs" ]; then CG=$cgroot/mailbench-$peer; fi
in_cg() { # run a command inside the peer's cgroup
  if [ -n "$CG" ] && mkdir -p "$CG"; then ( echo "$BASHPID" > "$CG/cgroup.procs"; exec "$@" )
  else "$@"; fi
}
put_env() { # put_env KEY=VALUE...
  { echo "BENCH_PEER=$peer${MODE:+-$MODE}"; echo "BENCH_CGROUP='$CG'"; echo "BENCH_PIDS='$(cat "$W"/*.pid "$W"/spool/pid/*.pid 2>/dev/null | tr -dc '0-9\n' | tr '\n' ' ')'"
    for kv; do echo "$kv"; done; } | sed 's/^/export /' > "$W/env"
}
vmail_user() { # the owner of the mailboxes
  getent group vmail >/dev/null || groupadd -g 5000 vmail
  getent passwd vmail >/dev/null || useradd -u 5000 -g vmail -M -d /nonexistent -s /usr/sbin/nologin vmail
}
stop_pids() { # end these processes, by id, and wait at most 10 s for them
  local p n=0
  for p; do kill "$p" 2>/dev/null || true; done
  for p; do while kill -0 "$p" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; done
}
stop_cg() { # what is left in the peer's own cgroup
  [ -n "$CG" ] && [ -d "$CG" ] || return 0
  stop_pids $(cat "$CG/cgroup.procs")
  for p in $(cat "$CG/cgroup.procs"); do kill -9 "$p" 2>/dev/null || true; done
  sleep 0.2; rmdir "$CG" 2>/dev/null || true
}
make_cert() { # a self-signed RSA 2048 certificate
  [ -s "$W/cert.pem" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost \
    -keyout "$W/key.pem" -out "$W/cert.pem" 2>/dev/null
}
