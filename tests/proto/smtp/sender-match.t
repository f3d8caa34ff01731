# Submission with TLS from the first byte; the sender must be the one who has logged in
config: smtp
listener: submissions

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: AUTH PLAIN <base64 \0$user\0$password>
S: 235 2.7.0 Authentication successful
C: MAIL FROM:<other@example.test>
S: 553 5.7.1 <other@example.test>: Sender address rejected: not owned by user <user>
C: MAIL FROM:<>
S: 250 2.1.0 Ok
C: RSET
S: 250 <*>
C: MAIL FROM:<<user>>
S: 250 2.1.0 Ok
C: QUIT
S: 221 <*>
