#!/usr/bin/python3
# damage.py - segments of a stopped server are torn, flipped, or come back from before: told, set aside, the rest delivered
# SPDX-License-Identifier: Apache-2.0
# limit: 300
# ports
import glob
import os
import random
import re
import shutil
from collections import Counter

from ekiden import MAIL, Server, wait_for
from tap import Tap
from wire import Smtp

t = Tap()
seed = int(os.environ.get("EKIDEN_SEED") or random.randrange(1 << 30))
rng = random.Random(seed)
t.note(f"seed {seed} (EKIDEN_SEED={seed} runs it again)")
CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
queue {
  backoff_min = 1h
  backoff_max = 1h
}
"""
server = Server(CONFIG, users=["anna"], spool="  segment_size = 1M", start=False)
segments = f"{server.dir}/spool/seg"
number, waiting = 0, {}                          # number -> queue id


def send(count, size=4000):
    """Messages that stay in the queue, since their mailbox cannot be opened yet."""
    global number
    with Smtp(server.port("smtp"), timeout=60) as c:
        c.ehlo()
        for _ in range(count):
            number += 1
            body = f"X-Number: {number}.\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72) + f"end {number}\r\n"
            reply = c.mail("", server.address("anna"), body)
            if reply.code != 250:
                raise RuntimeError(str(reply))
            waiting[number] = reply.text.rsplit(" ", 1)[1]
    wait_for(lambda: len(re.findall(r"status=deferred", server.log())) >= number, 60, 0.2)


def places(n):
    """(file, offset) of each copy of that message's number in the segments."""
    for path in sorted(glob.glob(f"{segments}/*.seg")):
        with open(path, "rb") as f:
            data = f.read()
        for found in re.finditer(rb"X-Number: %d\.\r\n" % n, data):
            yield path, found.start()


def change(path, offset, data):
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(data)


def quarantined():
    return len(os.listdir(f"{server.dir}/spool/quarantine")) if os.path.isdir(f"{server.dir}/spool/quarantine") else 0


def queued():
    return server.ekiden("queue", "list")[1]


def block():
    os.makedirs(f"{server.mail}/{server.domain}/anna", exist_ok=True)
    with open(f"{server.mail}/{server.domain}/anna/Maildir", "w", encoding="utf-8"):
        pass


def unblock():
    os.unlink(f"{server.mail}/{server.domain}/anna/Maildir")
    for path, _, _ in os.walk(server.mail):
        server.give(path, "store")


def torn():
    """Behind the last record lies one that was written by half, which nobody was told of."""
    newest = max(glob.glob(f"{segments}/*.seg"), key=os.path.getmtime)
    with open(newest, "rb") as f:
        data = f.read()
    starts = [m.start() for m in re.finditer(rb"EKR1", data) if m.start() % 64 == 0]
    end = (max(starts) + 64 + 4095) // 4096 * 4096 + 8192
    piece = data[starts[-1]:starts[-1] + 40] + rng.randbytes(3000)
    change(newest, end, piece)


def flipped(n):
    for path, offset in list(places(n)):
        with open(path, "rb") as f:
            f.seek(offset + 200)
            byte = f.read(1)[0]
        change(path, offset + 200, bytes([byte ^ (1 << rng.randrange(8))]))


block()
server.start()
send(20)
server.stop()
old = f"{server.dir}/old"
shutil.copytree(segments, old)                   # as a backup that is put back in part would have it
server.start()
send(40)
server.kill()                                    # nothing is tidied up

torn()
t.equal(server.ekiden("fsck")[0], 0, "a torn tail is no damage")
server.start()
t.equal(quarantined(), 0, "nothing is set aside for it")
t.equal([n for n, i in waiting.items() if i not in queued()], [], "and no message is missing")
server.stop()

bad = rng.choice(sorted(waiting))
flipped(bad)
status, text = server.ekiden("fsck")
t.equal(status, 4, "a flipped bit: fsck finds it")
t.ok(re.search(r"damage|bad", text), "and says so", text)
server.start()
t.ok(server.logged(r"spool.*(?:damage|quarantine)", 10), "the log tells it", server.tail())
rest = queued()
t.equal([n for n, i in waiting.items() if i not in rest and n != bad], [], "all others are there")
server.stop()

# segments from before come back under other names, as from a backup that is put back in part
for path in sorted(glob.glob(f"{old}/*.seg")):
    to = f"{segments}/{9000 + int(os.path.basename(path)[:8]):08d}.seg"
    shutil.copy(path, to)
    server.give(to, "queue")
status, text = server.ekiden("fsck")
t.equal(status, 0, "stale segments: fsck tells old from new")
server.start()
t.equal([n for n, i in waiting.items() if i not in queued() and n != bad], [], "all others are there still")

unblock()
server.ekiden("queue", "flush", "ALL")
wait_for(lambda: len(server.messages("anna")) >= len(waiting) - 1, 60, 0.3)
found = Counter(int(re.search(rb"X-Number: (\d+)\.", m).group(1)) for m in server.messages("anna"))
t.equal([n for n in waiting if found[n] != 1 and n != bad], [], f"all of the {len(waiting)} but the damaged one are delivered, once")
t.ok(found[bad] == 0, "the damaged one is not passed off as whole")
t.ok(quarantined() > 0, "it lies in quarantine/")
t.ok(server.stop(), "the server stops in order")
t.equal(server.problems(), [], "no reports")
t.done()
