# After login: what is too long or too deep is refused, the session goes on
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C: a2 NOOP <repeat 100000 x>
S: a2 BAD <*>
C: a3 SELECT {99999999}
S: a3 BAD <*>
C: a4 SELECT {100000+}
C: <repeat 100000 x>
S: a4 BAD <*>
C: a5 APPEND INBOX {999999999999}
S: a5 NO [LIMIT] <*>
C: a6 LIST "" <repeat 3000 *>
S: a6 BAD <*>
C: a7 LIST "" "<repeat 200 *%>zz"
S: a7 OK <*>
C: a8 SELECT INBOX
S...
S: a8 OK <*>
C: a9 FETCH <repeat 5000 1,>1 UID
S: a9 BAD <*>
C(raw): b1 SELECT "a\x00b"\r\n
S: b1 BAD <*>
C: b2 STATUS INBOX (MESSAGES)
S: * STATUS INBOX (MESSAGES 0)
S: b2 OK <*>
