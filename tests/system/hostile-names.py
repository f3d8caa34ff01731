#!/usr/bin/python3
# hostile-names.py - names that mean harm in maps that are files, and among the system's users: each of them is nobody (tests/unit/test-badnames.c)
# SPDX-License-Identifier: Apache-2.0
import os

import badnames
from ekiden import unit
from tap import Tap

t = Tap()
path = f"{os.environ['EKIDEN_RUN']}/badnames"
with open(path, "w", encoding="ascii") as f:
    f.write("".join(name.hex() + "\n" for name in badnames.ALL))
done = unit("test-badnames", EKIDEN_BADNAMES=path)
t.ok(done.returncode == 0, f"{len(badnames.ALL)} names: text, regexp, pcre, cidr, cdb, lmdb, passwd", done.stdout[-4000:])
t.done()
