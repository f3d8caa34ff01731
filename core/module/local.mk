# core/module/local.mk - modules: loading, instances, generations, calls
libekiden_la_SOURCES += %D%/load.h %D%/registry.h %D%/generation.h %D%/call.h
