# RFC 3501 6.4.6, 6.4.3: STORE in its forms, \Seen by reading, EXPUNGE, CLOSE, read-only
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C(raw): a2 APPEND INBOX {5+}\r\none\r\n\r\na3 APPEND INBOX {5+}\r\ntwo\r\n\r\na4 APPEND INBOX {7+}\r\nthree\r\n\r\n
S: a2 OK <*>
S: a3 OK <*>
S: a4 OK <*>
C: b1 SELECT INBOX
S...
S: b1 OK <*>
C: b2 STORE 1 +FLAGS (\Flagged)
S: * 1 FETCH (FLAGS (\Flagged \Recent))
S: b2 OK <*>
C: b3 STORE 1 +FLAGS.SILENT (\Answered)
S: b3 OK <*>
C: b4 STORE 1 FLAGS \Draft
S: * 1 FETCH (FLAGS (\Draft \Recent))
S: b4 OK <*>
C: b5 UID STORE 1:2 -FLAGS (\Draft)
S: * 1 FETCH (UID 1 FLAGS (\Recent))
S: * 2 FETCH (UID 2 FLAGS (\Recent))
S: b5 OK <*>
C: b6 FETCH 3 BODY[TEXT]
S: * 3 FETCH (FLAGS (\Seen \Recent) BODY[TEXT] {0}
S: )
S: b6 OK <*>
C: b7 STORE 1,3 +FLAGS.SILENT (\Deleted)
S: b7 OK <*>
C: b8 UID EXPUNGE 3
S: * 3 EXPUNGE
S: * 2 RECENT
S: b8 OK <*>
C: b9 STORE 4 FLAGS ()
S: b9 BAD <*>
C: c1 EXAMINE INBOX
S...
S: c1 OK [READ-ONLY] <*>
C: c2 STORE 2 +FLAGS (\Deleted)
S: c2 NO [READ-ONLY] <*>
C: c3 EXPUNGE
S: c3 NO [READ-ONLY] <*>
C: c4 SELECT INBOX
S...
S: c4 OK [READ-WRITE] <*>
C: c5 CLOSE
S: c5 OK <*>
C: c6 STATUS INBOX (MESSAGES UIDNEXT)
S: * STATUS INBOX (MESSAGES 1 UIDNEXT 4)
S: c6 OK <*>
C: c7 FETCH 1 FLAGS
S: c7 BAD <*>
