#!/usr/bin/python3
# supervise.py - runs one command; when it ends, or its time is over, nothing that it started stays
# SPDX-License-Identifier: Apache-2.0
"""supervise.py SECONDS COMMAND...

Orphans of the command, daemons too, become children of this process (a "subreaper"), so they are found
without names, pid files or a cgroup.  Exit status: the command's, 124 when its time was over, 125 when it
passed but left processes behind.
"""
import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def descendants():
    """{pid: command name} of all that live below this process."""
    children, names = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                stat = f.read()
        except OSError:
            continue
        name = stat[stat.index("(") + 1:stat.rindex(")")]
        state, parent = stat[stat.rindex(")") + 2:].split()[:2]
        if state not in "ZX":
            names[int(entry)] = name
        children.setdefault(int(parent), []).append(int(entry))
    found, todo = {}, [os.getpid()]
    while todo:
        for pid in children.get(todo.pop(), []):
            todo.append(pid)
            if pid in names:
                found[pid] = names[pid]
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def wait_for(pid, limit):
    """The status of the command, None when its time is over.  Orphans are reaped as they end: a test that
    waits for a daemon to be gone must not find a zombie."""
    end = time.monotonic() + limit
    while True:
        try:
            while (done := os.waitpid(-1, os.WNOHANG))[0]:
                if done[0] == pid:
                    return os.waitstatus_to_exitcode(done[1])
        except ChildProcessError:
            return 127
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(left, 0.02))


def end_all(sig):
    """Signals everything below, round after round, until nothing is left."""
    for _ in range(200):
        reap()
        alive = descendants()
        if not alive:
            return
        for pid in alive:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        time.sleep(0.02)
        sig = signal.SIGKILL if _ > 100 else sig


def main():
    limit, command = float(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    def stopped(_sig, _frame):
        end_all(signal.SIGKILL)
        os._exit(143)

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    child = subprocess.Popen(command, start_new_session=True)
    status = wait_for(child.pid, limit)
    if status is None:
        print(f"# time over: {limit:g} s", flush=True)
        end_all(signal.SIGTERM)
        return 124
    if status < 0:
        print(f"# ended by {signal.Signals(-status).name}", flush=True)
        status = 128 - status
    grace = time.monotonic() + 1.0            # what is just ending is not left behind
    while descendants() and time.monotonic() < grace:
        reap()
        time.sleep(0.02)
    left = descendants()
    if left:
        print("# left behind:", " ".join(f"{n}[{p}]" for p, n in sorted(left.items())), flush=True)
        end_all(signal.SIGKILL)
        return status or 125
    return status


sys.exit(main())
