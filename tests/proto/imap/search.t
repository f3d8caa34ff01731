# SEARCH and ESEARCH (RFC 3501 6.4.4, RFC 4731)
listener: imaps

S: * OK <*>
C: a1 LOGIN <user> <password>
S: a1 OK <*>
C: a2 APPEND INBOX (\Seen) "01-Mar-2020 12:00:00 +0000" {71+}
C(raw): From: ann@example.test\r\nSubject: apple pie\r\nDate: 1 Mar 2020\r\n\r\nsugar\r\n\r\n
S: a2 OK <*>
C: a3 APPEND INBOX (\Flagged) "05-Mar-2020 12:00:00 +0000" {65+}
C(raw): From: ben@example.test\r\nSubject: =?utf-8?q?=C3=84pfel?=\r\n\r\nsalt\r\n\r\n
S: a3 OK <*>
C: a4 APPEND INBOX "09-Mar-2020 12:00:00 +0000" {34+}
C(raw): Subject: third\r\n\r\nnothing at all\r\n\r\n
S: a4 OK <*>
C: b0 SELECT INBOX
S...
S: b0 OK <*>
C: b1 SEARCH ALL
S: * SEARCH 1 2 3
S: b1 OK <*>
C: b2 SEARCH UNSEEN FLAGGED
S: * SEARCH 2
S: b2 OK <*>
C: b3 SEARCH OR FROM ANN SUBJECT THIRD
S: * SEARCH 1 3
S: b3 OK <*>
C: b4 SEARCH CHARSET UTF-8 SUBJECT {6+}
C: äpfel
S: * SEARCH 2
S: b4 OK <*>
C: b5 SEARCH NOT BODY salt SINCE 2-Mar-2020
S: * SEARCH 3
S: b5 OK <*>
C: b6 SEARCH RETURN (MIN MAX COUNT) 1:*
S: * ESEARCH (TAG "b6") MIN 1 MAX 3 COUNT 3
S: b6 OK <*>
C: b7 UID SEARCH RETURN () NOT SEEN
S: * ESEARCH (TAG "b7") UID ALL 2:3
S: b7 OK <*>
C: b8 SEARCH RETURN (ALL COUNT) SUBJECT nothing
S: * ESEARCH (TAG "b8") COUNT 0
S: b8 OK <*>
C: b9 SEARCH CHARSET X-NONE ALL
S: b9 NO [BADCHARSET] <*>
C: c1 SEARCH (((((((((((((((((((ALL)))))))))))))))))))
S: c1 BAD <*>
C: c2 SEARCH
S: c2 BAD <*>
