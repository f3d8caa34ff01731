# core/cli/local.mk - ekiden(1); its commands are in the library so that tests can call them
libekiden_la_SOURCES += %D%/cli.c %D%/cli.h %D%/cli-config.c %D%/cli-module.c
libekiden_la_SOURCES += %D%/cli-trace.c
bin_PROGRAMS += ekiden
ekiden_SOURCES = %D%/main.c
ekiden_LDADD = libekiden.la $(CORE_LIBS)
libekiden_la_SOURCES += %D%/cli-user.c %D%/cli-pw.c %D%/password.c %D%/password.h
libekiden_la_SOURCES += %D%/answer.c %D%/answer.h %D%/control.c %D%/control.h %D%/cli-control.c
