#!/bin/bash
# w11_tls.sh - W11: N (1000) full TLS handshakes over SESSIONS_TLS (8) connections at once
# SPDX-License-Identifier: Apache-2.0
#
# PROTO: smtp, imap, pop3 (STARTTLS) or none (implicit TLS), at PORT.  The limit: openssl s_time against
# openssl s_server.
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
: "${PROTO:=smtp}"
case $PROTO in smtp) : "${PORT:=$SMTP_PORT}" ;; imap) : "${PORT:=$IMAP_PORT}" ;; pop3) : "${PORT:=$POP3_PORT}" ;; esac
meter "W11-tls-$PROTO" -- "$load" tls -h "$SMTP_HOST" -p "$PORT" -T "$PROTO" -n "${N:-1000}" -s "${SESSIONS_TLS:-8}"
