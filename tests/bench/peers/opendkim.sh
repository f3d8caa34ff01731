#!/bin/bash
# opendkim.sh - OpenDKIM as a signing milter, RSA 2048, in its own cgroup
# SPDX-License-Identifier: Apache-2.0
#
# Give the MTA the socket: MILTER=unix:$BENCH_WORK/opendkim/sock/s  (over TCP on loopback each message waits
# about 80 ms for delayed acknowledgements, which hides the cost that is to be measured).
# shellcheck source=tests/bench/peers/common.sh
. "$(dirname "$0")/common.sh"
MODE=''
case $1 in
start)
  mkdir -p "$W/sock"; chown opendkim "$W/sock"; chmod 755 "$W" "$W/sock"; openssl genrsa -out "$W/k.pem" 2048 2>/dev/null; chown opendkim "$W/k.pem"; chmod 600 "$W/k.pem"
  cat > "$W/c" <<X
Syslog no
Mode s
Domain example.test
Selector s1
KeyFile $W/k.pem
Socket local:$W/sock/s
UMask 000
Canonicalization relaxed/relaxed
InternalHosts 127.0.0.0/8
UserID opendkim
PidFile $W/opendkim.pid
RequireSafeKeys no
X
  in_cg opendkim -x "$W/c"; sleep 0.5; put_env ;;
stop) stop_cg; rm -rf "$W" ;;
esac
