# ekiden.m4 - the project's own configure macros
# SPDX-License-Identifier: Apache-2.0

# EK_HARDENING: position independent, full RELRO, stack protector, checked libc calls, where the compiler has them
AC_DEFUN([EK_HARDENING], [
AC_ARG_ENABLE([hardening], [AS_HELP_STRING([--disable-hardening], [build without hardening flags])],
  [], [enable_hardening=yes])
EK_CFLAGS="-std=gnu11 -fno-strict-aliasing -fno-common -Wall -Wextra -Werror=implicit-function-declaration -Werror=int-conversion -Wno-unused-parameter -Wno-missing-field-initializers -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wvla -Wformat=2 -Wformat-nonliteral"
EK_LDFLAGS=""
AS_IF([test "$enable_hardening" = yes], [
  EK_CFLAGS="$EK_CFLAGS -fstack-protector-strong -fstack-clash-protection"
  AS_CASE([" $CFLAGS "], [*-O0*], [], [EK_CFLAGS="$EK_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
  AS_CASE([$host_cpu], [x86_64|i?86], [EK_CFLAGS="$EK_CFLAGS -fcf-protection"])
  EK_LDFLAGS="$EK_LDFLAGS -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack"
])
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])],
  [AS_IF([test "$enableval" = yes], [EK_CFLAGS="$EK_CFLAGS -Werror"])])
AC_SUBST([EK_CFLAGS])
AC_SUBST([EK_LDFLAGS])
])

# EK_SANITIZERS: --enable-sanitizer=address,undefined | thread; --enable-fuzzing (clang: libFuzzer targets)
AC_DEFUN([EK_SANITIZERS], [
AC_ARG_ENABLE([sanitizer], [AS_HELP_STRING([--enable-sanitizer=LIST], [address,undefined or thread])],
  [], [enable_sanitizer=no])
AS_IF([test "$enable_sanitizer" != no], [
  EK_CFLAGS="$EK_CFLAGS -fsanitize=$enable_sanitizer -fno-omit-frame-pointer"
  AS_CASE([$enable_sanitizer], [*undefined*], [EK_CFLAGS="$EK_CFLAGS -fno-sanitize-recover=undefined"])
  EK_LDFLAGS="$EK_LDFLAGS -fsanitize=$enable_sanitizer"
  AC_DEFINE([EK_SANITIZED], [1], [built with a sanitizer])])
AC_ARG_ENABLE([fuzzing], [AS_HELP_STRING([--enable-fuzzing], [build the libFuzzer targets (clang)])],
  [], [enable_fuzzing=no])
AS_IF([test "$enable_fuzzing" = yes], [
  EK_CFLAGS="$EK_CFLAGS -fsanitize=fuzzer-no-link"
  EK_FUZZ_LDFLAGS="-fsanitize=fuzzer"])
AC_SUBST([EK_FUZZ_LDFLAGS])
AM_CONDITIONAL([FUZZING], [test "$enable_fuzzing" = yes])
])

# EK_FIND_LIBRARY(VARIABLE, -lNAME, HEADER): for libraries whose pkg-config file asks for what we do not need
AC_DEFUN([EK_FIND_LIBRARY], [
ek_libs=$LIBS
LIBS="$2 $LIBS"
AC_MSG_CHECKING([for $2 and $3])
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <$3>]])], [ek_found=yes], [ek_found=no])
AC_MSG_RESULT([$ek_found])
LIBS=$ek_libs
$1[]_CFLAGS=
$1[]_LIBS="$2"
AC_SUBST($1[]_CFLAGS)
AC_SUBST($1[]_LIBS)
])

# EK_MODULE(NAME, DEFAULT, PKG-CONFIG NAMES, -lNAME or empty, DEBIAN PACKAGE, HEADER of -lNAME):
# --enable-module-NAME=shared|static|no
# A module whose library is missing is left out by itself, unless it was asked for by name.
AC_DEFUN([EK_MODULE], [
AC_ARG_ENABLE([module-$1], [AS_HELP_STRING([--enable-module-$1=HOW], [shared, static (built in) or no; default $2])],
  [ek_how=$enableval], [AS_CASE([$enable_modules], [no|static], [ek_how=$enable_modules], [ek_how=$2])])
AS_IF([test "$ek_how" = yes], [ek_how=shared])
ek_why=
m4_ifval([$3], [
AS_IF([test "$ek_how" != no], [
  m4_if(m4_substr([$3], 0, 2), [-l], [EK_FIND_LIBRARY(m4_toupper([$1]), [$3], [$5])],
        [PKG_CHECK_MODULES(m4_toupper([$1]), [$3], [ek_found=yes], [ek_found=no])])
  AS_IF([test $ek_found = no], [
    AS_IF([test "x$enable_module_$1" != x && test "x$enable_module_$1" != xno],
      [AC_MSG_ERROR([module $1 needs $3 (Debian: $4)])])
    ek_how=no; ek_why="missing: $3 (Debian: $4)"])])
])
AS_CASE([$ek_how],
  [shared], [EK_SHARED_MODULES="$EK_SHARED_MODULES modules/$1/$1.la"],
  [static], [EK_STATIC_MODULES="$EK_STATIC_MODULES modules/$1/libbuiltin.la"; EK_BUILTINS="$EK_BUILTINS EK_BUILTIN($1)"],
  [no], [], [AC_MSG_ERROR([--enable-module-$1 takes shared, static or no])])
EK_MODULE_ROWS="${EK_MODULE_ROWS}$1|$ek_how|$ek_why@"
AM_CONDITIONAL([MODULE_]m4_toupper([$1]), [test "$ek_how" = shared])
AM_CONDITIONAL([BUILTIN_]m4_toupper([$1]), [test "$ek_how" = static])
AM_CONDITIONAL([WITH_]m4_toupper([$1]), [test "$ek_how" != no])
])

AC_DEFUN([EK_MODULES_DONE], [
AC_SUBST([EK_SHARED_MODULES])
AC_SUBST([EK_STATIC_MODULES])
AC_DEFINE_UNQUOTED([EK_BUILTINS], [$EK_BUILTINS], [modules that are linked in])
])

# the stamp that a module and a core must share: version, ABI-relevant options, the header itself
AC_DEFUN([EK_BUILD_STAMP], [
ek_header_sum=$(cksum < "$srcdir/core/ekiden.h" | cut -d' ' -f1)
EK_BUILD="$PACKAGE_VERSION-$host_cpu-$ek_header_sum"
AS_IF([test "$enable_sanitizer" != no], [EK_BUILD="$EK_BUILD-$enable_sanitizer"])
AC_DEFINE_UNQUOTED([EK_BUILD], ["$EK_BUILD"], [The stamp that a module and the core that loads it must share.])
AC_CONFIG_HEADERS([core/build.h])    # a header, not a file: it is left alone when it would not change, and so is all that includes it
])

AC_DEFUN([EK_MODULES_TABLE], [
AS_ECHO([""])
AS_ECHO(["  module          how      reason"])
AS_ECHO(["$EK_MODULE_ROWS"]) | tr '@' '\n' | while IFS='|' read -r m h w; do
  test -n "$m" && printf '  %-15s %-8s %s\n' "$m" "$h" "$w"
done
AS_ECHO([""])
])
