EXTRA_LTLIBRARIES += %D%/smtp.la %D%/libbuiltin.la
modules_smtp_smtp_la_SOURCES = %D%/smtp.c %D%/smtp.h %D%/options.c %D%/session.c %D%/command.c %D%/filters.c \
  %D%/body.c %D%/header.c %D%/message.c %D%/cmd-helo.c %D%/cmd-starttls.c %D%/cmd-auth.c %D%/cmd-mail.c \
  %D%/cmd-rcpt.c %D%/cmd-data.c %D%/cmd-bdat.c %D%/cmd-other.c \
  %D%/client.c %D%/client.h %D%/client-module.h %D%/route.c %D%/conn.c %D%/hello.c %D%/talk.c %D%/content.c %D%/report.c \
  %D%/clienttls.c
modules_smtp_smtp_la_LDFLAGS = $(module_link)
modules_smtp_smtp_la_CFLAGS = $(AM_CFLAGS)
modules_smtp_smtp_la_LIBADD = libekiden.la $(CORE_LIBS)
modules_smtp_libbuiltin_la_SOURCES = $(modules_smtp_smtp_la_SOURCES)
modules_smtp_libbuiltin_la_CPPFLAGS = $(builtin_cppflags)
modules_smtp_libbuiltin_la_CFLAGS = $(AM_CFLAGS)
EXTRA_DIST += %D%/README.md
