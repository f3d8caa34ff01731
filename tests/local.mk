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
tests_lib_libspoolrig_la_LIBADD =
if !BUILTIN_SPOOL
tests_lib_libspoolrig_la_LIBADD += modules/spool/libbuiltin.la
endif
# a protocol by itself: memsession.c stands in for the core's sessions, so it is linked before the core
check_LTLIBRARIES += tests/lib/libmemsession.la
tests_lib_libmemsession_la_SOURCES = tests/lib/memsession.c tests/lib/memsession.h
check_PROGRAMS += tests/lib/imap-stdio
tests_lib_imap_stdio_SOURCES = tests/lib/imap-stdio.c
tests_lib_imap_stdio_LDADD = modules/imap/libbuiltin.la tests/lib/libmemsession.la tests/lib/libtesting.la $(TEST_LDADD)
# preloaded: syncs and writes that fail on request (never sanitized: it comes before the sanitizer)
check_LTLIBRARIES += tests/lib/libfaildisk.la
tests_lib_libfaildisk_la_SOURCES = tests/lib/faildisk.c tests/lib/faildisk.h
tests_lib_libfaildisk_la_CFLAGS = -std=gnu11 -Wall -Wextra
tests_lib_libfaildisk_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
tests_lib_libfaildisk_la_LIBADD = -ldl
# a PAM module that says what it is asked to
if WITH_PAM
check_LTLIBRARIES += tests/lib/pam_rehearse.la
endif
tests_lib_pam_rehearse_la_SOURCES = tests/lib/pam_rehearse.c
tests_lib_pam_rehearse_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath /nowhere
tests_lib_pam_rehearse_la_LIBADD = $(PAM_LIBS)
# questions to DNS from the command line
check_PROGRAMS += tests/lib/dns-ask
tests_lib_dns_ask_SOURCES = tests/lib/dns-ask.c
tests_lib_dns_ask_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
# directory and queue beside that session, for SMTP
check_LTLIBRARIES += tests/lib/libmemsubmit.la
tests_lib_libmemsubmit_la_SOURCES = tests/lib/memsubmit.c tests/lib/memsubmit.h
# works on a spool until it is killed: tests/system/spool-crash, tests/system/spool-power
check_PROGRAMS += tests/lib/spool-writer
tests_lib_spool_writer_SOURCES = tests/lib/spool-writer.c
tests_lib_spool_writer_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_lib_spool_writer_LDADD = tests/lib/libspoolrig.la $(TEST_LDADD)
check_PROGRAMS += tests/bench/spool-bench
tests_bench_spool_bench_SOURCES = tests/bench/spool-bench.c
tests_bench_spool_bench_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_bench_spool_bench_LDADD = tests/lib/libspoolrig.la $(TEST_LDADD)
# preloaded: another wall clock (never sanitized, as above)
check_LTLIBRARIES += tests/lib/libfakeclock.la
tests_lib_libfakeclock_la_SOURCES = tests/lib/fakeclock.c
tests_lib_libfakeclock_la_CFLAGS = -std=gnu11 -Wall -Wextra
tests_lib_libfakeclock_la_LDFLAGS = -module -avoid-version -shared -rpath /nowhere
