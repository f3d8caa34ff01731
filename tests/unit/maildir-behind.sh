#!/bin/sh
# maildir-behind.sh - renames, adds and deletes messages as other programs do, while a test watches
# SPDX-License-Identifier: Apache-2.0
# usage: maildir-behind.sh MAILDIR
cd "$1" || exit 1
n=0
while [ $n -lt 150 ]; do
  n=$((n + 1))
  printf 'From: x@example.org\nSubject: %s\n\nbody\n' $n >tmp/$n.s.h && mv tmp/$n.s.h new/$((1000 + n)).s$n.h
  [ $((n % 3)) -eq 0 ] && for f in new/*; do [ -e "$f" ] && mv "$f" "cur/${f#new/}:2,"; done 2>/dev/null
  [ $((n % 5)) -eq 0 ] && for f in cur/*":2,"; do [ -e "$f" ] && mv "$f" "${f}S"; done 2>/dev/null
  [ $((n % 7)) -eq 0 ] && for f in cur/*:2,S; do [ -e "$f" ] && mv "$f" "${f%S}FS" && break; done 2>/dev/null
  [ $((n % 4)) -eq 0 ] && for f in cur/*; do rm -f "$f"; break; done
  [ $((n % 11)) -eq 0 ] && for f in cur/*:2,FS; do [ -e "$f" ] && b=${f#cur/} && mv "$f" "new/${b%:2,FS}" && break; done 2>/dev/null
done
exit 0
