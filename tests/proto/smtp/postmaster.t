# RFC 5321 4.5.1: postmaster is taken without a domain, and in each domain of ours, though nobody has that name
config: postmaster

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<>
S: 250 2.1.0 Ok
C: RCPT TO:<postmaster>
S: 250 2.1.5 Ok
C: RCPT TO:<PostMaster>
S: 250 2.1.5 Ok
C: RCPT TO:<postmaster@example.test>
S: 250 2.1.5 Ok
C: RCPT TO:<POSTMASTER@Other.Test>
S: 250 2.1.5 Ok
C: RCPT TO:<postmaster@relay.test>
S: 250 2.1.5 Ok

# nobody else gains by it
C: RCPT TO:<postmasters@other.test>
S: 550 5.1.1 <postmasters@other.test>: Recipient address rejected: User unknown in virtual mailbox table
C: RCPT TO:<nobody@other.test>
S: 550 5.1.1 <nobody@other.test>: <*>
C: RCPT TO:<postmaster@elsewhere.example>
S: 554 5.7.1 <postmaster@elsewhere.example>: Relay access denied
C: RCPT TO:<root>
S: 501 5.1.3 Bad recipient address syntax
C: VRFY postmaster
S: 252 2.0.0 <*>
C: RSET
S: 250 2.0.0 Ok
C: QUIT
S: 221 2.0.0 Bye
