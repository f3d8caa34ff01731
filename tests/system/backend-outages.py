#!/usr/bin/python3
# backend-outages.py - PostgreSQL, MariaDB and OpenLDAP are stopped and killed in turn under load, ten seconds each: nobody hears "no"
# SPDX-License-Identifier: Apache-2.0
# part: backends
# needs: slapd
# limit: 1200
import os
import time

from fourdomains import DOMAINS, FourDomains, missing
from outage import Load, login, send
from tap import Tap

t = Tap()
FULL = bool(os.environ.get("EKIDEN_FULL"))
SECONDS = 60 if FULL else 10
WARM = {f"user{i}": f"pw{i}" for i in range(8)}
TURNS = [(domain, how) for how in ("SIGSTOP", "SIGKILL") for domain, kind in DOMAINS.items() if kind != "file"]
FRESH = {turn: {f"fresh{i}x{k}": f"f{k}" for k in range(6)} for i, turn in enumerate(TURNS)}
BACK = []
SETTINGS = """
auth { failure_delay = 20ms
  failure_delay_max = 20ms }
routing { cache = 1s }
"""


def warm_up(server):
    """Each of them is served once, so that something is remembered."""
    wrong = []
    for domain in DOMAINS:
        for name, password in WARM.items():
            said = [str(send(server, f"{name}@{domain}")), login(server, f"{name}@{domain}", password)]
            wrong += [] if said[0].startswith("250") and said[1].startswith("OK") else [(domain, name, said)]
    t.equal(wrong, [], "all are served before")


def turn(site, load, domain, how):
    backend, others = site.backends[domain], [d for d in DOMAINS if d != domain]
    down, up = (backend.pause, backend.resume) if how == "SIGSTOP" else (backend.kill, backend.start)
    what = f"{DOMAINS[domain]}, {how}"
    load.fresh = FRESH[domain, how]
    calm = time.monotonic()
    load.away.add(domain)
    time.sleep(1)
    start = time.monotonic()
    down()
    good = load.grows(load.later, [domain], 3) and load.grows(load.served, DOMAINS, 10)
    while time.monotonic() < start + SECONDS and not load.wrong:
        time.sleep(0.05)
    t.ok(good and not load.wrong, f"{what}: its users hear \"later\" or what is remembered, and all others what is right", "\n".join(load.wrong[:10]))
    end = time.monotonic()
    up()
    back = time.monotonic()
    name, password = next(iter(FRESH[domain, how].items()))
    good = load.reaches(lambda: login(site.server, f"{name}@{domain}", password).startswith("OK")
                        and str(send(site.server, f"nobody@{domain}")).startswith("550"))
    took = time.monotonic() - back
    load.away.discard(domain)
    time.sleep(0.5)                              # who asked while it was away may still hear so
    good = good and load.grows(load.served, DOMAINS, 10)
    t.ok(good and not load.wrong, f"{what}: it is back, and all are served", "\n".join(load.wrong[:10]))
    BACK.append(f"{what} {took:.1f}")
    t.note(f"{what}: back after {took:.1f} s; others' p50, p99 in ms, answers: before {load.slowest(others, calm, start)}, "
           f"meanwhile {load.slowest(others, start, end)}; its own {load.slowest([domain], start, end)}")


def main():
    reason = missing()
    if reason:
        t.skip_all(reason)
    people = {**WARM, **{name: password for people in FRESH.values() for name, password in people.items()}}
    with FourDomains(people, more=SETTINGS) as site:
        warm_up(site.server)
        with Load(site.server, DOMAINS, WARM) as load:
            t.ok(load.grows(load.served, DOMAINS, 20), "under load all is served", "\n".join(load.wrong[:10]))
            for domain, how in TURNS:
                if not load.wrong:
                    turn(site, load, domain, how)
        t.equal(load.wrong[:20], [], f"no wrong answer among {sum(load.served.values())}, and {sum(load.later.values())} times \"later\"")
        print(f"# told: seconds until it was served again: {', '.join(BACK)}")
        lost = load.lost(site.messages)
        t.equal(lost[:20], [], f"{sum(map(len, load.taken.values()))} accepted recipients have their mail, each once")
        t.ok(site.server.stop(), "the server stops")
        t.equal(site.server.problems(), [], "no report")
    t.done()


main()
