EXTRA_LTLIBRARIES += %D%/imap.la %D%/libbuiltin.la
modules_imap_imap_la_SOURCES = %D%/imap.c %D%/imap.h %D%/edge.c %D%/edge.h %D%/session.c %D%/command.c \
  %D%/sync.c %D%/print.c %D%/parse.h %D%/reader.c %D%/scan.c %D%/parse-fetch.c %D%/parse-search.c \
  %D%/section.c %D%/section.h %D%/match.c %D%/match.h %D%/list.c %D%/list.h \
  %D%/cmd-append.c %D%/cmd-capability.c %D%/cmd-check.c %D%/cmd-close.c %D%/cmd-copy.c %D%/cmd-create.c \
  %D%/cmd-delete.c %D%/cmd-enable.c %D%/cmd-expunge.c %D%/cmd-fetch.c %D%/cmd-id.c %D%/cmd-idle.c \
  %D%/cmd-list.c %D%/cmd-logout.c %D%/cmd-lsub.c %D%/cmd-namespace.c %D%/cmd-noop.c %D%/cmd-rename.c \
  %D%/cmd-search.c %D%/cmd-select.c %D%/cmd-status.c %D%/cmd-store.c %D%/cmd-subscribe.c %D%/cmd-unselect.c
modules_imap_imap_la_LDFLAGS = $(module_link)
modules_imap_imap_la_CFLAGS = $(AM_CFLAGS)
modules_imap_imap_la_LIBADD = libekiden.la $(CORE_LIBS)
modules_imap_libbuiltin_la_SOURCES = $(modules_imap_imap_la_SOURCES)
modules_imap_libbuiltin_la_CPPFLAGS = $(builtin_cppflags)
modules_imap_libbuiltin_la_CFLAGS = $(AM_CFLAGS)
EXTRA_DIST += %D%/README.md
