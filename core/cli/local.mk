# core/cli/local.mk - ekiden(1); its commands are in the library so that tests can call them
libekiden_la_SOURCES += %D%/cli.c %D%/cli.h %D%/cli-config.c %D%/cli-module.c
libekiden_la_SOURCES += %D%/cli-trace.c
bin_PROGRAMS += ekiden
ekiden_SOURCES = %D%/main.c
ekiden_LDADD = libekiden.la $(CORE_LIBS)
libekiden_la_SOURCES += %D%/cli-user.c %D%/target.c %D%/target.h %D%/cli-tables.c %D%/cli-pw.c %D%/password.c %D%/password.h
libekiden_la_SOURCES += %D%/cli-sql.c %D%/cli-userset.c %D%/user.h %D%/fields.c %D%/fields.h
libekiden_la_SOURCES += %D%/cli-map.c %D%/mapbuild.c %D%/mapbuild.h
libekiden_la_SOURCES += %D%/answer.c %D%/answer.h %D%/control.c %D%/control.h %D%/cli-control.c
libekiden_la_SOURCES += %D%/queuelist.c %D%/queuelist.h %D%/cli-queue.c
libekiden_la_SOURCES += %D%/cli-sendmail.c %D%/dropfile.c %D%/dropfile.h
# sendmail(1) is a program of its own: only it is setgid
ekidenlibexecdir = $(libexecdir)/ekiden
ekidenlibexec_PROGRAMS = sendmail
sendmail_SOURCES = %D%/sendmail.c
sendmail_LDADD = libekiden.la $(CORE_LIBS)
libekiden_la_SOURCES += %D%/cli-command.c %D%/cli-completion.c %D%/cli-doctor.c %D%/doctortls.c %D%/doctor.h
libekiden_la_SOURCES += %D%/doctorfiles.c %D%/doctorports.c %D%/doctordns.c
ekiden_clidir = $(ekidendir)/cli
ekiden_cli_HEADERS = %D%/command.h
install-exec-local:
	$(MKDIR_P) $(DESTDIR)$(ekidenlibexecdir)
	ln -sf sendmail $(DESTDIR)$(ekidenlibexecdir)/mailq
	ln -sf sendmail $(DESTDIR)$(ekidenlibexecdir)/newaliases
