# tests/local.mk - the test programs; tests/run finds and runs what is built here
TEST_LDADD = libekiden.la $(CORE_LIBS)
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
# what C tests share: EK_TEST_CPPFLAGS names the build tree
check_LTLIBRARIES += tests/lib/libtesting.la
tests_lib_libtesting_la_SOURCES = tests/lib/instance.c tests/lib/instance.h
tests_lib_libtesting_la_CPPFLAGS = $(EK_TEST_CPPFLAGS)
EK_TEST_CPPFLAGS = $(AM_CPPFLAGS) -DEK_BUILDDIR=\"$(abs_top_builddir)\" -DEK_SRCDIR=\"$(abs_top_srcdir)\"
# a spool with a small loop around it
check_LTLIBRARIES += tests/lib/libspoolrig.la
tests_lib_libspoolrig_la_SOURCES = tests/lib/spoolrig.c tests/lib/spoolrig.h
tests_lib_libspoolrig_la_LIBADD = modules/spool/libbuiltin.la
