libekiden_la_SOURCES += %D%/tablefile.c %D%/tableparts.c %D%/template.c %D%/network.c %D%/cache.c %D%/record.c %D%/sql.c %D%/sqltext.c
libekiden_la_SOURCES += %D%/rules.c %D%/pattern.c %D%/patternmap.c %D%/texttable.c %D%/dbfile.c
libekiden_la_SOURCES += %D%/params.c %D%/stream.c %D%/streamopen.c %D%/streamtls.c %D%/streamprivate.h
libekiden_la_SOURCES += %D%/sqlserver.c %D%/hosts.c %D%/dial.c %D%/aside.c %D%/migrate.c %D%/migrate.h
ekiden_lookupdir = $(ekidendir)/lookup
ekiden_lookup_HEADERS = %D%/tablefile.h %D%/template.h %D%/network.h %D%/cache.h %D%/record.h %D%/sql.h
ekiden_lookup_HEADERS += %D%/rules.h %D%/pattern.h %D%/texttable.h %D%/dbfile.h %D%/params.h %D%/stream.h
ekiden_lookup_HEADERS += %D%/sqlserver.h %D%/hosts.h %D%/dial.h %D%/aside.h
