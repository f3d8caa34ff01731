# tests/local.mk - the test programs; tests/run finds and runs what is built here
TEST_LDADD = libekiden.la $(CORE_LIBS)
include tests/unit/local.mk
