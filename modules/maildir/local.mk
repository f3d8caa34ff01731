# modules/maildir/local.mk - mailbox format: Maildir++
EXTRA_LTLIBRARIES += %D%/maildir.la %D%/libbuiltin.la
modules_maildir_maildir_la_SOURCES = %D%/maildir.c %D%/folder.c %D%/foreign.c %D%/name.c %D%/scan.c \
  %D%/write.c %D%/maildir.h
modules_maildir_maildir_la_LDFLAGS = $(module_link)
modules_maildir_maildir_la_LIBADD = libekiden.la
modules_maildir_maildir_la_CFLAGS = $(AM_CFLAGS)
modules_maildir_libbuiltin_la_SOURCES = $(modules_maildir_maildir_la_SOURCES)
modules_maildir_libbuiltin_la_CPPFLAGS = $(builtin_cppflags)
modules_maildir_libbuiltin_la_CFLAGS = $(AM_CFLAGS)
EXTRA_DIST += %D%/README.md
