/* mail.c - the transaction as a hook sees it, and the verdict that it gives
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plugin.h"
#include <arpa/inet.h>
#include <string.h>

const char *const plugin_verdicts[] = {
  [EK_CONTINUE] = "continue", [EK_ACCEPT] = "accept", [EK_REJECT] = "reject", [EK_TEMPFAIL] = "tempfail",
  [EK_DISCARD] = "discard", [EK_HOLD] = "hold", [EK_VERDICT_PENDING] = NULL,
};

bool
plugin_verdict (EkStr name, EkVerdict *verdict)
{
  for (guint i = 0; plugin_verdicts[i]; i++)
    if (ek_str_eq (name, ek_str (plugin_verdicts[i]))) {
      *verdict = (EkVerdict) i;
      return true;
    }
  return false;
}

/* ---- mail ---- */

static void
set_text (lua_State *L, const char *key, const char *text)
{
  lua_pushstring (L, text);          /* NULL gives nil */
  lua_setfield (L, -2, key);
}

static void
set_str (lua_State *L, const char *key, EkStr text)
{
  lua_pushlstring (L, text.p ? text.p : "", text.n);
  lua_setfield (L, -2, key);
}

/* "192.0.2.0/24", "2001:db8:1:2::/64": what one sender's machines mostly share. */
static void
set_net (lua_State *L, const char *address)
{
  char text[INET6_ADDRSTRLEN + 4];
  struct in6_addr six;
  struct in_addr four;

  if (inet_pton (AF_INET, address, &four) == 1) {
    four.s_addr &= htonl (0xffffff00);
    inet_ntop (AF_INET, &four, text, sizeof text);
    strcat (text, "/24");
  }
  else if (inet_pton (AF_INET6, address, &six) == 1) {
    memset (six.s6_addr + 8, 0, 8);
    inet_ntop (AF_INET6, &six, text, sizeof text);
    strcat (text, "/64");
  }
  else
    g_strlcpy (text, address, sizeof text);
  set_text (L, "client_net", text);
}

static void
set_client (lua_State *L, const EkClient *c)
{
  set_text (L, "client", c->address);
  set_net (L, c->address);
  set_text (L, "client_host", c->host);
  lua_pushinteger (L, c->port);
  lua_setfield (L, -2, "client_port");
  lua_pushboolean (L, c->tls);
  lua_setfield (L, -2, "tls");
  set_text (L, "tls_version", c->tls_version);
  set_text (L, "tls_cipher", c->tls_cipher);
}

void
plugin_push_mail (lua_State *L, EkStage stage, const EkMail *mail)
{
  lua_createtable (L, 0, 16);
  set_text (L, "stage", plugin_hook_name (stage));
  if (mail->client)
    set_client (L, mail->client);
  if (mail->session)
    set_text (L, "listener", ek_session_listener (mail->session));
  set_text (L, "helo", mail->helo);
  set_text (L, "login", mail->login);
  set_text (L, "queue_id", mail->queue_id);
  if (stage < EK_AT_MAIL)
    return;
  set_str (L, "sender", mail->sender);
  lua_pushinteger (L, mail->n_rcpts);
  lua_setfield (L, -2, "recipient_count");
  if (stage == EK_AT_RCPT)
    set_str (L, "recipient", mail->rcpt);
  if (stage < EK_AT_DATA)            /* else a thousand recipients cost half a million strings */
    return;
  lua_createtable (L, (int) MIN (mail->n_rcpts, 10000), 0);
  for (guint i = 0; i < mail->n_rcpts; i++) {
    lua_pushlstring (L, mail->rcpts[i].address.p, mail->rcpts[i].address.n);
    lua_rawseti (L, -2, (int) i + 1);
  }
  lua_setfield (L, -2, "recipients");
}

/* ---- reply ---- */

/* RFC 3463: class.subject.detail, the class that of the code. */
static bool
is_dsn (EkStr dsn, int code)
{
  guint dots = 0, digits = 0;

  if (dsn.n < 5 || dsn.n > 9 || dsn.p[0] != '0' + code / 100 || dsn.p[1] != '.')
    return false;
  for (gsize i = 0; i < dsn.n; i++) {
    bool dot = dsn.p[i] == '.';
    if ((!dot && !g_ascii_isdigit (dsn.p[i])) || (dot && digits == 0))
      return false;
    digits = dot ? 0 : digits + 1;
    if (digits > 3)
      return false;
    dots += dot;
  }
  return dots == 2 && digits > 0;
}

int
plugin_reply (lua_State *L)
{
  PluginBudget *budget = *(PluginBudget **) lua_getextraspace (L);
  EkStr name = { NULL, 0 }, dsn = { NULL, 0 }, text = { NULL, 0 };
  EkVerdict verdict;

  name.p = luaL_checklstring (L, 1, &name.n);
  if (!plugin_verdict (name, &verdict) || (verdict != EK_REJECT && verdict != EK_TEMPFAIL))
    return luaL_error (L, "reply: expected ek.REJECT or ek.TEMPFAIL, found \"%s\": other verdicts have no reply, return them alone",
                       name.p);
  int class = verdict == EK_REJECT ? 5 : 4;
  lua_Integer code = luaL_checkinteger (L, 2);
  dsn.p = luaL_checklstring (L, 3, &dsn.n);
  text.p = luaL_checklstring (L, 4, &text.n);
  if (code / 100 != class)
    return luaL_error (L, "reply: ek.%s has a code from %d00 to %d99, found %I", class == 5 ? "REJECT" : "TEMPFAIL", class, class,
                       (LUAI_UACINT) code);
  if (!is_dsn (dsn, (int) code))
    return luaL_error (L, "reply: expected an enhanced code such as \"%d.7.1\" (RFC 3463), found \"%s\"", class, dsn.p);
  PluginReply *made = lua_newuserdatauv (L, sizeof *made, 0);
  *made = (PluginReply) { .verdict = verdict };
  ek_reply (&made->reply, verdict, (int) code, dsn.p, "%s", text.p);
  for (char *p = made->reply.text; *p; p++)
    if ((guchar) *p > 126)           /* RFC 5321 4.2: ASCII, unless the client said SMTPUTF8 */
      *p = '?';
  lua_rawgeti (L, LUA_REGISTRYINDEX, budget->vm->reply);
  lua_setmetatable (L, -2);
  return 1;
}
