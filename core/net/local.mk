libekiden_la_SOURCES += %D%/listen.c %D%/listen.h %D%/resolver.h
libekiden_la_SOURCES += core/net/resolve.c core/net/resolve.h core/net/resolver.h
