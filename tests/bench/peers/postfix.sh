#!/bin/bash
# postfix.sh - Postfix
# SPDX-License-Identifier: Apache-2.0
#
# MODE: virtual (Maildirs, default), lmtp (to LMTP_PORT), relay (to SINK_PORT), dead (to a port where nobody
# listens); suffix -tuned: in_flow_delay=0; MILTER=inet:127.0.0.1:PORT adds a milter.
# shellcheck source=tests/bench/peers/common.sh
. "$(dirname "$0")/common.sh"
MODE=${2:-virtual}
case $1 in
start)
  mkdir -p "$W/etc" "$W/spool" "$W/data" "$W/mail"
  vmail_user; chown vmail:vmail "$W/mail"; chown postfix "$W/data"; chmod 755 "$W"; make_cert
  case $MODE in
  virtual*) tr="virtual_transport = virtual
virtual_mailbox_base = $W/mail
virtual_mailbox_maps = hash:$W/etc/boxes
virtual_uid_maps = static:$(id -u vmail)
virtual_gid_maps = static:$(id -g vmail)
virtual_minimum_uid = 1
virtual_mailbox_domains = bench.test" ;;
  lmtp*) tr="virtual_transport = lmtp:inet:127.0.0.1:${LMTP_PORT:-2424}
virtual_mailbox_domains = bench.test
virtual_mailbox_maps = hash:$W/etc/boxes" ;;
  relay*) tr="relayhost = [127.0.0.1]:${SINK_PORT:-2626}" ;;
  dead*) tr="relayhost = [127.0.0.1]:9" ;;
  esac
  case $MODE in *-tuned) tr="$tr
in_flow_delay = 0" ;; esac
  for i in $(seq 1 ${MAIL_USERS:-1000}); do echo "user$i@bench.test user$i/"; done > "$W/etc/boxes"
  cat > "$W/etc/main.cf" <<X
compatibility_level = 3.6
queue_directory = $W/spool
data_directory = $W/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = /etc/postfix
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.bench.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
maillog_file = $W/spool/mail.log
maillog_file_prefixes = $W
alias_maps =
alias_database =
message_size_limit = 50000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
smtpd_recipient_limit = 2000
smtpd_tls_security_level = may
smtpd_tls_cert_file = $W/cert.pem
smtpd_tls_key_file = $W/key.pem
smtp_tls_security_level = none
disable_dns_lookups = yes
smtp_host_lookup = native
$tr
X
  [ -n "${MILTER:-}" ] && echo "smtpd_milters = $MILTER" >> "$W/etc/main.cf"
  cat > "$W/etc/master.cf" <<X
127.0.0.1:${SMTP_PORT:-2525} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
X
  postmap -c "$W/etc" "hash:$W/etc/boxes"
  in_cg postfix -c "$W/etc" start 2>&1 | grep -iE 'fatal|error' || true
  put_env SMTP_PORT=${SMTP_PORT:-2525} MAIL_ROOT=$W/mail FLUSH_CMD="'postqueue -c $W/etc -f'" \
    LIST_CMD="'postqueue -c $W/etc -p'" QUEUE_DIR=$W/spool ;;
stop)
  postfix -c "$W/etc" stop 2>/dev/null || true
  stop_cg; rm -rf "$W" ;;
esac
