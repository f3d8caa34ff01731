# AUTHENTICATE PLAIN, with and without an initial response; cancelled; nonsense
listener: imaps

S: * OK <*>
C: a1 AUTHENTICATE PLAIN
S: + <*>
C: *
S: a1 BAD <*>
C: a2 AUTHENTICATE PLAIN
S: + <*>
C: not base64!
S: a2 BAD <*>
C: a3 AUTHENTICATE X-NONE
S: a3 NO <*>
C: a4 AUTHENTICATE PLAIN <base64 \0$user\0wrong>
S: a4 NO [AUTHENTICATIONFAILED] <*>
C: a5 AUTHENTICATE PLAIN
S: + <*>
C: <base64 \0$user\0$password>
S: a5 OK [CAPABILITY <*>] Logged in
C: a6 NAMESPACE
S: * NAMESPACE (("" ".")) NIL NIL
S: a6 OK <*>
