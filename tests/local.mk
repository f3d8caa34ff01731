# tests/local.mk - the test programs; tests/run finds and runs what is built here
TEST_LDADD = libekiden.la $(CORE_LIBS)
# folders go into the tarball whole
EXTRA_DIST += .ci/run %D%/run %D%/packages %D%/lib %D%/system %D%/bench %D%/lint
include tests/unit/local.mk
include tests/fuzz/local.mk
