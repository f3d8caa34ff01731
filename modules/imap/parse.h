/* parse.h - IMAP's grammar: bytes to commands, commands to arguments
 * SPDX-License-Identifier: Apache-2.0
 *
 * No I/O, no session, any thread.  Two layers:
 *
 *   ImapReader cuts the byte stream into commands (RFC 3501 section 4.3, RFC 7888).  It knows lines,
 *   quoted strings and literals and nothing else, so a command's text arrives whole, literals in
 *   place: `A1 LOGIN {4}\r\nfred "x"`.  What grows with the client's will is bounded by `max`; more
 *   than that is skipped, not kept.  The message literal of an APPEND is never collected: the reader
 *   stops there and the caller takes the bytes as they come.
 *
 *   ImapScan walks over one such text.  Every imap_scan_* returns false when the bytes are not what
 *   it expects, with `error` set to a sentence for the client's BAD.  What it returns either points
 *   into the text or lives in the scan's pool.
 */
#pragma once
#include "index/box.h"

/* ---- commands from bytes ------------------------------------------------------------------- */

typedef enum {
  IMAP_READ_MORE,                    /* all bytes were used, the command goes on */
  IMAP_READ_ASK,                     /* send a continuation, then feed on */
  IMAP_READ_COMMAND,                 /* `text` is a whole command, without its CRLF */
  IMAP_READ_MESSAGE,                 /* `text` is an APPEND up to its message literal, see below */
  IMAP_READ_REFUSED,                 /* too long: `text` is its beginning, `refused` says why */
} ImapRead;

typedef struct {
  EkBuf    text;
  gsize    max;                      /* most bytes of one command, literals included; set by the owner */
  bool     append;                   /* stop at an APPEND's message literal; set by the owner */
  /* IMAP_READ_MESSAGE: */
  guint64  message_size;             /* bytes of the literal that are still to come: counted by the owner */
  bool     message_sync;             /* the client waits for a continuation: cleared by the owner */
  bool     message;                  /* the owner's: the APPEND's line has not ended */
  const char *refused;
  /* the reader's own */
  gsize    line;                     /* where in `text` the current line begins */
  guint64  literal;                  /* bytes of a literal that are still to come */
  guint64  skip;                     /* the same, of one that is not kept */
  guint8   tail_len;
  bool     quoted, escaped, skipping, done;
  char     tail[24];                 /* end of a skipped line: it may announce a literal */
} ImapReader;

/* Takes from `bytes` and says in *used how many.  After COMMAND, MESSAGE and REFUSED the caller reads
 * `text`, and calls imap_reader_next() before it feeds on. */
ImapRead imap_reader_feed (ImapReader *reader, const char *bytes, gsize len, gsize *used);
/* Ready for the next command.  Memory is kept: imap_reader_release() frees it. */
void     imap_reader_next (ImapReader *reader);
/* After MESSAGE: the rest of the literal is not wanted.  If the client still waits for a continuation
 * it will not send it and the command is over; else it is skipped to the end of its line and nothing
 * is told about it. */
void     imap_reader_drop_message (ImapReader *reader);
void     imap_reader_release (ImapReader *reader);

/* ---- arguments from a command's text --------------------------------------------------------- */

typedef struct {
  const char *p, *end;
  EkPool     *pool;
  const char *error;                 /* why the last call was false */
} ImapScan;

bool imap_scan_fail (ImapScan *scan, const char *error);   /* sets error, returns false */
bool imap_scan_end (ImapScan *scan);                 /* nothing is left but spaces */
bool imap_scan_space (ImapScan *scan);               /* one or, as Dovecot lets clients do, several */
/* Between the elements of a list whose '(' was taken: true when another one follows, false behind ')'
 * (then error is NULL) or when neither is there. */
bool imap_scan_more (ImapScan *scan);
bool imap_scan_char (ImapScan *scan, char c);
bool imap_scan_peek (const ImapScan *scan, char c);  /* the next byte is `c`; takes nothing */
bool imap_scan_tag (ImapScan *scan, EkStr *tag);
bool imap_scan_atom (ImapScan *scan, EkStr *atom);
bool imap_scan_astring (ImapScan *scan, EkStr *string);    /* atom with ']', quoted or literal */
bool imap_scan_string (ImapScan *scan, EkStr *string);     /* quoted or literal */
bool imap_scan_nstring (ImapScan *scan, EkStr *string);    /* NIL gives a NULL p */
bool imap_scan_pattern (ImapScan *scan, EkStr *pattern);   /* LIST's: an atom with % and *, or a string */
bool imap_scan_number (ImapScan *scan, guint64 max, guint64 *number);

/* ---- sequence sets -------------------------------------------------------------------------- */

#define IMAP_STAR G_MAXUINT32        /* "*": the largest number there is */

typedef struct {
  EkRange *ranges;                   /* as typed: first may exceed last, both may be * */
  guint    n;
} ImapSet;

bool imap_scan_set (ImapScan *scan, ImapSet *set);
/* Replaces * by `largest`, sorts and joins.  With `largest` 0 (an empty mailbox) * matches nothing. */
void imap_set_resolve (ImapSet *set, guint32 largest);
bool imap_set_has (const ImapSet *set, guint32 number);    /* resolved sets only */
/* Appends "1:3,7"; ranges must be resolved. */
void imap_set_print (const ImapSet *set, EkBuf *out);

/* ---- flags ---------------------------------------------------------------------------------- */

#define IMAP_KEYWORDS_MAX 64         /* in one command */

typedef struct {
  guint32      system;               /* EK_FLAG_... */
  const char **keywords;             /* NULL-terminated, each once, whatever its case; NULL: none */
  guint        n_keywords;
} ImapFlags;

bool imap_scan_flags (ImapScan *scan, ImapFlags *flags);        /* a list in parentheses */
bool imap_scan_store_flags (ImapScan *scan, ImapFlags *flags);  /* a list, or flags to the end of the text */

/* ---- dates and names ------------------------------------------------------------------------- */

/* Seconds at which the day begins; what SEARCH compares has no time zone. */
bool imap_scan_date (ImapScan *scan, gint64 *day);
/* APPEND's: seconds since 1970. */
bool imap_scan_date_time (ImapScan *scan, gint64 *time);
/* A mailbox name, from modified UTF-7 to UTF-8 in the pool.  One that is no modified UTF-7 gives NULL:
 * the answer to that is NO, not BAD. */
bool imap_scan_mailbox (ImapScan *scan, const char **name);

/* ---- FETCH ---------------------------------------------------------------------------------- */

enum {                               /* items that need no body */
  IMAP_ITEM_UID = 1, IMAP_ITEM_FLAGS = 2, IMAP_ITEM_INTERNALDATE = 4, IMAP_ITEM_SIZE = 8,
  IMAP_ITEM_MODSEQ = 16, IMAP_ITEM_ENVELOPE = 32, IMAP_ITEM_BODY = 64, IMAP_ITEM_BODYSTRUCTURE = 128,
};

typedef enum { IMAP_PART_ALL, IMAP_PART_HEADER, IMAP_PART_FIELDS, IMAP_PART_FIELDS_NOT, IMAP_PART_TEXT,
               IMAP_PART_MIME } ImapPart;

#define IMAP_PATH_MAX     100        /* part numbers in one section: 1.2.3 */
#define IMAP_SECTIONS_MAX 128        /* BODY[...] items in one FETCH */

typedef struct {                     /* one BODY[...], RFC822, RFC822.HEADER or RFC822.TEXT */
  const char *label;                 /* as it is answered, without the partial: "BODY[HEADER.FIELDS (TO)]" */
  ImapPart    part;
  EkStr       numbers;               /* "1.2": the part; empty: the message itself */
  EkStr      *fields;                /* names as typed, each once */
  guint       n_fields;
  bool        peek, partial;
  guint32     offset, count;         /* of a partial; count > 0 */
} ImapSection;

typedef struct {
  guint        items;
  ImapSection *sections;
  guint        n_sections;
  guint64      changed_since;        /* RFC 7162; 0: all */
} ImapFetch;

/* Items and modifiers. */
bool imap_scan_fetch (ImapScan *scan, ImapFetch *fetch);

/* ---- SEARCH --------------------------------------------------------------------------------- */

typedef enum {
  IMAP_KEY_ALL, IMAP_KEY_AND, IMAP_KEY_OR, IMAP_KEY_SET, IMAP_KEY_UID, IMAP_KEY_FLAG, IMAP_KEY_KEYWORD,
  IMAP_KEY_NEW, IMAP_KEY_BEFORE, IMAP_KEY_ON, IMAP_KEY_SINCE, IMAP_KEY_SENTBEFORE,
  IMAP_KEY_SENTON, IMAP_KEY_SENTSINCE, IMAP_KEY_LARGER, IMAP_KEY_SMALLER, IMAP_KEY_HEADER, IMAP_KEY_BODY,
  IMAP_KEY_TEXT, IMAP_KEY_MODSEQ,
} ImapKeyType;

#define IMAP_SEARCH_DEPTH 16         /* NOT, OR and parentheses inside each other */
#define IMAP_SEARCH_KEYS  1024       /* in one program */
#define IMAP_SEARCH_TEXT_MAX 1024    /* bytes of one text */
#define IMAP_SEARCH_BODIES 16        /* BODY and TEXT keys, each of which may read the whole message */

typedef struct ImapKey ImapKey;
struct ImapKey {
  ImapKeyType type;
  bool        not;
  guint       flag;                  /* FLAG: one EK_FLAG_... bit */
  ImapKey    *child;                 /* AND, OR: first of its keys */
  ImapKey    *next;                  /* the next beside it */
  ImapSet     set;                   /* SET, UID */
  EkStr       name;                  /* HEADER: field; KEYWORD */
  EkStr       text;                  /* HEADER, BODY, TEXT: UTF-8; "" matches all that has it */
  guint64     number;                /* LARGER, SMALLER, MODSEQ */
  gint64      day;
};

enum { IMAP_RETURN_MIN = 1, IMAP_RETURN_MAX = 2, IMAP_RETURN_ALL = 4, IMAP_RETURN_COUNT = 8 };

typedef struct {
  bool        extended;              /* RETURN was given: answer ESEARCH (RFC 4731) */
  guint       results;               /* IMAP_RETURN_... */
  bool        modseq;                /* a MODSEQ key: answer with the highest one (RFC 7162) */
  const char *bad_charset;           /* an unknown CHARSET: answer NO [BADCHARSET] */
  ImapKey    *root;
} ImapSearch;

bool imap_scan_search (ImapScan *scan, ImapSearch *search);
