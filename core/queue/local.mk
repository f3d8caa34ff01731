# core/queue/local.mk - ids and attributes of queued messages, the contract of spools, the scheduler
libekiden_la_SOURCES += %D%/queueid.c %D%/queue.c %D%/queue.h %D%/accept.c %D%/route.c %D%/sched.c %D%/lines.c %D%/lines.h %D%/send.c \
  %D%/outcome.c %D%/bounce.c %D%/admin.c %D%/pickup.c %D%/expand.c %D%/drop.c %D%/drop.h
ekiden_queuedir = $(includedir)/ekiden/queue
ekiden_queue_HEADERS = %D%/spool.h %D%/transport.h
