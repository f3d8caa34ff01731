# outage.py - clients that ask all the time while backends come and go: what they may hear, what was taken, how long it took
# SPDX-License-Identifier: Apache-2.0
"""
    with Load(server, ["one.test", "two.test"], warm={"anna": "pa"}) as load:
        load.fresh = {"ben": "pb"}             whom nobody has asked for yet
        load.away.add("one.test")              from here on its users may hear "later"; all others never
        load.wrong                             what nobody may hear, one text each
    load.lost(box)                             what was taken and is not there once

Each domain has a client that logs in and one that sends mail; one more sends to all of them in each transaction.  What they hear has
to be right, or, of a domain in `away`, "later".  Of `warm` users, who were served before, even that is wrong: what is remembered
of them counts (keeps=False: nothing is remembered, so they too may hear it).
"""
import collections
import itertools
import threading
import time

from ekiden import wait_for
from wire import Closed, Imap

LATER = ("451 ", "NO [UNAVAILABLE]")
PATIENCE = 90                        # seconds: a client hears nothing for so long only if something hangs
PACE = 0.03                          # seconds between two rounds of a client: load, and room for whatever else runs on the machine


def send(server, to, subject="x", utf8=False):
    """The answer to RCPT, or to the message when that was taken."""
    with server.smtp(timeout=PATIENCE) as c:
        c.ehlo()
        c.cmd("MAIL FROM:<sender@elsewhere.test>" + (" SMTPUTF8" if utf8 else ""))
        said = c.cmd(f"RCPT TO:<{to}>")
        return c.data(f"Subject: {subject}\r\n\r\nx\r\n".encode()) if said.code == 250 else said


def login(server, user, password):
    """The answer; name and password go as literals."""
    with Imap(server.port("imap"), name=server.hostname, timeout=PATIENCE) as c:
        user, password = (x if isinstance(x, bytes) else x.encode() for x in (user, password))
        return str(c.cmd("LOGIN {} {}", user, password))


class Load:
    def __init__(self, server, domains, warm, keeps=True, together=True):
        self.server, self.domains, self.warm, self.keeps = server, list(domains), dict(warm), keeps
        self.fresh, self.away, self.wrong = {}, set(), []
        self.served, self.later = collections.Counter(), collections.Counter()           # by domain
        self.times = collections.defaultdict(list)                  # (domain, "login" or "rcpt") -> (when, seconds)
        self.taken = collections.defaultdict(list)                  # address -> marks of its mail
        self.stop, self.lock, self.numbers = threading.Event(), threading.Lock(), itertools.count()
        work = [(play, [domain]) for domain in self.domains for play in (self.mail, self.logins)] + ([(self.mail, self.domains)] if together else [])
        self.threads = [threading.Thread(target=self.play, args=item) for item in work]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def play(self, work, domains):
        for number in itertools.count():
            if self.stop.is_set():
                return
            try:
                work(domains, number)
                self.stop.wait(PACE)
            except (OSError, AssertionError, Closed, ValueError) as error:
                self.wrong.append(f"{work.__name__} {domains}: {error!r}")
                return

    def heard(self, domain, kind, what, ask, good, certain=False):
        """Asks, and looks at the answer."""
        away, start = domain in self.away, time.monotonic()
        answer = ask()
        end = time.monotonic()
        text = str(answer)
        with self.lock:
            if kind:
                self.times[domain, kind].append((start, end - start))
            if text.startswith(good):
                self.served[domain] += 1
            elif text.startswith(LATER) and (away or domain in self.away) and not (certain and self.keeps):
                self.later[domain] += 1
            else:
                self.wrong.append(f"{what} at {domain}{' (away)' if away else ''}, after {end - start:.1f} s: {text[:200]}")
        return answer

    def someone(self, number):
        """(name, password, whether he was served before): now of those, now of the fresh ones."""
        fresh = number % 4 == 3 and self.fresh
        people = list((self.fresh if fresh else self.warm).items())
        return (*people[number // 4 % len(people)], not fresh)

    def logins(self, domains, number):
        domain, (name, password, certain) = domains[0], self.someone(number)
        who = f"{name}@{domain}"
        self.heard(domain, "login", f"{name} with his password", lambda: login(self.server, who, password), "OK", certain)
        self.heard(domain, None, f"{name} with a wrong password", lambda: login(self.server, who, password + "x"), "NO [AUTHENTICATIONFAILED]")
        self.heard(domain, None, "an unknown user", lambda: login(self.server, f"nobody{number % 5}@{domain}", password), "NO [AUTHENTICATIONFAILED]")

    def mail(self, domains, number):
        name, _, certain = self.someone(number)
        with self.server.smtp(timeout=PATIENCE) as c:
            c.ehlo()
            c.cmd("MAIL FROM:<sender@elsewhere.test>")
            taken = []
            for domain in domains:
                alone = "rcpt" if len(domains) == 1 else None
                said = self.heard(domain, alone, f"mail for {name}", lambda d=domain: c.cmd(f"RCPT TO:<{name}@{d}>"), "250 ", certain)
                taken += [f"{name}@{domain}"] if said.code == 250 else []
                self.heard(domain, None, "mail for nobody", lambda d=domain: c.cmd(f"RCPT TO:<nobody{number % 5}@{d}>"), "550 ")
            if not taken:
                return
            with self.lock:
                mark = f"mark {next(self.numbers)}"
            said = c.data(f"Subject: {mark}\r\n\r\nx\r\n".encode())
            if said.code != 250:
                self.wrong.append(f"a message to {taken}: {said}")
                return
            with self.lock:
                for address in taken:
                    self.taken[address].append(mark)

    # ---- what a test waits for ----

    def reaches(self, what, seconds=120):
        """Until what() is true; false when it does not come, or something is wrong."""
        return wait_for(lambda: what() or self.wrong, seconds, 0.05) and not self.wrong

    def grows(self, counter, domains, by, seconds=120):
        """Until each of these domains' counters has grown by that much."""
        before = dict(counter)
        return self.reaches(lambda: all(counter[d] >= before.get(d, 0) + by for d in domains), seconds)

    def lost(self, box, seconds=120):
        """box(address): the messages that lie there.  What was taken and does not lie there once; waits for what is still under way."""
        def found():
            out = []
            for address, marks in self.taken.items():
                seen = collections.Counter(line[9:].strip().decode("latin-1") for m in box(address) for line in m.split(b"\n") if line.startswith(b"Subject: "))
                out += [(address, mark, seen[mark]) for mark in marks if seen[mark] != 1]
            return out
        wait_for(lambda: not any(count == 0 for *_, count in found()), seconds, 0.5)
        return found()

    def slowest(self, domains, since, until):
        """(p50, p99, count) of what was asked of these domains in that time, in ms."""
        times = sorted(took for (domain, _), all_ in self.times.items() if domain in domains for when, took in all_ if since <= when < until)
        return tuple(round(1000 * times[int(len(times) * part)], 1) for part in (0.5, 0.99)) + (len(times),) if times else (0, 0, 0)
