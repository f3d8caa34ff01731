/* scheme.h - password schemes: "{SCHEME}hash" verified and made
 * SPDX-License-Identifier: Apache-2.0
 *
 * A stored secret is written as Dovecot and LDAP write it: {SCHEME}rest, {SCHEME.b64}rest or
 * {SCHEME.hex}rest; the name in either case.  Built in are
 *   PLAIN CLEARTEXT CLEAR                   the secret itself
 *   SHA512-CRYPT SHA256-CRYPT BLF-CRYPT MD5-CRYPT DES-CRYPT, CRYPT (all that crypt(5) knows here)
 *   PBKDF2                                  with HMAC-SHA1, as Dovecot writes it
 *   SHA SHA1 SHA256 SHA512 LDAP-MD5         base64 of the digest (or hexadecimal, by its length)
 *   PLAIN-MD5                               hexadecimal (or base64)
 *   SSHA SSHA256 SSHA512 SMD5               base64 of the digest of secret and salt, then the salt
 *   MD5                                     MD5-CRYPT or PLAIN-MD5, whichever it looks like
 * Modules add more (EkSchemeOps): ARGON2I ARGON2ID, SCRAM-SHA-1 SCRAM-SHA-256, CRAM-MD5 HMAC-MD5.  Of Dovecot's there are not PLAIN-MD4,
 * PLAIN-TRUNC, OTP and DIGEST-MD5, which no mechanism and no program has made for years.  All functions but ek_scheme_register() may be called on any thread
 * and take as long as the scheme costs: on job threads, never on the loop.
 *
 * An empty hash matches nothing, and neither does one of crypt(3) that begins with ! or *.
 * Compares take the same time wherever the difference is.  A secret with a NUL never matches a
 * scheme of crypt(3), which would read only what is before it.
 */
#pragma once
#include "base/base.h"

#define EK_PASSWORD_MAX 1024         /* bytes of a secret; longer ones match nothing */
#define EK_SCHEME_DEFAULT "BLF-CRYPT"

/* The memory that the module argon2 makes a hash with; its cost is the number of passes. */
#define EK_ARGON2I_KIB  32768
#define EK_ARGON2ID_KIB 65536
#define EK_ARGON2ID_PASSES 3       /* where nothing else is said */

/* Adds a module's schemes; those that are known already stay.  Any thread; for ever. */
void ek_scheme_register (const EkSchemeOps *ops);
bool ek_scheme_known (EkStr name);                 /* also with .b64 or .hex behind it */
char **ek_scheme_names (void);                     /* sorted, g_strfreev() */

/* Takes "{SCHEME}" off the front.  `scheme` is what stands between the braces, empty when there is
 * no prefix; the rest is returned. */
EkStr ek_scheme_split (EkStr stored, EkStr *scheme);

/* OK; FAIL: another secret; DEFER and *error: nobody can tell (unknown scheme, broken hash).
 * `dflt` is the scheme of a `stored` without prefix. */
EkStatus ek_password_verify (EkStr secret, EkStr stored, const char *dflt, GError **error);

/* "{SCHEME}...", to be freed with g_free(); NULL and *error.  `cost` 0 is the scheme's default; else
 * the rounds of SHA*-CRYPT and PBKDF2, the exponent of BLF-CRYPT, as `doveadm pw -r` takes it, the passes of ARGON2*. */
char *ek_password_make (const char *scheme, EkStr secret, guint cost, GError **error);

/* Whether comparing with it is work for a thread that does nothing else: hashes that are slow by intent, and those that modules add. */
bool ek_password_is_slow (EkStr stored, const char *dflt);

/* Appends what is stored, without {SCHEME} and decoded, when it is of that scheme; else false, and nothing is.  "PLAIN" stands for
 * CLEARTEXT and CLEAR, too, and is what a `stored` without prefix is. */
bool ek_password_open (EkStr stored, const char *scheme, EkBuf *out);

/* Whether `stored` is kept by a weaker scheme, or by the same at less cost (0: any) than ek_password_make() would take: never what that
 * has made.  yescrypt, gost-yescrypt and scrypt are one scheme here, CRYPT; a hash of Argon2 costs less when it has no more memory and, over
 * its passes, less work.  False for those of SCRAM and CRAM-MD5, which are kept so that these work, and for unknown ones. */
bool ek_password_weaker (EkStr stored, const char *scheme, guint cost);
int  ek_scheme_rank (const char *scheme);          /* 0: the secret itself; 3 and more: hashes made for passwords; -1: in no order */

/* Costs what ek_password_verify() costs: for users that do not exist.  `like` is a stored secret
 * of a user who does, or an empty string: one of the default scheme then stands in. */
void    ek_password_dummy (EkStr secret, EkStr like, const char *dflt);
guint64 ek_password_n_dummies (void);              /* how often, since the process began */
