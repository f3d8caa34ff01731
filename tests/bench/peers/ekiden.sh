#!/bin/bash
# ekiden.sh - Ekiden as it ships, roles apart, but for ports and users
# SPDX-License-Identifier: Apache-2.0
#
# MODE: virtual (SMTP in, Maildirs; default), relay (to SINK_PORT), dead (to a port where nobody listens), imap
# (virtual, with SMTP, IMAP and all that the full set has).  EKIDEN_BUILD: the build folder (default: build in
# the tree); users user1 ... userN at bench.test may log in without the domain too; SCHEME: PLAIN (default) or
# SHA512-CRYPT; EKIDEN_EXTRA: text added to the configuration, EKIDEN_ROLES: settings of its block roles, IMAP_ROWS and
# IMAPS_ROWS: of its listeners imap and imaps.
# shellcheck source=tests/bench/peers/common.sh
. "$(dirname "$0")/common.sh"
MODE=${2:-virtual}
: "${EKIDEN_BUILD:=$here/../../build}"
build=$(cd "$EKIDEN_BUILD" && pwd)
owned() { mkdir -p "$1"; chown "$2:" "$1"; chmod "$3" "$1"; }
case $1 in
start)
  (cd "$here/../.." && . tests/lib/accounts.sh && accounts_make)
  mkdir -p "$W/run" "$W/var"; make_cert
  owned "$W/mail" vmail 711; owned "$W/spool" ekiden-queue 700; owned "$W/log" ekiden-log 755
  case ${SCHEME:-PLAIN} in
  PLAIN) pw="{PLAIN}${MAIL_PASS:-pass}" ;;
  SHA512-CRYPT) pw="{SHA512-CRYPT}$(openssl passwd -6 "${MAIL_PASS:-pass}")" ;;
  esac
  seq 1 "${MAIL_USERS:-5000}" | awk -v pw="$pw" -v w="$W" '{ print "user" $1 "@bench.test:" pw "::::" w "/mail/user" $1 }' > "$W/users"
  chown ekiden-auth "$W/users"; chmod 640 "$W/users"
  # an installed copy, one for all starts: the programs must be where the roles' users can reach them
  root=$BENCH_WORK/ekiden-root
  if [ ! -e "$root/made" ] || [ -n "$(find "$build/.libs" "$build/modules" "$build/core" -newer "$root/made" -type f -print -quit)" ]; then
    rm -rf "$root"; mkdir -p "$root"
    make -s -C "$build" install "DESTDIR=$root" > "$root/install.log" 2>&1 || { tail -5 "$root/install.log"; exit 1; }
    touch "$root/made"
  fi
  prefix=$root$(sed -n 's/^prefix = //p' "$build/Makefile")
  case $MODE in
  virtual* | imap*) route='' ;;
  relay*) route="routing {
  transport = smtp
  relayhost = \"[127.0.0.1]:${SINK_PORT:-2626}\"
}" ;;
  dead*) route='routing {
  transport = smtp
  relayhost = "[127.0.0.1]:9"
}' ;;
  esac
  # relay: no domain of ours, so no mailboxes and no store
  boxes="file \"people\" {
  path = \"$W/users\"
}
maildir \"mail\" {
  path = \"%h\"
}
domain \"bench.test\" {
  auth      = people
  mailboxes = mail
}"
  imap="sasl_plain { }
listener \"imap\" {
  address        = 127.0.0.1:${IMAP_PORT:-1143}
  protocol       = imap
  plaintext_auth = yes
${IMAP_ROWS:-}
}
listener \"imaps\" {
  address  = 127.0.0.1:${IMAPS_PORT:-1993}
  protocol = imap
  tls      = implicit
${IMAPS_ROWS:-}
}"
  case $MODE in
  virtual*) imap='' ;;
  relay* | dead*) imap='' boxes='' ;;
  esac
  cat > "$W/ekiden.conf" <<X
hostname = mail.bench.example
state_dir = "$W/var"
run_dir = "$W/run"
log {
  file  = "$W/log/mail.log"
  trace = "$W/log/trace"
}
certificate "default" {
  chain = "$W/cert.pem"
  key = "$W/key.pem"
}
spool {
  path = "$W/spool"
}
roles {
${EKIDEN_ROLES:-}
}
listener "smtp" {
  address  = 127.0.0.1:${SMTP_PORT:-2525}
  protocol = smtp
}
$imap
$boxes
$route
${EKIDEN_EXTRA:-}
X
  export LD_LIBRARY_PATH=$prefix/lib/ekiden EKIDEN_MODULE_PATH=$prefix/lib/ekiden/modules EKIDEN_HELPER_PATH=$prefix/libexec/ekiden
  in_cg "$prefix/sbin/ekidend" --config "$W/ekiden.conf" || { tail -20 "$W/log/mail.log"; exit 1; }
  tool="env LD_LIBRARY_PATH=$LD_LIBRARY_PATH EKIDEN_MODULE_PATH=$EKIDEN_MODULE_PATH EKIDEN_CONFIG=$W/ekiden.conf $prefix/bin/ekiden"
  cp "$W/run/ekidend.pid" "$W/ekidend.pid"
  put_env SMTP_PORT="${SMTP_PORT:-2525}" IMAP_PORT="${IMAP_PORT:-1143}" IMAPS_PORT="${IMAPS_PORT:-1993}" MAIL_ROOT="$W/mail" \
    FLUSH_CMD="'$tool queue flush'" LIST_CMD="'$tool queue list'" QUEUE_DIR="$W/spool" ;;
stop)
  pid=$(cat "$W/run/ekidend.pid" 2>/dev/null || true)
  [ -z "$pid" ] || stop_pids "$pid"
  stop_cg; rm -rf "$W" ;;
esac
