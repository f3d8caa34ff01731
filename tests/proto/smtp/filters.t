# Filters, one that answers at once and one that takes its time, at MAIL and RCPT
config: smtp
listener: filtered
users: 2

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<fail@example.org>
S: 554 5.7.1 Failed on request
C: MAIL FROM:<defer@example.org>
S: 451 4.7.1 Deferred on request
C: MAIL FROM:<slow-300@example.org>
QUIET 0.1
S: 250 2.1.0 Ok
C: RCPT TO:<<user>>
S: 250 2.1.5 Ok
C: RCPT TO:<<user2>>
S: 250 2.1.5 Ok
C: DATA
S: 354 <*>
C: Subject: x
C:
C: .
S: 250 2.0.0 Ok: queued as <*>
C: QUIT
S: 221 <*>
