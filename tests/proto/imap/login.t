# LOGIN over TLS: the answer comes from store, with its capabilities
listener: imaps

S: * OK [CAPABILITY IMAP4rev1 <*>] <*>
C: a1 CAPABILITY
S: * CAPABILITY IMAP4rev1 <*>AUTH=PLAIN<*>
S: a1 OK <*>
C: a2 SELECT INBOX
S: a2 BAD <*>
C: a3 LOGIN <user> wrong
S: a3 NO [AUTHENTICATIONFAILED] <*>
C: a5 LOGIN "<user>" <password>
S: a5 OK [CAPABILITY IMAP4rev1 <*>CONDSTORE<*>] Logged in
C: a6 LOGIN <user> <password>
S: a6 BAD <*>
C: a7 LOGOUT
S: * BYE <*>
S: a7 OK <*>
CLOSED
