#!/usr/bin/python3
# packaging.py - what make install gives a system is well-formed: unit, users, folders
# SPDX-License-Identifier: Apache-2.0
# alone             libtool links modules anew while it installs them
import glob
import os
import re
import shutil
import subprocess

from tap import Tap

TOP, BUILD, RUN = (os.environ["EKIDEN_" + name] for name in ("TOP", "BUILD", "RUN"))
ROOT = RUN + "/root"
t = Tap()


def run(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


def one(pattern):
    found = glob.glob(f"{ROOT}/**/{pattern}", recursive=True)
    t.ok(len(found) == 1, f"{pattern} is installed", found)
    with open(found[0], encoding="utf-8") as f:
        return found[0], f.read()


status, output = run("make", "-s", "-C", BUILD, "install", f"DESTDIR={ROOT}")
t.ok(status == 0, "make install DESTDIR=", output[-2000:])
path, unit = one("system/ekiden.service")
t.ok("@" not in unit, "no placeholder is left in the unit", unit)
for word in ("Type=notify", "TimeoutStopSec=", "CapabilityBoundingSet=", "ExecReload="):
    t.contains(unit, word, f"the unit says {word}")
if shutil.which("systemd-analyze"):
    # the programs that it names are below DESTDIR: a copy says so
    with open(f"{RUN}/ekiden.service", "w", encoding="utf-8") as f:
        f.write(re.sub(r"^(Exec\w+=)(/)", rf"\g<1>{ROOT}\2", unit, flags=re.M))
    status, output = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"{RUN}/ekiden.service")
    complaints = [line for line in output.splitlines() if "ekiden" in line and not (
        "not executable" in line and not glob.glob(f"{ROOT}/**/ekidend", recursive=True))]
    t.ok(not complaints, "systemd-analyze verify has nothing to say", "\n".join(complaints))
else:
    t.skip("systemd-analyze verify", "needs systemd-analyze")

for path in ("bash-completion/completions/ekiden", "zsh/site-functions/_ekiden"):
    one(path)

path, users = one("sysusers.d/ekiden.conf")
named = set(re.findall(r"^[ug] +(\S+)", users, re.M))
asked = set()
for source in glob.glob(f"{TOP}/core/**/*.c", recursive=True):
    with open(source, encoding="utf-8") as f:
        asked |= set(re.findall(r'EkRolesConf, user_\w+, "([a-z][\w-]*)"', f.read()))
t.ok(asked <= named, "sysusers.d makes every user that a role defaults to", f"{asked - named}")
if shutil.which("systemd-sysusers"):
    os.makedirs(f"{RUN}/sys/etc", exist_ok=True)
    status, output = run("systemd-sysusers", f"--root={RUN}/sys", path)
    made = set()
    if os.path.exists(f"{RUN}/sys/etc/passwd"):
        with open(f"{RUN}/sys/etc/passwd", encoding="utf-8") as f:
            made = {line.split(":")[0] for line in f}
    t.ok(status == 0 and named - {"ekiden-drop"} <= made, "systemd-sysusers makes them", output)
else:
    t.skip("systemd-sysusers", "needs systemd-sysusers")

# the log's rotation, as logrotate reads it (it changes nothing with -d); the users of the roles may not be there
path, rotation = one("logrotate.d/ekiden")
if shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
    os.makedirs(f"{RUN}/rotate")
    for name in ("mail.log", "mail.json"):
        with open(f"{RUN}/rotate/{name}", "w", encoding="ascii") as f:
            f.write("x\n")
    with open(f"{RUN}/rotate/conf", "w", encoding="utf-8") as f:
        f.write(rotation.replace("/var/log/ekiden", f"{RUN}/rotate").replace("ekiden-log", "root"))
    os.chmod(f"{RUN}/rotate/conf", 0o644)
    status, output = run("/usr/sbin/logrotate", "-d", "-f", "--state", f"{RUN}/rotate/state", f"{RUN}/rotate/conf")
    t.ok(status == 0 and "error" not in output and "considering log " in output and "mail.json" in output, "logrotate takes it", output)
else:
    t.skip("logrotate", "needs logrotate")

# README's line about alternatives, in a scratch root: the links end at our programs
with open(f"{TOP}/README.md", encoding="utf-8") as f:
    line = re.search(r"^ +update-alternatives (--install (?:.*\\\n)*.*)$", f.read(), re.M)[1].replace("\\\n", " ").split()
if shutil.which("update-alternatives"):
    for folder in ("etc/alternatives", "var/lib/dpkg/alternatives", "usr/sbin", "usr/bin"):
        os.makedirs(f"{ROOT}/{folder}", exist_ok=True)
    words = [f"{ROOT}{word}" if word.startswith("/") else word for word in line]
    status, output = run("update-alternatives", "--altdir", f"{ROOT}/etc/alternatives", "--admindir", f"{ROOT}/var/lib/dpkg/alternatives",
                         "--log", f"{RUN}/alternatives.log", *words)
    t.ok(status == 0, "update-alternatives takes README's line", output)
    for name in ("sbin/sendmail", "bin/mailq", "bin/newaliases"):
        link = f"{ROOT}/usr/{name}"
        t.ok(os.path.islink(link) and os.access(link, os.X_OK) and os.path.realpath(link).startswith(f"{ROOT}/"), f"/usr/{name} is ours",
             f"{link} -> {os.path.realpath(link)}")
else:
    t.skip("update-alternatives", "needs update-alternatives")

path, folders = one("tmpfiles.d/ekiden.conf")
t.ok("@" not in folders, "no placeholder is left in tmpfiles.d", folders)
owners = {name for line in folders.splitlines() if line.startswith("d ") for name in line.split()[3:5]} - {"root", "adm"}
t.ok(owners <= named, "the owners of the folders are users of sysusers.d", f"{owners - named}")
t.done()
