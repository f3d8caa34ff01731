#!/bin/bash
# exim.sh - Exim 4 (EXIM_BIN: the binary)
# SPDX-License-Identifier: Apache-2.0
#
# MODE: virtual (Maildirs, default) or relay (to SINK_PORT).
# shellcheck source=tests/bench/peers/common.sh
. "$(dirname "$0")/common.sh"
MODE=${2:-virtual}
case $1 in
start)
  mkdir -p "$W/spool" "$W/log" "$W/mail"; vmail_user; make_cert
  bin=${EXIM_BIN:-/usr/sbin/exim4}
  cp "$bin" "$W/exim"; chown root:root "$W/exim"; chmod 4755 "$W/exim"
  chown -R Debian-exim:Debian-exim "$W/spool" "$W/log"; ( cd "$W/mail" || exit; for i in $(seq 1 ${MAIL_USERS:-1000}); do mkdir -p user$i; done ); chown -R vmail:vmail "$W/mail"
  chown Debian-exim "$W/key.pem" "$W/cert.pem"
  mkdir -p /etc/exim4; grep -qxs "$W/exim.conf" /etc/exim4/trusted_configs || echo "$W/exim.conf" >> /etc/exim4/trusted_configs
  case $MODE in
  relay*) route="out:
  driver = manualroute
  domains = *
  transport = smtp_out
  route_list = * 127.0.0.1::${SINK_PORT:-2626} byname
  self = send
" ;;
  *) route="boxes:
  driver = accept
  domains = bench.test
  local_parts = dsearch;$W/mail
  transport = maildir
" ;;
  esac
  cat > "$W/exim.conf" <<X
exim_path = $W/exim
exim_user = Debian-exim
exim_group = Debian-exim
spool_directory = $W/spool
log_file_path = $W/log/%slog
pid_file_path = $W/exim.pid
primary_hostname = mail.bench.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${SMTP_PORT:-2525}
disable_ipv6 = true
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 200
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
smtp_accept_max_nonmail = 0
recipients_max = 2000
remote_max_parallel = 20
queue_run_max = 20
tls_advertise_hosts = *
tls_certificate = $W/cert.pem
tls_privatekey = $W/key.pem
acl_smtp_rcpt = accept
acl_smtp_data = accept
never_users =
message_size_limit = 50M
begin routers
$route
begin transports
smtp_out:
  driver = smtp
  hosts_avoid_tls = *
  allow_localhost = true
maildir:
  driver = appendfile
  maildir_format = true
  directory = $W/mail/\$local_part_data
  create_directory
  user = vmail
  group = vmail
  directory_mode = 0700
begin retry
* * F,2h,15m
X
  in_cg "$W/exim" -C "$W/exim.conf" -bd -q30m
  sleep 0.5
  put_env SMTP_PORT=${SMTP_PORT:-2525} MAIL_ROOT=$W/mail FLUSH_CMD="'$W/exim -C $W/exim.conf -qff'" \
    LIST_CMD="'$W/exim -C $W/exim.conf -bp'" QUEUE_DIR=$W/spool/input ;;
stop)
  stop_pids "$(cat "$W/exim.pid" 2>/dev/null)"; stop_cg
  [ -f /etc/exim4/trusted_configs ] && sed -i "\#^$W/exim.conf\$#d" /etc/exim4/trusted_configs
  rm -rf "$W" ;;
esac
