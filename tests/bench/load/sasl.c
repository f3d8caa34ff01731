/* sasl.c - AUTHENTICATE by the mechanisms that servers are measured with
 * SPDX-License-Identifier: Apache-2.0
 *
 * A SCRAM client may keep what the hash costs (RFC 5802, section 5.1): each thread does, so that the client
 * needs little of the cores that it shares with the server.
 */
#include "load.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TEXT_MAX 4096

static int
send_base64 (struct conn *c, const char *before, const char *text, size_t n)
{
  char out[2 * TEXT_MAX];
  if (n > TEXT_MAX)
    return -1;
  EVP_EncodeBlock ((unsigned char *)out, (const unsigned char *)text, (int)n);
  return c_printf (c, "%s%s\r\n", before, out);
}

static int
decode (const char *from, size_t n, char *to)
{
  int k = n <= TEXT_MAX ? EVP_DecodeBlock ((unsigned char *)to, (const unsigned char *)from, (int)n) : -1;
  if (k < 0)
    return -1;
  while (n && from[n - 1] == '=')
    n--, k--;
  to[k] = 0;
  return k;
}

/* The challenge's bytes; -1: it is none. */
static int
challenge (struct conn *c, char *to)
{
  size_t n;
  char *s = c_line (c, &n);
  return s && n >= 2 && s[0] == '+' && s[1] == ' ' ? decode (s + 2, n - 2, to) : -1;
}

static int
plain (struct conn *c, const char *user)
{
  char text[512];
  int n = snprintf (text, sizeof text, "%c%s%c%s", 0, user, 0, o.pass);
  return send_base64 (c, "a AUTHENTICATE PLAIN ", text, n);
}

static int
login (struct conn *c, const char *user)
{
  char text[TEXT_MAX + 4];
  c_printf (c, "a AUTHENTICATE LOGIN\r\n");
  if (challenge (c, text) < 0 || send_base64 (c, "", user, strlen (user)) || challenge (c, text) < 0)
    return -1;
  return send_base64 (c, "", o.pass, strlen (o.pass));
}

static int
cram_md5 (struct conn *c, const char *user)
{
  char text[TEXT_MAX + 4], answer[512];
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned len;
  c_printf (c, "a AUTHENTICATE CRAM-MD5\r\n");
  int n = challenge (c, text);
  if (n < 0)
    return -1;
  HMAC (EVP_md5 (), o.pass, (int)strlen (o.pass), (unsigned char *)text, n, mac, &len);
  n = snprintf (answer, sizeof answer, "%s ", user);
  for (unsigned i = 0; i < len; i++)
    n += snprintf (answer + n, sizeof answer - n, "%02x", mac[i]);
  return send_base64 (c, "", answer, n);
}

static int
oauthbearer (struct conn *c, const char *user, int number)
{
  char text[TEXT_MAX];
  int n = snprintf (text, sizeof text, "n,a=%s,\1host=localhost\1auth=Bearer %s\1\1", user, o.tokens[number % o.n_tokens]);
  return n < TEXT_MAX ? send_base64 (c, "a AUTHENTICATE OAUTHBEARER ", text, n) : -1;
}

static int
xoauth2 (struct conn *c, const char *user, int number)
{
  char text[TEXT_MAX];
  int n = snprintf (text, sizeof text, "user=%s\1auth=Bearer %s\1\1", user, o.tokens[number % o.n_tokens]);
  return n < TEXT_MAX ? send_base64 (c, "a AUTHENTICATE XOAUTH2 ", text, n) : -1;
}

/* ---- SCRAM ---- */

static void
salted (const EVP_MD *md, const char *salt64, int rounds, unsigned char *to)
{
  static __thread char known[512];
  static __thread unsigned char kept[EVP_MAX_MD_SIZE];
  char what[512], salt[TEXT_MAX + 4];
  snprintf (what, sizeof what, "%d %d %s", EVP_MD_get_size (md), rounds, salt64);
  if (strcmp (what, known)) {
    int n = decode (salt64, strlen (salt64), salt);
    PKCS5_PBKDF2_HMAC (o.pass, (int)strlen (o.pass), (unsigned char *)salt, n < 0 ? 0 : n, rounds, md, EVP_MD_get_size (md), kept);
    strcpy (known, what);
  }
  memcpy (to, kept, EVP_MD_get_size (md));
}

static void
mac (const EVP_MD *md, const unsigned char *key, const char *text, unsigned char *to)
{
  unsigned len;
  HMAC (md, key, EVP_MD_get_size (md), (const unsigned char *)text, strlen (text), to, &len);
}

/* The gs2 header and what the channel gives for it (RFC 9266), in base64; -1: there is no channel. */
static int
channel (struct conn *c, const char *header, int plus, char *to)
{
  static const char label[] = "EXPORTER-Channel-Binding";
  unsigned char all[64];
  size_t n = strlen (header);
  memcpy (all, header, n);
  if (plus && (!c->ssl || SSL_export_keying_material (c->ssl, all + n, 32, label, sizeof label - 1, (const unsigned char *)"", 0, 1) != 1))
    return -1;
  EVP_EncodeBlock ((unsigned char *)to, all, (int)n + (plus ? 32 : 0));
  return 0;
}

static int
scram (struct conn *c, const char *user, const EVP_MD *md, const char *name)
{
  static atomic_int serial;
  char bare[256], first[TEXT_MAX + 4], salt[256], nonce[256], last[600], all[2 * TEXT_MAX], word[64], proof[128], bound[128];
  unsigned char key[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE], signature[EVP_MAX_MD_SIZE];
  int rounds, size = EVP_MD_get_size (md), plus = strstr (name, "-PLUS") != NULL;
  const char *header = plus ? "p=tls-exporter,," : "n,,";
  if (channel (c, header, plus, bound))
    return -1;
  snprintf (bare, sizeof bare, "n=%s,r=%08x%08xmailload", user, (unsigned)getpid (), (unsigned)atomic_fetch_add (&serial, 1));
  snprintf (all, sizeof all, "%s%s", header, bare);
  snprintf (word, sizeof word, "a AUTHENTICATE %s ", name);
  send_base64 (c, word, all, strlen (all));
  if (challenge (c, first) < 0 || sscanf (first, "r=%255[^,],s=%255[^,],i=%d", nonce, salt, &rounds) != 3)
    return -1;
  salted (md, salt, rounds, key);
  snprintf (last, sizeof last, "c=%s,r=%s", bound, nonce);
  snprintf (all, sizeof all, "%s,%s,%s", bare, first, last);
  mac (md, key, "Client Key", client);
  EVP_Digest (client, size, stored, NULL, md, NULL);
  mac (md, stored, all, signature);
  for (int i = 0; i < size; i++)
    client[i] ^= signature[i];
  EVP_EncodeBlock ((unsigned char *)proof, client, size);
  snprintf (all, sizeof all, "%s,p=%s", last, proof);
  if (send_base64 (c, "", all, strlen (all)) || challenge (c, first) < 0)      /* the server's signature */
    return -1;
  return c_printf (c, "\r\n");
}

/* The exchange, and the tagged answer: 0 OK. */
int
imap_auth (struct conn *c, const char *user, int number)
{
  int rc = -1;
  if (!strcmp (o.mech, "PLAIN"))
    rc = plain (c, user);
  else if (!strcmp (o.mech, "LOGIN"))
    rc = login (c, user);
  else if (!strcmp (o.mech, "CRAM-MD5"))
    rc = cram_md5 (c, user);
  else if (!strcmp (o.mech, "SCRAM-SHA-1"))
    rc = scram (c, user, EVP_sha1 (), o.mech);
  else if (!strcmp (o.mech, "SCRAM-SHA-256") || !strcmp (o.mech, "SCRAM-SHA-256-PLUS"))
    rc = scram (c, user, EVP_sha256 (), o.mech);
  else if (!strcmp (o.mech, "OAUTHBEARER") && o.n_tokens)
    rc = oauthbearer (c, user, number);
  else if (!strcmp (o.mech, "XOAUTH2") && o.n_tokens)
    rc = xoauth2 (c, user, number);
  else if (!strcmp (o.mech, "EXTERNAL"))
    rc = c_printf (c, "a AUTHENTICATE EXTERNAL =\r\n");
  return rc ? rc : imap_wait (c, "a");
}

/* One token a line, for user 1, 2, ... */
void
read_tokens (const char *path)
{
  char line[TEXT_MAX];
  FILE *f = fopen (path, "r");
  if (!f) {
    perror (path);
    exit (2);
  }
  while (fgets (line, sizeof line, f)) {
    line[strcspn (line, "\n")] = 0;
    o.tokens = realloc (o.tokens, (o.n_tokens + 1) * sizeof *o.tokens);
    o.tokens[o.n_tokens++] = strdup (line);
  }
  fclose (f);
}
