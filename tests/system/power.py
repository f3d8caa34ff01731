#!/usr/bin/python3
# power.py - the power goes under load: what was answered 250 is there once, and every UID a client was shown
# SPDX-License-Identifier: Apache-2.0
# needs: root losetup mkfs.ext4 fsfreeze
# limit: 1200
# ports
# alone
"""Spool and mail lie on a disk whose power goes at random instants (tests/lib/images.py), while clients send, append, move,
expunge and idle.  A second server starts on each copy and tells what is there.  Then the same with a disk for mail that runs
full again and again: deliveries wait in the queue, clients expunge, and there is room for a while."""
import copy
import glob
import os
import random
import re
import threading
import time
from collections import Counter, defaultdict

from ekiden import MAIL, Server, listener, wait_for
from images import Cuttable, Images
from tap import Tap
from wire import Closed, Imap, Smtp

t = Tap()
seed = int(os.environ.get("EKIDEN_SEED") or random.randrange(1 << 30))
rng = random.Random(seed)
FULL = bool(os.environ.get("EKIDEN_FULL"))
CUTS, SECONDS = (15, 200) if FULL else (6, 150)
TIGHT_CUTS, TIGHT_SECONDS = (12, 120) if FULL else (3, 60)
USERS, SENDERS, FOLDERS = 4, 6, ("INBOX", "Archive")
CONFIG = MAIL + listener("smtp") + listener("imap", plaintext_auth="yes") + """
queue {
  message_size_limit = 1M
  backoff_min = 1s
  backoff_max = 2s
}
"""
users = [f"user{i}" for i in range(USERS)]


class Known:
    """What clients were told, and what they have asked for since."""

    def __init__(self):
        self.owner = {}                          # number -> user; sent or appended, whatever came of it
        self.accepted = set()                    # numbers that were answered 250 or OK
        self.expunged = set()                    # numbers that a client asked to expunge
        self.shown = {}                          # (user, folder, validity, uid) -> number
        self.left = set()                        # such keys that a client asked to move or to expunge
        self.modseq = defaultdict(int)           # (user, folder) -> the highest that was shown
        self.uidnext = defaultdict(int)          # (user, folder, validity) -> no new UID is below


known, lock, stop, pause = Known(), threading.Lock(), threading.Event(), threading.Event()
scarce = threading.Event()                       # clients expunge much
numbers, trouble, done = iter(range(1, 1 << 30)), [], Counter()


def new_number(user):
    with lock:
        n = next(numbers)
        known.owner[n] = user
        return n


class Tide:
    """A file that takes the room of a disk, all but a little, and gives some back."""

    def __init__(self, folder):
        self.folder, self.full = folder, 0
        self.fd = os.open(f"{folder}/ballast", os.O_RDWR | os.O_CREAT)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def free(self):
        return (at := os.statvfs(self.folder)).f_bavail * at.f_frsize

    def leave(self, room):
        """Grows or shrinks the file until so much is left."""
        size = os.fstat(self.fd).st_size
        want = max(size + self.free() - room, 4096)
        try:
            if want < size:
                os.ftruncate(self.fd, want)
            else:
                os.posix_fallocate(self.fd, 0, want)
        except OSError:                          # others were faster, it took what there was
            pass

    def run(self):
        while not stop.is_set():
            self.leave(random.choice((0, 20_000, 200_000, 1_000_000)))
            wait_for(lambda: stop.is_set() or self.free() < 100_000, 3, 0.05)
            self.full += self.free() < 100_000
            stop.wait(random.uniform(0.2, 1.5))
            scarce.set()
            stop.wait(random.uniform(0.2, 1.5))
            self.leave(random.choice((500_000, 2_000_000, 6_000_000)))
            scarce.clear()
            stop.wait(random.uniform(0.2, 2))


def text(n):
    size = 80_000 if n % 40 == 0 else 200 + n % 2500
    return (f"From: a@example.org\r\nSubject: number {n}\r\nX-Number: {n}\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72)
            + f"end {n}\r\n").encode()


# ---- clients ----

def sender(port, tight):
    wire = None
    while not stop.is_set():
        try:
            if wire is None:
                wire = Smtp(port, timeout=60)
                wire.ehlo()
            while pause.is_set() and not stop.is_set():
                time.sleep(0.02)
            user = random.choice(users)
            n = new_number(user)
            if wire.mail("a@example.org", f"{user}@{Server.domain}", text(n)).code != 250:
                raise Closed("refused")
            with lock:
                known.accepted.add(n)
            if tight:
                time.sleep(0.1)
        except (OSError, Closed):
            if wire:
                wire.close()
            wire = None
            time.sleep(0.05)


def uid_set(words):
    for part in words.split(","):
        low, _, high = part.partition(":")
        yield from range(int(low), int(high or low) + 1)


class Box:
    """One folder as one session sees it; whatever it is shown is noted."""

    def __init__(self, c, user, folder, into):
        self.c, self.user, self.folder, self.known, self.uids = c, user, folder, into, {}
        answer = c.cmd(f"SELECT {folder} (CONDSTORE)")
        if answer.status != "OK":
            raise Closed(str(answer))
        codes = dict(re.findall(r"\[(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (\d+)\]", b"\n".join(answer.untagged).decode("latin-1")))
        self.validity = int(codes["UIDVALIDITY"])
        with lock:
            self.known.uidnext[user, folder, self.validity] = max(self.known.uidnext[user, folder, self.validity], int(codes["UIDNEXT"]))
        self.saw_modseq(int(codes["HIGHESTMODSEQ"]))
        self.highest, self.next = int(codes["HIGHESTMODSEQ"]), int(codes["UIDNEXT"])

    def saw_modseq(self, value):
        with lock:
            self.known.modseq[self.user, self.folder] = max(self.known.modseq[self.user, self.folder], value)

    def saw(self, uid, n, folder=None, validity=None):
        key = (self.user, folder or self.folder, validity or self.validity, uid)
        with lock:
            if self.known.shown.setdefault(key, n) != n:
                trouble.append(f"{key} was {self.known.shown[key]} and is {n}")

    def fetch(self, early=False):
        answer = self.c.cmd("UID FETCH 1:* (UID MODSEQ BODY.PEEK[HEADER.FIELDS (X-Number)])")
        if answer.status != "OK" and not (early and "cannot be read yet" in answer.text):
            raise Closed(str(answer))
        self.uids = {}
        for line in answer.untagged:
            uid, n, modseq = (re.search(p, line) for p in (rb"UID (\d+)", rb"X-Number: (\d+)", rb"MODSEQ \((\d+)\)"))
            if uid and n and modseq:
                self.uids[int(uid.group(1))] = int(n.group(1))
                self.saw_modseq(int(modseq.group(1)))
        for uid, n in self.uids.items():
            self.saw(uid, n)

    def append(self):
        n = new_number(self.user)
        answer = self.c.append(self.folder, text(n))
        code = re.search(r"APPENDUID (\d+) (\d+)", answer.text)
        if answer.status == "OK" and code:
            with lock:
                self.known.accepted.add(n)
            self.saw(int(code.group(2)), n, validity=int(code.group(1)))

    def some(self, most=3):
        return random.sample(sorted(self.uids), min(len(self.uids), random.randint(1, most)))

    def leave(self, uids, expunged):
        with lock:
            self.known.left.update((self.user, self.folder, self.validity, uid) for uid in uids)
            if expunged:
                self.known.expunged.update(self.uids[uid] for uid in uids)

    def move(self):
        uids = self.some()
        to = FOLDERS[self.folder == FOLDERS[0]]
        if not uids:
            return
        self.leave(uids, False)
        answer = self.c.cmd(f"UID MOVE {','.join(map(str, uids))} {to}")
        for line in [*answer.untagged, answer.text.encode()]:
            code = re.search(rb"COPYUID (\d+) ([\d,:]+) ([\d,:]+)", line)
            for old, new in zip(uid_set(code.group(2).decode()), uid_set(code.group(3).decode())) if code else ():
                self.saw(new, self.uids[old], to, int(code.group(1)))
                done["moved"] += 1

    def expunge(self):
        uids = self.some(500 if scarce.is_set() else 3)
        if not uids:
            return
        self.leave(uids, True)
        listed = ",".join(map(str, uids))
        self.c.cmd(f"UID STORE {listed} +FLAGS.SILENT (\\Deleted)")
        done["expunged"] += len(uids) * (self.c.cmd(f"UID EXPUNGE {listed}").status == "OK")

    def flag(self):
        uids = self.some()
        if uids:
            for line in self.c.cmd(f"UID STORE {','.join(map(str, uids))} +FLAGS (\\Flagged)").untagged:
                modseq = re.search(rb"MODSEQ \((\d+)\)", line)
                if modseq:
                    self.saw_modseq(int(modseq.group(1)))

    def idle(self):
        self.c.idle()
        self.c.quiet(0.3)
        self.c.done()


def reader(port, user):
    c = None
    while not stop.is_set():
        try:
            if c is None:
                c = Imap(port, timeout=60)
                c.login(f"{user}@{Server.domain}", Server.password)
                c.cmd("CREATE Archive")
            box = Box(c, user, random.choice(FOLDERS), known)
            box.fetch()
            for act in random.sample((box.append, box.move, box.expunge, box.flag, box.idle), 3):
                act()
                done["acts"] += 1
                box.fetch()
        except (OSError, Closed):
            if c:
                c.close()
            c = None
            time.sleep(0.05)


# ---- what a copy holds ----

def complete(c, box):
    """Whether all that the folder lists can be read."""
    c.cmd("NOOP")
    try:
        box.fetch()
    except Closed as error:
        if "cannot be read yet" not in str(error):
            raise
        return False
    return True


def uids_wrong(c, user, then, after, seen, early=False):
    """early: what queue has still to deliver once more, as it was not synced, cannot be read yet, but has its UID."""
    for folder in FOLDERS:
        mine = {k: n for k, n in then.shown.items() if k[:2] == (user, folder)}
        if not mine and folder != "INBOX":
            continue
        box = Box(c, user, folder, seen)
        if early:
            box.fetch(early)
        else:                                    # a row whose message was expunged may have come back: it takes a moment to go
            wait_for(lambda: complete(c, box), 20, 0.2)
        there = {(user, folder, box.validity, uid): n for uid, n in box.uids.items()}
        listed = {int(uid) for line in c.cmd("UID SEARCH ALL").untagged if line.startswith(b"* SEARCH") for uid in line.split()[2:]}
        for key, n in mine.items():
            if there.get(key, n) != n:
                yield f"{key} was {n} and is {there[key]}"
            if key not in there and key not in after.left and not (early and key[3] in listed):
                yield f"{key}, number {n}, is not there"
        if box.highest < then.modseq[user, folder]:
            yield f"{user} {folder}: HIGHESTMODSEQ {box.highest} was {then.modseq[user, folder]}"
        if box.next < then.uidnext[user, folder, box.validity]:
            yield f"{user} {folder}: UIDNEXT {box.next} was {then.uidnext[user, folder, box.validity]}"


def files(server):
    found, broken = Counter(), []
    for user in users:
        for folder in ("", "Archive"):
            for path, message in server.files(user, folder):
                n = re.search(rb"X-Number: (\d+)", message)
                number = int(n.group(1)) if n else -1
                found[number, user] += 1
                if f"end {number}".encode() not in message[-24:]:
                    broken.append(f"{path}, {len(message)} bytes")
    return found, broken


def files_wrong(server, then, after):
    found, broken = files(server)
    for n in then.accepted:
        times = found[n, then.owner[n]]
        if times > 1 or (times == 0 and n not in after.expunged):
            yield f"number {n} of {then.owner[n]} is there {times} times"
    yield from (f"{path}: damaged" for path in broken)
    yield from (f"{n} of {user} was never sent, or is there twice" for (n, user), times in found.items()
                if after.owner.get(n) != user or times > 1)


def all_uids_wrong(server, then, after, seen, early=False):
    for user in users:
        with Imap(server.port("imap"), timeout=60) as c:
            c.login(server.address(user), server.password)
            yield from uids_wrong(c, user, then, after, seen, early)


def check(images, server, number, then, after, tight):
    """A server on the copy: its clients come before the queue has caught up."""
    wrong, seen = [], copy.deepcopy(then)
    images.mount(f"copy{number}.img", "copy")
    images.bind("copy/spool", f"{server.dir}/spool")
    if tight:
        images.mount(f"copy{number}.img.mail", "copy.mail")
    images.bind("copy.mail/mail" if tight else "copy/mail", server.mail)
    try:
        if tight and number % 2:                 # else it starts with as little room as there was
            os.unlink(images.path("copy.mail/ballast"))
            os.sync()                            # the room is there when the journal has been written
        server.start(60)
        try:
            wrong += all_uids_wrong(server, then, after, seen, early=True)
        except Closed as error:                  # without room an answer may be "later", but nothing that is wrong
            if not tight or number % 2:
                raise Closed(f"{error}\n{server.tail(40)}") from error
        if tight and number % 2 == 0:
            os.unlink(images.path("copy.mail/ballast"))
            os.sync()                            # the room is there when the journal has been written
        caught_up = wait_for(lambda: server.ekiden("queue", "list", "--json")[1].strip() == "[]", 60, 0.2)
        if not caught_up:
            wrong.append("the queue is not empty")
        wrong += files_wrong(server, then, after)
        wrong += all_uids_wrong(server, then, after, seen)
        if not server.stop():
            wrong.append("it did not stop in order")
        if re.search(r"quarantine|damaged", server.log()):
            wrong.append("damage was reported")
    finally:
        if server.alive():
            server.kill()
        for folder in (server.mail, f"{server.dir}/spool", *(["copy.mail"] if tight else []), "copy"):
            images.umount(folder)
    return wrong + trouble


def cuts(images, disk, other, most, seconds, tight):
    """How many there were, and how many of them were wrong."""
    count, bad, end = 0, 0, time.monotonic() + seconds
    while count < most and (count < 3 or time.monotonic() < end):
        if count % 2:                    # then no sync of a delivery makes durable what sessions forgot to
            pause.set()
        time.sleep(rng.uniform(0.05, 0.8) + count % 2)
        with lock:
            then = copy.deepcopy(known)
        disk.cut(f"copy{count}.img")
        with lock:
            after = copy.deepcopy(known)
        pause.clear()
        wrong = check(images, other, count, then, after, tight)
        if wrong:
            bad += 1
            t.ok(False, f"cut {count}: {len(wrong)} wrong", "\n".join([*wrong[:20], other.tail(30)]))
        for path in [] if wrong else glob.glob(images.path(f"copy{count}.img*")):
            os.unlink(path)
        count += 1
    return count, bad


def main(images, most, seconds, tight=False):
    global known
    known, what = Known(), "nearly full" if tight else "roomy"
    done.clear()
    stop.clear()
    disk = Cuttable(images, 400, **({"mail": 150} if tight else {}))
    live, other = (Server(CONFIG, users=users, spool="  segment_size = 4M", start=False) for _ in range(2))
    for folder, role, at in (("spool", "queue", f"{live.dir}/spool"), ("mail", "store", live.mail)):
        on = disk.others.get(folder, disk.folder)
        os.mkdir(f"{on}/{folder}")
        live.give(f"{on}/{folder}", role)
        images.bind(f"{on}/{folder}", at)
    live.start()
    threads = [threading.Thread(target=sender, args=(live.port("smtp"), tight), daemon=True) for _ in range(SENDERS)]
    threads += [threading.Thread(target=reader, args=(live.port("imap"), user), daemon=True) for user in users]
    tide = Tide(disk.others["mail"]) if tight else None
    for thread in threads + ([tide.thread] if tide else []):
        thread.start()
    wait_for(lambda: len(known.accepted) > 50 and done["acts"] > 20, 60)
    if tide:
        wait_for(lambda: tide.full > 0, 30)
    count, bad = cuts(images, disk, other, most, seconds, tight)
    stop.set()
    for thread in threads:
        thread.join(60)
    t.ok(bad == 0 and count >= 3, f"{what}: {count} power cuts: all that was answered is there once, under the UIDs that were shown")
    t.note(f"{what}: {len(known.accepted)} accepted, {len(known.shown)} UIDs shown, {dict(done)}")
    t.ok(min(done["moved"], done["expunged"]) > 0 and len(known.accepted) > 200, f"{what}: it was busy", dict(done))
    if tide:
        tide.thread.join(60)
        t.ok(tide.full > 0, f"{what}: the disk was full {tide.full} times")
        tide.leave(100 << 20)
        full = re.search(r"No space left", live.log())
        t.ok(full, f"{what}: and deliveries were put off for it")
        t.ok(wait_for(lambda: live.ekiden("queue", "list", "--json")[1].strip() == "[]", 60, 0.2), f"{what}: with room again all is delivered")
        os.close(tide.fd)
    for server in (live, other):
        t.ok(server.stop(), f"{what}: the server stops in order")
        t.equal(server.problems(), [], f"{what}: no reports")
    for folder in (live.mail, f"{live.dir}/spool", *disk.others, "disk", disk.outer):
        images.umount(folder)


t.note(f"seed {seed} (EKIDEN_SEED={seed} runs it again)")
with Images() as all_images:
    reason = all_images.unusable()
    if reason:
        Tap.skip_all(reason)
    main(all_images, CUTS, SECONDS)
    main(all_images, TIGHT_CUTS, TIGHT_SECONDS, tight=True)
t.done()
