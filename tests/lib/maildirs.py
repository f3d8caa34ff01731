# maildirs.py - Maildirs for tests of what reads them: the conformance set, and mail of our own
# SPDX-License-Identifier: Apache-2.0
import base64
import glob
import os

BASE = 1583139600            # 2 March 2020, 09:00 UTC: INTERNALDATEs count on from here
DAY = 86400


def conformance():
    """Bytes of the messages of $EKIDEN_CONFORMANCE/mime (read where it lies, never copied into the tree), each as
    it is and with CRLF."""
    root = os.environ.get("EKIDEN_CONFORMANCE") or os.path.join(os.environ["EKIDEN_TOP"], "../shared/conformance")
    for path in sorted(glob.glob(f"{root}/mime/resources/eml/*/*.eml")):
        with open(path, "rb") as f:
            data = f.read()
        yield data
        yield data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def part(kind, body, *headers):
    return "\n".join([f"Content-Type: {kind}", *headers, "", body]).encode()


def multipart(kind, *parts, boundary="=_b", preamble=b"", epilogue=b""):
    edge = f"--{boundary}".encode()
    whole = b"".join(b"\n" + edge + b"\n" + p for p in parts)
    return (f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n'.encode() + preamble + whole + b"\n" + edge
            + b"--\n" + epilogue)


def head(n, subject, *more, sender="Anna Muster <anna@example.test>", to="ben@example.test", date=None):
    date = date or f"{'Mon Tue Wed Thu Fri Sat Sun'.split()[n % 7]}, {n % 28 + 1} Mar 2020 {n % 24:02}:10:20 +0100"
    return "\n".join([f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Date: {date}",
                      f"Message-ID: <{n}@example.test>", *more, "MIME-Version: 1.0", ""]).encode()


def generated():
    """Messages that say something about IMAP's corners."""
    text = part("text/plain; charset=utf-8", "Gr\u00fc\u00dfe aus K\u00f6ln\nsecond line\n", "Content-Transfer-Encoding: 8bit")
    html = part("text/html; charset=us-ascii", "<p>Hello <b>needle</b></p>\n")
    qp = part("text/plain; charset=iso-8859-1", "caf=E9 au lait, soft=\nbreak=20\n",
              "Content-Transfer-Encoding: quoted-printable", "Content-Description: a note", "Content-ID: <c1@example.test>")
    blob = base64.encodebytes(bytes(range(256)) * 3).decode()
    attachment = part('application/octet-stream; name="a b.bin"', blob, "Content-Transfer-Encoding: base64",
                      'Content-Disposition: attachment; filename="a b.bin"; size=768')
    b64text = part("text/plain; charset=utf-8", base64.encodebytes("hidden haystack \u00e4\u00f6\u00fc\n".encode()).decode(),
                   "Content-Transfer-Encoding: base64", "Content-Language: de, en", "Content-MD5: abc==",
                   "Content-Location: http://example.test/x")
    inner = head(90, "inner subject", sender="Inner <inner@example.test>") + multipart("alternative", text, html, boundary="in")
    forwarded = b"Content-Type: message/rfc822\nContent-Description: forwarded\n\n" + inner
    yield head(1, "plain") + b"\nHello world\n"
    yield head(2, "no newline at the end") + b"\nHello"
    yield head(3, "empty body") + b"\n"
    yield head(4, "no empty line").rstrip(b"\n") + b"\n"
    yield b"\nbody without a header\n"
    yield b"just a line\n\nand text\n"
    yield head(5, "alternative") + multipart("alternative", text, html)
    yield head(6, "mixed") + multipart("mixed", text, attachment, boundary="simple boundary", preamble=b"preamble\n",
                                       epilogue=b"epilogue\n")
    yield head(7, "nested") + multipart("mixed", multipart("alternative", text, html, boundary="=_c"), qp, b64text, attachment)
    yield head(8, "forward") + multipart("mixed", text, forwarded, boundary="fw")
    yield head(9, "message itself") + b"Content-Type: message/rfc822\n\n" + inner
    yield head(10, "digest") + multipart("digest", b"\n" + head(91, "one") + b"\nfirst\n", b"\n" + head(92, "two") + b"\nsecond\n")
    yield head(11, "=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?q?_aus_K=F6ln?=", sender="=?utf-8?b?QsOkcmJlbA==?= <baer@example.test>") + b"\nx\n"
    yield head(12, "many addresses", "Cc: a@example.test, \"B, C\" <bc@example.test>,\n d@example.test (Dora)", "Bcc: hidden@example.test",
               "Reply-To: list@example.test", "Sender: robot@example.test", "In-Reply-To: <1@example.test>",
               to="Group: x@example.test, Y <y@example.test>;, undisclosed-recipients:;") + b"\nx\n"
    yield head(13, "folded\n subject over\n\tthree lines", "X-Long: " + "word " * 200) + b"\nx\n"
    yield head(14, 'quotes "and" back\\slashes', sender='"A \\"quoted\\" name" <q@example.test>') + b"\nx\n"
    yield head(15, "raw 8-bit \u00e4\u00f6\u00fc") + "\nraw \u00e4\n".encode("latin-1")
    yield head(16, "old date", date="Fri, 21 Nov 1997 09:55:06 -0600") + b"\nx\n"
    yield head(17, "no such date", date="not a date") + b"\nx\n"
    yield b"From: only@example.test\n\nonly a From\n"
    yield head(18, "crlf on disk").replace(b"\n", b"\r\n") + b"\r\nline one\r\nline two\r\n"
    yield head(19, "mixed line ends") + b"\none\r\ntwo\nthree\r\n"
    yield head(20, "empty parts") + multipart("mixed", b"\n", part("text/plain", ""), boundary="e")
    yield head(21, "unclosed") + b'Content-Type: multipart/mixed; boundary="u"\n\n--u\nContent-Type: text/plain\n\nnever closed\n'
    yield head(22, "no boundary") + b"Content-Type: multipart/mixed\n\ntext\n"
    yield head(23, "rfc2231") + multipart("mixed", text, part("application/pdf", "JVBE\n", "Content-Transfer-Encoding: base64",
                                          "Content-Disposition: attachment;\n filename*0*=utf-8''%e2%82%ac%20;\n filename*1=rates.pdf"), boundary="r")
    yield head(24, "big") + b"\n" + b"".join(b"line %06d of a body that is larger than one window\n" % i for i in range(4000))
    yield head(25, "deep") + b"".join(f'Content-Type: multipart/mixed; boundary="d{i}"\n\n--d{i}\n'.encode() for i in range(12)) \
        + b"Content-Type: text/plain\n\nbottom\n"
    yield head(26, "dots and bytes") + b"\n.\n..\n" + bytes(b for b in range(1, 256) if b not in (10, 13)) + b"\n"
    yield head(27, "duplicate", "Subject: twice", "To: second@example.test") + b"\nx\n"


class Maildir:
    def __init__(self, root):
        self.root = root
        self.n = 0

    def folder(self, name=""):
        path = os.path.join(self.root, "." + name) if name else self.root
        for sub in ("cur", "new", "tmp"):
            os.makedirs(os.path.join(path, sub), exist_ok=True)
        if name:
            with open(os.path.join(path, "maildirfolder"), "wb"):
                pass
        return path

    def add(self, data, folder="", flags="", new=False, time=None):
        """Writes one message; returns the path."""
        self.n += 1
        time = time or BASE + self.n * DAY // 4
        name = f"{BASE + self.n}.M{self.n}P1.test" + ("" if new else f":2,{flags}")
        path = os.path.join(self.folder(folder), "new" if new else "cur", name)
        with open(path, "wb") as f:
            f.write(data)
        os.utime(path, (time, time))
        return path
