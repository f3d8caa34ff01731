#!/bin/bash
# w7_imap.sh - W7: one IMAP session over a large mailbox
# SPDX-License-Identifier: Apache-2.0
#
# W7=fetch|headers|body|store|search|append (one after the other when unset).  The mailbox of IMAP_USER (user1)
# must hold BOX_COUNT messages: fill it with fill.sh (Maildir, cold index: no index was ever built) or by LMTP
# (the server's own indexes are then warm).  COLD=1 drops the page cache before (needs root).
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
: "${IMAP_USER:=user1}" "${BOX:=INBOX}" "${BOX_COUNT:=10000}" "${N:=2000}"
cold() { if [ -n "${COLD:-}" ]; then sync; echo 3 > /proc/sys/vm/drop_caches; fi; }
im() { local name=$1; shift; cold; meter "$name" "box_count=$BOX_COUNT" "tag=${TAG:-}" -- "$load" imap -h "$SMTP_HOST" -p "$IMAP_PORT" -U "$IMAP_USER" -W "$MAIL_PASS" "$@"; }
for w in ${W7:-fetch body store search append}; do
  case $w in
  # c0 SELECT, c1 the list a mail reader shows first
  fetch) im W7-select-fetch -c "SELECT $BOX" -c "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)" ;;
  headers) im W7-fetch-headers -c "SELECT $BOX" -c "FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)])" ;;
  body) im W7-fetch-body -c "SELECT $BOX" -c "FETCH 1:$N BODY.PEEK[]" ;;
  store) im W7-store -c "SELECT $BOX" -c "STORE 1:$BOX_COUNT +FLAGS.SILENT (\\Flagged)" -c "STORE 1:$BOX_COUNT -FLAGS.SILENT (\\Flagged)" ;;
  search) im W7-search-body -c "SELECT $BOX" -c "SEARCH BODY needle" -c "SEARCH BODY nosuchword" -c "SEARCH SUBJECT number" ;;
  append) meter W7-append "tag=${TAG:-}" -- "$load" append -h "$SMTP_HOST" -p "$IMAP_PORT" -U "${APPEND_USER:-user2}" -W "$MAIL_PASS" -n "$N" -z "$SIZE" -s "${APPEND_SESSIONS:-1}" ;;
  esac
done
