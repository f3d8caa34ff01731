libekiden_la_SOURCES += %D%/loop.c %D%/loop.h %D%/job.c %D%/job.h
