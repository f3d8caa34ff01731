#!/bin/bash
# disk.sh - a fresh, journalled ext4 on a loop device, for figures that hold on a normal server
# SPDX-License-Identifier: Apache-2.0
#
# Some machines' own root file system has no journal, and syncs there cost less than they do for users.
#   disk.sh start DIR [SIZE_MB] | stop DIR
set -eu
case $1 in
start) mkdir -p "$2"; img=$2.img; truncate -s "${3:-4096}M" "$img"; mkfs.ext4 -q -F "$img"; mount -o loop "$img" "$2"; chmod 755 "$2"; grep -E " $2 " /proc/mounts ;;
stop) umount "$2" && rm -f "$2.img" && rmdir "$2" ;;
esac
