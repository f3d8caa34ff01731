# Commands in one piece are answered in order; EXPUNGE is not told during FETCH, STORE and SEARCH (RFC 3501 5.5, 7.4.1)
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C(raw): a2 APPEND INBOX {5+}\r\none\r\n\r\na3 APPEND INBOX {5+}\r\ntwo\r\n\r\na4 SELECT INBOX\r\na5 FETCH 1:2 UID\r\na6 FOO\r\na7 SEARCH {3}\r\n
S: a2 OK <*>
S: a3 OK <*>
S...
S: a4 OK <*>
S: * 1 FETCH (UID 1)
S: * 2 FETCH (UID 2)
S: a5 OK <*>
S: a6 BAD <*>
S: + <*>
C: ALL
S: a7 BAD <*>
C2: b1 LOGIN <user> <password>
S2...
S2: b1 OK <*>
C2: b2 SELECT INBOX
S2...
S2: b2 OK <*>
C2: b3 STORE 1 +FLAGS.SILENT (\Deleted)
S2: b3 OK <*>
C2: b4 EXPUNGE
S2: * 1 EXPUNGE
S2: b4 OK <*>
C: c1 SEARCH UID 2
S: * SEARCH 2
S: c1 OK <*>
C: c2 STORE 2 +FLAGS (\Seen)
S: * 2 FETCH (FLAGS (\Seen \Recent))
S: c2 OK <*>
C: c3 FETCH 1 BODY.PEEK[]
S: c3 NO [EXPUNGEISSUED] <*>
C: c4 NOOP
S: * 1 EXPUNGE
S: * 1 RECENT
S: c4 OK <*>
