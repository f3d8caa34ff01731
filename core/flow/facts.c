/* facts.c - what several channel messages carry: a client's connection, a user's record
 * SPDX-License-Identifier: Apache-2.0
 */
#include "flow/facts.h"

#define FIELDS_MAX 256

static EkStr
copy_bytes (EkPool *pool, EkStr bytes)
{
  return bytes.n ? ek_pool_str (pool, bytes) : (EkStr) { NULL, 0 };
}

void
ek_client_copy (EkPool *p, EkClient *to, const EkClient *c)
{
  EkClient copy = *c;                /* they may be one and the same */

  copy.address = ek_pool_strdup (p, c->address ? c->address : "unknown");
  copy.local_address = ek_pool_strdup (p, c->local_address ? c->local_address : "unknown");
  copy.host = ek_pool_strdup (p, c->host ? c->host : "unknown");
  copy.tls_version = ek_pool_strdup (p, c->tls_version);
  copy.tls_cipher = ek_pool_strdup (p, c->tls_cipher);
  copy.tls_sni = ek_pool_strdup (p, c->tls_sni);
  copy.tls_alpn = ek_pool_strdup (p, c->tls_alpn);
  copy.tls_exporter = copy_bytes (p, c->tls_exporter);
  copy.tls_endpoint = copy_bytes (p, c->tls_endpoint);
  copy.tls_peer = ek_pool_strdup (p, c->tls_peer);
  copy.tls_peer_proof = copy_bytes (p, c->tls_peer_proof);
  *to = copy;
}

void
ek_pack_client (EkBuf *buf, const EkClient *c)
{
  ek_pack_text (buf, c->address);
  ek_pack_u64 (buf, c->port);
  ek_pack_text (buf, c->local_address);
  ek_pack_u64 (buf, c->local_port);
  ek_pack_text (buf, c->host);
  ek_pack_u64 (buf, c->tls);
  ek_pack_text (buf, c->tls_version);
  ek_pack_text (buf, c->tls_cipher);
  ek_pack_text (buf, c->tls_sni);
  ek_pack_text (buf, c->tls_alpn);
  ek_pack_u64 (buf, (guint64) c->tls_bits);
  ek_pack_str (buf, c->tls_exporter);
  ek_pack_str (buf, c->tls_endpoint);
  ek_pack_text (buf, c->tls_peer);
  ek_pack_str (buf, c->tls_peer_proof);
}

EkStr
ek_unpack_copy (EkUnpack *in, EkPool *pool)
{
  return ek_pool_str (pool, ek_unpack_str (in));
}

void
ek_unpack_client (EkUnpack *in, EkPool *pool, EkClient *c)
{
  *c = (EkClient) { .address = ek_unpack_text (in, pool) };
  c->port = (guint16) ek_unpack_max (in, 65535);
  c->local_address = ek_unpack_text (in, pool);
  c->local_port = (guint16) ek_unpack_max (in, 65535);
  c->host = ek_unpack_text (in, pool);
  c->tls = ek_unpack_max (in, 1) == 1;
  c->tls_version = ek_unpack_text (in, pool);
  c->tls_cipher = ek_unpack_text (in, pool);
  c->tls_sni = ek_unpack_text (in, pool);
  c->tls_alpn = ek_unpack_text (in, pool);
  c->tls_bits = (int) ek_unpack_max (in, 65535);
  c->tls_exporter = copy_bytes (pool, ek_unpack_str (in));
  c->tls_endpoint = copy_bytes (pool, ek_unpack_str (in));
  c->tls_peer = ek_unpack_text (in, pool);
  c->tls_peer_proof = copy_bytes (pool, ek_unpack_str (in));
}

void
ek_pack_user (EkBuf *buf, const EkUser *u)
{
  ek_pack_text (buf, u->name);
  ek_pack_text (buf, u->home);
  ek_pack_text (buf, u->mail);
  ek_pack_i64 (buf, u->uid);
  ek_pack_i64 (buf, u->gid);
  ek_pack_u64 (buf, u->quota_bytes);
  ek_pack_u64 (buf, MIN (u->n_fields, FIELDS_MAX));
  for (guint i = 0; i < MIN (u->n_fields, FIELDS_MAX); i++) {
    ek_pack_text (buf, u->fields[i].name);
    ek_pack_str (buf, u->fields[i].value);
  }
}

void
ek_user_copy (EkPool *pool, EkUser *to, const EkUser *user)
{
  EkBuf copy = { 0 };                /* by way of its packed form, which knows all of it */

  ek_pack_user (&copy, user);
  EkUnpack in = ek_unpack (ek_buf_str (&copy));
  ek_unpack_user (&in, pool, to);
  ek_buf_release (&copy);
}

void
ek_unpack_user (EkUnpack *in, EkPool *pool, EkUser *u)
{
  *u = (EkUser) { .name = ek_unpack_text (in, pool) };
  u->home = ek_unpack_text (in, pool);
  u->mail = ek_unpack_text (in, pool);
  u->uid = ek_unpack_i64 (in);
  u->gid = ek_unpack_i64 (in);
  u->quota_bytes = ek_unpack_u64 (in);
  u->n_fields = (guint) ek_unpack_max (in, FIELDS_MAX);
  EkParam *fields = ek_pool_newv (pool, EkParam, u->n_fields + 1);
  for (guint i = 0; i < u->n_fields; i++) {
    const char *name = ek_unpack_text (in, pool);
    fields[i] = (EkParam) { .name = name ? name : "", .value = ek_unpack_copy (in, pool) };
  }
  u->fields = fields;
}
