libekiden_la_SOURCES += %D%/pack.c %D%/pack.h %D%/channel.c %D%/channel.h
