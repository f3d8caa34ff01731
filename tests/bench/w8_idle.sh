#!/bin/bash
# w8_idle.sh - W8: CONNS (1000) logged-in connections, INBOX selected, in IDLE: memory of the server then
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
port=$IMAP_PORT
[ -z "${TLS:-}" ] || port=$IMAPS_PORT
: "${CONNS:=1000}" "${SETTLE:=20}"
base=$(python3 "$here/meter.py" --members)
meter "W8-idle" "tls=${TLS:-0}" "tag=${TAG:-}" "conns=$CONNS" -- "$load" idle -h "$SMTP_HOST" -p "$port" -U 'user%d' -W "$MAIL_PASS" ${TLS:+-S} -n "$CONNS" \
  -u "$MAIL_USERS" -s 8 -x "sleep $SETTLE; python3 $here/meter.py --members" |
python3 -c '
import json,sys
o=json.loads(sys.stdin.readline()); b=json.loads("{"+sys.argv[1]+"}")
o["base_pss_kb"]=b["pss_kb"]
if o.get("n"): o["pss_kb_per_conn"]=round((o["pss_kb"]-b["pss_kb"])/o["n"],2)
print(json.dumps(o))' "$base"
