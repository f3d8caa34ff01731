# core/module/local.mk - modules: loading, instances, generations, calls
libekiden_la_SOURCES += %D%/load.c %D%/load.h %D%/registry.c %D%/registry.h %D%/generation.c %D%/generation.h \
  %D%/instance.c %D%/blocks.c %D%/show.c %D%/show.h %D%/private.h %D%/call.c %D%/callog.c %D%/lookup.c %D%/fingerprint.c %D%/fingerprint.h %D%/result.c %D%/search.c %D%/search.h %D%/call.h %D%/lookup.h
