EXTRA_LTLIBRARIES += %D%/pam.la %D%/libbuiltin.la
modules_pam_pam_la_SOURCES = %D%/pam.c %D%/pam.h
modules_pam_pam_la_LDFLAGS = $(module_link)
modules_pam_pam_la_CFLAGS = $(AM_CFLAGS)
modules_pam_pam_la_LIBADD = libekiden.la $(CORE_LIBS)
modules_pam_libbuiltin_la_SOURCES = $(modules_pam_pam_la_SOURCES)
modules_pam_libbuiltin_la_CPPFLAGS = $(builtin_cppflags)
modules_pam_libbuiltin_la_CFLAGS = $(AM_CFLAGS)
if WITH_PAM
helperdir = $(libexecdir)/ekiden
helper_PROGRAMS = %D%/ekiden-pam
endif
modules_pam_ekiden_pam_SOURCES = %D%/helper.c %D%/pam.h
modules_pam_ekiden_pam_LDADD = $(PAM_LIBS)
EXTRA_DIST += %D%/README.md
