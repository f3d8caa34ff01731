#!/bin/bash
# dovecot.sh - Dovecot: IMAP, POP3 and LMTP over Maildir
# SPDX-License-Identifier: Apache-2.0
#
# MODE: empty (Maildir), sdbox or mdbox; SCHEME: PLAIN (default) or SHA512-CRYPT; AUTH_CACHE=10M turns its auth
# cache on; FSYNC: optimized (default), always or never; HIPERF=1: login processes that serve many;
# MECHS: its SASL mechanisms; MORE_USERS: a file of lines for its passwd-file;
# HIBERNATE=1: idle IMAP sessions leave their process after 3 s.
# shellcheck source=tests/bench/peers/common.sh
. "$(dirname "$0")/common.sh"
MODE=${2:-maildir}
case $1 in
start)
  mkdir -p "$W/mail" "$W/run"; vmail_user; make_cert; chown vmail:vmail "$W/mail"
  case ${SCHEME:-PLAIN} in
  PLAIN) pw="{PLAIN}${MAIL_PASS:-pass}" ;;
  SHA512-CRYPT) pw="{SHA512-CRYPT}$(openssl passwd -6 "${MAIL_PASS:-pass}")" ;;
  esac
  uid=$(id -u vmail) gid=$(id -g vmail)
  for i in $(seq 1 ${MAIL_USERS:-5000}); do echo "user$i:$pw:$uid:$gid::$W/mail/user$i"; done > "$W/users"
  [ -z "${MORE_USERS:-}" ] || sed "s|\$|:$uid:$gid::$W/mail/more|" "$MORE_USERS" >> "$W/users"
  case $MODE in
  maildir*) loc="maildir:~" ;;
  sdbox*) loc="sdbox:~" ;;
  mdbox*) loc="mdbox:~" ;;
  esac
  cat > "$W/dovecot.conf" <<X
base_dir = $W/run
state_dir = $W/run
log_path = $W/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
mail_location = $loc
ssl = yes
ssl_cert = <$W/cert.pem
ssl_key = <$W/key.pem
disable_plaintext_auth = no
auth_mechanisms = ${MECHS:-plain}
mail_fsync = ${FSYNC:-optimized}
mail_max_userip_connections = 100000
first_valid_uid = 1
first_valid_gid = 1
default_client_limit = 12000
default_process_limit = ${PROCS:-12000}
default_vsz_limit = 0
auth_username_format = %n
auth_cache_size = ${AUTH_CACHE:-0}
lmtp_save_to_detail_mailbox = no
passdb {
  driver = passwd-file
  args = username_format=%n $W/users
}
userdb {
  driver = passwd-file
  args = username_format=%n $W/users
}
namespace inbox {
  inbox = yes
}
service imap-login {
  inet_listener imap {
    port = ${IMAP_PORT:-1143}
  }
  inet_listener imaps {
    port = ${IMAPS_PORT:-1993}
  }
  process_min_avail = 2
  service_count = ${HIPERF:+0}${HIPERF:-1}
  client_limit = 8000
}
service pop3-login {
  inet_listener pop3 {
    port = ${POP3_PORT:-1110}
  }
  inet_listener pop3s {
    port = 0
  }
}
service imap {
  process_limit = 12000
  ${IMAP_EXTRA:-}
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = ${LMTP_PORT:-2424}
  }
}
service anvil {
  client_limit = 30000
}
service auth {
  client_limit = 30000
}
X
  [ -z "${HIBERNATE:-}" ] || cat >> "$W/dovecot.conf" <<X
imap_hibernate_timeout = 3s
service imap {
  unix_listener imap-master {
    user = dovecot
  }
}
service imap-hibernate {
  client_limit = 12000
  unix_listener imap-hibernate {
    mode = 0666
  }
}
X
  sed -i 's/service_count = 01/service_count = 0/' "$W/dovecot.conf"
  in_cg dovecot -c "$W/dovecot.conf"
  sleep 0.5
  put_env IMAP_PORT=${IMAP_PORT:-1143} IMAPS_PORT=${IMAPS_PORT:-1993} POP3_PORT=${POP3_PORT:-1110} LMTP_PORT=${LMTP_PORT:-2424} MAIL_ROOT=$W/mail ;;
stop)
  doveadm -c "$W/dovecot.conf" stop 2>/dev/null || true
  sleep 0.5; stop_cg; rm -rf "$W" ;;
esac
