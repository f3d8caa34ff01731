# 4294967295 is a number like others and not *: no message has it (RFC 3501 section 9, seq-number)
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C(raw): a2 APPEND INBOX {5+}\r\none\r\n\r\n
S: a2 OK <*>
C: a3 SELECT INBOX
S...
S: a3 OK <*>
C: b1 FETCH 4294967295 FLAGS
S: b1 BAD <*>
C: b2 UID FETCH 4294967295 FLAGS
S: b2 OK <*>
C: b3 UID STORE 4294967295 +FLAGS (\Deleted)
S: b3 OK <*>
C: b4 UID FETCH 1:4294967295 FLAGS
S: * 1 FETCH (UID 1 FLAGS (\Recent))
S: b4 OK <*>
C: b5 SEARCH UID 4294967295
S: * SEARCH
S: b5 OK <*>
C: b6 UID FETCH * FLAGS
S: * 1 FETCH (UID 1 FLAGS (\Recent))
S: b6 OK <*>
