# images.py - ext4 in image files, mounted by loop devices: small disks, and disks whose power goes
# SPDX-License-Identifier: Apache-2.0
"""
    with Images() as images:                  unmounts all at the end, also when the test is stopped
        images.make("disk.img", 200)          megabytes; names are relative to the test's folder
        images.mount("disk.img", "disk")
        images.bind("disk/mail", server.mail)

    disk = Cuttable(images, 200)              mounted at disk.folder; Cuttable(images, 200, mail=50): disk.others["mail"] too
    disk.cut("copy.img")                      what the disk would hold if the power went now

The disks of a Cuttable lie on ext4s in images, which lie on another ext4 in another image.  Freezing the outer
one stops the inner disks between two of their writes.  A copy that is mounted replays ext4's journal.
"""
import os
import signal
import subprocess
import sys
import time

RUN = os.environ.get("EKIDEN_RUN", "")


def sh(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout.decode()}")


class Images:
    def __init__(self):
        self.mounted = []
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))      # stopped from outside: unmount all the same

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for folder in list(reversed(self.mounted)):
            subprocess.run(["umount", "-l", folder], check=False)
        self.mounted = []

    @staticmethod
    def path(name):
        return os.path.join(RUN, name)

    def make(self, name, megabytes, *options):
        with open(self.path(name), "wb") as f:
            f.truncate(megabytes << 20)
        sh("mkfs.ext4", "-q", "-F", *options, self.path(name))

    def mount(self, name, folder):
        os.makedirs(self.path(folder), exist_ok=True)
        sh("mount", "-o", "loop,noatime", self.path(name), self.path(folder))
        self.mounted.append(self.path(folder))
        return self.path(folder)

    def bind(self, folder, at):
        os.makedirs(at, exist_ok=True)
        sh("mount", "--bind", self.path(folder), at)
        self.mounted.append(at)

    def umount(self, folder, seconds=20):
        """Waits for processes that are being killed."""
        end = time.monotonic() + seconds
        while True:
            try:
                sh("umount", self.path(folder))
                break
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.mounted.remove(self.path(folder))

    def unusable(self):
        """Why there are no loop-mounted ext4 here, or None."""
        try:
            self.make("probe.img", 8)
            self.mount("probe.img", "probe")
            self.umount("probe")
            os.unlink(self.path("probe.img"))
            return None
        except (RuntimeError, OSError) as e:
            return f"no loop-mounted ext4 here: {str(e).splitlines()[0]}"


class Cuttable:
    def __init__(self, images, megabytes, **others):
        """others: more disks, {name: megabytes}, whose power goes at the same instant."""
        sizes = {"disk": megabytes, **others}
        self.outer = images.path("disk.outer")
        images.make("disk.img", 3 * sum(sizes.values()) + 100)
        images.mount("disk.img", self.outer)
        self.names, self.others = [f"{name}.inner" for name in sizes], {}
        for name, size in sizes.items():
            images.make(os.path.join(self.outer, f"{name}.inner"), size, *(("-m", "0") if name in others else ()))
            self.others[name] = images.mount(os.path.join(self.outer, f"{name}.inner"), name)
        self.folder = self.others.pop("disk")

    def cut(self, to):
        """Copies the images as they are between two writes: to TO, and of the others to TO.NAME."""
        copies = [os.path.join(RUN, to), *(os.path.join(RUN, f"{to}.{name}") for name in self.others)]
        script = 'fsfreeze -f "$1" || exit 1; cd "$1"; shift; while [ $# -gt 0 ]; do cp --sparse=always "$1" "$2" || code=1; shift 2; done'
        sh("sh", "-c", f'outer=$1; {script}; fsfreeze -u "$outer"; exit ${{code:-0}}', "sh", self.outer,
           *(word for pair in zip(self.names, copies) for word in pair))
