# docs/man/local.mk - manual pages
man5_MANS = docs/man/ekiden.conf.5
