# tests/fuzz/local.mk - one libFuzzer target a parser: tests/fuzz/fuzz-NAME.c, its seeds in corpus/NAME/
#
# configure --enable-fuzzing (clang) makes them libFuzzer programs; any other build links them with
# replay.c, which runs the files that it is given.  Add a target by its name, its two lines below, and
# at least one file of corpus.  `/* covers: FILE... */` in the target names the sources whose line
# coverage ./check full reports; `/* options: -max_len=65536 */` goes to libFuzzer.
if FUZZING
fuzz_main =
else
fuzz_main = tests/fuzz/replay.c
endif
fuzz_ldflags = $(AM_LDFLAGS) $(EK_FUZZ_LDFLAGS)

check_PROGRAMS += %D%/fuzz-conf %D%/fuzz-serial %D%/fuzz-channel
tests_fuzz_fuzz_conf_SOURCES = %D%/fuzz-conf.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_conf_LDADD = $(TEST_LDADD)
tests_fuzz_fuzz_serial_SOURCES = %D%/fuzz-serial.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_serial_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_serial_LDADD = $(TEST_LDADD)
tests_fuzz_fuzz_channel_SOURCES = %D%/fuzz-channel.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_channel_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_channel_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-passwdfile
tests_fuzz_fuzz_passwdfile_SOURCES = %D%/fuzz-passwdfile.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_FILE
tests_fuzz_fuzz_passwdfile_SOURCES += $(modules_file_file_la_SOURCES)
endif
tests_fuzz_fuzz_passwdfile_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_passwdfile_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_passwdfile_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-logrecord
tests_fuzz_fuzz_logrecord_SOURCES = %D%/fuzz-logrecord.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_logrecord_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_logrecord_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-textmap
tests_fuzz_fuzz_textmap_SOURCES = %D%/fuzz-textmap.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_CIDR
tests_fuzz_fuzz_textmap_SOURCES += $(modules_cidr_cidr_la_SOURCES)
endif
tests_fuzz_fuzz_textmap_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_textmap_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_textmap_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-pattern
tests_fuzz_fuzz_pattern_SOURCES = %D%/fuzz-pattern.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_PCRE
tests_fuzz_fuzz_pattern_SOURCES += $(modules_pcre_pcre_la_SOURCES)
endif
if !BUILTIN_REGEXP
tests_fuzz_fuzz_pattern_SOURCES += $(modules_regexp_regexp_la_SOURCES)
endif
tests_fuzz_fuzz_pattern_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_pattern_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_pattern_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-sasl
tests_fuzz_fuzz_sasl_SOURCES = %D%/fuzz-sasl.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_SASL_PLAIN
tests_fuzz_fuzz_sasl_SOURCES += $(modules_sasl_plain_sasl_plain_la_SOURCES)
endif
if !BUILTIN_SASL_CRAM_MD5
tests_fuzz_fuzz_sasl_SOURCES += $(modules_sasl_cram_md5_sasl_cram_md5_la_SOURCES)
endif
if !BUILTIN_SASL_EXTERNAL
tests_fuzz_fuzz_sasl_SOURCES += $(modules_sasl_external_sasl_external_la_SOURCES)
endif
tests_fuzz_fuzz_sasl_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_sasl_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_sasl_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_sasl_LDADD = $(TEST_LDADD) $(CORE_LIBS)
if WITH_SASL_SCRAM
if !BUILTIN_SASL_SCRAM
tests_fuzz_fuzz_sasl_SOURCES += $(modules_sasl_scram_sasl_scram_la_SOURCES)
endif
tests_fuzz_fuzz_sasl_CPPFLAGS += -DWITH_SASL_SCRAM
tests_fuzz_fuzz_sasl_CFLAGS += $(SASL_SCRAM_CFLAGS)
tests_fuzz_fuzz_sasl_LDADD += $(SASL_SCRAM_LIBS)
endif
if WITH_SASL_OAUTH
if !BUILTIN_SASL_OAUTH
tests_fuzz_fuzz_sasl_SOURCES += $(modules_sasl_oauth_sasl_oauth_la_SOURCES)
endif
tests_fuzz_fuzz_sasl_CPPFLAGS += -DWITH_SASL_OAUTH
tests_fuzz_fuzz_sasl_CFLAGS += $(SASL_OAUTH_CFLAGS)
tests_fuzz_fuzz_sasl_LDADD += $(SASL_OAUTH_LIBS)
endif
check_PROGRAMS += %D%/fuzz-edit
tests_fuzz_fuzz_edit_SOURCES = %D%/fuzz-edit.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_edit_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_edit_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-address %D%/fuzz-header %D%/fuzz-mime %D%/fuzz-text
tests_fuzz_fuzz_address_SOURCES = %D%/fuzz-address.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_address_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_address_LDADD = $(TEST_LDADD)
tests_fuzz_fuzz_header_SOURCES = %D%/fuzz-header.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_header_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_header_LDADD = $(TEST_LDADD)
tests_fuzz_fuzz_mime_SOURCES = %D%/fuzz-mime.c tests/lib/mimecheck.h %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_mime_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_mime_LDADD = $(TEST_LDADD)
tests_fuzz_fuzz_text_SOURCES = %D%/fuzz-text.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_text_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_text_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-imap
tests_fuzz_fuzz_imap_SOURCES = %D%/fuzz-imap.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_imap_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_imap_LDADD =
if !BUILTIN_IMAP
tests_fuzz_fuzz_imap_LDADD += modules/imap/libbuiltin.la
endif
tests_fuzz_fuzz_imap_LDADD += tests/lib/libmemsession.la tests/lib/libtesting.la $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-smtp
tests_fuzz_fuzz_smtp_SOURCES = %D%/fuzz-smtp.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_SMTP
tests_fuzz_fuzz_smtp_SOURCES += $(modules_smtp_smtp_la_SOURCES)
endif
tests_fuzz_fuzz_smtp_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_fuzz_fuzz_smtp_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_smtp_LDADD = tests/lib/libmemsubmit.la tests/lib/libmemsession.la $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-segment
tests_fuzz_fuzz_segment_SOURCES = %D%/fuzz-segment.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_SPOOL
tests_fuzz_fuzz_segment_SOURCES += $(modules_spool_spool_la_SOURCES)
endif
tests_fuzz_fuzz_segment_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_segment_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_segment_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-netmaps
tests_fuzz_fuzz_netmaps_SOURCES = %D%/fuzz-netmaps.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_REDIS
tests_fuzz_fuzz_netmaps_SOURCES += modules/redis/resp.c
endif
if !BUILTIN_SOCKETMAP
tests_fuzz_fuzz_netmaps_SOURCES += $(modules_socketmap_socketmap_la_SOURCES)
endif
if !BUILTIN_TCP
tests_fuzz_fuzz_netmaps_SOURCES += $(modules_tcp_tcp_la_SOURCES)
endif
tests_fuzz_fuzz_netmaps_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_netmaps_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_netmaps_LDADD = $(TEST_LDADD)
check_PROGRAMS += %D%/fuzz-queries
tests_fuzz_fuzz_queries_SOURCES = %D%/fuzz-queries.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_queries_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_queries_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_queries_LDADD = $(TEST_LDADD)
if WITH_LDAP
if !BUILTIN_LDAP
tests_fuzz_fuzz_queries_SOURCES += modules/ldap/template.c
endif
tests_fuzz_fuzz_queries_CPPFLAGS += -DWITH_LDAP
endif
if WITH_SASL_OAUTH
check_PROGRAMS += %D%/fuzz-oauth
endif
tests_fuzz_fuzz_oauth_SOURCES = %D%/fuzz-oauth.c %D%/fuzz.h $(fuzz_main)
if !BUILTIN_SASL_OAUTH
tests_fuzz_fuzz_oauth_SOURCES += $(modules_sasl_oauth_sasl_oauth_la_SOURCES)
endif
tests_fuzz_fuzz_oauth_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_oauth_CFLAGS = $(AM_CFLAGS) $(SASL_OAUTH_CFLAGS)
tests_fuzz_fuzz_oauth_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_oauth_LDADD = $(TEST_LDADD) $(SASL_OAUTH_LIBS) $(CORE_LIBS)
if WITH_HTTP
if !BUILTIN_HTTP
tests_fuzz_fuzz_netmaps_SOURCES += modules/http/answer.c
endif
tests_fuzz_fuzz_netmaps_CPPFLAGS += -DWITH_HTTP
tests_fuzz_fuzz_netmaps_LDADD += $(HTTP_LIBS)
endif
if WITH_PAM
if !BUILTIN_PAM
tests_fuzz_fuzz_netmaps_SOURCES += modules/pam/pam.c
endif
tests_fuzz_fuzz_netmaps_CPPFLAGS += -DWITH_PAM
tests_fuzz_fuzz_netmaps_LDADD += $(PAM_LIBS)
endif
if WITH_CDB
check_PROGRAMS += %D%/fuzz-dbfile
else
if WITH_LMDB
check_PROGRAMS += %D%/fuzz-dbfile
endif
endif
tests_fuzz_fuzz_dbfile_SOURCES = %D%/fuzz-dbfile.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_dbfile_CPPFLAGS = $(builtin_cppflags)
tests_fuzz_fuzz_dbfile_CFLAGS = $(AM_CFLAGS) $(CDB_CFLAGS) $(LMDB_CFLAGS)
tests_fuzz_fuzz_dbfile_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_dbfile_LDADD = $(TEST_LDADD)
if WITH_CDB
if !BUILTIN_CDB
tests_fuzz_fuzz_dbfile_SOURCES += $(modules_cdb_cdb_la_SOURCES)
endif
tests_fuzz_fuzz_dbfile_CPPFLAGS += -DWITH_CDB
tests_fuzz_fuzz_dbfile_LDADD += $(CDB_LIBS)
endif
if WITH_LMDB
if !BUILTIN_LMDB
tests_fuzz_fuzz_dbfile_SOURCES += $(modules_lmdb_lmdb_la_SOURCES)
endif
tests_fuzz_fuzz_dbfile_CPPFLAGS += -DWITH_LMDB
tests_fuzz_fuzz_dbfile_LDADD += $(LMDB_LIBS)
endif
check_PROGRAMS += %D%/fuzz-directory
tests_fuzz_fuzz_directory_SOURCES = %D%/fuzz-directory.c %D%/fuzz.h $(fuzz_main)
tests_fuzz_fuzz_directory_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_directory_LDADD = $(TEST_LDADD)
