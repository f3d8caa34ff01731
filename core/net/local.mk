libekiden_la_SOURCES += %D%/listen.c %D%/listen.h %D%/resolver.h
