#!/usr/bin/python3
# sendmail.py - sendmail(1) as it is installed: set-group-id, run by ordinary users, also while the daemon is down
# SPDX-License-Identifier: Apache-2.0
# needs: root readelf
# limit: 240
import ctypes
import glob
import grp
import os
import re
import shutil
import subprocess

from ekiden import BUILD, MAIL, RUN, Server, program, wait_for
from tap import Tap

t = Tap()
CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
smtp "out" {
}
routing {
  transport = out
  relayhost = "[127.0.0.1]:${port_dead}"
}
"""
USER, OTHER = 54321, 54322               # of nobody: no passwd entry
ENV = {"PATH": "/usr/bin:/bin"}
libc = ctypes.CDLL(None, use_errno=True)


def mount(*words):
    if libc.mount(*words) != 0:
        Tap.skip_all("no mount namespaces: " + os.strerror(ctypes.get_errno()))


def private_prefix():
    """A set-id program finds its library and its configuration in their one place alone: there, for this test's eyes only."""
    with open(f"{BUILD}/config.status", encoding="utf-8") as f:
        text = f.read()
    prefix = re.search(r'^S\["prefix"\]="(.*)"', text, re.M)[1]
    etc = re.search(r'^S\["sysconfdir"\]="(.*)"', text, re.M)[1].replace("${prefix}", prefix)
    found = subprocess.run(["readelf", "-d", f"{BUILD}/.libs/sendmail"], stdout=subprocess.PIPE, text=True, check=False).stdout
    libs = re.findall(r"R(?:UN)?PATH\).*\[([^:\]]+)", found)
    if not all(path.startswith(prefix + "/") for path in [etc, *libs]) or not os.path.isdir(prefix):
        Tap.skip_all(f"the build is for {prefix}, which is not here")
    if libc.unshare(0x00020000) != 0:                                    # CLONE_NEWNS
        Tap.skip_all("no mount namespaces: " + os.strerror(ctypes.get_errno()))
    mount(None, b"/", None, 1 << 18 | 1 << 14, None)                     # MS_PRIVATE | MS_REC
    mount(b"none", prefix.encode(), b"tmpfs", 0, b"mode=755")
    for path in [f"{etc}/ekiden", *libs]:
        os.makedirs(path, 0o755, exist_ok=True)
    for path in libs:
        for name in glob.glob(f"{BUILD}/.libs/libekiden.so*"):
            shutil.copy(name, path)
    return f"{etc}/ekiden/ekiden.conf"


def installed(folder, gid):
    """Its own copy of the program, owned by that group and set-group-id, and mailq as a link to it."""
    path = f"{folder}/sendmail"
    real = f"{BUILD}/.libs/sendmail"
    shutil.copy(real if os.path.exists(real) else program("sendmail"), path)
    os.chown(path, 0, gid)
    os.chmod(path, 0o2755)
    os.symlink("sendmail", f"{folder}/mailq")
    return path


def run(path, *words, data=b"Subject: x\n\nbody\n", user=USER, env=None):
    """As an ordinary user in no group of ours: (status, output)."""
    done = subprocess.run([path, *words], input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, user=user, group=user, extra_groups=[],
                          cwd="/", env=env or ENV, timeout=60, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def as_user(code, *words, user=USER):
    """What a few lines of Python say when that user runs them."""
    return run("/usr/bin/python3", "-c", code, *words, user=user)[1].strip()


def closed(drop, name):
    """The folder and what is in it are nobody's but queue's and the group's."""
    t.equal(as_user("import os,sys\ntry: print(os.listdir(sys.argv[1]))\nexcept OSError as e: print(e.strerror)", drop), "Permission denied", "users cannot list the drop folder")
    t.equal(as_user("import sys\ntry: print(open(sys.argv[1]).read())\nexcept OSError as e: print(e.strerror)", f"{drop}/{name}", user=OTHER),
            "Permission denied", "nor read what another has put there")
    t.equal(as_user("import sys\ntry: print(open(sys.argv[1]).read())\nexcept OSError as e: print(e.strerror)", f"{drop}/{name}"),
            "Permission denied", "nor their own")
    t.equal(as_user("import sys\ntry: print(open(sys.argv[1], 'w'))\nexcept OSError as e: print(e.strerror)", f"{drop}/mine"), "Permission denied", "nor write to it")
    t.equal(as_user("import os,sys\ntry: print(os.unlink(sys.argv[1]))\nexcept OSError as e: print(e.strerror)", f"{drop}/{name}"), "Permission denied", "nor take away from it")


def down(server, sendmail, drop):
    """The daemon is not there: mail is taken, and lies safe."""
    t.equal(run(sendmail, "-i", "anna@example.test", data=b"Subject: while down\n\nbody\n.\nend\n"), (0, ""), "an ordinary user's mail is taken while the daemon is down")
    names = [n for n in os.listdir(drop) if not n.startswith(".")]
    if not t.equal(len(names), 1, "it is one file"):
        return
    st = os.stat(f"{drop}/{names[0]}")
    t.equal((st.st_uid, st.st_nlink), (USER, 1), "owned by who wrote it")
    closed(drop, names[0])
    os.chmod(sendmail, 0o755)
    status, text = run(sendmail, "anna@example.test")
    t.ok(status != 0 and "setgid" in text, "without the set-group-id bit it is refused, with the reason", (status, text))
    os.chmod(sendmail, 0o2755)
    status, text = run(sendmail, "-C", "/dev/null", "anna@example.test")
    t.ok(status == 77 and "-C is not for users" in text, "who is not root chooses no other configuration", (status, text))
    t.equal(run(sendmail, "anna@example.test", env={**ENV, "EKIDEN_CONFIG": "/nonexistent", "LD_PRELOAD": "/nonexistent.so", "PATH": "/nonexistent"}), (0, ""),
            "nor by the environment")
    status, text = run(f"{os.path.dirname(sendmail)}/mailq")
    t.ok(status != 0 and "does not run" in text, "mailq says that the server does not run", (status, text))
    t.equal(run(sendmail, "-t", data=b"To: anna@example.test\nSubject: second user\n\nx\n", user=OTHER), (0, ""), "another user's")
    running = [subprocess.Popen([sendmail, "-f", "x@example.test", "ben@example.test"], stdin=subprocess.PIPE, user=USER, group=USER, extra_groups=[], cwd="/", env=ENV)
               for _ in range(20)]
    for n, process in enumerate(running):
        process.stdin.write(b"Subject: at once %d\n\n" % n + b"line\n" * 2000)
        process.stdin.close()
    t.equal([p.wait(60) for p in running], [0] * 20, "twenty at once")
    killed = subprocess.Popen([sendmail, "ben@example.test"], stdin=subprocess.PIPE, user=USER, group=USER, extra_groups=[], cwd="/", env=ENV)
    killed.stdin.write(b"Subject: half\n\n" + b"half a message\n" * 10000)
    killed.stdin.flush()
    t.ok(wait_for(lambda: [n for n in os.listdir(drop) if n.startswith(".tmp-")]), "one is under way")
    killed.kill()
    killed.wait()


def up(server, sendmail, drop):
    server.start()
    got = server.wait_messages("anna", 3)
    t.equal(len(got), 3, "after the start all of it is delivered")
    first = next((m for m in got if b"while down" in m), b"")
    t.ok(first.replace(b"\r\n", b"\n").endswith(b"\n\nbody\n.\nend\n"), "as it was written", first)
    t.ok(b"from userid %d)" % USER in first and b"From: <uid%d@" % USER in first, "with its user", first)
    t.ok(any(b"from userid %d)" % OTHER in m for m in got), "each with his own")
    t.equal(len(server.wait_messages("ben", 20)), 20, "and the twenty")
    t.equal([n for n in os.listdir(drop) if not n.startswith(".")], [], "the folder is empty but for what was never finished")
    t.equal(len(server.messages("ben")), 20, "which was not sent")
    big = b"Subject: big\n\n" + b"".join(b"%07d " % n + b"x" * 60 + b"\n" for n in range(300000))
    t.equal(run(sendmail, "-i", "ben@example.test", data=big), (0, ""), "20 MB")
    with server.smtp("smtp") as c:
        c.ehlo()
        t.equal(c.mail("x@example.test", ["anna@example.test"], b"Subject: meanwhile\r\n\r\nx\r\n").code, 250, "others are served meanwhile")
    got = server.wait_messages("ben", 21, 60)
    whole = max(got, key=len).replace(b"\r\n", b"\n")
    t.ok(whole.endswith(big.split(b"\n\n", 1)[1]), "it arrives whole", len(whole))


def looks(server, sendmail):
    """mailq as an ordinary user: Postfix's columns, marks and last line."""
    mailq = f"{os.path.dirname(sendmail)}/mailq"
    t.equal(run(mailq), (0, "Mail queue is empty\n"), "an empty queue")
    t.equal(run(sendmail, "-f", "me@example.test", "u@far.example", "w@far.example")[0], 0, "mail for a host that is not there")
    t.ok(wait_for(lambda: "(" in run(mailq)[1], 20, 0.2), "it is put off")
    status, text = run(mailq)
    lines = text.splitlines()
    t.equal(status, 0, "mailq is for everybody")
    t.equal(lines[0], "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------", "its head")
    t.ok(re.fullmatch(r"[0-9A-F]{16}  +\d+ \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d me@example\.test", lines[1]), "a message, without a mark", lines[1])
    t.ok(re.fullmatch(r" *\(4\.\d\.\d connect to .*Connection refused\)", lines[2]), "the reason", lines[2])
    t.equal(lines[3:6], [" " * 47 + "u@far.example", " " * 47 + "w@far.example", ""], "the recipients, once under their reason, and an empty line")
    t.ok(re.fullmatch(r"-- \d+ Kbytes in 1 Request\.", lines[-1]), "the last line", lines[-1])
    t.equal(run(sendmail, "-bp"), (0, text), "sendmail -bp is the same")
    status, text = run(program("ekiden"), "queue", "delete", "ALL", "-c", server.conf)
    t.ok(status != 0 and "not permitted" in text, "but what changes the queue is not for everybody", (status, text))
    t.equal(server.ekiden("queue", "hold", "ALL")[0], 0, "hold")
    t.ok(re.match(r"[0-9A-F]{16}! ", run(mailq)[1].splitlines()[1]), "its mark")


conf = private_prefix()
with Server(CONFIG, users=["anna", "ben"], start=False) as server_:
    server_.start()
    server_.stop()
    with open(conf, "w", encoding="utf-8") as out:
        out.write(f'include "{server_.conf}"\n')
    drop_ = f"{server_.dir}/state/maildrop"
    try:
        group = grp.getgrnam("ekiden-drop").gr_gid
    except KeyError:                     # master hands it to that group where it exists
        group = grp.getgrnam("games").gr_gid
        os.chown(drop_, -1, group)
    st_ = os.stat(drop_)
    t.equal((st_.st_mode & 0o7777, st_.st_gid), (0o730, group), "the drop folder: its group may enter and write, not read")
    program_ = installed(server_.dir, group)
    down(server_, program_, drop_)
    up(server_, program_, drop_)
    looks(server_, program_)
    server_.stop()
    t.equal(server_.problems(), [], "no reports")
t.done()
