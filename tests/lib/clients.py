# clients.py - what the tests with real mail programs share: a configuration, running a program, a message
# SPDX-License-Identifier: Apache-2.0
"""
    with Server(CONFIG, users=["anna", "ben"]) as s:
        run = Run(s)
        done = run("curl", "-sv", url)        done.returncode, done.stdout (both kinds, text)
"""
import os
import subprocess

from ekiden import MAIL

CONFIG = MAIL + """
trusted = 192.0.2.0/24
auth {
  failure_delay = 50ms
}
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
listener "submission" {
  address    = "127.0.0.1:${port_submission}"
  protocol   = smtp
  tls        = required
  submission = yes
}
listener "submissions" {
  address    = "127.0.0.1:${port_submissions}"
  protocol   = smtp
  tls        = implicit
  submission = yes
}
listener "small" {
  address            = "127.0.0.1:${port_small}"
  protocol           = smtp
  submission         = yes
  message_size_limit = 100K
}
listener "imap" {
  address  = "127.0.0.1:${port_imap}"
  protocol = imap
}
listener "imaps" {
  address  = "127.0.0.1:${port_imaps}"
  protocol = imap
  tls      = implicit
}
"""


class Run:
    """Runs programs with a home of their own, so that nobody's settings count."""

    def __init__(self, server):
        self.home = f"{server.dir}/home"
        os.makedirs(self.home, exist_ok=True)
        self.env = {"HOME": self.home, "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TERM": "xterm",
                    "TMPDIR": self.home, "USER": "anna"}

    def __call__(self, *words, stdin=None, seconds=200, **env):
        done = subprocess.run(words, env={**self.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds,
                              check=False, cwd=self.home, **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}))
        done.stdout = done.stdout.decode("utf-8", "replace")
        return done


def secret_file(server, name, text):
    """The path of a file that only we may read."""
    path = f"{server.dir}/{name}"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o600)
    return path


def message(subject, text, sender="anna@example.test", to="ben@example.test", more=""):
    """A message with CRLF line ends, as bytes."""
    head = f"From: {sender}\nTo: {to}\nSubject: {subject}\nDate: Thu, 5 Feb 2026 10:00:00 +0000\n" \
           f"Message-ID: <{subject.replace(' ', '.')}@client.example.test>\n{more}\n"
    return (head + text + "\n").replace("\n", "\r\n").encode()
