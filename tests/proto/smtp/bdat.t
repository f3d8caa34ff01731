# CHUNKING (RFC 3030): chunks, mistakes, and that a chunk is never taken for commands
config: smtp
listener: lax

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C(raw): BDAT 6\r\nQUIT\r\n
S: 503 5.5.1 Error: need MAIL command
C: MAIL FROM:<a@example.org>
S: 250 <*>
C(raw): BDAT 6 LAST\r\nQUIT\r\n
S: 554 5.5.1 Error: no valid recipients
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C(raw): BDAT 14\r\nSubject: x\r\n\r\nBDAT 3\r\n.\r\n
S: 250 2.0.0 Ok: 14 bytes
S: 250 2.0.0 Ok: 3 bytes
C: DATA
S: 503 5.5.1 Error: DATA after BDAT
C: MAIL FROM:<a@example.org>
S: 503 5.5.1 Error: MAIL after BDAT
C(raw): BDAT 3 LAST\r\nend
S: 250 2.0.0 Ok: 22 bytes queued as <*>
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C: BDAT 0
S: 250 2.0.0 Ok: 0 bytes
C: RSET
S: 250 2.0.0 Ok
C: BDAT x
S: 501 5.5.4 Syntax: BDAT count [LAST]
CLOSED
