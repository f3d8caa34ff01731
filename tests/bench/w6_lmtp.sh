#!/bin/bash
# w6_lmtp.sh - W6: MESSAGES (5000) of SIZE over SESSIONS (20) LMTP connections, RCPTS (1) each
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
meter "${NAME:-W6-lmtp}" "size=$SIZE" "sessions=$SESSIONS" "rcpts=$RCPTS" -- \
  "$load" smtp -L -h "$SMTP_HOST" -p "$LMTP_PORT" -n "$MESSAGES" -s "$SESSIONS" -z "$SIZE" -r "$RCPTS" \
  -u "$MAIL_USERS" -k "$PER_CONN" -d "$MAIL_DOMAIN"
