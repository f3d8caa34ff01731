#!/bin/bash
# w13_steady.sh - W13: the latency of STEADY (10) established IMAP sessions, each asking with pauses of 20 ms, for about SECONDS_EACH (8)
# SPDX-License-Identifier: Apache-2.0
#
# BESIDE=LOGINS: while so many logins, 20 at once, go on beside them; theirs is the second line of JSON.  BESIDE_RATE=N: so many of them
# a second.
# BURN=PROGRAM: while load/hash.c, compiled, makes hashes on all cores at nice 10, outside of any server: what a machine without an idle
# core does to the sessions whoever hashes.
#
# The clients are somebody else's machines elsewhere: those of the sessions wait for no core that the server is busy on, and those of the
# logins give way to all.  Each has a session of its own for that, since the kernel shares the cores out among sessions (autogroups,
# sched(7)) and counts nice within one alone.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
# apart NICE COMMAND...: in place of this shell
apart() {
  # shellcheck disable=SC2016
  exec setsid bash -c 'if [ -e /proc/self/autogroup ]; then echo "$1" > /proc/self/autogroup; else renice -n "$1" $$ > /dev/null; fi; shift; exec "$@"' - "$@"
}
: "${STEADY:=10}" "${SECONDS_EACH:=8}" "${STEADY_USER:=user%d}"
if [ -n "${BESIDE:-}" ]; then
  apart 5 "$load" login -h "$SMTP_HOST" -p "$IMAP_PORT" -U 'user%d' -W "$MAIL_PASS" -n "$BESIDE" ${BESIDE_RATE:+-R "$BESIDE_RATE"} -s 20 -u "$MAIL_USERS" > "$BENCH_WORK/beside" & beside=$!
fi
if [ -n "${BURN:-}" ]; then
  apart 10 "$BURN" "\$6\$saltsaltsaltsalt\$" "$(nproc)" $((SECONDS_EACH + 30)) > /dev/null & burn=$!
fi
(apart -19 "$load" steady -h "$SMTP_HOST" -p "$IMAP_PORT" -U "$STEADY_USER" -W "$MAIL_PASS" -s "$STEADY" -n $((STEADY * SECONDS_EACH * 40)) -u "$STEADY")
rc=$?
if [ -n "${BURN:-}" ]; then
  kill "$burn"
fi
if [ -n "${BESIDE:-}" ]; then
  wait "$beside" || rc=1
  cat "$BENCH_WORK/beside"
fi
exit $rc
