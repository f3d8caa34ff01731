#!/bin/bash
# w5_deferred.sh - W5: MESSAGES (20000) to a destination that is down, then listed, then flushed to a sink
# SPDX-License-Identifier: Apache-2.0
#
# Nobody listens on SINK_PORT, where the server relays, until LIST_CMD was timed; then a sink starts there,
# FLUSH_CMD is given and the time until all have arrived is taken.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
[ -n "${W5_MESSAGES:-}" ] && MESSAGES=$W5_MESSAGES || MESSAGES=20000
export load SMTP_PORT SMTP_HOST SINK_PORT MESSAGES SESSIONS SIZE PER_CONN MAIL_USERS here BENCH_WORK
meter W5-accept-deferred -- "$load" smtp -h "$SMTP_HOST" -p "$SMTP_PORT" -n "$MESSAGES" -s "$SESSIONS" -z "$SIZE" -u "$MAIL_USERS" -k "$PER_CONN" -d relay.test
sleep "${SETTLE:-10}"
export LIST_CMD FLUSH_CMD
meter W5-list -- bash -c 't0=$(date +%s.%N); l=$(eval "$LIST_CMD" | wc -l); t1=$(date +%s.%N); echo "{\"lines\":$l,\"seconds\":$(awk "BEGIN{printf \"%.3f\", $t1-$t0}")}"'
[ -z "${QUEUE_DIR:-}" ] || echo "{\"name\":\"W5-disk\",\"queue_kb\":$(du -sk "$QUEUE_DIR" | cut -f1),\"inodes\":$(find "$QUEUE_DIR" | wc -l)}"
meter W5-flush -- bash -c '
"$load" sink -h 127.0.0.1 -p "$SINK_PORT" -n "$MESSAGES" -t 30 & s=$!
sleep 0.2; eval "$FLUSH_CMD" >/dev/null 2>&1; wait $s'
