libekiden_la_SOURCES += %D%/pack.c %D%/pack.h %D%/channel.c %D%/channel.h
libekiden_la_SOURCES += %D%/logrole.c %D%/logrole.h %D%/logsink.c %D%/logsink.h
