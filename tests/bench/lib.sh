# lib.sh - what the scripts here share; sourced, not run
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${BENCH_WORK:?set it first: export BENCH_WORK=\$(mktemp -d)}"   # scratch: binaries, peers, mailboxes
: "${BENCH_PEER:=unnamed}"
: "${SMTP_HOST:=127.0.0.1}" "${SMTP_PORT:=2525}" "${LMTP_PORT:=2424}" "${SINK_PORT:=2626}"
: "${IMAP_PORT:=1143}" "${IMAPS_PORT:=1993}" "${POP3_PORT:=1110}" "${MAIL_DOMAIN:=bench.test}" "${MAIL_USERS:=100}"
: "${MAIL_PASS:=pass}" "${MAIL_ROOT:=}"
: "${MESSAGES:=5000}" "${SESSIONS:=20}" "${SIZE:=4096}" "${RCPTS:=1}" "${PER_CONN:=250}"
export BENCH_PEER BENCH_CGROUP BENCH_PIDS
mkdir -p "$BENCH_WORK"
load=$BENCH_WORK/mailload
if [ ! -x "$load" ] || [ -n "$(find "$here/load" -newer "$load" -name '*.[ch]')" ]; then
  cc -O2 -o "$load" "$here"/load/{mailload,conn,text,smtp,sink,imap,sasl,other}.c -lpthread -lssl -lcrypto || exit 1
fi
meter() { python3 "$here/meter.py" "$@"; }

# how many messages lie in the mailboxes: set COUNT_CMD for a store that is not Maildir
delivered() {
  if [ -n "${COUNT_CMD:-}" ]; then bash -c "$COUNT_CMD"
  else find "$MAIL_ROOT" -path '*/new/*' -type f 2>/dev/null | wc -l; fi
}

# wait_delivered COUNT TIMEOUT: until so many are there
wait_delivered() {
  local end=$(($(date +%s) + $2))
  while [ "$(delivered)" -lt "$1" ]; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.05
  done
}

# in_cgroup DIR COMMAND...: run it inside a cgroup v2 folder when there is one
in_cgroup() {
  local cg=$1; shift
  if [ -n "$cg" ] && mkdir -p "$cg" 2>/dev/null; then
    ( echo "$BASHPID" > "$cg/cgroup.procs" && exec "$@" )
  else "$@"; fi
}

# cgroup2_root: the folder where cgroup v2 is mounted, or nothing
cgroup2_root() { awk '$3=="cgroup2"{print $2; exit}' /proc/mounts; }
