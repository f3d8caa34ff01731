# core/cli - what the command `ekiden` does
libekiden_la_SOURCES += %D%/cli-trace.c %D%/cli-trace.h
