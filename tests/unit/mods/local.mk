# tests/unit/mods/local.mk - shared objects for test-module: one as it should be, others that must be refused
check_LTLIBRARIES += %D%/good.la %D%/oldabi.la %D%/otherbuild.la %D%/badrow.la %D%/nomodule.la
mods_link = $(module_link)
tests_unit_mods_good_la_SOURCES = %D%/good.c
tests_unit_mods_good_la_LDFLAGS = $(mods_link)
tests_unit_mods_good_la_LIBADD = libekiden.la $(CORE_LIBS)
tests_unit_mods_oldabi_la_SOURCES = %D%/oldabi.c
tests_unit_mods_oldabi_la_LDFLAGS = $(mods_link)
tests_unit_mods_otherbuild_la_SOURCES = %D%/otherbuild.c
tests_unit_mods_otherbuild_la_LDFLAGS = $(mods_link)
tests_unit_mods_badrow_la_SOURCES = %D%/badrow.c
tests_unit_mods_badrow_la_LDFLAGS = $(mods_link)
tests_unit_mods_nomodule_la_SOURCES = %D%/nomodule.c
tests_unit_mods_nomodule_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(moduledir)
