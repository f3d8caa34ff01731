EXTRA_LTLIBRARIES += %D%/lua.la %D%/libbuiltin.la
modules_lua_lua_la_SOURCES = %D%/lua.c %D%/vm.c %D%/sandbox.c %D%/declare.c %D%/hook.c %D%/filter.c %D%/mail.c %D%/map.c \
  %D%/status.c %D%/answer.c %D%/rows.c %D%/plugin.h
modules_lua_lua_la_LDFLAGS = $(module_link)
modules_lua_lua_la_CFLAGS = $(AM_CFLAGS) $(LUA_CFLAGS)
modules_lua_lua_la_LIBADD = libekiden.la $(LUA_LIBS) $(CORE_LIBS)
modules_lua_libbuiltin_la_SOURCES = $(modules_lua_lua_la_SOURCES)
modules_lua_libbuiltin_la_CPPFLAGS = $(builtin_cppflags)
modules_lua_libbuiltin_la_CFLAGS = $(AM_CFLAGS) $(LUA_CFLAGS)
modules_lua_libbuiltin_la_LIBADD = $(LUA_LIBS)
EXTRA_DIST += %D%/README.md
