libekiden_la_SOURCES += core/flow/filter.c core/flow/filter.h
