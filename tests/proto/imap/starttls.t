# Without TLS no password; STARTTLS; what was sent in one piece with STARTTLS is not heard
listener: imap

S: * OK [CAPABILITY <*>STARTTLS LOGINDISABLED<*>] <*>
C: a1 LOGIN <user> <password>
S: a1 NO [PRIVACYREQUIRED] <*>
C: a2 AUTHENTICATE PLAIN <base64 \0$user\0$password>
S: a2 NO [PRIVACYREQUIRED] <*>
C(raw): a3 STARTTLS\r\nx1 NOOP\r\n
S: a3 OK <*>
STARTTLS
C: a4 CAPABILITY
S: * CAPABILITY IMAP4rev1 <*>AUTH=PLAIN<*>
S: a4 OK <*>
C: a5 STARTTLS
S: a5 BAD <*>
C: a6 LOGIN <user> <password>
S: a6 OK <*>
