# badnames.py - names that mean harm: with SQL or LDAP in them, that only look like somebody's, that no text can hold
# SPDX-License-Identifier: Apache-2.0
"""
Parts before the @, for a domain in which anna is a user (and nobody's name is any of these).

    badnames.logins(server, domain, "anna-pw")         [(name, answer)]: those that logged in, or were put off
    badnames.recipients(server, domain)                the same of RCPT TO
"""
import base64

from wire import Closed, Imap

SQL = ["' OR '1'='1", "' OR 1=1 -- ", "x'; DROP TABLE mailbox; --", "anna' UNION SELECT '{PLAIN}pa", "\\", "\\' OR 1=1 #", "$1", "?", ":user",
       "%", "_nna", "a%", "*", "anna\t", "${user}", "NULL", "0"]
LDAP = ["a*", "anna*", "*)(uid=*", "anna)(mail=*", "anna))(|(mail=*", "\\2a", "anna\\", "(anna)", "anna,ou=people", "ann+cn=x", "anna#", "&", "|",
        "x)(&", "\"", "anna  x", " anna", "anna ", "x" * 300]
# most of them Cyrillic; the last ones are full-width, and longer than any column
LOOK_ALIKE = ["аnna", "änna", "annа", "ànnà", "аnnа", "anna\u200b", "ａnna", "А" * 20]
BYTES = [b"anna\0", b"an\0na", b"\0", b"\xff\xfe", b"anna\xc3", b"x" * 65536, b"anna" + b" " * 65536]
# only where a name is no part of a line
LINES = [b"anna\n", b"anna\r\n", b"\nanna", b"nobody\nanna"]
TEXTS = [*SQL, *LDAP, *LOOK_ALIKE]
ALL = [*(text.encode() for text in TEXTS), *BYTES, *LINES]


def quoted(local):
    """As a quoted local part (RFC 5321)."""
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def login(server, name, password):
    """By AUTHENTICATE PLAIN, so that any bytes may be in it."""
    token = base64.b64encode(b"\0" + name + b"\0" + password.encode())
    with Imap(server.port("imap"), name=server.hostname, timeout=60) as c:
        try:
            return str(c.cmd(f"AUTHENTICATE PLAIN {token.decode()}"))
        except (Closed, OSError):
            return "closed"


def logins(server, domain, *passwords):
    said = [(name, login(server, name + b"@" + domain.encode(), password)) for name in ALL for password in passwords]
    return [(name[:40], answer) for name, answer in said if not answer.startswith(("NO", "BAD", "closed")) or "UNAVAILABLE" in answer]


def rcpt(server, address, utf8):
    with server.smtp() as c:
        c.ehlo()
        c.cmd("MAIL FROM:<x@elsewhere.test>" + (" SMTPUTF8" if utf8 else ""))
        try:
            c.line_out(b"RCPT TO:<" + address + b">")
            return str(c.reply())
        except (Closed, OSError):
            return "closed"


def recipients(server, domain):
    """Names that are no ASCII both as they are and as one that says so."""
    behind = b"@" + domain.encode()
    asked = [(text, quoted(text).encode() + behind, False) for text in TEXTS]
    asked += [(text, text.encode() + behind, True) for text in TEXTS if not text.isascii()]
    asked += [(text[:40], text + behind, utf8) for text in BYTES for utf8 in (False, True)]
    said = [(name, rcpt(server, address, utf8)) for name, address, utf8 in asked]
    return [(name[:40], answer) for name, answer in said if not answer.startswith(("5", "closed"))]
