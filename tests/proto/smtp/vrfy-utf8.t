# VRFY with RFC 6531's parameter; an AUTH line that is too long ends the exchange (RFC 4954 6)
listener: submissions

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: AUTH PLAIN
S: 334<*>
C: <repeat 13000 A>
S: 500 5.5.6 <*>
C: NOOP
S: 250 2.0.0 Ok
C: VRFY <user>
S: 252 2.0.0 <user>
C: VRFY <user> SMTPUTF8
S: 252 2.0.0 <user>
C: VRFY jürgen@example.test
S: 501 5.1.3 <*>
C: VRFY jürgen@example.test SMTPUTF8
S: 550 5.1.1 <jürgen@example.test>: <*>
