#!/usr/bin/python3
# firstmail.py - sends one message by submission and reads it back over IMAPS, showing both dialogues
# SPDX-License-Identifier: Apache-2.0
"""firstmail.py QUICKSTART.ENV"""
import shlex
import ssl
import sys
import time

from wire import Imap, Smtp

WAIT = 30


def read_env(path):
    with open(path, encoding="utf-8") as f:
        words = [shlex.split(line) for line in f if "=" in line and not line.startswith("#")]
    return dict(word[0].split("=", 1) for word in words)


def show(who, text):
    print(f"  {who}: {text}")


def expect(good, what, answer):
    if not good:
        print(f"firstmail: {what}: {answer}")
        sys.exit(1)


def send(env, context, message):
    with Smtp(int(env["SUBMISSION_PORT"]), host=env["HOST"], name="localhost") as c:
        def step(text, code, shown=None):
            answer = c.cmd(text)
            show("C", shown or text)
            show("S", f"{answer.code} {answer.text}")
            expect(answer.code == code, shown or text, answer)
        show("S", f"{c.greeting.code} {c.greeting.text}")
        step("EHLO client.example", 250)
        answer = c.starttls(context)
        show("C", "STARTTLS")
        show("S", f"{answer.code} {answer.text}")
        expect(answer.code == 220, "STARTTLS", answer)
        print(f"     ({c.sock.version()}, {c.sock.cipher()[0]})")
        step("EHLO client.example", 250)
        answer = c.auth_plain(env["ADDR1"], env["PASS"])
        show("C", "AUTH PLAIN ...")
        show("S", f"{answer.code} {answer.text}")
        expect(answer.code == 235, "AUTH", answer)
        step(f"MAIL FROM:<{env['ADDR1']}>", 250)
        step(f"RCPT TO:<{env['ADDR2']}>", 250)
        answer = c.data(message)
        show("C", "DATA ... .")
        show("S", f"{answer.code} {answer.text}")
        expect(answer.code == 250, "DATA", answer)
        step("QUIT", 221)


def read(env, context, message_id, body):
    with Imap(int(env["IMAPS_PORT"]), host=env["HOST"], tls=context, name="localhost") as c:
        def step(text, shown=None):
            show("C", shown or text)
            answer = c.cmd(text)
            for line in answer.untagged[-2:]:
                show("S", line.split(b"\r\n")[0].decode("utf-8", "replace"))
            show("S", f"{answer.status} {answer.text}")
            expect(answer.status == "OK", shown or text, answer)
            return answer
        show("S", c.greeting)
        step(f'LOGIN {env["ADDR2"]} {env["PASS"]}', f"LOGIN {env['ADDR2']} ...")
        step("SELECT INBOX")
        end, found = time.monotonic() + WAIT, []
        while not found and time.monotonic() < end:
            answer = c.cmd(f'UID SEARCH HEADER Message-ID "{message_id}"')
            found = answer.untagged[-1].split()[2:] if answer.untagged else []
            if not found:
                time.sleep(0.1)
                c.cmd("NOOP")
        expect(found, "the message does not arrive", answer)
        answer = step(f"UID FETCH {found[0].decode()} BODY.PEEK[]")
        expect(body in b"".join(answer.untagged), "the text is another", answer)
        for line in body.splitlines():
            print("     |", line.decode())
        step("LOGOUT")


def main():
    env = read_env(sys.argv[1])
    context = ssl.create_default_context(cafile=env["CAFILE"])
    message_id = f"<{time.time_ns()}@quickstart.example>"
    body = "こんにちは, Ben! This came by submission.\r\n".encode()
    message = (f"From: Anna <{env['ADDR1']}>\r\nTo: Ben <{env['ADDR2']}>\r\nSubject: The first message\r\n"
               f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\nMessage-ID: {message_id}\r\n"
               "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n").encode() + body
    send(env, context, message)
    print()
    read(env, context, message_id, body)


main()
