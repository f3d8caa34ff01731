# PIPELINING (RFC 2920): groups in one packet, answers in order, also when a recipient is refused
config: smtp
users: 2

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C(raw): MAIL FROM:<a@example.org>\r\nRCPT TO:<<user>>\r\nRCPT TO:<no@example.test>\r\nRCPT TO:bad bad\r\nRCPT TO:<<user2>>\r\nDATA\r\n
S: 250 2.1.0 Ok
S: 250 2.1.5 Ok
S: 550 5.1.1 <*>
S: 501 5.<*>
S: 250 2.1.5 Ok
S: 354 <*>
C(raw): Subject: x\r\n\r\n.\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<no@example.test>\r\nDATA\r\n
S: 250 2.0.0 Ok: queued as <*>
S: 250 2.1.0 Ok
S: 550 5.1.1 <*>
S: 554 5.5.1 Error: no valid recipients
C(raw): RSET\r\nNOOP\r\nQUIT\r\n
S: 250 2.0.0 Ok
S: 250 2.0.0 Ok
S: 221 2.0.0 Bye
CLOSED
