#!/usr/bin/python3
# reference.py - etc/reference.conf and ekiden.conf(5) say what the option rows say; all manual pages are sound
# SPDX-License-Identifier: Apache-2.0
"""EKIDEN_BUILD=build EKIDEN_TOP=. PYTHONPATH=tests/lib tests/system/reference.py --write

makes both files anew, from a build that has all modules.  The test itself takes a build with fewer: what belongs to a
module that is not built there is not compared.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

from tap import Tap

TOP, BUILD = os.path.abspath(os.environ["EKIDEN_TOP"]), os.path.abspath(os.environ["EKIDEN_BUILD"])
REFERENCE, MANUAL = f"{TOP}/etc/reference.conf", f"{TOP}/docs/man/ekiden.conf.5"


def output(what):
    env = {**os.environ, "EKIDEN_MODULE_PATH": f"{BUILD}/modules", "EKIDEN_CONFIG": "/nonexistent"}
    text = subprocess.run([f"{BUILD}/ekiden", "config", what], env=env, capture_output=True, text=True, check=True).stdout
    with open(f"{BUILD}/Makefile") as f:           # folders as a distribution has them
        prefix = re.search(r"^prefix = (.*)$", f.read(), re.M).group(1)
    for folder in ("var", "etc"):
        text = text.replace(f"{prefix}/{folder}".replace("-", "\\-") if what == "manual" else f"{prefix}/{folder}", f"/{folder}")
    return text.replace(prefix, "/usr").rstrip("\n") + "\n"


def read(path):
    with open(path) as f:
        return f.read()


def manual():
    return read(MANUAL + ".in") + output("manual") + """.SH FILES
.I /etc/ekiden/ekiden.conf
.SH SEE ALSO
.BR ekiden (1),
.BR ekidend (8)
"""


if "--write" in sys.argv:
    for path, text in ((REFERENCE, output("reference")), (MANUAL, manual())):
        with open(path, "w") as f:
            f.write(text)
    sys.exit(0)

t = Tap()
missing = {os.path.basename(os.path.dirname(p)) for p in glob.glob(f"{TOP}/modules/*/*.c")} - {
    os.path.basename(p)[:-3] for p in glob.glob(f"{BUILD}/modules/*/.libs/*.so")}


def sections(text, manual):
    """Heading -> text, without those of modules that are not built."""
    found = {}
    for part in re.split(r"^\.SS ", text, flags=re.M)[1:] if manual else text.split("\n\n"):
        head = re.match(r"\w+", part) if manual else re.search(r"^#(\w+)(?: \"NAME\")? \{$", part, re.M)
        word = head.group(0 if manual else 1) if head else "the top level"
        if word not in missing:
            found[word] = found.get(word, "") + part
    return found


for path, made in ((REFERENCE, output("reference")), (MANUAL, manual())):
    have, want = (sections(text, path == MANUAL) for text in (read(path), made))
    name = os.path.relpath(path, TOP)
    for head in sorted(set(have) | set(want)):
        if have.get(head) != want.get(head):
            t.note(f"{name}: {head}")
    t.ok(have == want, f"{name} is what the rows say (mend: see the head of this file)")
PAGES = sorted(glob.glob(f"{TOP}/docs/man/*.[1-8]"))
for page in PAGES:
    what = f"man(1) has nothing to say against {os.path.basename(page)}"
    if not shutil.which("man"):
        t.skip(what, "no man(1)")
        continue
    r = subprocess.run(["man", "--warnings", "-l", "-Tutf8", page], capture_output=True, text=True,
                       env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
    t.equal((r.returncode, r.stderr), (0, ""), what)

# what names a page of ours, in pages and in the unit, names one that is there
there = {re.sub(r"\.(\d)$", r"(\1)", os.path.basename(page)) for page in PAGES}
texts = {os.path.relpath(path, TOP): read(path) for path in [*PAGES, f"{TOP}/etc/ekiden.service.in"]}
named = {(name + section, path) for path, text in texts.items()
         for name, section in re.findall(r"\b((?:ekiden|sendmail)[a-z.]*) ?(\(\d\))", text)}
t.equal(sorted(n for n in named if n[0] not in there), [], "no page sends its reader to one that does not exist")
t.ok({"ekidend(8)", "ekiden.conf(5)", "ekiden(1)"} <= {name for name, _ in named}, "and the main ones are pointed to", named)

# ekidend(8) has what the program says of itself
help_text = subprocess.run([f"{BUILD}/ekidend", "--help"], capture_output=True, text=True, check=True).stdout
words = set(re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*|\bSIG[A-Z0-9]+\b", help_text))
page = read(f"{TOP}/docs/man/ekidend.8").replace("\\-", "-").replace("\\fR", "").replace("\\fB", "")
t.ok({"--foreground", "--check", "-V", "SIGHUP", "SIGUSR2"} <= words, "ekidend --help tells options and signals", words)
t.equal(sorted(w for w in words if not re.search(rf"(?<![\w-]){w}(?![\w-])", page)), [], "each of them is in ekidend(8)")
t.done()
