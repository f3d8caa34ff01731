# core/conf/local.mk - the configuration: text, tree, typed values
libekiden_la_SOURCES += %D%/problem.h %D%/conf.h %D%/option.h %D%/serial.h %D%/edit.h
