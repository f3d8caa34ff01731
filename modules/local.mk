# modules/local.mk - each module adds its part
include modules/argon2/local.mk
include modules/file/local.mk
include modules/text/local.mk
include modules/static/local.mk
include modules/inline/local.mk
include modules/cidr/local.mk
include modules/test/local.mk
include modules/test_evented/local.mk
include modules/sqlite/local.mk
include modules/passwd/local.mk
include modules/sasl_plain/local.mk
include modules/spool/local.mk
include modules/maildir/local.mk
include modules/imap/local.mk
include modules/smtp/local.mk
include modules/lua/local.mk
include modules/dns_unbound/local.mk
