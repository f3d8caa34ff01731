# RFC 5321 D.1: a typical transaction; one recipient does not exist
config: smtp
users: 2

S: 220 mail.example.test ESMTP Ekiden
C: EHLO bar.example
S: 250-mail.example.test
S: 250-PIPELINING
S: 250-SIZE 52428800
S: 250-VRFY
S: 250-ETRN
S: 250-STARTTLS
S: 250-ENHANCEDSTATUSCODES
S: 250-8BITMIME
S: 250-DSN
S: 250-SMTPUTF8
S: 250 CHUNKING
C: MAIL FROM:<Smith@bar.example>
S: 250 2.1.0 Ok
C: RCPT TO:<<user>>
S: 250 2.1.5 Ok
C: RCPT TO:<Green@example.test>
S: 550 5.1.1 <Green@example.test>: Recipient address rejected: User unknown in virtual mailbox table
C: RCPT TO:<<user2>>
S: 250 2.1.5 Ok
C: DATA
S: 354 End data with <CR><LF>.<CR><LF>
C: Blah blah blah...
C: ...etc. etc. etc.
C: .
S: 250 2.0.0 Ok: queued as <*>
C: QUIT
S: 221 2.0.0 Bye
CLOSED
