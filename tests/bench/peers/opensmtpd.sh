#!/bin/bash
# opensmtpd.sh - OpenSMTPD (its spool and helper paths are compiled in: /var/spool/smtpd)
# SPDX-License-Identifier: Apache-2.0
#
# MODE: virtual (mail.maildir, default) or relay (to SINK_PORT).
# shellcheck source=tests/bench/peers/common.sh
. "$(dirname "$0")/common.sh"
MODE=${2:-virtual}
spool=/var/spool/smtpd
case $1 in
start)
  mkdir -p "$W/mail" "$spool"; vmail_user; make_cert; chown vmail:vmail "$W/mail"; chmod 600 "$W/key.pem"
  chmod 711 "$spool"
  for i in $(seq 1 ${MAIL_USERS:-1000}); do echo "user$i@bench.test vmail"; done > "$W/virtuals"
  echo "vmail 5000:5000:$W/mail" > "$W/userbase"
  case $MODE in
  relay*) act="action \"a\" relay host smtp://127.0.0.1:${SINK_PORT:-2626}" ;;
  *) act="action \"a\" maildir \"$W/mail/%{rcpt.user}\" virtual <virtuals> userbase <users>" ;;
  esac
  cat > "$W/smtpd.conf" <<X
pki p cert "$W/cert.pem"
pki p key "$W/key.pem"
smtp max-message-size "50M"
smtp limit max-mails 100000
smtp limit max-rcpt 2000
table users file:$W/userbase
table virtuals file:$W/virtuals
listen on 127.0.0.1 port ${SMTP_PORT:-2525} tls pki p hostname mail.bench.example
$act
match from any for any action "a"
X
  in_cg "${SMTPD_BIN:-/usr/sbin/smtpd}" -f "$W/smtpd.conf" > "$W/log" 2>&1
  sleep 1
  put_env SMTP_PORT=${SMTP_PORT:-2525} MAIL_ROOT=$W/mail FLUSH_CMD="'smtpctl schedule all'" \
    LIST_CMD="'smtpctl show queue'" QUEUE_DIR=$spool ;;
stop)
  stop_cg
  rm -rf "$W" "$spool"/queue "$spool"/incoming "$spool"/purge "$spool"/temporary "$spool"/corrupt ;;
esac
