# core/index/local.mk - mailboxes: UIDs, flags, mod-sequences and caches for all formats
libekiden_la_SOURCES += %D%/append.c %D%/boxes.c %D%/copy.c %D%/db.c %D%/deliver.c %D%/fetch.c %D%/fill.c \
  %D%/folders.c %D%/keywords.c %D%/message.c %D%/mutf7.c %D%/names.c %D%/open.c %D%/rows.c %D%/scan.c %D%/set.c %D%/settle.c %D%/store.c %D%/unsure.c \
  %D%/subs.c %D%/syncer.c %D%/uids.c %D%/view.c %D%/watch.c %D%/writer.c \
  %D%/mailbox.h %D%/box.h %D%/deliver.h %D%/syncer.h %D%/index.h
ekiden_indexdir = $(ekidendir)/index
ekiden_index_HEADERS = %D%/mailbox.h
