#!/bin/bash
# phys.sh - the physical limits of this machine: disk, loopback, signatures, password hashes
# SPDX-License-Identifier: Apache-2.0
#
#   phys.sh [DIR]: DIR on the disk to be measured, default a folder in $BENCH_WORK
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
d=$(mktemp -d "${1:-$BENCH_WORK}/phys.XXXXXX")
cc -O2 -o "$BENCH_WORK/phys" "$here/load/phys.c" -lpthread 2>/dev/null && "$BENCH_WORK/phys" "$d" 2
rm -rf "$d"
"$load" echo -p "${ECHO_PORT:-19999}" -n 50000
openssl speed -seconds 2 rsa2048 ed25519 ecdsap256 2>/dev/null | grep bits
perl -MTime::HiRes=time -e 'for my $s ("\$6\$saltsaltsalt\$","\$5\$saltsaltsalt\$","\$2b\$10\$abcdefghijklmnopqrstuu","\$y\$j9T\$F5Jx5fExrKuPp53xLKQ..1") {
my ($a,$n)=(time,0); while (time-$a<1) { crypt("password",$s); $n++ } printf "crypt %-34s %.1f/s\n",$s,$n/(time-$a) }'
