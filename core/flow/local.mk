# core/flow/local.mk - who calls which module when: sessions, login, submission, routing, delivery
libekiden_la_SOURCES += %D%/login.h %D%/submit.h %D%/submit.c %D%/session.c %D%/sessionio.c %D%/sessionprivate.h %D%/session.h \
  %D%/facts.c %D%/facts.h \
  %D%/arrival.c %D%/arrival.h %D%/edge.c %D%/edge.h %D%/roles.c %D%/roles.h %D%/tls.c %D%/tls.h %D%/tlscontext.c %D%/tlscontext.h \
  %D%/directory.c %D%/directoryname.c %D%/directoryalias.c %D%/directoryroute.c %D%/directoryuser.c %D%/directoryauth.c %D%/userstore.c %D%/directory.h %D%/domain.c %D%/domain.h %D%/route.h \
  %D%/way.c %D%/way.h \
  %D%/tlspeer.c %D%/tlspeer.h %D%/tlsproof.c %D%/tlsproof.h %D%/authrule.c \
  %D%/store.c %D%/storeconf.c %D%/storedeliver.c %D%/store.h %D%/storeconf.h %D%/relay.c %D%/relay.h %D%/logger.c %D%/logger.h \
  %D%/controller.c %D%/controller.h
libekiden_la_SOURCES += %D%/filter.c %D%/filter.h %D%/helper.c
libekiden_la_SOURCES += %D%/directorymap.c %D%/mapask.c %D%/mapask.h
