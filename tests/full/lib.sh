# lib.sh - what the long checks share; sourced, not run
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
set -u
top=${EKIDEN_TOP:?run this by ./check full}
work=${EKIDEN_RUN:?}
jobs=${EKIDEN_MAKE_JOBS:-$(nproc)}
count=0 bad=0
label=''                             # behind the names of unit()'s points

# point TEXT COMMAND...: one TAP point; the command's output is shown when it fails
point () {
  local text=$1 out=$work/point.out
  shift
  count=$((count + 1))
  if "$@" >"$out" 2>&1; then
    echo "ok $count - $text"
  else
    grep -nE 'error|warning|FAIL|undefined' "$out" | head -n 40 | sed 's/^/# /'
    tail -n 25 "$out" | sed 's/^/# /'
    echo "not ok $count - $text"
    bad=1
  fi
}

finish () { echo "1..$count"; exit "$bad"; }

compiler () { if command -v ccache >/dev/null; then echo "ccache $1"; else echo "$1"; fi; }

# build FOLDER COMPILER OPTION...: configures there and makes everything, test programs too
build () {
  local dir=$1 cc
  cc=$(compiler "$2")
  shift 2
  mkdir -p "$dir" && cd "$dir" && "$top/configure" -q CC="$cc" "$@" && make -j"$jobs" && make -j"$jobs" check TESTS=
}

# for builds whose code is not what is looked at: half the time
plain=(--disable-hardening CFLAGS="-O0 -g")

# unit FOLDER [COMMAND...]: runs each unit program of that build, by COMMAND when given
unit () {
  local dir=$1 program name
  shift
  for program in "$dir"/tests/unit/test-*; do
    if [ -f "$program" ] && [ -x "$program" ]; then
      name=$(basename "$program")
      point "$name${label:+, $label}" "$@" "$program"
    fi
  done
}
