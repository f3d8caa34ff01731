# LOGIN with a literal; commands in one piece with it are answered behind it, by store
listener: imaps

S: * OK <*>
C(raw): a1 NOOP\r\na2 NOOP\r\n
S: a1 OK <*>
S: a2 OK <*>
C: a3 LOGIN <user> {6}
S: + <*>
C(raw): secret\r\na4 SELECT INBOX\r\na5 NOOP\r\na6 LOGOUT\r\n
S: a3 OK [CAPABILITY <*>] Logged in
S...
S: a4 OK [READ-WRITE] <*>
S: a5 OK <*>
S: * BYE <*>
S: a6 OK <*>
CLOSED
