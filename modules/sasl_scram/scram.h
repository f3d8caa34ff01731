/* scram.h - what the files of sasl_scram share: hashes, and the keys that are kept of a password (RFC 5802 section 3)
 * SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <ekiden/ekiden.h>

#define SCRAM_HASH_MAX       32      /* bytes */
#define SCRAM_SALT_MAX       64
#define SCRAM_ITERATIONS     10000   /* of new keys; RFC 7677 section 4 wants at least 4096 */
#define SCRAM_ITERATIONS_MAX 10000000

typedef struct {
  const char *name;                  /* "SCRAM-SHA-256": the mechanism and the scheme */
  const char *digest;                /* OpenSSL's name */
  gsize       len;
} ScramHash;

typedef struct {
  guint  iterations;
  gsize  salt_len;
  guint8 salt[SCRAM_SALT_MAX], stored[SCRAM_HASH_MAX], server[SCRAM_HASH_MAX];
} ScramKeys;

extern const ScramHash scram_sha1, scram_sha256;

bool scram_hmac (const ScramHash *hash, const guint8 *key, EkStr text, guint8 out[SCRAM_HASH_MAX]);
bool scram_digest (const ScramHash *hash, EkStr text, guint8 out[SCRAM_HASH_MAX]);

/* The keys of a password; `keys` has iterations and salt.  A password that SASLprep (RFC 4013) cannot prepare is taken as it is.
 * False: OpenSSL lacks the hash.  Takes as long as `iterations` hashes do. */
bool scram_keys_make (const ScramHash *hash, EkStr password, ScramKeys *keys);
/* "iterations,salt,StoredKey,ServerKey", in base64, as Dovecot keeps them. */
bool scram_keys_parse (const ScramHash *hash, EkStr text, ScramKeys *keys);
void scram_keys_print (const ScramHash *hash, const ScramKeys *keys, EkBuf *out);
