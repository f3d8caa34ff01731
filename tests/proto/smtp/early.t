# Who talks before the greeting is refused; who waits is greeted; who is silent is sent away
config: smtp
listener: late
listener2: late

C(raw): EHLO spam.example\r\n
S: 550 5.5.1 Protocol error: talked before my greeting
CLOSED
S2: 220 mail.example.test ESMTP Ekiden
S2: 421 4.4.2 mail.example.test Error: timeout exceeded
CLOSED2
