libekiden_la_SOURCES += %D%/listen.c %D%/listen.h %D%/resolver.h %D%/peername.c %D%/peername.h
libekiden_la_SOURCES += %D%/resolve.c %D%/resolve.h
libekiden_la_SOURCES += %D%/doors.c %D%/doors.h
