# accounts.sh - makes the users that etc/ekiden.sysusers lists; sourced by ./quickstart
# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0

accounts_make () {
  local kind name
  while read -r kind name _; do
    case $kind in
      g) getent group "$name" >/dev/null || groupadd --system "$name" || return 1 ;;
      u) getent passwd "$name" >/dev/null \
           || useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin "$name" || return 1 ;;
    esac
  done < <(sed 's/#.*//' etc/ekiden.sysusers)
}
