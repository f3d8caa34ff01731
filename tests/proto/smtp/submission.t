# Submission (RFC 6409): nothing before STARTTLS, no mail before AUTH; then mail for anybody here
config: smtp
listener: submission
users: 2

S: 220 <*>
C: EHLO client.example
S...
S: 250-STARTTLS
S: 250-ENHANCEDSTATUSCODES
S...
S: 250 CHUNKING
C: AUTH PLAIN <base64 \0$user\0$password>
S: 530 5.7.0 Must issue a STARTTLS command first
C: MAIL FROM:<<user>>
S: 530 5.7.0 Must issue a STARTTLS command first
C: STARTTLS
S: 220 2.0.0 Ready to start TLS
STARTTLS
C: EHLO client.example
S...
S: 250-AUTH PLAIN LOGIN
S...
S: 250 CHUNKING
C: MAIL FROM:<<user>>
S: 530 5.7.0 Authentication required
C: AUTH PLAIN <base64 \0$user\0$password>
S: 235 2.7.0 Authentication successful
C: AUTH PLAIN <base64 \0$user\0$password>
S: 503 5.5.1 Error: already authenticated
C: MAIL FROM:<<user>>
S: 250 2.1.0 Ok
C: RCPT TO:<<user2>>
S: 250 2.1.5 Ok
C: DATA
S: 354 <*>
C: Subject: no date, no id
C:
C: .
S: 250 2.0.0 Ok: queued as <*>
C: QUIT
S: 221 2.0.0 Bye
CLOSED
