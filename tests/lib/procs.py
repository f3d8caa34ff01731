# procs.py - what a server's processes use: memory, descriptors
# SPDX-License-Identifier: Apache-2.0
import os
import time


def pss(pid):
    """Proportional set size in KB; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def fds(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def memory(server):
    """{role.index: KB} of all workers, and "master"."""
    return {"master": pss(server.process.pid), **{name: pss(pid) for pid, name in server.workers().items()}}


def descriptors(server):
    return {"master": fds(server.process.pid), **{name: fds(pid) for pid, name in server.workers().items()}}


def steady(measure, seconds=120, step=1.0, slack=256):
    """The sum of what `measure` gives, when it has stopped moving."""
    end, last, still = time.monotonic() + seconds, sum(measure().values()), 0
    while time.monotonic() < end and still < 3:
        time.sleep(step)
        now = sum(measure().values())
        still = still + 1 if abs(now - last) <= slack else 0
        last = now
    return last


def sanitized(server):
    with open(f"/proc/{server.process.pid}/maps", encoding="utf-8", errors="replace") as f:
        return "libasan" in (text := f.read()) or "libtsan" in text
