# SMTP smuggling: LF.CRLF is no end of data, and a stranger is shown the door
config: smtp

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C: DATA
S: 354 <*>
C(raw): Subject: x\r\n\r\nfirst\n.\r\nMAIL FROM:<evil@example.org>\r\n
S: 521 5.5.2 mail.example.test Error: bare <LF> received
CLOSED
C2: EHLO client.example
S2...
S2: 250 CHUNKING
C2: MAIL FROM:<a@example.org>
S2: 250 <*>
C2: RCPT TO:<<user>>
S2: 250 <*>
C2: DATA
S2: 354 <*>
C2(raw): Subject: x\r\n\r\nfirst\r\n.\nMAIL FROM:<evil@example.org>\r\n
S2: 521 5.5.2 mail.example.test Error: bare <LF> received
CLOSED2
C3: EHLO client.example
S3...
S3: 250 CHUNKING
C3: MAIL FROM:<a@example.org>
S3: 250 <*>
C3: RCPT TO:<<user>>
S3: 250 <*>
C3: DATA
S3: 354 <*>
C3(raw): Subject: x\r\n\r\nfirst\r\n.\rMAIL FROM:<evil@example.org>\r\n
S3: 521 5.5.2 mail.example.test Error: bare <CR> received
CLOSED3
C4(raw): EHLO client.example\n
S4: 220 <*>
S4: 521 5.5.2 mail.example.test Error: bare <LF> received
CLOSED4
