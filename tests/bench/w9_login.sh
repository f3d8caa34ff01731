#!/bin/bash
# w9_login.sh - W9: N (2000) times connect, LOGIN, LOGOUT over SESSIONS (20) at once
# SPDX-License-Identifier: Apache-2.0
#
# MECH: AUTHENTICATE by it instead of LOGIN (OAUTHBEARER, XOAUTH2: a token for each user in the file TOKENS); LOGIN_USER: their names;
# TLS=1: at the port with implicit TLS; CERTS: files with a certificate and its key, as DIR/user%d.pem, which clients show there
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
port=$IMAP_PORT
[ -z "${TLS:-}" ] || port=$IMAPS_PORT
meter "W9-login" "tag=${TAG:-}" "tls=${TLS:-0}" "sessions=$SESSIONS" -- "$load" login -h "$SMTP_HOST" -p "$port" -U "${LOGIN_USER:-user%d}" -W "$MAIL_PASS" ${TLS:+-S} -n "${N:-2000}" -s "$SESSIONS" -u "$MAIL_USERS" ${MECH:+-A "$MECH"} ${TOKENS:+-K "$TOKENS"} ${CERTS:+-C "$CERTS"}
