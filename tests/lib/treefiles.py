#!/usr/bin/python3
# treefiles.py - the files of the tree: what git tracks; without git (a tarball) all but what builds make
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MADE = ("build", ".git/", "autom4te.cache/", "aclocal.m4", "config.h.in", "configure~", "Makefile.in", "m4/libtool.m4", "m4/lt")


def tree_files():
    """Paths from the top, sorted."""
    try:
        done = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        names = done.stdout.decode().split("\0")[:-1] if done.returncode == 0 else []
    except FileNotFoundError:
        names = []
    if not names:
        names = [os.path.relpath(os.path.join(d, f), TOP) for d, _, fs in os.walk(TOP) for f in fs]
        names = [n for n in names if not n.startswith(MADE) and n != "configure" and not any(p.startswith(".") or p == "__pycache__" for p in n.split("/")[:-1] if p != ".ci")]
    return sorted(n for n in names if os.path.isfile(f"{TOP}/{n}"))


if __name__ == "__main__":
    print("\n".join(tree_files()))
