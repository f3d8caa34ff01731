# tests/bench/local.mk - benchmarks of parts, in C; tests/bench/run measures the whole server
check_PROGRAMS += %D%/bench-log
tests_bench_bench_log_SOURCES = %D%/bench-log.c
tests_bench_bench_log_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/bench-mailbox
tests_bench_bench_mailbox_SOURCES = %D%/bench-mailbox.c tests/unit/mailbox.h $(modules_maildir_maildir_la_SOURCES)
tests_bench_bench_mailbox_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_bench_bench_mailbox_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/bench-maps
tests_bench_bench_maps_SOURCES = %D%/bench-maps.c
tests_bench_bench_maps_LDADD = $(TEST_LDADD)
