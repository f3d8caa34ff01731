# tests/unit/local.mk - one GLib test program an area: tests/unit/test-AREA.c
check_PROGRAMS += tests/unit/test-base
tests_unit_test_base_SOURCES = tests/unit/test-base.c
tests_unit_test_base_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-log
tests_unit_test_log_SOURCES = tests/unit/test-log.c
tests_unit_test_log_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-confine
tests_unit_test_confine_SOURCES = tests/unit/test-confine.c
tests_unit_test_confine_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-loop
tests_unit_test_loop_SOURCES = tests/unit/test-loop.c
tests_unit_test_loop_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-scheme
tests_unit_test_scheme_SOURCES = tests/unit/test-scheme.c
tests_unit_test_scheme_CPPFLAGS = $(builtin_cppflags)
tests_unit_test_scheme_CFLAGS = $(AM_CFLAGS)
tests_unit_test_scheme_LDADD = $(TEST_LDADD) $(CORE_LIBS)
if WITH_ARGON2
if !BUILTIN_ARGON2
tests_unit_test_scheme_SOURCES += modules/argon2/argon2.c
endif
tests_unit_test_scheme_CPPFLAGS += -DWITH_ARGON2
tests_unit_test_scheme_CFLAGS += $(ARGON2_CFLAGS)
tests_unit_test_scheme_LDADD += $(ARGON2_LIBS)
endif
check_PROGRAMS += tests/unit/test-conf tests/unit/test-option
tests_unit_test_conf_SOURCES = tests/unit/test-conf.c
tests_unit_test_conf_LDADD = $(TEST_LDADD)
tests_unit_test_option_SOURCES = tests/unit/test-option.c
tests_unit_test_option_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-address
tests_unit_test_address_SOURCES = tests/unit/test-address.c
tests_unit_test_address_CPPFLAGS = $(AM_CPPFLAGS) -DEK_SRCDIR=\"$(abs_top_srcdir)\"
tests_unit_test_address_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-file
tests_unit_test_file_SOURCES = tests/unit/test-file.c tests/unit/instance.h
if !BUILTIN_FILE
tests_unit_test_file_SOURCES += $(modules_file_file_la_SOURCES)
endif
tests_unit_test_file_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_file_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-module tests/unit/test-call
tests_unit_test_module_SOURCES = tests/unit/test-module.c
tests_unit_test_module_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_module_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
tests_unit_test_call_SOURCES = tests/unit/test-call.c
tests_unit_test_call_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_call_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_PGSQL
if WITH_MYSQL
check_PROGRAMS += tests/unit/test-sqlhang
endif
endif
tests_unit_test_sqlhang_SOURCES = tests/unit/test-sqlhang.c
tests_unit_test_sqlhang_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_sqlhang_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-search
tests_unit_test_search_SOURCES = tests/unit/test-search.c
tests_unit_test_search_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_search_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_CHAIN
check_PROGRAMS += tests/unit/test-chain tests/unit/test-result
endif
tests_unit_test_result_SOURCES = tests/unit/test-result.c
tests_unit_test_result_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_result_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
tests_unit_test_chain_SOURCES = tests/unit/test-chain.c
tests_unit_test_chain_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_chain_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_MAILBOXMAP
check_PROGRAMS += tests/unit/test-mailboxmap
endif
tests_unit_test_mailboxmap_SOURCES = tests/unit/test-mailboxmap.c
tests_unit_test_mailboxmap_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_mailboxmap_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_LUA
check_PROGRAMS += tests/unit/test-lua
endif
tests_unit_test_lua_SOURCES = tests/unit/test-lua.c tests/unit/instance.h
tests_unit_test_lua_CPPFLAGS = $(EK_TEST_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_lua_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-cache
tests_unit_test_cache_SOURCES = tests/unit/test-cache.c
tests_unit_test_cache_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_cache_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-tablefile
tests_unit_test_tablefile_SOURCES = tests/unit/test-tablefile.c tests/unit/instance.h
tests_unit_test_tablefile_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-hosts
tests_unit_test_hosts_SOURCES = tests/unit/test-hosts.c
tests_unit_test_hosts_LDADD = $(TEST_LDADD)
if WITH_SQLITE
check_PROGRAMS += tests/unit/test-sql
endif
tests_unit_test_sql_SOURCES = tests/unit/test-sql.c
tests_unit_test_sql_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_sql_LDADD = tests/lib/libtesting.la $(TEST_LDADD) $(CORE_LIBS)
if WITH_LDAP
check_PROGRAMS += tests/unit/test-ldap
endif
tests_unit_test_ldap_SOURCES = tests/unit/test-ldap.c
if !BUILTIN_LDAP
tests_unit_test_ldap_SOURCES += modules/ldap/template.c
endif
tests_unit_test_ldap_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_ldap_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
include tests/unit/mods/local.mk
check_PROGRAMS += tests/unit/test-trace
tests_unit_test_trace_SOURCES = tests/unit/test-trace.c tests/unit/events.h
tests_unit_test_trace_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-logrole
tests_unit_test_logrole_SOURCES = tests/unit/test-logrole.c tests/unit/events.h
tests_unit_test_logrole_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-imap-parse
tests_unit_test_imap_parse_SOURCES = tests/unit/test-imap-parse.c modules/imap/reader.c modules/imap/scan.c \
  modules/imap/parse-fetch.c modules/imap/parse-search.c
tests_unit_test_imap_parse_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/genlog
tests_unit_genlog_SOURCES = tests/unit/genlog.c tests/unit/events.h
tests_unit_genlog_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-edit
tests_unit_test_edit_SOURCES = tests/unit/test-edit.c
tests_unit_test_edit_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-maps
tests_unit_test_maps_SOURCES = tests/unit/test-maps.c tests/unit/instance.h
# linked in, unless they are in the library already
if !BUILTIN_TEXT
tests_unit_test_maps_SOURCES += $(modules_text_text_la_SOURCES)
endif
if !BUILTIN_STATIC
tests_unit_test_maps_SOURCES += $(modules_static_static_la_SOURCES)
endif
if !BUILTIN_INLINE
tests_unit_test_maps_SOURCES += $(modules_inline_inline_la_SOURCES)
endif
if !BUILTIN_CIDR
tests_unit_test_maps_SOURCES += $(modules_cidr_cidr_la_SOURCES)
endif
if !BUILTIN_PASSWD
tests_unit_test_maps_SOURCES += $(modules_passwd_passwd_la_SOURCES)
endif
if !BUILTIN_TEST
tests_unit_test_maps_SOURCES += $(modules_test_test_la_SOURCES)
endif
if !BUILTIN_TEST_EVENTED
tests_unit_test_maps_SOURCES += $(modules_test_evented_test_evented_la_SOURCES)
endif
tests_unit_test_maps_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_maps_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-pattern
tests_unit_test_pattern_SOURCES = tests/unit/test-pattern.c tests/unit/instance.h
if !BUILTIN_REGEXP
tests_unit_test_pattern_SOURCES += $(modules_regexp_regexp_la_SOURCES)
endif
if !BUILTIN_PCRE
tests_unit_test_pattern_SOURCES += $(modules_pcre_pcre_la_SOURCES)
endif
tests_unit_test_pattern_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_pattern_LDADD = $(TEST_LDADD)
if WITH_LMDB
check_PROGRAMS += tests/unit/test-dbm
else
if WITH_CDB
check_PROGRAMS += tests/unit/test-dbm
endif
endif
tests_unit_test_dbm_SOURCES = tests/unit/test-dbm.c tests/unit/instance.h
tests_unit_test_dbm_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_dbm_LDADD = $(TEST_LDADD)
if WITH_LMDB
if !BUILTIN_LMDB
tests_unit_test_dbm_SOURCES += $(modules_lmdb_lmdb_la_SOURCES)
endif
tests_unit_test_dbm_CPPFLAGS += -DWITH_LMDB $(LMDB_CFLAGS)
tests_unit_test_dbm_LDADD += $(LMDB_LIBS)
endif
if WITH_CDB
if !BUILTIN_CDB
tests_unit_test_dbm_SOURCES += $(modules_cdb_cdb_la_SOURCES)
endif
tests_unit_test_dbm_CPPFLAGS += -DWITH_CDB $(CDB_CFLAGS)
tests_unit_test_dbm_LDADD += $(CDB_LIBS)
endif
check_PROGRAMS += tests/unit/test-mime
tests_unit_test_mime_SOURCES = tests/unit/test-mime.c tests/lib/mimecheck.h
tests_unit_test_mime_CPPFLAGS = $(AM_CPPFLAGS) -DEK_SRCDIR=\"$(abs_top_srcdir)\"
tests_unit_test_mime_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-sasl
tests_unit_test_sasl_SOURCES = tests/unit/test-sasl.c
if !BUILTIN_SASL_PLAIN
tests_unit_test_sasl_SOURCES += $(modules_sasl_plain_sasl_plain_la_SOURCES)
endif
tests_unit_test_sasl_CPPFLAGS = $(builtin_cppflags)
tests_unit_test_sasl_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-cram
tests_unit_test_cram_SOURCES = tests/unit/test-cram.c
if !BUILTIN_SASL_CRAM_MD5
tests_unit_test_cram_SOURCES += $(modules_sasl_cram_md5_sasl_cram_md5_la_SOURCES)
endif
if !BUILTIN_SASL_EXTERNAL
tests_unit_test_cram_SOURCES += $(modules_sasl_external_sasl_external_la_SOURCES)
endif
tests_unit_test_cram_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/modules
tests_unit_test_cram_LDADD = $(TEST_LDADD) $(CORE_LIBS)
if WITH_SASL_SCRAM
check_PROGRAMS += tests/unit/test-scram
endif
tests_unit_test_scram_SOURCES = tests/unit/test-scram.c
if !BUILTIN_SASL_SCRAM
tests_unit_test_scram_SOURCES += $(modules_sasl_scram_sasl_scram_la_SOURCES)
endif
tests_unit_test_scram_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/modules
tests_unit_test_scram_CFLAGS = $(AM_CFLAGS) $(SASL_SCRAM_CFLAGS)
tests_unit_test_scram_LDADD = $(TEST_LDADD) $(SASL_SCRAM_LIBS) $(CORE_LIBS)
if WITH_SASL_OAUTH
check_PROGRAMS += tests/unit/test-oauth
endif
tests_unit_test_oauth_SOURCES = tests/unit/test-oauth.c
if !BUILTIN_SASL_OAUTH
tests_unit_test_oauth_SOURCES += $(modules_sasl_oauth_sasl_oauth_la_SOURCES)
endif
tests_unit_test_oauth_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/modules
tests_unit_test_oauth_CFLAGS = $(AM_CFLAGS) $(SASL_OAUTH_CFLAGS)
tests_unit_test_oauth_LDADD = $(TEST_LDADD) $(SASL_OAUTH_LIBS) $(CORE_LIBS)
check_PROGRAMS += tests/unit/test-spool
tests_unit_test_spool_SOURCES = tests/unit/test-spool.c
tests_unit_test_spool_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_spool_LDADD = tests/lib/libspoolrig.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-maildir
tests_unit_test_maildir_SOURCES = tests/unit/test-maildir.c tests/unit/mailbox.h $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_maildir_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_maildir_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-peername
tests_unit_test_peername_SOURCES = tests/unit/test-peername.c
tests_unit_test_peername_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-header tests/unit/test-text tests/unit/test-dsn
tests_unit_test_header_SOURCES = tests/unit/test-header.c
tests_unit_test_header_LDADD = $(TEST_LDADD)
tests_unit_test_text_SOURCES = tests/unit/test-text.c
tests_unit_test_text_LDADD = $(TEST_LDADD)
tests_unit_test_dsn_SOURCES = tests/unit/test-dsn.c
tests_unit_test_dsn_LDADD = $(TEST_LDADD)
# those that load modules of this build, when it has them
if WITH_FILE
if WITH_STATIC
if WITH_TEST
if WITH_TEST_EVENTED
check_PROGRAMS += tests/unit/test-auth tests/unit/test-auth-rules tests/unit/test-cost
endif
endif
endif
endif
tests_unit_test_auth_SOURCES = tests/unit/test-auth.c tests/unit/authrig.h tests/unit/instance.h
tests_unit_test_auth_CPPFLAGS = $(EK_TEST_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_auth_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
tests_unit_test_auth_rules_SOURCES = tests/unit/test-auth-rules.c tests/unit/authrig.h tests/unit/instance.h
tests_unit_test_auth_rules_CPPFLAGS = $(EK_TEST_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_auth_rules_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_TEST
if WITH_TEST_EVENTED
check_PROGRAMS += tests/unit/test-rehearse
endif
endif
tests_unit_test_rehearse_SOURCES = tests/unit/test-rehearse.c
tests_unit_test_rehearse_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_rehearse_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
tests_unit_test_cost_SOURCES = tests/unit/test-cost.c tests/unit/authrig.h tests/unit/instance.h
tests_unit_test_cost_CPPFLAGS = $(EK_TEST_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_cost_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_MAILDIR
check_PROGRAMS += tests/unit/test-imap
endif
tests_unit_test_imap_SOURCES = tests/unit/test-imap.c
tests_unit_test_imap_LDADD = modules/imap/libbuiltin.la tests/lib/libmemsession.la tests/lib/libtesting.la $(TEST_LDADD)
if WITH_FILE
if WITH_STATIC
if WITH_TEST
check_PROGRAMS += tests/unit/test-cli-user
endif
endif
endif
tests_unit_test_cli_user_SOURCES = tests/unit/test-cli-user.c tests/unit/instance.h
tests_unit_test_cli_user_CPPFLAGS = $(EK_TEST_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_cli_user_LDADD = $(TEST_LDADD)
if WITH_ARGON2
tests_unit_test_cli_user_CPPFLAGS += -DWITH_ARGON2
endif
check_PROGRAMS += tests/unit/test-index
tests_unit_test_index_SOURCES = tests/unit/test-index.c tests/unit/mailbox.h $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_index_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests -DEK_SRCDIR=\"$(abs_top_srcdir)\"
tests_unit_test_index_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-index-rows
tests_unit_test_index_rows_SOURCES = tests/unit/test-index-rows.c tests/unit/mailbox.h $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_index_rows_CPPFLAGS = $(tests_unit_test_index_CPPFLAGS)
tests_unit_test_index_rows_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-folders
tests_unit_test_folders_SOURCES = tests/unit/test-folders.c tests/unit/mailbox.h $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_folders_CPPFLAGS = $(tests_unit_test_index_CPPFLAGS)
tests_unit_test_folders_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-index-files
tests_unit_test_index_files_SOURCES = tests/unit/test-index-files.c tests/unit/mailbox.h \
  $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_index_files_CPPFLAGS = $(tests_unit_test_index_CPPFLAGS)
tests_unit_test_index_files_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-index-kill
tests_unit_test_index_kill_SOURCES = tests/unit/test-index-kill.c tests/unit/mailbox.h \
  $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_index_kill_CPPFLAGS = $(tests_unit_test_index_CPPFLAGS)
tests_unit_test_index_kill_LDADD = $(TEST_LDADD)
EXTRA_DIST += tests/unit/maildir-behind.sh
check_PROGRAMS += tests/unit/test-deliver
tests_unit_test_deliver_SOURCES = tests/unit/test-deliver.c tests/unit/mailbox.h tests/lib/failsync.c \
  $(modules_maildir_maildir_la_SOURCES)
tests_unit_test_deliver_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_deliver_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-spool-model
tests_unit_test_spool_model_SOURCES = tests/unit/test-spool-model.c
tests_unit_test_spool_model_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_spool_model_LDADD = tests/lib/libspoolrig.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-spool-fail
tests_unit_test_spool_fail_SOURCES = tests/unit/test-spool-fail.c tests/lib/faildisk.h
tests_unit_test_spool_fail_CPPFLAGS = $(EK_TEST_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_spool_fail_LDADD = tests/lib/libspoolrig.la $(TEST_LDADD)
tests_unit_test_spool_fail_DEPENDENCIES = tests/lib/libspoolrig.la libekiden.la tests/lib/libfaildisk.la
check_PROGRAMS += tests/unit/test-rows
tests_unit_test_rows_SOURCES = tests/unit/test-rows.c
tests_unit_test_rows_CPPFLAGS = $(EK_TEST_CPPFLAGS)
if WITH_SPOOL
tests_unit_test_rows_CPPFLAGS += -DWITH_MODULES
endif
tests_unit_test_rows_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-smtp
# of its own even where the module is built in: what it calls here is in memory, what it would call there is the core
tests_unit_test_smtp_SOURCES = tests/unit/test-smtp.c $(modules_smtp_smtp_la_SOURCES)
tests_unit_test_smtp_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_smtp_LDADD = tests/lib/libmemsubmit.la tests/lib/libmemsession.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-spool-damage
tests_unit_test_spool_damage_SOURCES = tests/unit/test-spool-damage.c
tests_unit_test_spool_damage_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests
tests_unit_test_spool_damage_LDADD = tests/lib/libspoolrig.la $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-smtp-client
tests_unit_test_smtp_client_SOURCES = tests/unit/test-smtp-client.c tests/unit/instance.h $(modules_smtp_smtp_la_SOURCES)
tests_unit_test_smtp_client_CPPFLAGS = $(builtin_cppflags) -I$(top_srcdir)/tests
tests_unit_test_smtp_client_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/unit/test-ask
tests_unit_test_ask_SOURCES = tests/unit/test-ask.c
tests_unit_test_ask_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_ask_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
# their wire formats are linked in, unless they are in the library already; questions go to the modules of this build
if WITH_REDIS
if WITH_SOCKETMAP
if WITH_TCP
check_PROGRAMS += tests/unit/test-netmaps
endif
endif
endif
tests_unit_test_netmaps_SOURCES = tests/unit/test-netmaps.c tests/unit/netmaps.h tests/lib/peer.c tests/lib/peer.h
if !BUILTIN_REDIS
tests_unit_test_netmaps_SOURCES += modules/redis/resp.c
endif
if !BUILTIN_SOCKETMAP
tests_unit_test_netmaps_SOURCES += $(modules_socketmap_socketmap_la_SOURCES)
endif
if !BUILTIN_TCP
tests_unit_test_netmaps_SOURCES += $(modules_tcp_tcp_la_SOURCES)
endif
check_PROGRAMS += tests/unit/test-badnames
tests_unit_test_badnames_SOURCES = tests/unit/test-badnames.c tests/unit/netmaps.h
tests_unit_test_badnames_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_badnames_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
tests_unit_test_netmaps_CPPFLAGS = $(EK_TEST_CPPFLAGS) -DEK_STATIC
tests_unit_test_netmaps_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
if WITH_HTTP
check_PROGRAMS += tests/unit/test-http
endif
tests_unit_test_http_SOURCES = tests/unit/test-http.c tests/unit/netmaps.h tests/lib/peer.c tests/lib/peer.h
tests_unit_test_http_CPPFLAGS = $(EK_TEST_CPPFLAGS)
tests_unit_test_http_LDADD = tests/lib/libtesting.la $(TEST_LDADD)
