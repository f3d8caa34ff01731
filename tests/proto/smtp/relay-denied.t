# Strangers send nothing elsewhere, whatever form the address has
config: smtp

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org>
S: 250 2.1.0 Ok
C: RCPT TO:<b@elsewhere.example>
S: 554 5.7.1 <b@elsewhere.example>: Relay access denied
C: RCPT TO:<@example.test:b@elsewhere.example>
S: 554 5.7.1 <b@elsewhere.example>: Relay access denied
C: RCPT TO:<"b@elsewhere.example"@example.test>
S: 550 5.1.1 <*>
C: RCPT TO:<b%elsewhere.example@example.test>
S: 550 5.1.1 <*>
C: RCPT TO:<b@[192.0.2.9]>
S: 554 5.7.1 <b@[192.0.2.9]>: Relay access denied
C: DATA
S: 554 5.5.1 Error: no valid recipients
C: QUIT
S: 221 2.0.0 Bye
