# etc/local.mk - the files that a system needs around the server
systemdunitdir = $(systemdsystemunitdir)
nodist_systemdunit_DATA = %D%/ekiden.service
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
logrotatedir = $(sysconfdir)/logrotate.d
bashcompdir = $(datadir)/bash-completion/completions
zshcompdir = $(datadir)/zsh/site-functions
doc_DATA = etc/reference.conf
presetsdir = $(datadir)/ekiden/presets
dist_presets_DATA = %D%/presets/ldap-posix.conf %D%/presets/ldap-ad.conf %D%/presets/sqlite.conf %D%/presets/pgsql.conf %D%/presets/mysql.conf \
  %D%/presets/postfixadmin-pgsql.conf %D%/presets/postfixadmin-mysql.conf %D%/presets/vimbadmin.conf
# our own schema, for `ekiden sql migrate`
sqlitedir = $(datadir)/ekiden/sql/sqlite
postgresqldir = $(datadir)/ekiden/sql/postgresql
mysqldir = $(datadir)/ekiden/sql/mysql
dist_sqlite_DATA = sql/sqlite/001-first.sql sql/sqlite/002-transports.sql
dist_postgresql_DATA = sql/postgresql/001-first.sql sql/postgresql/002-transports.sql
dist_mysql_DATA = sql/mysql/001-first.sql sql/mysql/002-transports.sql
EXTRA_DIST += %D%/ekiden.service.in %D%/ekiden.sysusers %D%/ekiden.tmpfiles.in
CLEANFILES += %D%/ekiden.service %D%/ekiden.tmpfiles

etc_fill = $(AM_V_GEN)$(MKDIR_P) etc && sed -e 's|[@]sbindir@|$(sbindir)|g' -e 's|[@]bindir@|$(bindir)|g' \
  -e 's|[@]sysconfdir@|$(sysconfdir)|g' -e 's|[@]localstatedir@|$(localstatedir)|g'
etc/ekiden.service: %D%/ekiden.service.in Makefile
	$(etc_fill) $(srcdir)/etc/ekiden.service.in > $@
etc/ekiden.tmpfiles: %D%/ekiden.tmpfiles.in Makefile
	$(etc_fill) $(srcdir)/etc/ekiden.tmpfiles.in > $@
all-local: etc/ekiden.tmpfiles

# sysusers.d and tmpfiles.d take NAME.conf
install-data-hook: install-etc
install-etc:
	$(MKDIR_P) $(DESTDIR)$(sysusersdir) $(DESTDIR)$(tmpfilesdir) $(DESTDIR)$(logrotatedir)
	$(INSTALL_DATA) $(srcdir)/etc/ekiden.sysusers $(DESTDIR)$(sysusersdir)/ekiden.conf
	$(INSTALL_DATA) etc/ekiden.tmpfiles $(DESTDIR)$(tmpfilesdir)/ekiden.conf
	$(INSTALL_DATA) $(srcdir)/etc/ekiden.logrotate $(DESTDIR)$(logrotatedir)/ekiden
	$(MKDIR_P) $(DESTDIR)$(bashcompdir) $(DESTDIR)$(zshcompdir)
	$(INSTALL_DATA) $(srcdir)/etc/completion/ekiden.bash $(DESTDIR)$(bashcompdir)/ekiden
	$(INSTALL_DATA) $(srcdir)/etc/completion/_ekiden $(DESTDIR)$(zshcompdir)/_ekiden
uninstall-local:
	rm -f $(DESTDIR)$(logrotatedir)/ekiden $(DESTDIR)$(sysusersdir)/ekiden.conf $(DESTDIR)$(tmpfilesdir)/ekiden.conf \
	  $(DESTDIR)$(bashcompdir)/ekiden $(DESTDIR)$(zshcompdir)/_ekiden
.PHONY: install-etc
# what libtool installs for static linking nobody needs
install-exec-hook:
	rm -f $(DESTDIR)$(pkglibdir)/*.la $(DESTDIR)$(moduledir)/*.la
