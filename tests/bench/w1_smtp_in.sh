#!/bin/bash
# w1_smtp_in.sh - W1: MESSAGES (5000) of SIZE (4096) bytes in by SMTP, until all lie in the mailboxes
# SPDX-License-Identifier: Apache-2.0
#
# SESSIONS (20) connections, RCPTS (1) recipients each of MAIL_USERS (100).  "seconds" is until all were
# accepted, "delivered_s" until all were delivered (needs MAIL_ROOT or COUNT_CMD).  VERIFY=1: the Maildirs
# are emptied before and every message is compared afterwards.
# W2: SIZE=1048576 MESSAGES=200.  W4: RCPTS=1000 MESSAGES=20 MAIL_USERS=1000 SESSIONS=4.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
export load SMTP_PORT SMTP_HOST MESSAGES SESSIONS SIZE RCPTS PER_CONN MAIL_USERS MAIL_DOMAIN MAIL_ROOT COUNT_CMD here
: "${WAIT:=120}"
export WAIT
[ -z "${VERIFY:-}" ] || find "$MAIL_ROOT" -path '*/new/*' -type f -delete
export VERIFY="${VERIFY:-}"
meter "${NAME:-W1-smtp-in}" "size=$SIZE" "sessions=$SESSIONS" "rcpts=$RCPTS" -- bash -c '
. "$here/lib.sh"
before=$(delivered)
t0=$(date +%s.%N)
"$load" smtp -h "$SMTP_HOST" -p "$SMTP_PORT" -n "$MESSAGES" -s "$SESSIONS" -z "$SIZE" -r "$RCPTS" -u "$MAIL_USERS" -k "$PER_CONN" -d "$MAIL_DOMAIN" ${PIPELINE:+-P} || exit 1
if wait_delivered $((before + MESSAGES * RCPTS)) "$WAIT"; then ok=true; else ok=false; fi
t1=$(date +%s.%N)
awk -v d="$(( $(delivered) - before ))" -v ok=$ok -v a="$t0" -v b="$t1" "BEGIN{s=b-a; printf \"{\\\"delivered\\\":%d,\\\"all_delivered\\\":%s,\\\"delivered_s\\\":%.3f,\\\"delivered_per_s\\\":%.1f}\\n\", d, ok, s, d/s}"
[ -z "$VERIFY" ] || "$load" verify -n "$MESSAGES" -r "$RCPTS" -z "$SIZE" -d "$MAIL_DOMAIN" -o "$MAIL_ROOT"
'
