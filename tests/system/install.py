#!/usr/bin/python3
# install.py - make install DESTDIR= is complete, and the module of docs/module-guide.md builds against it
# SPDX-License-Identifier: Apache-2.0
# alone             libtool links modules anew while it installs them
import ctypes
import glob
import os
import re
import subprocess

from tap import Tap

TOP, BUILD, RUN = (os.environ["EKIDEN_" + name] for name in ("TOP", "BUILD", "RUN"))
ROOT = RUN + "/root"
t = Tap()


def make(*words):
    done = subprocess.run(["make", "-s", "-C", BUILD, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def variable(name):
    """A variable of the Makefile, expanded."""
    done = subprocess.run(["make", "-s", "-C", BUILD, "-f", "-", "show"], input=f"include Makefile\nshow:\n\t@echo $({name})\n",
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    return done.stdout.strip()


def run(*words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    return done.returncode, done.stdout


status, output = make("install", f"DESTDIR={ROOT}")
t.ok(status == 0, "make install DESTDIR=", output[-3000:])
include, moduledir, pkgconfig = ROOT + variable("includedir"), ROOT + variable("moduledir"), ROOT + variable("pkgconfigdir")
outside = [path for path in glob.glob(f"{ROOT}/*") if not variable("prefix").startswith(path.removeprefix(ROOT))]
t.ok(not [p for p in outside if os.path.basename(p) not in ("etc", "var", "lib", "usr", "run")], "nothing lands in strange places", outside)

pages = {os.path.basename(p): open(p, encoding="utf-8").read() for p in glob.glob(f"{ROOT}/**/man*/*.[1-8]", recursive=True)
         + glob.glob(f"{ROOT}/**/man/*.[1-8]", recursive=True)}
lost = [p for p in sorted(glob.glob(f"{TOP}/docs/man/*.[1-8]")) if os.path.basename(p) not in pages]
t.ok(len(pages) >= 4 and not lost, "every manual page is installed", lost)

# every header that is installed compiles alone, by the flags of ekiden.pc, in C and in C++ of a strict compiler
os.mkdir(RUN + "/pc")                       # as it will be once DESTDIR is the root
with open(f"{pkgconfig}/ekiden.pc", encoding="utf-8") as f, open(RUN + "/pc/ekiden.pc", "w", encoding="utf-8") as out:
    out.write(re.sub(r"^prefix=", f"prefix={ROOT}", f.read(), flags=re.M))
status, flags = run("pkg-config", "--cflags", "ekiden", env={**os.environ, "PKG_CONFIG_PATH": RUN + "/pc"})
t.ok(status == 0 and include in flags, "ekiden.pc gives the flags", flags)
headers = sorted(os.path.relpath(p, include) for p in glob.glob(f"{include}/**/*.h", recursive=True))
t.contains(headers, "ekiden/ekiden.h", "the header is installed")
bad = []
for header in headers:
    status, output = run("cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fsyntax-only", "-x", "c", "-",
                         *flags.split(), input=f"#include <{header}>\n")
    if status:
        bad.append(f"{header}: {output}")
t.ok(not bad, f"each of {len(headers)} headers compiles alone", "\n".join(bad))

# what the contracts of modules include is there too
wanted = {"index/mailbox.h", "queue/spool.h", "queue/transport.h", "net/resolver.h", "cli/command.h", "flow/login.h", "flow/submit.h"}
there = {header.removeprefix("ekiden/") for header in headers}
lost = sorted(h for h in wanted if os.path.exists(f"{TOP}/core/{h}") and h not in there)
t.ok(not lost, "every header for modules is installed", lost)

# the guide's module
with open(f"{TOP}/docs/module-guide.md", encoding="utf-8") as f:
    guide = f.read()
code = re.search(r"```c\n(/\* (\w+)\.c - .*?)```", guide, re.S)
commands = re.search(r"```sh\n(.*?)```", guide, re.S)[1].splitlines()
name = code[2]
work = RUN + "/module"
os.mkdir(work)
with open(f"{work}/{name}.c", "w", encoding="utf-8") as f:
    f.write(code[1])
command = commands[0].replace("$(pkg-config --cflags ekiden)", flags.strip())
status, output = run("sh", "-c", command.replace("cc ", "cc -Wall -Wextra -Wno-unused-parameter -Werror ", 1), cwd=work)
t.ok(status == 0, "the guide's module compiles, without a warning", output)
os.makedirs(moduledir, exist_ok=True)
status, output = run("install", "-m", "644", f"{work}/{name}.so", moduledir)
t.ok(status == 0, "and is installed", output)
symbols = run("nm", "-D", "--defined-only", f"{work}/{name}.so")[1].split()
t.equal([s for s in symbols if s.startswith("ek_")], ["ek_module"], "it exports one symbol of ours")

# loaded by the installed library, whose stamp it must share.  Python cannot load an ASan library: there the
# command below is the witness.
command = f"{ROOT}{variable('bindir')}/ekiden"
library = ROOT + variable("pkglibdir") + "/libekiden.so"
if os.path.exists(command):
    env = {**os.environ, "EKIDEN_MODULE_PATH": moduledir, "LD_LIBRARY_PATH": os.path.dirname(library)}
    status, output = run(command, "module", "show", name, env=env)
    t.ok(status == 0 and "people" in output and "1w" in output, f"ekiden module show {name} prints its options", output)
    with open(f"{work}/bad.conf", "w", encoding="utf-8") as f:
        f.write(f'{name} "support" {{\n  people = []\n  trun = 1w\n}}\n')
    status, output = run(command, "config", "check", env={**env, "EKIDEN_CONFIG": f"{work}/bad.conf"})
    t.ok(status != 0 and "people is empty" in output and "turn" in output, "ekiden config check says what is wrong with a block of it", output)
elif b"__asan_init" not in open(library, "rb").read():
    lib = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    lib.ek_module_load.restype = ctypes.c_void_p
    t.ok(lib.ek_module_load(name.encode(), moduledir.encode(), None, None), "the installed library loads it")
else:
    t.skip("the installed library loads it", "needs the ekiden command")
t.done()
