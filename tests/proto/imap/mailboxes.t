# CREATE, RENAME, DELETE, SUBSCRIBE, LIST and LSUB
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C: a2 CREATE foo.bar.baz
S: a2 OK <*>
C: a3 LIST "" foo%
S: * LIST (\Noselect \HasChildren) "." foo
S: a3 OK <*>
C: a4 LIST "" foo*
S(any): * LIST (\Noselect \HasChildren) "." foo
S(any): * LIST (\Noselect \HasChildren) "." foo.bar
S(any): * LIST (\HasNoChildren) "." foo.bar.baz
S: a4 OK <*>
C: a5 SELECT foo
S: a5 NO [NONEXISTENT] <*>
C: a6 SUBSCRIBE foo.bar.baz
S: a6 OK <*>
C: a7 LSUB "" %
S: * LSUB (\Noselect) "." foo
S: a7 OK <*>
C: a8 RENAME foo Entw&APw-rfe
S: a8 OK <*>
C: a9 LIST "" "Entw&APw-*z"
S: * LIST (\HasNoChildren) "." Entw&APw-rfe.bar.baz
S: a9 OK <*>
C: b1 CREATE "bad&"
S: b1 NO <*>
C: b2 DELETE INBOX
S: b2 NO [CANNOT] <*>
C: b3 DELETE Entw&APw-rfe.bar.baz
S: b3 OK <*>
C: b4 DELETE Entw&APw-rfe.bar.baz
S: b4 NO [NONEXISTENT] <*>
C: b5 LIST "" ""
S: * LIST (\Noselect) "." ""
S: b5 OK <*>
C: b6 CREATE INBOX
S: b6 NO [ALREADYEXISTS] <*>
C: b7 STATUS inbox (MESSAGES UIDNEXT UNSEEN RECENT)
S: * STATUS <*> (MESSAGES 0 RECENT 0 UIDNEXT 1 UNSEEN 0)
S: b7 OK <*>
