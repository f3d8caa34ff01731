# packages.sh - installs what tests/packages lists; sourced by ./check and ./quickstart
# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0

# packages_missing WHEN...: prints "WHEN NAME" for each that is not installed
packages_missing () {
  local installed name when _
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii *//p')
  while read -r name when _; do
    case $name in '' | '#'*) continue ;; esac
    case " $* " in *" $when "*) ;; *) continue ;; esac
    grep -qxF "$name" <<< "$installed" || echo "$when $name"
  done < tests/packages
}

# packages_apt NAME...: installs them, each alone when they do not go together.  No service of a new
# package starts: invoke-rc.d and deb-systemd-invoke ask policy-rc.d, which says no while this runs.
packages_apt () (
  policy=/usr/sbin/policy-rc.d kept=
  trap 'rm -f "$policy" "$log"; [ -z "$kept" ] || mv "$kept" "$policy"' EXIT
  trap 'exit 1' INT TERM HUP
  log=$(mktemp)
  if [ -e "$policy" ]; then kept=$policy.before-ekiden; mv "$policy" "$kept"; fi
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  export DEBIAN_FRONTEND=noninteractive
  apt="apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=2"
  $apt update >"$log" 2>&1 || echo "apt-get update failed, trying with the lists that are there"
  $apt install -y --no-install-recommends "$@" >"$log" 2>&1 && return
  tail -n 5 "$log"
  for name; do $apt install -y --no-install-recommends "$name" >"$log" 2>&1 || echo "cannot install $name"; done
)

# Installs the packages of WHEN...  Fails only when one that is needed to build is still missing
# afterwards.
packages_install () {
  local missing names
  command -v dpkg-query >/dev/null || return 0          # not Debian: configure tells what it lacks
  missing=$(packages_missing "$@")
  [ -n "$missing" ] || return 0
  names=$(sed 's/^[a-z]* //' <<< "$missing" | tr '\n' ' ')
  if [ -n "${EKIDEN_OFFLINE:-}" ] || [ "$(id -u)" != 0 ]; then
    echo "not installed (needs root and a network): $names"
  else
    echo "== installing: $names"
    # shellcheck disable=SC2086
    packages_apt $names
  fi
  missing=$(packages_missing "$@" | sed -n 's/^build //p' | tr '\n' ' ')
  [ -z "$missing" ] || { echo "missing: $missing"; return 1; }
}
