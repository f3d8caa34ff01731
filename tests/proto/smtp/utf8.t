# SMTPUTF8 (RFC 6531): addresses beyond ASCII only when it was asked for
config: smtp
listener: lax

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<jörg@example.org>
S: 553 5.6.7 Must declare SMTPUTF8 to send unicode address
C: MAIL FROM:<jörg@example.org> SMTPUTF8
S: 250 2.1.0 Ok
C: RCPT TO:<<user>>
S: 250 2.1.5 Ok
C: DATA
S: 354 <*>
C: Subject: Grüße
C:
C: .
S: 250 2.0.0 Ok: queued as <*>
C: MAIL FROM:<a@example.org>
S: 250 2.1.0 Ok
C: RCPT TO:<jörg@example.test>
S: 553 5.6.7 Must declare SMTPUTF8 to send unicode address
