#!/bin/bash
# w3_relay.sh - W3: MESSAGES (5000) accepted on SMTP_PORT, queued, and sent on by the server
# SPDX-License-Identifier: Apache-2.0
#
# This script starts the counting sink on SINK_PORT; the server is configured to relay there.  VERIFY=1: the
# sink compares every message.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
export VERIFY="${VERIFY:-}"
export load SMTP_PORT SMTP_HOST SINK_PORT MESSAGES SESSIONS SIZE PER_CONN MAIL_USERS here BENCH_WORK
meter "${NAME:-W3-relay}" "size=$SIZE" "sessions=$SESSIONS" -- bash -c '
"$load" sink -h 127.0.0.1 -p "$SINK_PORT" -n "$MESSAGES" -t 60 ${VERIFY:+-v -z "$SIZE" -d relay.test} > "$BENCH_WORK/sink.$$" & s=$!
trap "rm -f \"$BENCH_WORK/sink.$$\"" EXIT
sleep 0.1
t0=$(date +%s.%N)
"$load" smtp -h "$SMTP_HOST" -p "$SMTP_PORT" -n "$MESSAGES" -s "$SESSIONS" -z "$SIZE" -u "$MAIL_USERS" -k "$PER_CONN" -d relay.test || { kill $s; exit 1; }
wait $s
t1=$(date +%s.%N)
python3 - "$BENCH_WORK/sink.$$" "$t0" "$t1" "$VERIFY" <<X
import json,sys
s=json.loads(open(sys.argv[1]).read())
n=s["n"]; d=s["since_start"]-0.1
print(json.dumps({"relayed":n,"relayed_s":round(d,3),"relayed_per_s":round(n/d,1),"verified":s["wrong"]==0 if sys.argv[4] else None}))
X
'
