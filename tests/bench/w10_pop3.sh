#!/bin/bash
# w10_pop3.sh - W10: POP3 login, LIST, RETR of all N (1000) messages one after the other, QUIT
# SPDX-License-Identifier: Apache-2.0
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
meter "W10-pop3" "tag=${TAG:-}" -- "$load" pop3 -h "$SMTP_HOST" -p "$POP3_PORT" -U "${POP_USER:-user1}" -W "$MAIL_PASS" -n "${N:-1000}"
