# AUTH (RFC 4954): PLAIN and LOGIN, with and without an initial response, wrong, cancelled, malformed
config: smtp
listener: plain

S: 220 <*>
C: AUTH PLAIN =
S: 503 5.5.1 Error: send EHLO first
C: EHLO client.example
S...
S: 250-AUTH PLAIN LOGIN
S: 250-AUTH=PLAIN LOGIN
S...
S: 250 CHUNKING
C: AUTH
S: 501 5.5.4 Syntax: AUTH mechanism
C: AUTH CRAM-MD5
S: 504 5.5.4 Error: authentication mechanism not available
C: AUTH PLAIN not!base64
S: 501 5.5.2 Error: cannot Base64-decode client response
C: AUTH LOGIN
S: 334 VXNlcm5hbWU6
C: *
S: 501 5.7.0 Authentication aborted
C: AUTH PLAIN <base64 \0$user\0wrong>
S: 535 5.7.8 Error: authentication failed: <*>
C: AUTH PLAIN
S(re): 334 ?
C: <base64 \0$user\0$password>
S: 235 2.7.0 Authentication successful
C: MAIL FROM:<<user>>
S: 250 2.1.0 Ok
C: QUIT
S: 221 <*>
C2: EHLO client.example
S2...
S2: 250 CHUNKING
C2: AUTH LOGIN
S2: 334 VXNlcm5hbWU6
C2: <base64 $user>
S2: 334 UGFzc3dvcmQ6
C2: <base64 $password>
S2: 235 2.7.0 Authentication successful
C2: QUIT
S2: 221 <*>
