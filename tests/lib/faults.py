# faults.py - a server whose disk calls fail on request: tests/lib/faildisk.c preloaded into every role
# SPDX-License-Identifier: Apache-2.0
"""
    faults = Faults()                                    (before the server, which gets faults.env)
    with Server(config, users=[...], env=faults.env) as server:
        faults.match("/seg/")                            only files whose path contains that
        faults.sync(1)                                   the next sync fails; -1: all, 0: none
        faults.crash("X-Poison")                         who writes that into such a file is killed
"""
import errno
import mmap
import os
import struct

BUILD, RUN = (os.environ.get("EKIDEN_" + name, "") for name in ("BUILD", "RUN"))
SYNC, WRITE, USE_ROOM, ROOM, MATCH, CRASH, CRASHES, SIZE = 0, 16, 32, 40, 48, 112, 176, 184      # as in faildisk.h


class Faults:
    def __init__(self):
        path = os.path.join(RUN, "faildisk")
        with open(path, "wb") as f:
            f.truncate(SIZE)
        os.chmod(path, 0o666)            # roles under their own uids map it too
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), SIZE)
        asan = os.environ.get("ASAN_OPTIONS", "")
        self.env = {"EKIDEN_FAILDISK": path, "LD_PRELOAD": f"{BUILD}/tests/lib/.libs/libfaildisk.so",
                    "ASAN_OPTIONS": f"{asan}{':' if asan else ''}verify_asan_link_order=0"}

    def _text(self, at, text):
        self.map[at:at + 64] = text.encode().ljust(64, b"\0")

    def _rule(self, at, count, skip, error):
        self.map[at + 8:at + 12] = struct.pack("=i", 0)
        self.map[at:at + 8] = struct.pack("=ii", error, skip)
        self.map[at + 8:at + 12] = struct.pack("=i", count)

    def match(self, text):
        self._text(MATCH, text)

    def sync(self, count, skip=0, error=errno.EIO):
        self._rule(SYNC, count, skip, error)

    def write(self, count, skip=0, error=errno.EIO):
        self._rule(WRITE, count, skip, error)

    def hits(self):
        """How many calls were made to fail so far."""
        return sum(struct.unpack("=i", self.map[at + 12:at + 16])[0] for at in (SYNC, WRITE))

    def crash(self, text):
        self._text(CRASH, text)

    def crashes(self):
        return struct.unpack("=i", self.map[CRASHES:CRASHES + 4])[0]
