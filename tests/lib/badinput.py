# badinput.py - what the tests of bad input share: memory of the roles, messages that no program writes
# SPDX-License-Identifier: Apache-2.0
import os

GROWTH_MAX = 160 << 20       # of one role's PSS over all of a test: a sanitizer's shadow and quarantine are in it


def gentle():
    """Environment of a server whose memory is looked at: the sanitizer keeps little of what was freed."""
    return {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4:thread_local_quarantine_size_kb=64"}


def pss_of(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))


class Memory:
    """Says when a role has grown by more than GROWTH_MAX since the beginning."""

    def __init__(self, server, tap):
        self.server, self.tap = server, tap
        self.first = self.sizes()

    def sizes(self):
        return {pid: pss_of(pid) for pid in self.server.workers()}

    def check(self, what):
        now, roles = self.sizes(), self.server.workers()
        grown = {f"{roles.get(pid)}[{pid}]": (size - self.first[pid]) >> 20 for pid, size in now.items() if pid in self.first}
        self.tap.ok(set(now) == set(self.first) and all(mb <= GROWTH_MAX >> 20 for mb in grown.values()),
                    f"{what}: no role was lost or has grown much", f"MB: {grown}")


def nested(levels):
    """multipart in multipart in multipart ..."""
    head = b"Subject: deep\r\nMIME-Version: 1.0\r\n"
    return head + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(levels)) \
        + b"\r\nthe bottom\r\n" + b"".join(b"--b%d--\r\n" % i for i in reversed(range(levels)))


def parts_of(count):
    """A multipart of that many small parts."""
    return b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" \
        + b"--b\r\nContent-Type: text/plain; x=y\r\n\r\nx\r\n" * count + b"--b--\r\n"
