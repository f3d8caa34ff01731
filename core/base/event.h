/* event.h - the registry of events.def in memory, and records as lines and as JSON
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once
#include "base/record.h"

typedef enum { EK_GRAMMAR_POSTFIX, EK_GRAMMAR_DOVECOT, EK_GRAMMAR_DOVECOT_USER } EkGrammar;
typedef enum {
  EK_KEY_ATOM, EK_KEY_WORD, EK_KEY_TEXT, EK_KEY_ANGLE, EK_KEY_ADDR, EK_KEY_PATH, EK_KEY_MSGID,
  EK_KEY_QID, EK_KEY_INT, EK_KEY_TIME,
} EkKeyType;

typedef struct { const char *name, *roles; EkGrammar grammar; const char *doc; } EkComponentInfo;
typedef struct { const char *name; EkKeyType type; const char *missing, *doc; } EkKeyInfo;
typedef struct { const char *word, *components; EkLevel level; const char *line, *story, *doc; } EkWordInfo;

/* NULL when it is not registered. */
const EkComponentInfo *ek_component_find (EkStr name);
const EkKeyInfo       *ek_key_find (EkStr name);
const EkWordInfo      *ek_word_find (EkStr word);

const EkComponentInfo *ek_components (guint *n);
const EkKeyInfo       *ek_keys (guint *n);
const EkWordInfo      *ek_words (guint *n);

/* Whether a process of `role` may send records of that component and word: both are open to all, or
 * the component lists the role and the word lists the component.  `role` may name several, as in
 * "edge+queue" (merged layout); "master" and "all" may claim everything. */
bool ek_role_may_claim (const char *role, EkStr component, EkStr word);

/* Appends the record's sentence, with "warning: " and the like before it: what stands behind the tag
 * in a line.  Always one line of printable text.  False (and nothing appended) when the word has no
 * line. */
bool ek_record_line (const EkRecord *record, EkBuf *out);
/* The same for people who read one message's story: never without a sentence. */
void ek_record_story (const EkRecord *record, EkBuf *out);

/* Appends `s` so that it stays on its line and no terminal obeys it: what is not printable becomes `?`. */
void ek_event_clean (EkBuf *out, EkStr s);

/* Appends the tag, "ekiden/smtpd[123]: " or "dovecot: imap-login: ", as the component's grammar
 * wants it.  An empty component is taken as `role`. */
typedef struct {
  const char *name;                  /* syslog_name */
  const char *login_name;            /* the same for components in Dovecot's grammar */
  const char *role;                  /* of the process that sent the record */
  gint64      pid;                   /* its process id */
} EkRecordTag;
void ek_record_tag (const EkRecord *record, const EkRecordTag *tag, EkBuf *out);

/* Appends one JSON object without a newline; `host` may be NULL. */
void ek_record_json (const EkRecord *record, const char *role, gint64 pid, const char *host, EkBuf *out);
