#!/usr/bin/python3
# fuzz.py - one libFuzzer target: replays its corpus, then runs for some seconds, and reports as TAP
# SPDX-License-Identifier: Apache-2.0
"""fuzz.py TARGET SECONDS

The corpus of fuzz-NAME is tests/fuzz/corpus/NAME, its dictionary tests/fuzz/NAME.dict (when there is
one), its libFuzzer options the `/* options: ... */` line of tests/fuzz/fuzz-NAME.c.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tap(number, good, text):
    print(f"{'ok' if good else 'not ok'} {number} - {text}", flush=True)


def show_crash(output, folder):
    print(output[-12000:])
    for name in sorted(os.listdir(folder)):
        if name.split("-")[0] not in ("crash", "leak", "timeout", "oom"):
            continue
        with open(os.path.join(folder, name), "rb") as f:
            data = f.read()
        print(f"# reproducer {name}, {len(data)} bytes: printf '"
              + "".join(f"\\x{b:02x}" for b in data[:4096])
              + f"' > {name}; the target with that file as its argument shows it again")


def main():
    target, seconds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
    name = os.path.basename(target).removeprefix("fuzz-")
    corpus = os.path.join(TOP, "tests/fuzz/corpus", name)
    files = [os.path.join(d, f) for d, _, fs in os.walk(corpus) for f in fs]
    with open(os.path.join(TOP, f"tests/fuzz/fuzz-{name}.c"), encoding="utf-8") as f:
        found = re.search(r"/\* options: (.*?) \*/", f.read())
    # the short run of the check takes the same way each time, so that it fails by a change and not by luck; long ones do not
    seed = os.environ.get("EKIDEN_FUZZ_SEED") or ("1" if seconds <= 30 else "0")
    options = ["-timeout=10", "-rss_limit_mb=2048", f"-seed={seed}"] + (found.group(1).split() if found else [])
    dictionary = os.path.join(TOP, f"tests/fuzz/{name}.dict")
    if os.path.exists(dictionary):
        options.append(f"-dict={dictionary}")
    print("1..3")
    tap(1, bool(files), f"{name} has a corpus ({len(files)} files)")
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/new")
        if files:
            done = subprocess.run([target, "-runs=0", *options, f"-artifact_prefix={folder}/", corpus],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                show_crash(done.stdout.decode(errors="replace"), folder)
            tap(2, done.returncode == 0, "its corpus replays")
        else:
            tap(2, False, "its corpus replays")
        start = time.monotonic()
        done = subprocess.run([target, f"-max_total_time={seconds}", "-print_final_stats=1", *options,
                               f"-artifact_prefix={folder}/", folder + "/new", *([corpus] if files else [])],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        output = done.stdout.decode(errors="replace")
        runs = re.search(r"stat::number_of_executed_units: *(\d+)", output)
        count = int(runs.group(1)) if runs else 0
        if done.returncode:
            show_crash(output, folder)
        tap(3, done.returncode == 0 and count > 0, f"{count} runs in {time.monotonic() - start:.0f} s")
    return 1 if done.returncode else 0


sys.exit(main())
