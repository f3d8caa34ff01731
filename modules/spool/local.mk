# modules/spool/local.mk - the write-ahead spool
EXTRA_LTLIBRARIES += %D%/spool.la %D%/libbuiltin.la
modules_spool_spool_la_SOURCES = %D%/spool.c %D%/dirs.c %D%/format.c %D%/log.c %D%/hot.c %D%/keeper.c \
  %D%/work.c %D%/segment.c %D%/message.c %D%/act.c %D%/submit.c %D%/id.c %D%/file.c %D%/content.c \
  %D%/move.c %D%/reclaim.c %D%/checkpoint.c %D%/scan.c %D%/replay.c %D%/replay-record.c %D%/fsck.c \
  %D%/format.h %D%/impl.h
modules_spool_spool_la_LDFLAGS = $(module_link)
modules_spool_spool_la_LIBADD = libekiden.la $(CORE_LIBS)
modules_spool_spool_la_CFLAGS = $(AM_CFLAGS) -pthread
modules_spool_libbuiltin_la_SOURCES = $(modules_spool_spool_la_SOURCES)
modules_spool_libbuiltin_la_CPPFLAGS = $(builtin_cppflags)
modules_spool_libbuiltin_la_CFLAGS = $(AM_CFLAGS) -pthread
EXTRA_DIST += %D%/README.md
