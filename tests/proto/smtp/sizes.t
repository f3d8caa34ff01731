# RFC 1870: a SIZE has up to 20 digits; RFC 3030: a chunk that nobody would read ends the connection
config: smtp
listener: lax

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org> SIZE=99999999999999999999
S: 552 5.3.4 Message size exceeds fixed limit
C: MAIL FROM:<a@example.org> SIZE=999999999999999999999
S: 501 5.5.4 Bad message size syntax
C: MAIL FROM:<a@example.org> SIZE=1e3
S: 501 5.5.4 Bad message size syntax
C: MAIL FROM:<a@example.org> SIZE=
S: 501 5.5.4 Bad message size syntax
C: MAIL FROM:<a@example.org> SIZE=0000000000000000001
S: 250 2.1.0 Ok
C: RCPT TO:<<user>>
S: 250 2.1.5 Ok
C: RCPT TO:<<user>>
S: 250 2.1.5 Ok
C: BDAT 9000000000000000000
S: 552 5.3.4 Error: message file too big
CLOSED
