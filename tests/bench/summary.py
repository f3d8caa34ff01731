#!/usr/bin/python3
# summary.py - the median [min-max] of each figure of each workload and peer
# SPDX-License-Identifier: Apache-2.0
"""summary.py RESULTS.jsonl     (what the scripts append to $BENCH_LOG)"""
import json
import statistics
import sys

KEYS = ("per_second p50_ms p99_ms delivered_per_s relayed_per_s seconds c0_s c1_s c2_s c3_s "
        "cpu_ms_per_op syncs_per_op cpu_s peak_pss_kb pss_kb_per_conn").split()
groups = {}
with open(sys.argv[1], encoding="utf-8") as f:
    for line in f:
        d = json.loads(line)
        k = tuple(str(d.get(x, "")) for x in ("name", "peer", "tag", "tls", "conns", "box_count"))
        groups.setdefault(k, []).append(d)
for k, rows in groups.items():
    out = []
    for key in KEYS:
        v = [d[key] for d in rows if isinstance(d.get(key), (int, float))]
        if v:
            out.append(f"{key}={statistics.median(v):g}" + (f"[{min(v):g}-{max(v):g}]" if len(v) > 1 else ""))
    print(" ".join(x for x in k if x), f"runs={len(rows)}", *out)
