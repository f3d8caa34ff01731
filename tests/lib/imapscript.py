# imapscript.py - the commands that imap-compare.py runs, and where Ekiden may answer in another way than Dovecot
# SPDX-License-Identifier: Apache-2.0
from imapwire import Literal

# Pattern of a command (fnmatch) -> why the answer differs.
CODE = "RFC 5530 section 3: the code says why in a form that programs read; Dovecot has it for some commands only"
GRAMMAR = "RFC 3501 section 9: this is no such command, and BAD is for what cannot be parsed (section 7.1.3)"
READ_ONLY = "RFC 3501 section 6.3.2: no change to the state of a mailbox that was selected with EXAMINE; NO says that there was none"
DIFFERENCES = {
    "ID x": "RFC 2971 section 3.1: the argument is NIL or a list of pairs",
    "SUBSCRIBE Nope": CODE,
    "RENAME Newer Newer.below": CODE,
    "DELETE INBOX": CODE,
    "STATUS Nope *": CODE,
    "STATUS Deep *": CODE,
    "SELECT Nope": CODE,
    "SELECT Deep": CODE,
    'SELECT "IN*BOX"': CODE,
    "STORE 1 +FLAGS (\\Deleted)": READ_ONLY,
    "EXPUNGE": READ_ONLY,
    "MOVE 1 Sent": READ_ONLY + "; RFC 6851 section 3.3 lets MOVE do no more than COPY, STORE and EXPUNGE may",
    "UID MOVE 1:[*] Sent": READ_ONLY,
    "FETCH [34] (BODY.PEEK[[]1]*": "RFC 3501 section 6.4.5: a header's delimiting blank line belongs to it, here where a boundary follows at once",
    "FETCH 1[56] (BODY.PEEK[[]1]*": "RFC 5322 section 2.2: a field ends with CRLF, and so does the last one, here where a boundary follows at once",
    "FETCH 3[34] *": "RFC 2046 section 5.1.1: boundaries that differ behind the 70th character, the most it allows, are told apart",
    "FETCH 79:99 (BODY.PEEK[[]1.1]*": "RFC 3501 section 6.4.5: a part that is neither multipart nor message/rfc822 has no parts",
    "SEARCH SENTBEFORE 10-Mar-2020": "RFC 3501 section 6.4.4: only messages whose Date: header is earlier; those without a date have none",
    "SEARCH SINCE 45-Mar-2020": "RFC 3501 section 9, date-day: Day of month",
    "SEARCH KEYWORD nothing": "RFC 3501 section 7.2.6: FLAGS lists flags that are applicable; to search for a word makes no flag of it",
    "STORE 1 ?FLAGS (\\Flagged)": "RFC 3501 section 6.4.6: the new value of the flags is returned, also when it is the old one",
    "STORE 1 +FLAGS": GRAMMAR,
    "ENABLE": GRAMMAR.replace("3501 section 9", "5161 section 4"),
    "NOOP x": GRAMMAR,
    "CAPABILITY x": GRAMMAR,
    "SELECT INBOX x": GRAMMAR,
    "SELECT (INBOX)": GRAMMAR + "; so no mailbox is left either",
    'SELECT ""INBOX': GRAMMAR,
}

MESSAGE = b"From: app@example.test\r\nSubject: appended\r\nDate: Mon, 2 Mar 2020 10:00:00 +0000\r\n\r\nappended body\r\n"


def session():
    yield from ("CAPABILITY", "NOOP", "NAMESPACE", "ID NIL", 'ID ("name" "test" "version" NIL)', "ID ()", "ID x", "FOO", "UID FOO",
                "UID", "ENABLE FOO", "CHECK", "CLOSE", "EXPUNGE", "FETCH 1 FLAGS", "UNSELECT", "STORE 1 FLAGS ()", "SEARCH ALL",
                "COPY 1 INBOX", "LOGIN a b", "STARTTLS", "capability", "NooP")


def listing():
    yield from ('LIST "" ""', 'LIST "" *', 'LIST "" %', 'LIST "" "%"', 'LIST "" Archive*', 'LIST "" Archive%', 'LIST "" Archive.%',
                'LIST "" *.*', 'LIST "" %.%', 'LIST Archive. %', 'LIST Archive %', 'LIST "Archive." "2020*"', 'LIST "" INBOX', 'LIST "" inbox',
                'LIST "" InB*', 'LIST "" nothing', 'LIST "" Deep*', 'LIST "" Deep', 'LIST "" Deep.%', 'LIST "" Entw*', 'LIST "" "Entw&APw-rfe"',
                'LIST "" "Entw&APw-*"', 'LIST () "" *', 'LIST "" (INBOX Sent)', 'LIST "" (Archive% *spring)', 'LIST "" % RETURN (CHILDREN)',
                'LIST "" * RETURN (SPECIAL-USE)', 'LIST (SPECIAL-USE) "" *', 'LIST (SPECIAL-USE) "" * RETURN (CHILDREN)',
                'LIST "" * RETURN (SUBSCRIBED)', 'LIST (SUBSCRIBED) "" *', 'LIST (REMOTE) "" %', 'LIST (RECURSIVEMATCH) "" %',
                'LIST (FOO) "" *', 'LIST "" * RETURN (FOO)', 'LIST "" * FOO', 'LIST ""', "LIST", 'LIST "" "a" "b"',
                'LIST "" % RETURN (STATUS (MESSAGES UIDNEXT))', 'LIST "" Arch* RETURN (CHILDREN STATUS (MESSAGES UNSEEN))',
                'LIST "" % RETURN (STATUS ())', 'LIST "" % RETURN (STATUS (FOO))')
    yield from ("SUBSCRIBE Archive.2020", "SUBSCRIBE INBOX", "SUBSCRIBE Deep.er.est", "SUBSCRIBE Nope", 'SUBSCRIBE "&bad"', "SUBSCRIBE",
                'LSUB "" *', 'LSUB "" %', 'LSUB "" Archive.%', 'LSUB Archive. *', 'LSUB "" nothing', 'LIST (SUBSCRIBED) "" *', 'LIST (SUBSCRIBED) "" %',
                'LIST (SUBSCRIBED RECURSIVEMATCH) "" %', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" *', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" Archive',
                'LIST (SUBSCRIBED) "" * RETURN (CHILDREN)', 'LIST (SUBSCRIBED) "" * RETURN (SUBSCRIBED SPECIAL-USE)',
                'LIST "" % RETURN (SUBSCRIBED CHILDREN)', "UNSUBSCRIBE Deep.er.est", "UNSUBSCRIBE Nope", 'LSUB "" *')
    yield ("LIST ", Literal(b""), " ", Literal(b"Arch*"))
    yield ("LIST ", Literal(b"", sync=False), " ", Literal(b"Sent", sync=False))


def mailboxes():
    yield from ("CREATE New", "CREATE New", "CREATE New.child", "CREATE Parent.of.many", "CREATE Trail.", "CREATE INBOX", 'CREATE ""', 'CREATE "a..b"',
                'CREATE "&bad"', 'CREATE "a/b"', "CREATE", 'CREATE "with space"', 'CREATE "&AOQ-"', 'CREATE "a&AGE-"', 'LIST "" *',
                "RENAME New Newer", 'LIST "" New*', "RENAME Nope Other", "RENAME Newer INBOX", "RENAME Newer Newer", "RENAME Parent Child",
                'LIST "" *.*', "RENAME Newer Newer.below", "RENAME Newer", 'RENAME "&bad" x', "DELETE Newer.child", "DELETE Newer", "DELETE Newer",
                "DELETE INBOX", "DELETE Nope", 'DELETE "&bad"', "DELETE Child", 'DELETE "with space"', 'LIST "" *', "DELETE Trail",
                "STATUS INBOX (MESSAGES)", "STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)", "STATUS Archive (MESSAGES UNSEEN)",
                "STATUS Nope (MESSAGES)", "STATUS INBOX ()", "STATUS INBOX (FOO)", "STATUS INBOX MESSAGES", "STATUS INBOX", 'STATUS "inbox" (MESSAGES)',
                "STATUS Deep (MESSAGES)", "STATUS Entw&APw-rfe (MESSAGES)")


def selecting():
    yield from ("SELECT Nope", "SELECT", 'SELECT "&bad"', "SELECT Deep", "SELECT INBOX", "SELECT INBOX", "EXAMINE INBOX", "SELECT Nope", "FETCH 1 FLAGS",
                "SELECT Archive", "CLOSE", "CLOSE", "EXAMINE Archive", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE", "UNSELECT", "SELECT Archive (FOO)",
                'SELECT "Sent"', "EXAMINE Entw&APw-rfe", "SELECT INBOX", "STATUS INBOX (MESSAGES)", "NOOP", "CHECK")


def fetching(n):
    for i in range(1, n + 1):
        yield f"FETCH {i} (ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE)"
        yield f"FETCH {i} (BODY BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])"
        yield f"FETCH {i} (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X-NONE)] BODY.PEEK[HEADER.FIELDS.NOT (TO DATE)])"
    yield from (
        "FETCH 1 FAST", "FETCH 1 ALL", "FETCH 1 FULL", "FETCH 1:3 (UID FLAGS)", "FETCH 1,3,5 UID", "FETCH 5:3 UID", "FETCH * UID", "FETCH 1:* UID",
        "FETCH *:1 (UID)", f"FETCH {n + 1} UID", f"FETCH 1:{n + 1} UID", "FETCH 0 UID", "FETCH 1:0 UID", "FETCH a UID", "FETCH 1,, UID", "FETCH 1:2:3 UID",
        "FETCH 4294967296 UID", "UID FETCH 1:3 FLAGS", "UID FETCH 1:3 (UID FLAGS)", "UID FETCH 99999 FLAGS", "UID FETCH 1:* UID", "UID FETCH * UID",
        "UID FETCH 99999:* UID", "UID FETCH 1,2,99999 (FLAGS)", "FETCH 1 ()", "FETCH 1 (FAST)", "FETCH 1 (FLAGS UID", "FETCH 1 FLAGS UID", "FETCH 1 FOO",
        "FETCH 1 (FLAGS FOO)", "FETCH 1", "FETCH", "FETCH 1 BODY[FOO]", "FETCH 1 BODY[MIME]", "FETCH 1 BODY[1.]", "FETCH 1 BODY[HEADER.FIELDS]",
        "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 BODY[]<a.b>", "FETCH 1 BODY.PEEK", "FETCH 1 RFC822.PEEK", "fetch 1 (flags)", "FETCH 1  (FLAGS)",
        "FETCH 1 ( FLAGS  UID )", "FETCH 1 (FLAGS FLAGS)", "FETCH 1 BODY.PEEK[]<0.10>", "FETCH 1 BODY.PEEK[]<5.10>", "FETCH 1 BODY.PEEK[]<100000.10>",
        "FETCH 1 BODY.PEEK[]<10>", "FETCH 1 BODY.PEEK[]<0.0>", "FETCH 1 BODY.PEEK[HEADER]<3.7>", "FETCH 1 BODY.PEEK[TEXT]<1.4294967295>",
        "FETCH 1 BODY.PEEK[HEADER.FIELDS (Subject)]<0.4>", "FETCH 1 (BODY.PEEK[]<0.5> BODY.PEEK[]<5.5>)", 'FETCH 1 BODY.PEEK[HEADER.FIELDS ("To" From)]',
        "FETCH 1 BODY.PEEK[HEADER.FIELDS (to from to)]", "FETCH 1:5 BODY.PEEK[HEADER.FIELDS (DATE)]", "FETCH 1 (RFC822.HEADER)", "FETCH 1 RFC822.SIZE",
        f"FETCH {n - 40}:{n} (ENVELOPE)", "FETCH 1:10 (BODYSTRUCTURE)", f"FETCH {n - 20}:{n} (BODY.PEEK[1.1] BODY.PEEK[2.1] BODY.PEEK[2.HEADER])",
        f"FETCH {n - 30}:{n} (BODY.PEEK[2.MIME] BODY.PEEK[2.TEXT] BODY.PEEK[1.2.MIME])", f"FETCH {n - 30}:{n} (BODY.PEEK[3] BODY.PEEK[9] BODY.PEEK[1.9.9])",
        f"FETCH {n - 30}:{n} (BODY.PEEK[2.2] BODY.PEEK[2.2.MIME] BODY.PEEK[2.HEADER.FIELDS (SUBJECT)])",
        f"FETCH {n - 30}:{n} (BODY.PEEK[2.HEADER.FIELDS.NOT (SUBJECT)] BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT])")
    yield ("FETCH 1 BODY.PEEK[HEADER.FIELDS (", Literal(b"Subject"), " From)]")
    # what sets \\Seen
    yield from ("FETCH 1 (FLAGS)", "FETCH 1 BODY[TEXT]<0.1>", "FETCH 1 (FLAGS)", "FETCH 8 BODY[]<0.1>", "FETCH 9 (BODY.PEEK[]<0.1>)", "FETCH 9 FLAGS",
                "FETCH 9 RFC822.HEADER", "FETCH 9 FLAGS", "UID FETCH 9 RFC822.TEXT", "FETCH 9 FLAGS", "FETCH 16 (FLAGS BODY[1])", "FETCH 17:20 RFC822",
                "FETCH 1:20 FLAGS", "FETCH 24 (UID BODY[HEADER.FIELDS (SUBJECT)])")


def searching(n):
    yield from (f"SEARCH {key}" for key in (
        "ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "NEW", "OLD", "RECENT", "SEEN", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN",
        "1", "1:3", "2,4:6", "*", "1:*", f"{n}:*", "UID 1:3", "UID 99999", "UID *", "NOT SEEN", "NOT 1:5",
        "OR SEEN DELETED", "OR (SEEN FLAGGED) (DELETED)", "SEEN UNFLAGGED", "(SEEN) (FLAGGED)", "NOT (SEEN OR FLAGGED ANSWERED)", "LARGER 1000",
        "SMALLER 1000", "LARGER 1000 SMALLER 3000", "LARGER 0", "SMALLER 0", "BEFORE 5-Mar-2020", "ON 5-Mar-2020", "SINCE 5-Mar-2020", 'SINCE "5-Mar-2020"',
        "SINCE 5-Mar-2020 BEFORE 9-Mar-2020", "SENTBEFORE 10-Mar-2020", "SENTON 10-Mar-2020", "SENTSINCE 10-Mar-2020", "SENTON 21-Nov-1997",
        "SENTBEFORE 1-Jan-1998 SENTSINCE 1-Jan-1997", 'SUBJECT "plain"', "SUBJECT PLAIN", 'SUBJECT ""', "SUBJECT nested", 'SUBJECT "folded subject"',
        "SUBJECT twice", "FROM anna", "FROM Muster", "FROM example.test", "TO ben", "TO Group", "CC dora", "BCC hidden", 'FROM "nobody here"',
        "HEADER Message-ID <1@example.test>", 'HEADER X-Long ""', 'HEADER X-None ""', "HEADER Subject plain", "HEADER x-long word", "HEADER Date 1997",
        "HEADER Content-Type multipart", "BODY needle", "BODY NEEDLE", "BODY haystack", 'BODY "Hello world"', "BODY softbreak", "BODY nowherewordxyz",
        "BODY preamble", "BODY octet-stream", "TEXT needle", "TEXT anna", "TEXT octet-stream", "TEXT multipart", 'TEXT "inner subject"', 'BODY "inner subject"',
        "BODY bottom", "TEXT bottom", 'TEXT ""', 'BODY ""', "CHARSET UTF-8 ALL", "CHARSET US-ASCII SUBJECT plain", "CHARSET X-NONE ALL",
        "FOO", "NOT", "OR SEEN", "()", "", "SUBJECT", "LARGER x", "SINCE 45-Mar-2020", "SINCE x", "0", f"{n + 5}", "CHARSET", "(SEEN", "SEEN)",
        "RETURN () ALL", "RETURN (MIN) SEEN", "RETURN (MAX) SEEN", "RETURN (COUNT) SEEN", "RETURN (ALL) SEEN", "RETURN (MIN MAX COUNT ALL) SEEN",
        "RETURN (MIN MAX) SUBJECT nothing", "RETURN (COUNT) SUBJECT nothing", "RETURN (ALL) SUBJECT nothing", "RETURN (FOO) ALL", "RETURN ALL",
        "RETURN (MIN COUNT) CHARSET UTF-8 SUBJECT plain"))
    yield from (f"UID SEARCH {key}" for key in ("ALL", "SEEN", "1:3", "UID 2:4", "RETURN (ALL) SEEN", "RETURN (MIN MAX COUNT) 1:*", "SUBJECT plain", "UID *"))
    yield ("SEARCH CHARSET UTF-8 SUBJECT ", Literal("Gr\u00fc\u00dfe".encode()))
    yield ("SEARCH CHARSET UTF-8 SUBJECT ", Literal("GR\u00dc\u00dfE AUS K\u00d6LN".encode()))
    yield ("SEARCH CHARSET ISO-8859-1 BODY ", Literal("K\u00f6ln".encode("latin-1")))
    yield ("SEARCH CHARSET UTF-8 FROM ", Literal("B\u00e4rbel".encode()))
    yield ("SEARCH CHARSET UTF-8 BODY ", Literal("caf\u00e9".encode(), sync=False))
    yield ("SEARCH CHARSET UTF-8 TEXT ", Literal("\u00e4\u00f6\u00fc".encode()))
    yield ("SEARCH SUBJECT ", Literal(b"plain"), " SEEN")


def storing():
    yield from ("STORE 1 +FLAGS (\\Flagged)", "STORE 1 +FLAGS (\\Flagged)", "STORE 1 -FLAGS (\\Flagged)", "STORE 1 -FLAGS (\\Flagged)", "STORE 1 FLAGS (\\Seen \\Draft)",
                "STORE 2:4 +FLAGS.SILENT (\\Answered)", "FETCH 2:4 FLAGS", "STORE 2:4 -FLAGS.SILENT \\Answered", "STORE 1 FLAGS ()", "STORE 1 +FLAGS \\Seen",
                "STORE 1 +FLAGS foo", "FETCH 1 FLAGS", "STORE 2 +FLAGS (foo $Bar)", "STORE 2 -FLAGS (FOO)", "FETCH 1:3 FLAGS", "STORE 1 +FLAGS (\\Recent)",
                "STORE 1 +FLAGS (\\Foo)", "STORE 1 +FLAGS", "STORE 1", "STORE", "STORE 1 FOO (\\Seen)", "STORE a FLAGS ()", "STORE 9999 FLAGS (\\Seen)", "STORE 1 FLAGS (\\Seen",
                'STORE 1 +FLAGS "x"', "UID STORE 2 +FLAGS (\\Flagged)", "UID STORE 2,3 -FLAGS (\\Flagged)", "UID STORE 99999 +FLAGS (\\Flagged)", "UID STORE 1:3 FLAGS.SILENT (\\Seen)",
                "SEARCH KEYWORD foo", "SEARCH KEYWORD $bar", "SEARCH UNKEYWORD foo 1:3", "store 3 +flags (\\seen \\flagged)", "FETCH 3 FLAGS")


def copying():
    yield from ("COPY 1 Sent", "COPY 1:3 Sent", "UID COPY 2 Sent", "COPY 1 Nope", "COPY 1", "COPY", "COPY 99999 Sent", "UID COPY 99999 Sent", "COPY 2 INBOX", "NOOP",
                'COPY 1 "&bad"', "STATUS Sent (MESSAGES UIDNEXT UNSEEN)", "COPY 1,3,5 Archive", "UID COPY 1:2,4 Archive", "MOVE 1 Nope", "MOVE 1", "UID MOVE 99999 Sent",
                "EXAMINE Archive", "FETCH 1:* (FLAGS UID INTERNALDATE)", "SELECT Sent", "FETCH 1:* (UID FLAGS INTERNALDATE)", "MOVE 1 Archive", "UID MOVE 2:3 Archive",
                "NOOP", "FETCH 1:* UID", "SELECT Archive", "FETCH 1:* (UID FLAGS)", "MOVE 2:3 INBOX", "UID MOVE 1 INBOX", "STATUS INBOX (MESSAGES)")


def appending():
    for before in ("APPEND Drafts ", "APPEND Drafts (\\Seen \\Draft) ", 'APPEND Drafts "01-Jan-2021 12:00:00 +0100" ', 'APPEND Drafts (\\Flagged key) " 1-Feb-2021 12:00:00 -0800" ',
                   "APPEND Nope ", 'APPEND "&bad" ', "APPEND Drafts () ", 'APPEND Drafts "31-Foo-2021 12:00:00 +0100" ', "APPEND Drafts (\\Recent) "):
        yield (before, Literal(MESSAGE))
    yield ("APPEND Drafts ", Literal(MESSAGE, sync=False))
    yield ("APPEND Drafts (\\Flagged) ", Literal(MESSAGE, sync=False))
    yield ("APPEND Nope ", Literal(MESSAGE, sync=False))
    yield ("APPEND Drafts ", Literal(MESSAGE))
    yield ("APPEND ", Literal(b"Drafts"), " (\\Answered) ", Literal(MESSAGE))
    yield ("APPEND Nope ", Literal(MESSAGE))
    yield ("APPEND Drafts ", Literal(b"Subject: lf only\n\nbody\n"))
    yield ("APPEND Drafts ", Literal(b"x" * 200000))
    yield from ("APPEND Drafts", "APPEND Drafts x", "APPEND", 'APPEND Drafts "x"', "SELECT Drafts", "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)", "FETCH 1:* BODY.PEEK[]", "NOOP")
    yield ("APPEND Drafts ", Literal(MESSAGE))
    yield "NOOP"


def expunging():
    yield from ("STORE 1:2 +FLAGS.SILENT (\\Deleted)", "EXPUNGE", "EXPUNGE", "FETCH 1:* UID", "STORE 1:2 +FLAGS.SILENT (\\Deleted)", "UID EXPUNGE 99999", "UID EXPUNGE 1:*",
                "UID EXPUNGE", "UID EXPUNGE x", "FETCH 1:* UID", "STORE 1 +FLAGS.SILENT (\\Deleted)", "CLOSE", "SELECT Drafts", "FETCH 1:* UID", "STORE 1 +FLAGS.SILENT (\\Deleted)",
                "UNSELECT", "SELECT Drafts", "FETCH 1:* (FLAGS UID)", "EXAMINE Drafts", "CLOSE", "SELECT Drafts", "FETCH 1 FLAGS", "STORE 1:* +FLAGS.SILENT (\\Deleted)", "EXPUNGE",
                "FETCH 1 FLAGS", "FETCH 1:* FLAGS", "UID FETCH 1:* FLAGS", "SEARCH ALL", "UID SEARCH ALL", "STORE 1 FLAGS ()", "STORE 1:* FLAGS ()", "COPY 1:* Sent", "UID COPY 1:* Sent",
                "EXPUNGE", "SEARCH RETURN (MIN MAX ALL COUNT) ALL")


def condstore():
    yield from ("SELECT Archive (CONDSTORE)", "FETCH 1 (FLAGS MODSEQ)", "FETCH 1:* MODSEQ", "STORE 1 +FLAGS (\\Flagged)", "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (\\Draft)",
                "STORE 1:2 (UNCHANGEDSINCE 99999) +FLAGS (\\Draft)", "STORE 1 (UNCHANGEDSINCE 99999) +FLAGS.SILENT (\\Answered)", "UID STORE 1:3 (UNCHANGEDSINCE 1) FLAGS ()",
                "FETCH 1:* (FLAGS) (CHANGEDSINCE 1)", "FETCH 1:* (FLAGS) (CHANGEDSINCE 99999)", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 99999)", "FETCH 1 (FLAGS) (FOO)", "FETCH 1 FLAGS (CHANGEDSINCE x)",
                "STORE 1 (FOO 1) FLAGS ()", "SEARCH MODSEQ 1", "SEARCH MODSEQ 99999", 'SEARCH MODSEQ "/flags/\\\\draft" all 1', "SEARCH RETURN (MIN) MODSEQ 1", "SEARCH RETURN (ALL COUNT) MODSEQ 1",
                "UID SEARCH MODSEQ 1 SEEN", "STATUS Archive (HIGHESTMODSEQ)", "STORE 2 FLAGS.SILENT (\\Seen)", "ENABLE CONDSTORE", "ENABLE CONDSTORE FOO", "ENABLE", "NOOP", "UNSELECT", "SELECT INBOX",
                "FETCH 1 BODY[TEXT]<0.1>", "FETCH 2 BODY[TEXT]<0.1>")


def syntax():
    yield from ("NOOP x", " NOOP", "NOOP ", "SELECT {x}", 'SELECT "INBOX', "SELECT INBOX)", "FETCH 1 (FLAGS))", "CAPABILITY x")
    yield ("SELECT ", Literal(b"INBOX"))
    yield ("SELECT ", Literal(b"INBOX", sync=False))
    yield ("STATUS ", Literal(b"INBOX"), " (MESSAGES)")
    yield b"SELECT \"IN\\\"BOX\""
    yield b"IDLE\r\nDONE"
    yield b"IDLE\r\nnonsense"


def odd():
    """What leaves the two mailboxes in different states: last."""
    yield from ("SELECT INBOX x", "SELECT (INBOX)", 'SELECT ""INBOX', "SELECT Drafts", "SEARCH KEYWORD nothing", "SEARCH UNKEYWORD nothing", "EXAMINE Archive", "MOVE 1 Sent", "UID MOVE 1:* Sent")


def script(n):
    """The commands, in order; `n` messages lie in INBOX."""
    yield from session()
    yield from listing()
    yield from mailboxes()
    yield from selecting()
    yield from fetching(n)
    yield from searching(n)
    yield from storing()
    yield from copying()
    yield from appending()
    yield from expunging()
    yield from condstore()
    yield from syntax()
    yield from odd()
    yield "LOGOUT"
