# RFC 5321 D.2: a transaction that is given up
config: smtp

S: 220 <*>
C: EHLO bar.example
S...
S: 250 CHUNKING
C: MAIL FROM:<Smith@bar.example>
S: 250 2.1.0 Ok
C: RCPT TO:<<user>>
S: 250 2.1.5 Ok
C: RCPT TO:<Green@example.test>
S: 550 5.1.1 <*>
C: RSET
S: 250 2.0.0 Ok
C: RCPT TO:<<user>>
S: 503 5.5.1 Error: need MAIL command
C: QUIT
S: 221 2.0.0 Bye
CLOSED
