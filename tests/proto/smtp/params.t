# Parameters of MAIL and RCPT: SIZE, BODY, SMTPUTF8, and those of RFC 3461
config: smtp
listener: lax

S: 220 <*>
C: EHLO client.example
S...
S: 250 CHUNKING
C: MAIL FROM:<a@example.org> SIZE=99999999999
S: 552 5.3.4 Message size exceeds fixed limit
C: MAIL FROM:<a@example.org> SIZE=-1
S: 501 5.5.4 Bad message size syntax
C: MAIL FROM:<a@example.org> BODY=9BIT
S: 501 5.5.4 Unknown body type, expecting 7BIT or 8BITMIME
C: MAIL FROM:<a@example.org> RET=SOME
S: 501 5.5.4 Bad RET parameter syntax
C: MAIL FROM:<a@example.org> ENVID=a+zz
S: 501 5.5.4 Bad ENVID parameter syntax
C: MAIL FROM:<a@example.org> FOO=BAR
S: 555 5.5.4 Unsupported option: FOO=BAR
C: MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=QQ314159 AUTH=<>
S: 250 2.1.0 Ok
C: RCPT TO:<<user>> NOTIFY=SOMETIMES
S: 501 5.5.4 Bad NOTIFY parameter syntax
C: RCPT TO:<<user>> NOTIFY=NEVER,SUCCESS
S: 501 5.5.4 Bad NOTIFY parameter syntax
C: RCPT TO:<<user>> ORCPT=nothing
S: 501 5.5.4 Bad ORCPT parameter syntax
C: RCPT TO:<<user>> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Eric@Tangled.example
S: 250 2.1.5 Ok
C: DATA
S: 354 <*>
C: Subject: x
C:
C: y
C: .
S: 250 2.0.0 Ok: queued as <*>
