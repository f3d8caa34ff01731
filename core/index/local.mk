# core/index/local.mk - mailboxes: UIDs, flags, mod-sequences and caches for all formats
libekiden_la_SOURCES += %D%/mutf7.c %D%/mailbox.h %D%/box.h %D%/deliver.h %D%/syncer.h
ekiden_indexdir = $(ekidendir)/index
ekiden_index_HEADERS = %D%/mailbox.h
