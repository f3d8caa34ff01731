# STARTTLS (RFC 3207): everything said before is forgotten; what follows it in the clear never counts
config: smtp

S: 220 <*>
C: STARTTLS now
S: 501 5.5.4 Syntax: STARTTLS
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: STARTTLS
S: 220 2.0.0 Ready to start TLS
STARTTLS
C: RCPT TO:<<user>>
S: 503 5.5.1 Error: need MAIL command
C: MAIL FROM:<a@example.org>
S: 503 5.5.1 Error: send HELO/EHLO first
C: EHLO client.example
S...
S: 250-ETRN
S: 250-AUTH PLAIN LOGIN
S...
S: 250 CHUNKING
C: STARTTLS
S: 554 5.5.1 Error: TLS already active
C: QUIT
S: 221 2.0.0 Bye
C2: EHLO client.example
S2...
S2: 250 CHUNKING
C2(raw): STARTTLS\r\nNOOP\r\n
S2: 554 5.5.0 Error: SMTP protocol synchronization
CLOSED2
