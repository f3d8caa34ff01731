/* scheme-builtin.h - what scheme.c and the files of the built-in schemes share
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "auth/scheme.h"

typedef struct Scheme Scheme;
struct Scheme {
  const char *name;
  /* `raw`: the text was decoded (.b64, .hex), a digest is bytes now. */
  EkStatus  (*verify) (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error);
  bool      (*make) (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error);
  const char *detail;                /* crypt: prefixes, "|" between them, "" for DES, NULL for any;
                                        digest: OpenSSL's name */
  guint       digest_len;
  bool        salted, hex;           /* digest: salt behind it; hexadecimal by habit */
  guint       cost_min, cost_max, cost;    /* crypt: 0: the cost cannot be chosen */
  guint       secret_max;            /* bytes that the hash depends on; 0: all */
};

/* The hash, decoded where .b64 or .hex says so, is appended to `out`, to be wiped; *name is without that.  False: it is not what it says. */
bool     ek_scheme_decode (EkStr stored, const char *dflt, EkStr *name, EkBuf *out);

EkStatus ek_scheme_crypt_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error);
bool     ek_scheme_crypt_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error);
/* Appends what crypt(3) gives for a setting that begins with $5$ or $6$; false: that is for crypt(3) to say. */
bool     ek_scheme_sha_crypt (EkStr secret, EkStr setting, EkBuf *out);
EkStatus ek_scheme_digest_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error);
bool     ek_scheme_digest_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error);
EkStatus ek_scheme_pbkdf2_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error);
bool     ek_scheme_pbkdf2_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error);
EkStatus ek_scheme_plain_verify (const Scheme *scheme, EkStr secret, EkStr stored, bool raw, GError **error);
bool     ek_scheme_plain_make (const Scheme *scheme, EkStr secret, guint cost, EkBuf *out, GError **error);
