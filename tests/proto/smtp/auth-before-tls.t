# No AUTH is offered or taken before TLS
config: smtp

S: 220 <*>
C: EHLO client.example
S...
S: 250-STARTTLS
S: 250-ENHANCEDSTATUSCODES
S...
S: 250 CHUNKING
C: AUTH PLAIN <base64 \0$user\0$password>
S: 538 5.7.11 Encryption required for requested authentication mechanism
