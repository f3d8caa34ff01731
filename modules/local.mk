# modules/local.mk - each module adds its part
include modules/argon2/local.mk
include modules/file/local.mk
