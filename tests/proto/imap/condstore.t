# CONDSTORE (RFC 7162): mod-sequences are told, compared and searched for
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C(raw): a2 APPEND INBOX {5+}\r\none\r\n\r\na3 APPEND INBOX {5+}\r\ntwo\r\n\r\n
S: a2 OK <*>
S: a3 OK <*>
C: a4 ENABLE CONDSTORE X-NONE
S: * ENABLED CONDSTORE
S: a4 OK <*>
C: b1 SELECT INBOX
S...
S: * OK [HIGHESTMODSEQ <*>] <*>
S: b1 OK <*>
C: b2 STORE 1 +FLAGS (\Flagged)
S: * 1 FETCH (MODSEQ (<m>) FLAGS (\Flagged \Recent))
S: b2 OK <*>
C: b3 FETCH 1 MODSEQ
S: * 1 FETCH (MODSEQ (<m>))
S: b3 OK <*>
C: b4 STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS.SILENT (\Draft)
S: b4 OK [MODIFIED 1:2] <*>
C: b5 STORE 1 (UNCHANGEDSINCE <m>) FLAGS.SILENT (\Draft)
S: * 1 FETCH (MODSEQ (<n>))
S: b5 OK <*>
C: b6 FETCH 1:* (FLAGS) (CHANGEDSINCE <m>)
S: * 1 FETCH (FLAGS (\Draft \Recent) MODSEQ (<n>))
S: b6 OK <*>
C: b7 SEARCH MODSEQ <n>
S: * SEARCH 1 (MODSEQ <n>)
S: b7 OK <*>
C: b8 SEARCH RETURN (MAX) MODSEQ <n>
S: * ESEARCH (TAG "b8") MAX 1 MODSEQ <n>
S: b8 OK <*>
