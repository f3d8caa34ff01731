# Who does not wait for 354, or for the answer to EHLO, is no honest client
config: smtp

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org>
S: 250 <*>
C: RCPT TO:<<user>>
S: 250 <*>
C(raw): DATA\r\nSubject: x\r\n\r\n.\r\n
S: 554 5.5.0 Error: SMTP protocol synchronization
CLOSED
C2(raw): EHLO client.example\r\nMAIL FROM:<>\r\n
S2: 220 <*>
S2: 554 5.5.0 Error: SMTP protocol synchronization
CLOSED2
