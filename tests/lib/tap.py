# tap.py - prints a test's points as TAP
# SPDX-License-Identifier: Apache-2.0
"""
    t = Tap()
    t.ok(reply.code == 250, "MAIL is accepted", reply)
    t.equal(box.count(), 3, "three messages arrived")
    t.skip("power loss", "no loop devices")
    t.done()
"""
import sys
import traceback


class Tap:
    def __init__(self):
        self.count, self.bad = 0, 0
        sys.excepthook = self._died

    def ok(self, good, text, detail=None):
        self.count += 1
        if not good:
            self.bad += 1
            if detail is not None:
                self.note(detail)
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)
        return bool(good)

    def equal(self, got, want, text):
        return self.ok(got == want, text, f"got {got!r}\nwant {want!r}")

    def contains(self, whole, part, text):
        return self.ok(part in whole, text, f"no {part!r} in {whole!r}")

    def skip(self, text, reason):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {reason}", flush=True)

    @staticmethod
    def skip_all(reason):
        print(f"1..0 # SKIP {reason}", flush=True)
        sys.exit(0)

    @staticmethod
    def note(detail):
        for line in str(detail).splitlines():
            print("#", line, flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.bad else 0)

    def _died(self, kind, value, trace):
        """An exception that nobody caught is a failed point."""
        self.note("".join(traceback.format_exception(kind, value, trace)))
        self.ok(False, f"the test ran to its end ({kind.__name__})")
        print(f"1..{self.count}", flush=True)
