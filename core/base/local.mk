libekiden_la_SOURCES += %D%/pool.c %D%/buf.c %D%/str.c %D%/status.c %D%/base.h
