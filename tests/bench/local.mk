# tests/bench/local.mk - benchmarks of parts, in C; tests/bench/run measures the whole server
check_PROGRAMS += %D%/bench-log
tests_bench_bench_log_SOURCES = %D%/bench-log.c
tests_bench_bench_log_LDADD = $(TEST_LDADD)
