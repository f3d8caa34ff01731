# core/local.mk - the core: one library that the daemon, the command and the tests share
pkglib_LTLIBRARIES += libekiden.la
libekiden_la_SOURCES =
libekiden_la_LIBADD = $(CORE_LIBS) $(EK_STATIC_MODULES)
EXTRA_libekiden_la_DEPENDENCIES = $(EK_STATIC_MODULES)
# fuzz targets put sessions of their own in the place of the core's, below modules that are built in
if FUZZING
bind_flags =
else
bind_flags = -Wl,-Bsymbolic-functions
endif
libekiden_la_LDFLAGS = $(AM_LDFLAGS) -avoid-version $(bind_flags)
ekidendir = $(includedir)/ekiden
ekiden_HEADERS = core/ekiden.h
nodist_ekiden_HEADERS = core/build.h
ekiden_flowdir = $(ekidendir)/flow
ekiden_flow_HEADERS = core/flow/login.h core/flow/submit.h
ekiden_netdir = $(ekidendir)/net
ekiden_net_HEADERS = core/net/resolver.h
pkgconfig_DATA = core/ekiden.pc

include core/base/local.mk
include core/conf/local.mk
include core/module/local.mk
include core/mail/local.mk
include core/index/local.mk
include core/queue/local.mk
include core/loop/local.mk
include core/proc/local.mk
include core/auth/local.mk
include core/lookup/local.mk
include core/trace/local.mk
include core/cli/local.mk
include core/net/local.mk
include core/flow/local.mk
