# sasl.py - SASL clients: each a generator that is sent what the server says (bytes) and yields what the client answers
# SPDX-License-Identifier: Apache-2.0
import base64
import hashlib
import hmac
import json
import os


class Untrue(Exception):
    """The server could not prove that it knows the secret."""


def plain(user, password):
    yield f"\0{user}\0{password}".encode()


def cram_md5(user, password):
    challenge = yield None                   # the server speaks first
    yield f"{user} {hmac.new(password.encode(), challenge, 'md5').hexdigest()}".encode()


def scram(user, password, digest="sha256", binding=None, header=None, seen=None):
    """binding: (name, bytes) of the channel.  `seen` gets the server's first message."""
    header = header or (f"p={binding[0]},," if binding else "n,,")
    name = user.replace("=", "=3D").replace(",", "=2C")
    bare = f"n={name},r={base64.b64encode(os.urandom(18)).decode()}"
    first = (yield (header + bare).encode()).decode()
    if seen is not None:
        seen.append(first)
    fields = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    bound = header.encode() + (binding[1] if binding else b"")
    last = f"c={base64.b64encode(bound).decode()},r={fields['r']}"
    text = f"{bare},{first},{last}".encode()
    key = hmac.digest(salted, b"Client Key", digest)
    signature = hmac.digest(hashlib.new(digest, key).digest(), text, digest)
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    final = yield f"{last},p={proof}".encode()
    expected = base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", digest), text, digest)).decode()
    if final != f"v={expected}".encode():
        raise Untrue(final)
    yield b""


def xoauth2(user, token, errors=None):
    error = yield f"user={user}\1auth=Bearer {token}\1\1".encode()
    if errors is not None:
        errors.append(json.loads(error))
    yield b""


def oauthbearer(user, token, errors=None):
    error = yield f"n,a={user},\1host=mail.example.test\1auth=Bearer {token}\1\1".encode()
    if errors is not None:
        errors.append(json.loads(error))
    yield b"\1"


def external(name=""):
    yield name.encode()


def jwt(secret, claims, **header):
    """A token signed with HS256."""
    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")
    text = part(json.dumps({"alg": "HS256", **header}).encode()) + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(secret, text, "sha256"))).decode()


def smtp(c, mechanism, client, initial=True):
    """AUTH on a connection after EHLO: the reply that ends it."""
    said = next(client) if initial else None
    word = "" if said is None else " " + (base64.b64encode(said).decode() or "=")
    answer = c.cmd(f"AUTH {mechanism}{word}")
    started = initial
    while answer.code == 334:
        challenge = base64.b64decode(answer.text)
        said = client.send(challenge) if started else next(client)
        if said is None:                     # the client has not begun yet: it wanted this challenge
            said = client.send(challenge)
        started = True
        answer = c.cmd(base64.b64encode(said).decode())
    return answer


def imap(c, mechanism, client, initial=True):
    """AUTHENTICATE: the tagged answer that ends it."""
    said = next(client) if initial else None
    word = "" if said is None else " " + (base64.b64encode(said).decode() or "=")
    c.number += 1
    tag = f"t{c.number}"
    c.line_out(f"{tag} AUTHENTICATE {mechanism}{word}")
    started = initial
    while True:
        line = c.line()
        if line.startswith("+"):
            challenge = base64.b64decode(line[2:])
            said = client.send(challenge) if started else next(client)
            if said is None:
                said = client.send(challenge)
            started = True
            c.line_out(base64.b64encode(said).decode())
        elif line.startswith(tag + " "):
            return line[len(tag) + 1:]
