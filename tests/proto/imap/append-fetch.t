# RFC 3501 6.3.11 and 6.4.5: a message goes in and comes out as it was
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C: a2 APPEND INBOX (\Seen $Label) "02-Feb-2022 22:22:22 +0200" {75}
S: + <*>
C(raw): From: a@example.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello,\r\nworld
C:
S: a2 OK [APPENDUID <v> 1] <*>
C: a3 SELECT INBOX
S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label)
S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Label \*)] <*>
S: * 1 EXISTS
S: * 1 RECENT
S: * OK [UIDVALIDITY <v>] <*>
S: * OK [UIDNEXT 2] <*>
S: * OK [HIGHESTMODSEQ <*>] <*>
S: a3 OK [READ-WRITE] <*>
C: a4 FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)
S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent $Label) INTERNALDATE "02-Feb-2022 20:22:22 +0000" RFC822.SIZE 75 ENVELOPE (NIL "=?utf-8?q?Gr=C3=BC=C3=9Fe?=" ((NIL NIL "a" "example.test")) ((NIL NIL "a" "example.test")) ((NIL NIL "a" "example.test")) NIL NIL NIL NIL NIL))
S: a4 OK <*>
C: a5 FETCH 1 (BODY BODY.PEEK[TEXT])
S: * 1 FETCH (BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 13 1) BODY[TEXT] {13}
S: Hello,
S: world)
S: a5 OK <*>
C: a6 UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.8>
S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (SUBJECT)]<0> {8}
S: Subject:)
S: a6 OK <*>
C: a7 APPEND Nope {5}
S: a7 NO [TRYCREATE] <*>
C: a8 APPEND Nope {5+}
C: hello
S: a8 NO [TRYCREATE] <*>
C: a9 NOOP
S: a9 OK <*>
