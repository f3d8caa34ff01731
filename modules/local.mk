# modules/local.mk - each module adds its part
