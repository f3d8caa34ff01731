/* doctortls.c - ekiden doctor looks at the certificates
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cli/doctor.h"
#include "conf/option.h"
#include "proc/blocks.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#define SOON_DAYS 14

static int
no_password (char *buf, int size, int writing, void *data)
{
  return 0;
}

static X509 *
read_chain (EkDoctor *self, const char *name, const char *path)
{
  BIO *in = BIO_new_file (path, "r");
  X509 *cert = in ? PEM_read_bio_X509 (in, NULL, no_password, NULL) : NULL;

  if (in == NULL)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: cannot read %s: %s", name, path, g_strerror (errno));
  else if (cert == NULL)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: %s holds no certificate in PEM form", name, path);
  BIO_free (in);
  ERR_clear_error ();
  return cert;
}

static EVP_PKEY *
read_key (EkDoctor *self, const char *name, const char *path)
{
  struct stat st;
  BIO *in = BIO_new_file (path, "r");
  EVP_PKEY *key = in ? PEM_read_bio_PrivateKey (in, NULL, no_password, NULL) : NULL;

  if (in == NULL)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: cannot read the key %s: %s", name, path, g_strerror (errno));
  else if (key == NULL)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: %s holds no key in PEM form without a password", name, path);
  if (stat (path, &st) == 0 && st.st_mode & 007)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: others may use the key: chmod o= %s", name, path);
  BIO_free (in);
  ERR_clear_error ();
  return key;
}

static void
check_dates (EkDoctor *self, const char *name, const X509 *cert)
{
  int days = 0, seconds = 0;

  if (X509_cmp_current_time (X509_get0_notBefore (cert)) > 0)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: it is not valid yet: is the clock right?", name);
  if (!ASN1_TIME_diff (&days, &seconds, NULL, X509_get0_notAfter (cert)))
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: its last day cannot be read", name);
  else if (days < 0 || seconds < 0)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: expired %d days ago: renew it, then ekiden reload", name, -days);
  else
    ek_doctor_say (self, days < SOON_DAYS ? EK_DR_WARNING : EK_DR_OK, "certificate", "%s: valid for %d more days%s", name, days,
                   days < SOON_DAYS ? ": renew it, then ekiden reload" : "");
}

static void
check_block (EkDoctor *self, const EkConfBlock *block, const char *hostname)
{
  g_autoptr (EkProblems) problems = ek_problems_new ();
  g_autoptr (EkPool) pool = ek_pool_new ();
  const char *name = block->name ? block->name : "(without a name)";
  EkCertificateConf c = { 0 };
  EkOptionContext context = { .pool = pool };

  ek_options_apply (ek_certificate_block.options, &c, &(EkLayer) { block }, 1, "certificate", &context, problems);
  if (c.chain == NULL || c.key == NULL)
    return;                                        /* told by the check of the configuration */
  X509 *cert = read_chain (self, name, c.chain);
  EVP_PKEY *key = read_key (self, name, c.key);
  if (cert)
    check_dates (self, name, cert);
  if (cert && key && X509_check_private_key (cert, key) != 1)
    ek_doctor_say (self, EK_DR_PROBLEM, "certificate", "%s: %s is not the key of %s", name, c.key, c.chain);
  if (cert && hostname && (c.names == NULL || c.names[0] == NULL) && X509_check_host (cert, hostname, 0, 0, NULL) != 1)
    ek_doctor_say (self, EK_DR_WARNING, "certificate", "%s: it does not name %s, so clients that connect to that name refuse it", name,
                   hostname);
  ERR_clear_error ();
  X509_free (cert);
  EVP_PKEY_free (key);
}

void
ek_doctor_certificates (EkDoctor *self, const EkConf *conf, const char *hostname)
{
  guint n = 0;

  for (const EkConfBlock *b = conf->root->blocks; b; b = b->next)
    if (strcmp (b->kind, "certificate") == 0) {
      check_block (self, b, hostname);
      n++;
    }
  if (n == 0)
    ek_doctor_say (self, EK_DR_WARNING, "certificate", "none is configured: no listener offers TLS");
}
