libekiden_la_SOURCES += %D%/address.c %D%/addresskey.c %D%/addresslist.c %D%/address.h \
  %D%/header.c %D%/value.c %D%/mimetype.c %D%/header.h %D%/codec.c %D%/charset.c %D%/search.c %D%/text.h \
  %D%/date.c %D%/date.h %D%/mime.c %D%/mimepart.c %D%/mimepart.h %D%/mimefind.c %D%/mimekeep.c %D%/mime.h \
  %D%/imapfmt.c %D%/imapfmt.h %D%/received.c %D%/received.h %D%/dsn.c %D%/dsn.h %D%/reply.c %D%/reply.h
