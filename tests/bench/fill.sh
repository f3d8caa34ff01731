#!/bin/bash
# fill.sh - puts messages straight into a Maildir (cur/), so that no index knows them
# SPDX-License-Identifier: Apache-2.0
#
#   fill.sh USER COUNT [SIZE]
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
d=$MAIL_ROOT/$1; mkdir -p "$d/cur" "$d/new" "$d/tmp"
"$load" gen -n "$2" -z "${3:-4096}" -o "$d/cur"
chown -R "${MAIL_OWNER:-vmail:vmail}" "$d"
