# core/queue/local.mk - ids and attributes of queued messages, the contract of spools
libekiden_la_SOURCES += %D%/queueid.c
ekiden_queuedir = $(includedir)/ekiden/queue
ekiden_queue_HEADERS = %D%/spool.h %D%/transport.h
