# core/proc/local.mk - master, workers, channels: every privileged call is here
libekiden_la_SOURCES += %D%/pack.c %D%/pack.h %D%/channel.c %D%/channel.h %D%/passing.c %D%/passing.h %D%/messages.h %D%/pairs.h \
  %D%/priv.c %D%/priv.h %D%/confine.c %D%/confine.h %D%/reach.c %D%/build.c %D%/build.h %D%/role.c %D%/role.h %D%/blocks.c %D%/blocks.h \
  %D%/check.c %D%/check.h %D%/spawn.c %D%/spawn.h %D%/plan.c %D%/plan.h %D%/workers.c %D%/workers.h %D%/userstores.c %D%/userstores.h \
  %D%/master.c %D%/master.h %D%/reload.c %D%/reload.h %D%/folders.c %D%/folders.h %D%/noise.c %D%/noise.h %D%/helpers.c %D%/helpers.h %D%/sockets.c %D%/sockets.h %D%/upgrade.c %D%/upgrade.h \
  %D%/control.c %D%/control.h %D%/notify.c %D%/notify.h \
  %D%/logrole.c %D%/logrole.h %D%/logsink.c %D%/logsink.h %D%/tlsconf.c %D%/tlsconf.h
sbin_PROGRAMS += ekidend
ekidend_SOURCES = core/main.c
ekidend_LDADD = libekiden.la $(CORE_LIBS)
