libekiden_la_SOURCES += %D%/pool.c %D%/buf.c %D%/str.c %D%/status.c %D%/base.h
libekiden_la_SOURCES += %D%/log.c %D%/record.c %D%/event.c %D%/render.c %D%/recordjson.c \
  %D%/log.h %D%/record.h %D%/event.h %D%/events.def
libekiden_la_SOURCES += %D%/base64.c
libekiden_la_SOURCES += %D%/json.c %D%/json.h
