# An answer to a challenge that is too long ends the exchange; the next line is a command again
listener: imaps

S: * OK <*>
C: a1 AUTHENTICATE PLAIN
S: +<*>
C: <repeat 100000 A>
S: a1 BAD <*>
C: a2 NOOP
S: a2 OK <*>
C: <repeat 300 t> NOOP
S: * BAD <*>Invalid tag<*>
C: <repeat 100000 t> NOOP
S: * BAD <*>
C: a3 LOGIN <user> <password>
S: a3 OK <*>
C: <repeat 300 t> NOOP
S: * BAD <*>Invalid tag<*>
C: <repeat 100000 t> NOOP
S: * BAD <*>
C: a4 NOOP
S: a4 OK <*>
