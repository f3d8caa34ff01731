# spoolmodel.py - what a spool must hold, from the log of tests/lib/spool-writer
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess

WRITER = os.path.join(os.environ["EKIDEN_BUILD"], "tests/lib/spool-writer")


class Message:
    """One message: certain once it was acknowledged, its state between what was and what may be."""

    def __init__(self, number, size):
        self.number, self.size = number, size
        self.certain, self.leaving, self.gone = False, False, False
        self.low, self.high = 0, 0


class Model:
    def __init__(self):
        self.messages = {}

    def read(self, lines):
        """Takes lines of the log: small letters make things possible, capitals make them certain."""
        for line in lines:
            word = line.split()
            if not word or len(word[0]) > 1:
                continue
            kind, ident = word[0], word[1]
            if kind == "s":
                self.messages[ident] = Message(int(word[2]), int(word[3]))
            elif kind == "S":
                self.messages[ident].certain = True
            elif kind in "az":
                self.messages[ident].high = max(self.messages[ident].high, int(word[2]))
            elif kind == "A":
                self.messages[ident].low = max(self.messages[ident].low, int(word[2]))
            elif kind == "r":
                self.messages[ident].leaving = True
                if len(word) > 2:
                    self.messages[word[2]] = Message(int(word[3]), int(word[4]))
            elif kind == "R":
                self.messages[ident].gone = True
                if len(word) > 2:
                    self.messages[word[2]].certain = True

    def compare(self, there):
        """`there`: {id: (number, size, state, good)}.  Returns a list of what is wrong; settles the rest."""
        wrong = []
        for ident, (number, size, state, good) in there.items():
            m = self.messages.get(ident)
            if m is None:
                wrong.append(f"{ident} was never submitted")
                continue
            if m.gone:
                wrong.append(f"{ident} is back: it was retired")
            if not good or (number, size) != (m.number, m.size):
                wrong.append(f"{ident} has changed: {number} {size} {good}, not {m.number} {m.size}")
            if not m.low <= state <= m.high:
                wrong.append(f"{ident} is in state {state}, not in {m.low}..{m.high}")
        for ident, m in self.messages.items():
            if ident not in there and m.certain and not m.leaving:
                wrong.append(f"{ident} is lost: message {m.number} of {m.size} bytes was acknowledged")
        return wrong

    def settle(self, there):
        """From here on what is there is certain, and what is not is gone."""
        for ident, (_n, _s, state, _g) in there.items():
            m = self.messages[ident]
            m.certain, m.leaving = True, False
            m.low = m.high = state
        for ident, m in self.messages.items():
            if ident not in there:
                m.gone = True


def listing(folder):
    """What `spool-writer list` finds, and the alarms it was told."""
    done = subprocess.run([WRITER, "list", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"list: {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")
    there, alarms = {}, -1
    for line in done.stdout.decode().splitlines():
        word = line.split()
        if word[0] == "alarms":
            alarms = int(word[1])
        else:
            there[word[0]] = (int(word[1]), int(word[2]), int(word[3]), len(word) == 4)
    return there, alarms, done.stderr.decode()


class Log:
    """The writer's log, read on from where it was."""

    def __init__(self, path):
        self.path, self.at = path, 0

    def size(self):
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def lines(self, end=None):
        end = self.size() if end is None else end
        if end == 0:
            return []
        with open(self.path, "rb") as f:
            f.seek(self.at)
            text = f.read(end - self.at)
        text = text[:text.rfind(b"\n") + 1]
        self.at += len(text)
        return text.decode().splitlines()
