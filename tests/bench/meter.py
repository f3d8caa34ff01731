#!/usr/bin/python3
# meter.py - runs a command and prints its JSON line with the server's CPU, memory and syncs added
# SPDX-License-Identifier: Apache-2.0
"""meter.py NAME [key=value ...] -- COMMAND...      meter.py --members (for mailload idle -x)

The server is every process in the cgroup v2 folders $BENCH_CGROUP (best: exact CPU time, also of processes
that came and went), or, where there is none, the process trees below $BENCH_PIDS (CPU of children not yet
waited for by a parent that is still alive may be missed).  Memory is the sum of PSS over all server
processes, sampled each $BENCH_SAMPLE seconds (0.5); the peak is reported.  cpu_s is user and system time of
the server alone, not of the load generator.  syncs is how often it called fsync, fdatasync, syncfs or
sync_file_range, counted by the kernel's trace events where root may read them (threads that lived when the
command began, and what they started).
"""
import json
import os
import subprocess
import sys
import threading
import time

CG = os.environ.get("BENCH_CGROUP", "").split()
PIDS = [int(p) for p in os.environ.get("BENCH_PIDS", "").split()]
STEP = float(os.environ.get("BENCH_SAMPLE", "0.5"))
TICK = os.sysconf("SC_CLK_TCK")
TRACING = "/sys/kernel/tracing"


def stat(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        s = f.read()
    return s[s.rindex(")") + 2:].split()


def pids():
    if CG:
        out = []
        for folder in CG:
            with open(f"{folder}/cgroup.procs", encoding="ascii") as f:
                out += [int(x) for x in f.read().split()]
        return out
    kids, out, todo = {}, [], list(PIDS)
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            kids.setdefault(int(stat(p)[1]), []).append(int(p))
        except (OSError, ValueError):
            pass
    while todo:
        p = todo.pop()
        if os.path.exists(f"/proc/{p}"):
            out.append(p)
            todo += kids.get(p, [])
    return out


def threads():
    out = []
    for p in pids():
        try:
            out += os.listdir(f"/proc/{p}/task")
        except OSError:
            pass
    return out


def cpu():
    if CG:
        total = 0
        for folder in CG:
            with open(f"{folder}/cpu.stat", encoding="ascii") as f:
                total += int(dict(line.split() for line in f)["usage_usec"])
        return total / 1e6
    t = 0
    for p in pids():
        try:
            t += sum(int(x) for x in stat(p)[11:15])
        except (OSError, ValueError):
            pass
    return t / TICK


def pss():
    kb = n = 0
    for p in pids():
        try:
            with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
                for line in f:
                    if line.startswith("Pss:"):
                        kb += int(line.split()[1])
                        n += 1
                        break
        except OSError:
            pass
    return kb, n


class Syncs:
    """Counts sync calls of the server in a trace instance of its own; None where that is not possible."""

    EVENTS = ("fsync", "fdatasync", "syncfs", "sync_file_range")

    def __init__(self):
        self.folder = f"{TRACING}/instances/ekiden-bench-{os.getpid()}"
        self.counts, self.thread = None, None
        try:
            if not os.path.exists(f"{TRACING}/instances"):
                subprocess.run(["mount", "-t", "tracefs", "none", TRACING], check=True, stderr=subprocess.DEVNULL)
            os.mkdir(self.folder)
            self.put("set_event_pid", " ".join(threads()))
            self.put("options/event-fork", "1")
            for event in self.EVENTS:
                self.put(f"events/syscalls/sys_enter_{event}/enable", "1")
        except (OSError, subprocess.CalledProcessError):
            self.close()
            return
        self.counts = dict.fromkeys(self.EVENTS, 0)
        self.pipe = os.open(f"{self.folder}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def put(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="ascii") as f:
            f.write(text)

    def take(self):
        """Counts what has come; whole lines only, as trace_pipe gives them."""
        try:
            while data := os.read(self.pipe, 65536):
                for event in self.EVENTS:
                    self.counts[event] += data.count(f" sys_{event}(".encode())
        except BlockingIOError:
            pass

    def read(self):
        while not self.ended.wait(0.1):
            self.take()

    def close(self):
        if self.thread:
            self.ended.set()
            self.thread.join()
            self.take()
            os.close(self.pipe)
        try:
            os.rmdir(self.folder)
        except OSError:
            pass
        return {k: v for k, v in self.counts.items() if v} if self.counts is not None else None


class Memory:
    """The peak of PSS while the command runs."""

    def __init__(self):
        self.peak, self.procs, self.stop = 0, 0, threading.Event()
        threading.Thread(target=self.sample, daemon=True).start()

    def sample(self):
        while True:
            kb, n = pss()
            if kb > self.peak:
                self.peak, self.procs = kb, n
            if self.stop.wait(STEP):
                return


def main():
    if sys.argv[1:] == ["--members"]:
        kb, n = pss()
        print(f'"pss_kb":{kb},"procs":{n},"cpu_abs_s":{cpu():.2f}')
        return 0
    cut = sys.argv.index("--")
    name, *extra = sys.argv[1:cut]
    out = {"name": name, "peer": os.environ.get("BENCH_PEER", "?")}
    have = bool(CG or PIDS)
    memory = Memory() if have else None
    syncs = Syncs() if have else None
    before, start = cpu() if have else 0, time.monotonic()
    done = subprocess.run(sys.argv[cut + 1:], stdout=subprocess.PIPE, text=True, check=False)
    wall, after = time.monotonic() - start, cpu() if have else 0
    for kv in extra:
        k, v = kv.split("=", 1)
        out[k] = int(v) if v.isdigit() else v
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            out.update(json.loads(line))
    out["wall_s"] = round(wall, 3)
    if have:
        memory.stop.set()
        operations = out.get("n", 0) * (out.get("rcpts", 1) or 1)
        out["cpu_s"] = round(after - before, 3)
        out["peak_pss_kb"], out["procs"] = memory.peak, memory.procs
        out["syncs"] = syncs.close()
        if out.get("n"):
            out["cpu_ms_per_op"] = round((after - before) * 1000 / out["n"], 4)
            out["cpu_ms_per_rcpt"] = round((after - before) * 1000 / operations, 4)
        if out.get("n") and out["syncs"] is not None:
            out["syncs_per_op"] = round(sum(out["syncs"].values()) / out["n"], 3)
    out["rc"] = done.returncode
    print(json.dumps(out), flush=True)
    if os.environ.get("BENCH_LOG"):
        with open(os.environ["BENCH_LOG"], "a", encoding="utf-8") as f:
            f.write(json.dumps(out) + "\n")
    return done.returncode


sys.exit(main())
