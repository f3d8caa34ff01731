# Commands out of order, unknown, or with nonsense behind them
config: smtp

S: 220 <*>
C: MAIL FROM:<a@example.org>
S: 503 5.5.1 Error: send HELO/EHLO first
C: HELO
S: 501 Syntax: HELO hostname
C: HELO client.example
S: 250 mail.example.test
C: RCPT TO:<<user>>
S: 503 5.5.1 Error: need MAIL command
C: DATA
S: 503 5.5.1 Error: need RCPT command
C: MAIL <a@example.org>
S: 501 5.5.4 Syntax: MAIL FROM:<address>
C: MAIL FROM:<a b@example.org>
S: 501 5.1.7 Bad sender address syntax
C: mail from: <a@example.org>
S: 250 2.1.0 Ok
C: MAIL FROM:<b@example.org>
S: 503 5.5.1 Error: nested MAIL command
C: RCPT TO:<>
S: 501 5.1.3 Bad recipient address syntax
C: BOGUS
S: 502 5.5.2 Error: command not recognized
C: NOOP
S: 250 2.0.0 Ok
C: EXPN list
S: 502 5.5.1 EXPN command is disabled
C: ETRN elsewhere.example
S: 503 5.5.1 Error: MAIL transaction in progress
C: RSET
S: 250 2.0.0 Ok
C: ETRN elsewhere.example
S: 459 4.7.0 <elsewhere.example>: service unavailable
C: HELP
S: 214 2.0.0 <*>
C: VRFY <user>
S: 252 2.0.0 <user>
C: QUIT
S: 221 2.0.0 Bye
