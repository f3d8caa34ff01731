# LIST-EXTENDED and LIST-STATUS (RFC 5258, RFC 5819)
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C: a2 CREATE x.y
S: a2 OK <*>
C: a3 SUBSCRIBE x.y
S: a3 OK <*>
C: a4 LIST (SUBSCRIBED) "" x*
S: * LIST (\Subscribed) "." x.y
S: a4 OK <*>
C: a5 LIST (SUBSCRIBED RECURSIVEMATCH) "" x
S: * LIST (\NonExistent) "." x (CHILDINFO ("SUBSCRIBED"))
S: a5 OK <*>
C: a6 LIST (RECURSIVEMATCH) "" %
S: a6 BAD <*>
C: a7 LIST "" (x.% INBOX) RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UNSEEN))
S: * LIST (<*>\HasNoChildren) "." INBOX
S: * STATUS INBOX (MESSAGES 0 UNSEEN 0)
S: * LIST (\Subscribed \HasNoChildren) "." x.y
S: * STATUS x.y (MESSAGES 0 UNSEEN 0)
S: a7 OK <*>
C: a8 LIST (FOO) "" *
S: a8 BAD <*>
