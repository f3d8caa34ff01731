# SMTP smuggling: where bare LF and CR are tolerated they become CRLF and space, and only CRLF.CRLF ends the message
config: smtp
listener: lax

S: 220 <*>
C(raw): EHLO client.example\n
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C: DATA
S: 354 <*>
C(raw): Subject: x\r\n\r\n1\n.\n2\n.\r\n3\r\n.\n4\r.\r5\r\n.\r6\r\n
QUIET 0.3
C: .
S: 250 2.0.0 Ok: queued as <*>
C: NOOP
S: 250 2.0.0 Ok
