# Before login: long commands are refused and not kept, too many bad ones end the connection
listener: imaps

S: * OK <*>
C: a1 NOOP <repeat 20000 x>
S: a1 BAD <*>
C: a2 LOGIN {100000}
S: a2 BAD <*>
C: a3 LOGIN {20000+}
C: <repeat 20000 x>
S: a3 BAD <*>
C: a4 NOOP
S: a4 OK <*>
C: a5 LOGIN "unclosed
S: a5 BAD <*>
C(raw): a6 \x00\r\n
S: a6 BAD <*>
C(raw): a\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\n
S...
S: * BYE <*>
CLOSED
