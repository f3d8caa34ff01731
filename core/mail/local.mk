libekiden_la_SOURCES += %D%/address.h %D%/header.h %D%/date.h %D%/text.h %D%/mime.h %D%/imapfmt.h \
  %D%/received.h %D%/dsn.h %D%/reply.h
