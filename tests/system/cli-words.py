#!/usr/bin/python3
# cli-words.py - every command has help with examples and JSON that a parser takes; both shells complete them
# SPDX-License-Identifier: Apache-2.0
# limit: 600
import json
import os
import re
import shutil
import subprocess

from ekiden import BUILD, MAIL, Server, wait_for
from tap import Tap

TOP, RUN = os.environ["EKIDEN_TOP"], os.environ["EKIDEN_RUN"]
CONFIG = MAIL + """
listener "smtp" {
  address  = "127.0.0.1:${port_smtp}"
  protocol = smtp
}
routing {
  transport = smtp
  relayhost = "[127.0.0.1]:${port_dead}"
}
"""
WITHOUT_JSON = {"sendmail", "completion"}      # sendmail(1) has its own words, a shell's script is no data
t = Tap()


def commands(server, *above):
    """{words of a command: its help}, of all that there are."""
    text = server.ekiden(*above, "--help")[1]
    if " COMMAND " not in text.splitlines()[0]:
        return {above: text}
    out = {}
    for name in re.findall(r"^  (\w+) ", text, re.M):
        out.update(commands(server, *above, name))
    return out


def parsed(server, *words, stdin=b"", status=0):
    got, text = server.ekiden(*words, "--json", stdin=stdin)
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    t.ok(answer is not None and got == status, f"ekiden {' '.join(words)} --json", f"status {got}: {text[:2000]}")
    return answer


def helps(server):
    found = commands(server)
    names = {words[0] for words in found}
    t.ok({"status", "queue", "config", "module", "map", "user", "trace", "doctor", "fsck"} <= names and len(found) > 30, "help names all commands, those of modules "
         "too", sorted(names))
    t.equal([" ".join(w) for w, text in found.items() if "Example" not in text], [], "each has examples")
    t.equal([" ".join(w) for w, text in found.items() if "--json" not in text and w[0] not in WITHOUT_JSON], [], "each takes --json")
    return found


def answers(server, found):
    """JSON of every command, in an order that works."""
    done = set()

    def ask(*words, path=None, **more):
        done.add(path or words[:2] if words[:2] in found or path else words[:1])
        return parsed(server, *words, **more)

    with server.smtp("smtp") as c:
        c.ehlo()
        c.mail("anna@example.test", ["ben@far.example", "cleo@far.example"], b"Subject: x\r\n\r\nbody\r\n")
        c.mail("anna@example.test", ["anna@example.test"], b"Subject: y\r\n\r\nbody\r\n")
    wait_for(lambda: "status=deferred" in server.log())
    wait_for(lambda: len(json.loads(server.ekiden("queue", "list", "--json")[1])) == 1)
    listed = ask("queue", "list")
    t.ok(len(listed) == 1 and listed[0]["sender"] == "anna@example.test", "the queue's list", listed)
    ident = listed[0]["id"]
    t.equal(ask("mailq"), listed, "mailq tells the same")
    t.equal(ask("queue", "show", ident)["id"], ident, "a message")
    t.ok("messages" in ask("queue", "status"), "the queue's numbers")
    for verb in ("hold", "release", "flush", "requeue", "delete"):
        answer = ask("queue", verb, "ALL")
        t.ok(answer["verb"] == verb and set(answer) >= {"count", "ids"}, f"queue {verb} tells what it did", answer)
    t.equal(ask("status")["running"], True, "status")
    t.ok(ask("trace", "anna@example.test")["stories"], "a story")
    t.equal(ask("trace", "nobody@nowhere.example", status=1)["stories"], [], "no story: an empty list and status 1")
    t.equal(ask("config", "check"), {"ok": True, "count": 0, "problems": []}, "config check")
    t.ok(ask("config", "show", "--all"), "config show")
    t.equal(ask("config", "set", "queue.lifetime", "3d")["changed"], True, "config set")
    for verb in ("reference", "manual"):
        blocks = ask("config", verb)
        queue = next(b for b in blocks if b["kind"] == "queue")
        t.ok(any(s["name"] == "lifetime" and s["doc"] for s in queue["settings"]), f"config {verb} has the rows", queue)
    t.ok({m["name"] for m in ask("module", "list")} >= {"smtp", "imap", "file"}, "module list")
    for verb in ("show", "doc"):
        t.equal(ask("module", verb, "smtp")["name"], "smtp", f"module {verb}")
    with open(f"{server.dir}/pairs", "w", encoding="utf-8") as f:
        f.write("one 1\ntwo 2\n")
    t.ok("people" in {m["name"] for m in ask("map", "list")}, "map list")
    t.equal(ask("map", "get", f"text:{server.dir}/pairs", "two")["rows"], [{"value": "2"}], "map get")
    t.equal(ask("map", "dump", f"text:{server.dir}/pairs"), [{"key": "one", "value": "1"}, {"key": "two", "value": "2"}], "map dump")
    types = [m["name"] for m in json.loads(server.ekiden("module", "list", "--json")[1]) if m["name"] in ("lmdb", "cdb")]
    if types:
        t.equal(ask("map", "build", types[0], f"{server.dir}/pairs")["rows"], 2, "map build")
    else:
        done.add(("map", "build"))
        t.skip("map build", "no module that makes map files was built")
    t.ok(ask("user", "add", "dora@example.test", stdin=b"secret\n"), "user add")
    t.equal((ask("domain", "list"), ask("alias", "list")), ([], []), "domain list, alias list: no maps, so none")
    t.ok(ask("user", "passwd", "dora@example.test", stdin=b"other\n"), "user passwd")
    t.ok("dora@example.test" in ask("user", "list"), "user list")
    t.equal(ask("user", "set", "dora@example.test", "quota=1M"), {"user": "dora@example.test", "done": "set"}, "user set")
    t.equal(ask("user", "show", "dora@example.test")["mail"]["quota_bytes"], 1 << 20, "user show")
    t.ok(ask("user", "delete", "dora@example.test"), "user delete")
    t.ok(ask("pw", "-s", "SHA512-CRYPT", path=("pw",), stdin=b"secret\n")["hash"].startswith("{SHA512-CRYPT}$6$"), "pw")
    t.ok("SHA512-CRYPT" in ask("pw", "--list", path=("pw",)), "its schemes")
    ask("doctor", "--no-dns", path=("doctor",))
    for verb in ("reload", "reopen", "rekey", "upgrade", "stop"):
        t.equal(ask(verb)["done"], verb, verb)
    wait_for(lambda: not server.alive(), 20)
    t.equal(ask("status", status=1)["running"], False, "status of a server that does not run")
    done.add(("fsck",))
    done.update({("domain", "add"), ("domain", "delete"), ("alias", "add"), ("alias", "show"), ("alias", "delete")})      # virtual.py: they need a map
    done.update({("domain", "show"), ("domain", "set"), ("alias", "set"), ("sql", "migrate"), ("sql", "status")})          # backend-commands.py
    status, text = server.ekiden("fsck", "--json")
    lines = [json.loads(line) for line in text.splitlines()]
    t.ok(status == 0 and lines[-1]["result"] == "clean" and "segment" in lines[0], "fsck --json: an object a line, as it goes on", text)
    with open(server.conf, "a", encoding="utf-8") as f:
        f.write("bogus = 1\nhostnam = 2\n")
    answer = parsed(server, "config", "check", status=1)
    t.ok(answer["count"] == 2 and all(p["line"] and p["file"] == server.conf for p in answer["problems"]), "errors are JSON, all of them", answer)
    left = sorted(" ".join(words) for words in set(found) - done if words[0] not in WITHOUT_JSON)
    t.equal(left, [], "no command was left out")


# ---- completion ----

ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=">"; export PATH EKIDEN_CONFIG EKIDEN_MODULE_PATH; fpath=(%s $fpath); autoload -Uz compinit; compinit -u -d %s/zcompdump'
zpty -w z 'bindkey "^I" list-choices; zstyle ":completion:*" verbose yes; LISTMAX=10000; unsetopt beep prompt_sp; stty cols 200 rows 200; echo re""ady'
ready=$'\r\n*\e\\[\\?2004h*'                # the line editor reads: what is typed before it does is not completed
zpty -r z answer "*ready$ready"
for line in "$@"; do
  zpty -w -n z "$line"$'\t'
  zpty -w -n z $'\C-u'"echo d''one"$'\n'
  zpty -r z answer "*done$ready"
  print -r -- "$line => ${answer//$'\r\n'/ }"
done
"""


def environment(server):
    os.makedirs(f"{RUN}/bin", exist_ok=True)
    if not os.path.exists(f"{RUN}/bin/ekiden"):
        os.symlink(f"{BUILD}/ekiden", f"{RUN}/bin/ekiden")
    return {**server.environment(), "PATH": f"{RUN}/bin:{os.environ['PATH']}", "EKIDEN_CONFIG": server.conf, "TERM": "vt100", "HOME": RUN}


CASES = (("ekiden que", {"queue"}), ("ekiden queue ", {"list", "hold", "requeue"}), ("ekiden queue hold ", {"ALL", "deferred"}),
         ("ekiden status --", {"--json", "--config"}), ("ekiden module show dns", {"dns_unbound"}), ("ekiden user delete be", {"ben@example.test"}),
         ("ekiden config show queue.life", {"queue.lifetime"}), ("ekiden fs", {"fsck"}), ("ekiden map get ", {"people"}), ("ekiden map ", {"build", "dump"}), ("ekiden completion ", {"bash", "zsh"}),
         ("ekiden doctor --no", {"--no-dns"}), ("ekiden config set --dry", {"--dry-run"}))


def bash(server):
    script = f"{TOP}/etc/completion/ekiden.bash"
    with open(script, encoding="utf-8") as f:
        t.equal(server.ekiden("completion", "bash")[1], f.read(), "bash: what the command writes is what is installed")
    for line, wanted in CASES:
        done = subprocess.run(["bash", "-c", f'. {script}; read -ra COMP_WORDS <<< "$1"; [[ $1 != *" " ]] || COMP_WORDS+=(""); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
                               '_ekiden; printf "%s\\n" "${COMPREPLY[@]}"', "bash", line], env=environment(server), stdout=subprocess.PIPE, text=True, check=False)
        t.ok(wanted <= set(done.stdout.split()), f"bash completes {line!r}", done.stdout)


def zsh(server):
    with open(f"{TOP}/etc/completion/_ekiden", encoding="utf-8") as f:
        t.equal(server.ekiden("completion", "zsh")[1], f.read(), "zsh: what the command writes is what is installed")
    if not shutil.which("zsh"):
        t.skip("zsh completes", "needs zsh")
        return
    with open(f"{RUN}/ask.zsh", "w", encoding="utf-8") as f:
        f.write(ZSH % (f"{TOP}/etc/completion", RUN))
    done = subprocess.run(["zsh", "-f", f"{RUN}/ask.zsh", *[line for line, _ in CASES]], env=environment(server), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=240, check=False)
    for line, wanted in CASES:
        found = next((said for said in re.split(r"^(?=ekiden )", done.stdout, flags=re.M) if said.startswith(line + " =>")), "")
        t.ok(all(word in found.partition("=>")[2] for word in wanted), f"zsh completes {line!r}", found or done.stdout[-3000:])


with Server(CONFIG, users=["anna", "ben"]) as server:
    found = helps(server)
    bash(server)
    zsh(server)
    answers(server, found)
    t.equal(server.problems(), [], "no reports")
t.done()
