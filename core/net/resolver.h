/* resolver.h - the table of modules that ask DNS, and how the core and modules ask it
 * SPDX-License-Identifier: Apache-2.0
 *
 * Evented, on the loop.  Answers keep their DNSSEC status.  NOTFOUND: the name or the type does not
 * exist (NXDOMAIN in `nxdomain`); DEFER: no answer, SERVFAIL, bogus.
 */
#pragma once
#include "ekiden.h"

G_BEGIN_DECLS

typedef enum {
  EK_DNS_A = 1, EK_DNS_CNAME = 5, EK_DNS_PTR = 12, EK_DNS_MX = 15, EK_DNS_TXT = 16, EK_DNS_AAAA = 28,
  EK_DNS_TLSA = 52,
} EkDnsType;

typedef struct {
  guint16     preference;            /* MX */
  EkStr       data;                  /* A, AAAA: 4 or 16 bytes; MX, PTR, CNAME: the name as text without
                                        the last dot ("" is the root: null MX); TXT: all strings joined;
                                        TLSA: raw */
} EkDnsRecord;

typedef struct {                     /* in the call's pool */
  guint              n;
  const EkDnsRecord *records;        /* in no order */
  guint32            ttl;            /* seconds */
  bool               secure;         /* DNSSEC validated */
  bool               nxdomain;
} EkDnsAnswer;

struct EkResolverOps {
  EkStatus (*query) (EkInstance *self, EkCall *call, const char *name, EkDnsType type, EkDnsAnswer *answer);
};

typedef struct EkDnsQuery EkDnsQuery;
typedef void (*EkDnsFunc) (EkStatus status, const EkDnsAnswer *answer, const GError *error, gpointer data);

/* Asks this process's resolver instance.  func runs exactly once, never before this returns, unless
 * ek_dns_cancel().  Without a resolver instance: DEFER with a text that says which module to add. */
EkDnsQuery *ek_dns_query (const char *name, EkDnsType type, EkDnsFunc func, gpointer data);
void        ek_dns_cancel (EkDnsQuery *query);

G_END_DECLS
