# docs/man/local.mk - manual pages
man5_MANS = docs/man/ekiden.conf.5
dist_man1_MANS = docs/man/ekiden.1
dist_man8_MANS = docs/man/ekidend.8
# beside the program: alternatives give them their place
ekidenmandir = $(pkgdatadir)/man
dist_ekidenman_DATA = docs/man/sendmail.1
