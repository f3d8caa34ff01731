# UIDPLUS and MOVE: COPYUID tells what became of what
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C(raw): a2 APPEND INBOX (\Seen) {5+}\r\none\r\n\r\na3 APPEND INBOX {5+}\r\ntwo\r\n\r\na4 APPEND INBOX {7+}\r\nthree\r\n\r\n
S: a2 OK <*>
S: a3 OK <*>
S: a4 OK <*>
C: b1 SELECT INBOX
S...
S: b1 OK <*>
C: b2 COPY 1 Archive
S: b2 NO [TRYCREATE] <*>
C: b3 CREATE Archive
S: b3 OK <*>
C: b4 COPY 1,3 Archive
S: b4 OK [COPYUID <v> 1,3 1:2] <*>
C: b5 UID MOVE 2:3 Archive
S: * OK [COPYUID <v> 2:3 3:4] <*>
S: * 3 EXPUNGE
S: * 2 EXPUNGE
S: * 1 RECENT
S: b5 OK <*>
C: b6 UID COPY 99 Archive
S: b6 OK <*>
C: b7 COPY 9 Archive
S: b7 BAD <*>
C: b8 SELECT Archive
S...
S: b8 OK <*>
C: b9 FETCH 1:* (FLAGS UID)
S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent))
S: * 2 FETCH (UID 2 FLAGS (\Recent))
S: * 3 FETCH (UID 3 FLAGS (\Recent))
S: * 4 FETCH (UID 4 FLAGS (\Recent))
S: b9 OK <*>
