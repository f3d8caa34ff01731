# core/trace - the event store behind `ekiden trace`
libekiden_la_SOURCES += %D%/segment.c %D%/index.c %D%/writer.c %D%/reader.c %D%/query.c %D%/story.c \
  %D%/trace.h %D%/segment.h %D%/reader.h %D%/story.h %D%/le.h
