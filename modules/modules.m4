# modules.m4 - one line a module: EK_MODULE(name, shared|static, pkg-config names, Debian package)
# Each has a folder modules/NAME with its code, README.md and local.mk.
AC_ARG_ENABLE([modules], [AS_HELP_STRING([--enable-modules=HOW], [yes, no (none but those asked for by name) or static (all built in)])],
  [], [enable_modules=yes])
EK_MODULE([argon2], [shared], [libsodium], [libsodium-dev])
EK_MODULE([file], [shared], [], [])
EK_MODULE([text], [shared], [], [])
EK_MODULE([static], [shared], [], [])
EK_MODULE([inline], [shared], [], [])
EK_MODULE([cidr], [shared], [], [])
EK_MODULE([test], [shared], [], [])
EK_MODULE([test_evented], [shared], [], [])
EK_MODULE([passwd], [shared], [], [])
EK_MODULE([sasl_plain], [shared], [], [])
