# IDLE (RFC 2177): another session's changes come by themselves
listener: imaps
timeout: 10

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C: a2 SELECT INBOX
S...
S: a2 OK <*>
C: a3 IDLE
S: + <*>
C2: b1 LOGIN <user> <password>
S2...
S2: b1 OK <*>
C2: b2 APPEND INBOX {5+}
C2: one
C2:
S2: b2 OK <*>
S: * 1 EXISTS
S: * 1 RECENT
C2: b3 SELECT INBOX
S2...
S2: b3 OK <*>
C2: b4 STORE 1 +FLAGS.SILENT (\Deleted)
S2: b4 OK <*>
S: * 1 FETCH (FLAGS (\Deleted \Recent))
C2: b5 EXPUNGE
S2: * 1 EXPUNGE
S2: b5 OK <*>
S: * 1 EXPUNGE
S: * 0 RECENT
C: DONE
S: a3 OK <*>
C: a4 IDLE
S: + <*>
C: NONSENSE
S: a4 BAD <*>
C: a5 NOOP
S: a5 OK <*>
