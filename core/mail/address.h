/* address.h - mail addresses: SMTP paths, lookup keys, RFC 5322 address lists
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three views of the same thing, kept apart on purpose:
 *   - a path is what stands between < and > on the wire (RFC 5321 4.1.2, RFC 6531 3.3);
 *   - a key is what tables are asked for, and there is one function that makes it;
 *   - an address list is what a header field holds (RFC 5322 3.4 with the obsolete forms), as IMAP
 *     ENVELOPE shows it.
 * All functions are pure, take any bytes, and bound what they make by the length of the input.
 */
#pragma once
#include "base/base.h"

#define EK_LOCAL_MAX   64            /* RFC 5321 4.5.3.1.1, octets as written */
#define EK_DOMAIN_MAX  255           /* 4.5.3.1.2 */
#define EK_ADDRESS_MAX 254           /* 4.5.3.1.3: a path of 256 less < and > */

/* ---- paths ---------------------------------------------------------------------------------- */

typedef struct {
  EkStr address;                     /* local@domain as it goes on the wire, without <> and route;
                                        the local part is quoted only if it must be; empty for <> */
  EkStr local;                       /* unquoted */
  EkStr domain;                      /* as given, "[192.0.2.1]" for a literal; empty: <> or no domain */
  bool  literal;                     /* the domain is an address literal */
  bool  utf8;                        /* not all ASCII: needs SMTPUTF8 on the next hop */
} EkAddress;

enum {
  EK_PATH_EMPTY      = 1,            /* <> is fine: MAIL FROM */
  EK_PATH_POSTMASTER = 2,            /* <postmaster> without a domain is fine: RCPT TO */
  EK_PATH_NODOMAIN   = 4,            /* any local part without a domain is fine: local submission */
  EK_PATH_UTF8       = 8,            /* SMTPUTF8 was asked for */
  EK_PATH_LAX        = 16,           /* dots anywhere in an unquoted local part ("a..b@", "a.@": Japanese
                                        carriers issued them), '_' in the domain, one dot behind it */
  EK_PATH_BARE       = 32,           /* the brackets may be missing: then the path ends at a space */
};

/* Parses the path at the start of `text` and tells in *used how many bytes it took (NULL: the path
 * must be all of `text`).  The strings of `address` live in `pool`.  Returns NULL when it is fine,
 * else why not: a static sentence for the SMTP reply.  The reason is ek_address_needs_utf8 itself
 * (same pointer) when only SMTPUTF8 was missing: 5.6.7 and not 5.1.3. */
const char *ek_address_path (EkPool *pool, EkStr text, guint flags, EkAddress *address, gsize *used);
extern const char ek_address_needs_utf8[];

/* The same without brackets: all of `text` is local@domain. */
const char *ek_address_parse (EkPool *pool, EkStr text, guint flags, EkAddress *address);

/* Is it a domain name by RFC 5321 (letters, digits, inner hyphens; EK_PATH_UTF8 and EK_PATH_LAX count),
 * respectively an address literal with its brackets ("[192.0.2.1]", "[IPv6:2001:db8::1]")? */
bool ek_address_is_domain (EkStr domain, guint flags);
bool ek_address_is_literal (EkStr domain);

/* Appends a local part as the wire wants it: as it is when it is a dot-string, else quoted. */
void ek_address_quote_local (EkBuf *out, EkStr local);

/* ---- keys ----------------------------------------------------------------------------------- */

typedef struct {
  EkStr key;                         /* local@domain, or local alone: valid UTF-8 in NFC, no control
                                        characters, NUL behind it; the tag is not in it */
  EkStr local;                       /* before the tag, unquoted */
  EkStr domain;                      /* lower case, A-labels, no dot behind it; empty when none was given */
  EkStr tag;                         /* behind the delimiter; p is NULL when there is none */
  EkStr full;                        /* key with delimiter and tag */
  bool  path_safe;                   /* local and domain may each be a file name: no '/', no leading
                                        '.', not empty (an empty domain is fine) */
} EkAddressKey;

enum {
  EK_KEY_FOLD = 1,                   /* the local part's case does not count (Unicode case folding) */
};

/* Makes the lookup key of an address or login name.  THE one place for case, `+tag`, IDN and Unicode
 * form: whoever compares addresses compares keys.  `delimiters`: characters that begin a tag ("+"), NULL
 * or "": none; one at the very start of the local part begins nothing.  Returns NULL, or why there is no
 * key (static sentence): then the address names nobody here. */
const char *ek_address_key (EkPool *pool, EkStr address, guint flags, const char *delimiters,
                            EkAddressKey *key);

/* A domain's key alone: as EkAddressKey.domain. */
const char *ek_domain_key (EkPool *pool, EkStr domain, EkStr *key);

/* ---- address lists --------------------------------------------------------------------------- */

/* One entry of a list, in IMAP's terms (RFC 3501 7.4.2).  A missing piece has p == NULL.
 * A group is an entry with host.p == NULL and mailbox = the group's name, its members, and an entry with
 * both NULL.  Broken syntax keeps what could be read, with host "SYNTAX_ERROR"; a missing mailbox
 * or host reads "MISSING_MAILBOX", "MISSING_DOMAIN" (as Dovecot prints them). */
typedef struct EkListAddr EkListAddr;
struct EkListAddr {
  EkListAddr *next;
  EkStr name;                        /* display name or last comment, unquoted, encoded words kept */
  EkStr adl;                         /* source route, "@a,@b" */
  EkStr mailbox;                     /* local part, unquoted */
  EkStr host;
  bool  invalid;                     /* something was wrong with it */
};

/* Parses a field's value (folded or not) into at most `max` entries (0: 10,000); NULL for an empty list. */
EkListAddr *ek_address_list (EkPool *pool, EkStr value, guint max);
