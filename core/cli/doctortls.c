/* doctortls.c - ekiden doctor looks at the certificates
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/doctor.h"
#include "conf/option.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#define AREA      "certificate"
#define SOON_DAYS 14
#define RSA_BITS  2048

typedef struct {                     /* one certificate block */
  const char *name;
  EkCertificateConf c;
  STACK_OF (X509) *chain;            /* as in the file, the server's own first */
  EVP_PKEY   *key;
} Pair;

static int
no_password (char *buf, int size, int writing, void *data)
{
  return 0;
}

/* ---- files ---- */

static void
read_chain (EkDoctor *self, Pair *p)
{
  BIO *in = BIO_new_file (p->c.chain, "r");
  X509 *cert;

  if (in == NULL) {
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: cannot read %s: %s\nput the certificate there, or correct `chain`", p->name, p->c.chain,
                   g_strerror (errno));
    return;
  }
  while ((cert = PEM_read_bio_X509 (in, NULL, no_password, NULL)))
    sk_X509_push (p->chain, cert);
  if (sk_X509_num (p->chain) == 0)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: %s holds no certificate in PEM form\nput the certificate there, its intermediates behind it",
                   p->name, p->c.chain);
  BIO_free (in);
}

static void
read_key (EkDoctor *self, Pair *p)
{
  struct stat st;
  BIO *in = BIO_new_file (p->c.key, "r");

  if (in == NULL) {
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: cannot read the key %s: %s\nput the key there, or correct `key`", p->name, p->c.key,
                   g_strerror (errno));
    return;
  }
  p->key = PEM_read_bio_PrivateKey (in, NULL, no_password, NULL);
  if (p->key == NULL)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: %s holds no key in PEM form without a password\nopenssl pkey -in %s takes the password off",
                   p->name, p->c.key, p->c.key);
  else if (EVP_PKEY_get_base_id (p->key) == EVP_PKEY_RSA && EVP_PKEY_get_bits (p->key) < RSA_BITS)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "%s: an RSA key of %d bits is too short, clients refuse it\nget a certificate for a key of %d bits, or "
                   "an EC one", p->name, EVP_PKEY_get_bits (p->key), RSA_BITS);
  if (stat (p->c.key, &st) == 0 && st.st_mode & 007)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: everybody may use the key %s\nchmod o= %s, and get a new one when others had access",
                   p->name, p->c.key, p->c.key);
  BIO_free (in);
}

/* ---- what is in them ---- */

static const char *
subject (const EkDoctor *self, const X509 *cert)
{
  char text[200] = "";

  X509_NAME_oneline (X509_get_subject_name (cert), text, sizeof text);
  return ek_pool_strdup (self->pool, text);
}

/* The server's own is told whatever it is, one behind it only when it is bad. */
static void
check_dates (EkDoctor *self, const Pair *p, X509 *cert, bool own)
{
  const char *what = own ? "it" : subject (self, cert);
  int days = 0, seconds = 0;

  if (X509_cmp_current_time (X509_get0_notBefore (cert)) > 0)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: %s is not valid yet\nset the clock right, or wait", p->name, what);
  else if (!ASN1_TIME_diff (&days, &seconds, NULL, X509_get0_notAfter (cert)))
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: the last day of %s cannot be read\nget another certificate", p->name, what);
  else if (days < 0 || seconds < 0)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: %s expired %d days ago\nrenew it, then: ekiden reload", p->name, what, -days);
  else if (days < SOON_DAYS)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "%s: %s expires in %d days\nrenew it, then: ekiden reload", p->name, what, days);
  else if (own)
    ek_doctor_say (self, EK_DR_OK, AREA, "%s: valid for %d more days", p->name, days);
}

/* Does each certificate come from the one behind it? */
static bool
is_in_order (EkDoctor *self, const Pair *p)
{
  for (int i = 0; i + 1 < sk_X509_num (p->chain); i++)
    if (X509_check_issued (sk_X509_value (p->chain, i + 1), sk_X509_value (p->chain, i)) != X509_V_OK) {
      ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: in %s, number %d (%s) was not issued by the one behind it\nput the server's certificate first, "
                     "then each issuer behind what it issued", p->name, p->c.chain, i + 1, subject (self, sk_X509_value (p->chain, i)));
      return false;
    }
  return true;
}

/* As a client would that trusts what this system trusts. */
static void
check_trust (EkDoctor *self, const Pair *p)
{
  X509 *own = sk_X509_value (p->chain, 0), *last = sk_X509_value (p->chain, sk_X509_num (p->chain) - 1);
  X509_STORE *store = X509_STORE_new ();
  X509_STORE_CTX *ctx = X509_STORE_CTX_new ();

  X509_STORE_set_default_paths (store);
  X509_STORE_set_flags (store, X509_V_FLAG_NO_CHECK_TIME);           /* dates are told apart */
  X509_STORE_CTX_init (ctx, store, own, p->chain);
  X509_STORE_CTX_set_purpose (ctx, X509_PURPOSE_SSL_SERVER);
  bool good = X509_verify_cert (ctx) == 1;
  int why = X509_STORE_CTX_get_error (ctx);
  if (good)
    ek_doctor_say (self, EK_DR_OK, AREA, "%s: its chain is complete, and trusted here", p->name);
  else if (X509_check_issued (own, own) == X509_V_OK)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "%s: it is signed by itself, so only clients that were told to trust it do\nget one from an authority "
                   "for a public server", p->name);
  else if (why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || why == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
           || why == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "%s: the chain ends at %s, whose issuer is neither in %s nor known to this system\nappend the "
                   "intermediate certificates to the file (fullchain.pem); a private authority must be trusted by the clients", p->name,
                   subject (self, last), p->c.chain);
  else if (why == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "%s: its authority %s is not known to this system\nclients must be told to trust it; for a public "
                   "server get a certificate from a public one", p->name, subject (self, last));
  else
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: clients refuse it: %s\nget another certificate", p->name, X509_verify_cert_error_string (why));
  X509_STORE_CTX_free (ctx);
  X509_STORE_free (store);
}

static bool
fits (const Pair *p, const char *host)
{
  X509 *own = sk_X509_value (p->chain, 0);

  return own && (X509_check_host (own, host, 0, 0, NULL) == 1 || X509_check_ip_asc (own, host, 0) == 1);
}

static void
check_pair (EkDoctor *self, const Pair *p)
{
  if (sk_X509_num (p->chain) == 0)
    return;
  if (p->key && X509_check_private_key (sk_X509_value (p->chain, 0), p->key) != 1)
    ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: %s is not the key of %s\nput the key there that the certificate was made for, or get a new "
                   "certificate for this key", p->name, p->c.key, p->c.chain);
  for (int i = 0; i < sk_X509_num (p->chain); i++)
    check_dates (self, p, sk_X509_value (p->chain, i), i == 0);
  if (is_in_order (self, p))
    check_trust (self, p);
  for (char **name = p->c.names; name && *name; name++)
    if (!fits (p, *name))
      ek_doctor_say (self, EK_DR_PROBLEM, AREA, "%s: `names` has %s, which the certificate does not name: clients refuse it\nget a certificate with "
                     "that name, or take it out of `names`", p->name, *name);
}

/* ---- all of them ---- */

static void
pair_free (gpointer data)
{
  Pair *p = data;

  sk_X509_pop_free (p->chain, X509_free);
  EVP_PKEY_free (p->key);
  g_free (p);
}

static Pair *
pair_new (EkDoctor *self, const EkConfBlock *block)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();    /* told by the check of the configuration */
  Pair *p = g_new0 (Pair, 1);
  EkOptionContext context = { .pool = self->pool };

  p->name = block->name ? block->name : "(without a name)";
  p->chain = sk_X509_new_null ();
  ek_options_apply (ek_certificate_block.options, &p->c, &(EkLayer) { block }, 1, "certificate", &context, problems);
  if (p->c.chain && p->c.key) {
    read_chain (self, p);
    read_key (self, p);
    check_pair (self, p);
  }
  ERR_clear_error ();
  return p;
}

/* A name that clients connect to: one of the certificates must have it. */
static void
check_name (EkDoctor *self, const GPtrArray *pairs, const char *name)
{
  for (guint i = 0; i < pairs->len; i++)
    if (fits (pairs->pdata[i], name)) {
      ek_doctor_say (self, EK_DR_OK, AREA, "%s: it names %s", ((Pair *) pairs->pdata[i])->name, name);
      return;
    }
  ek_doctor_say (self, EK_DR_WARNING, AREA, "no certificate names %s, so clients that connect to that name refuse it\nget a certificate with that name, "
                 "or correct `hostname`", name);
}

void
ek_doctor_certificates (EkDoctor *self)
{
  g_autoptr (GPtrArray) pairs = g_ptr_array_new_with_free_func (pair_free), names = g_ptr_array_new ();

  g_ptr_array_add (names, (gpointer) self->hostname);
  for (const EkConfBlock *b = self->conf->root->blocks; b; b = b->next) {
    const EkConfSetting *own = strcmp (b->kind, "listener") == 0 ? ek_conf_find_setting (b, "hostname") : NULL;
    if (strcmp (b->kind, "certificate") == 0)
      g_ptr_array_add (pairs, pair_new (self, b));
    if (own && own->n_items == 1 && own->items[0].text.n > 0
        && !g_ptr_array_find_with_equal_func (names, own->items[0].text.p, g_str_equal, NULL))
      g_ptr_array_add (names, (gpointer) own->items[0].text.p);
  }
  if (pairs->len == 0)
    ek_doctor_say (self, EK_DR_WARNING, AREA, "none is configured: no listener offers TLS, and no client should send a password\nadd "
                   "certificate \"default\" { chain = ..., key = ... } to the configuration");
  for (guint i = 0; pairs->len > 0 && i < names->len; i++)
    check_name (self, pairs, names->pdata[i]);
  ERR_clear_error ();
}
