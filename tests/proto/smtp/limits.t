# Limits: recipients, size told and size sent, header, lines, errors
config: smtp
listener: small
users: 3

S: 220 <*>
C: EHLO client.example
S: 250-mail.example.test
S: 250-PIPELINING
S: 250-SIZE 10240
S: 250-STARTTLS
S: 250-ENHANCEDSTATUSCODES
S: 250-8BITMIME
S: 250-DSN
S: 250-SMTPUTF8
S: 250 CHUNKING
C: MAIL FROM:<a@example.org> SIZE=10241
S: 552 5.3.4 Message size exceeds fixed limit
C: MAIL FROM:<a@example.org> SIZE=10240
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C: RCPT TO:<<user2>>
S: 250 <*>
C: RCPT TO:<<user3>>
S: 452 4.5.3 Error: too many recipients
C: DATA
S: 354 <*>
C:
C(raw): <repeat 300 0123456789012345678901234567890123456789\r\n>
C: .
S: 552 5.3.4 Error: message file too big
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C: DATA
S: 354 <*>
C(raw): <repeat 100 X-Header: 01234567890123456789\r\n>
C: .
S: 552 5.3.4 Error: message header too big
C: VRFY <user>
S: 502 5.5.1 VRFY command is disabled
C: <repeat 600 x>
S: 500 5.5.2 Error: line too long
S: 421 4.7.0 mail.example.test Error: too many errors
CLOSED
C2: HELO client.example
S2...
S2: 250 mail.example.test
C2: MAIL FROM:<a@example.org>
S2: 250 <*>
C2: RCPT TO:<<user>>
S2: 250 <*>
C2: DATA
S2: 354 <*>
C2(raw): <repeat 5 Received: x\r\n>\r\n
C2: .
S2: 554 5.4.6 Error: too many hops
C2: RSET
S2: 250 <*>
C2(raw): <repeat 1000000 y>
C2:
S2: 500 5.5.2 Error: line too long
C2(raw): NO\0OP\r\n
S2: 501 5.5.2 Error: control characters in command
C2: QUIT
S2: 221 <*>
