# LOGIN with literals, synchronising and not; commands behind it are pipelined
listener: imaps

S: * OK <*>
C: a2 LOGIN {4}
S: + <*>
C: abcd {3+}
C: xyz
S: a2 NO <*>
C(raw): a3 NOOP\r\na4 NOOP\r\n
S: a3 OK <*>
S: a4 OK <*>
C: a5 LOGIN <user> <password>
S: a5 OK <*>
C(raw): a6 SELECT INBOX\r\na7 NOOP\r\na8 LOGOUT\r\n
S...
S: a6 OK [READ-WRITE] <*>
S: a7 OK <*>
S: * BYE <*>
S: a8 OK <*>
CLOSED
