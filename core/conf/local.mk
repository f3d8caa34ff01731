# core/conf/local.mk - the configuration: text, tree, typed values
libekiden_la_SOURCES += %D%/problem.c %D%/problem.h %D%/lexer.c %D%/lexer.h %D%/parser.c %D%/parser.h \
  %D%/value.c %D%/source.c %D%/conf.c %D%/conf.h %D%/parse.c %D%/option.c %D%/option.h %D%/serial.c %D%/serial.h %D%/edit.c %D%/edit.h %D%/edittext.c %D%/editpath.c %D%/editpath.h %D%/dump.c %D%/dump.h
