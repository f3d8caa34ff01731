/* mime.c - reads a message in chunks and builds the tree of its parts
 * SPDX-License-Identifier: Apache-2.0
 *
 * One loop, two states: in a header the splitter takes the bytes, in a body lines are counted and those
 * that begin with "--" are compared with the boundaries of the open multiparts.  Parts that are
 * open lie on a stack; a boundary closes all that are above its multipart.  There is no recursion,
 * and a line costs one memchr().
 */
#include "config.h"
#include "mail/mime.h"
#include "mail/mimepart.h"
#include <string.h>

#define DEPTH      100
#define PARTS      10000
#define FIELD_MAX  (256 * 1024)
#define KEPT_MAX   (2 * 1024 * 1024)
#define HEAD_MAX   (EK_BOUNDARY_MAX + 4)     /* "--", the boundary, "--" */

typedef struct {                     /* a part that has not ended */
  EkPart     *part;
  EkPart    **tail;                  /* where its next child goes */
  EkExtent    body;                  /* where its body began */
  const char *boundary;
  gsize       boundary_len;          /* 0: no multipart with a boundary */
} Open;

typedef enum { LINE_UNSEEN, LINE_PLAIN, LINE_BOUNDARY } LineState;

struct EkMimeParser {
  EkPool       *pool;
  EkMimeLimits  limits;
  EkMime       *mime;

  EkExtent      pos;                 /* of all bytes taken; `octets` as served */
  Open         *open;                /* a stack of limits.depth + 2 */
  guint         n_open, n_boundaries;

  EkPart       *part;                /* whose header is being read; NULL: in a body */
  EkExtent      header_at;           /* where that header began */
  EkHeaderSplit split;
  gsize         kept;

  LineState     line;
  char          last;                /* the byte before */
  guint8        line_break;          /* bytes of the line break before this line; 0: it is not the body's */
  char          head[HEAD_MAX];      /* the start of a line that chunks cut */
  gsize         n_head;

  Open         *hit;                 /* the multipart whose boundary this line is */
  EkExtent      hit_at;              /* where that line began, when it was found in a header */
  bool          closing;             /* it ends with "--" */
};

static EkExtent
minus (EkExtent a, EkExtent b)
{
  return (EkExtent) { a.bytes - b.bytes, a.octets - b.octets, a.lines - b.lines };
}

/* ---- boundaries ---------------------------------------------------------------------------- */

/* The open multipart whose boundary `line` begins with: the longest one, of equal ones the innermost
 * (RFC 2046 5.1.2: the rest of the line does not matter).  NULL: an ordinary line. */
static Open *
find_boundary (EkMimeParser *self, const char *line, gsize n)
{
  Open *found = NULL;
  gsize best = 0;

  if (n < 3 || line[0] != '-' || line[1] != '-')
    return NULL;
  for (guint i = self->n_open; i-- > 0;) {
    Open *o = &self->open[i];
    if (o->boundary_len > best && o->boundary_len <= n - 2 && o->boundary[0] == line[2]
        && memcmp (o->boundary, line + 2, o->boundary_len) == 0) {
      best = o->boundary_len;
      found = o;
    }
  }
  self->closing = found && n >= best + 4 && line[best + 2] == '-' && line[best + 3] == '-';
  if (found && !self->closing && self->mime->n_parts >= self->limits.parts) {
    self->mime->limited = true;
    return NULL;
  }
  return found;
}

/* Ends all open parts above the first `keep`, at the line that begins here; the line break before it is
 * the boundary's. */
static void
close_parts (EkMimeParser *self, guint keep)
{
  EkExtent end = self->pos, cut = self->pos;

  if (self->line_break > 0)
    cut = minus (cut, (EkExtent) { self->line_break, 2, 1 });
  while (self->n_open > keep) {
    Open *o = &self->open[--self->n_open];
    if (cut.bytes < o->body.bytes)   /* an empty body has none to give, and no parent ends before its child */
      cut = end;
    o->part->body = minus (cut, o->body);
    self->n_boundaries -= o->boundary_len > 0;
  }
}

/* The scan stands at the start of a line that is `hit`'s boundary. */
static void
meet_boundary (EkMimeParser *self, Open *hit)
{
  close_parts (self, (guint) (hit - self->open) + 1);
  if (self->closing) {
    hit->boundary_len = 0;           /* what follows is epilogue, whatever its lines look like */
    self->n_boundaries--;
  }
}

/* ---- parts --------------------------------------------------------------------------------- */

static void
start_part (EkMimeParser *self, Open *parent)
{
  EkPart *part = ek_pool_new0 (self->pool, EkPart);

  part->offset = self->pos.bytes;
  part->octet_offset = self->pos.octets;
  if (parent) {
    part->parent = parent->part;
    *parent->tail = part;
    parent->tail = &part->next;
    parent->part->n_children++;
    part->digest = parent->part->kind == EK_PART_MULTIPART
                   && ek_str_ieq (parent->part->type.subtype, EK_STR ("digest"));
  }
  else
    self->mime->root = part;
  if (parent == NULL || parent->part->kind == EK_PART_MESSAGE)
    part->envelope = ek_pool_new0 (self->pool, EkMimeEnvelope);
  self->mime->n_parts++;
  self->part = part;
  self->header_at = self->pos;
  self->hit = NULL;
  ek_header_split_clear (&self->split);
  self->split.dashes = self->n_boundaries > 0;
}

/* What the header says the part is; beyond the limits it is a leaf. */
static EkPartKind
kind_of (EkMimeParser *self, const EkPart *part)
{
  bool multipart = ek_str_ieq (part->type.type, EK_STR ("multipart")) && part->type.subtype.n > 0;
  bool message = part->type.type.p ? ek_str_ieq (part->type.type, EK_STR ("message"))
                                     && ek_str_ieq (part->type.subtype, EK_STR ("rfc822")) : part->digest;

  if (!multipart && !message)
    return EK_PART_LEAF;
  if (self->n_open + 1 >= self->limits.depth || (message && self->mime->n_parts >= self->limits.parts)) {
    self->mime->limited = true;
    return EK_PART_LEAF;
  }
  return multipart ? EK_PART_MULTIPART : EK_PART_MESSAGE;
}

/* The header that was being read is over, and the body begins here. */
static void
open_body (EkMimeParser *self)
{
  EkPart *part = self->part;
  Open *o = &self->open[self->n_open];

  part->header = minus (self->pos, self->header_at);
  part->kind = kind_of (self, part);
  *o = (Open) { .part = part, .tail = &part->children, .body = self->pos };
  self->n_open++;
  self->part = NULL;
  self->line = LINE_UNSEEN;
  self->last = '\n';
  self->line_break = 0;
  if (part->kind == EK_PART_MULTIPART) {
    EkStr boundary = ek_mime_param_raw (&part->type, "boundary");
    o->boundary = boundary.p;
    o->boundary_len = MIN (boundary.n, EK_BOUNDARY_MAX);
    self->n_boundaries += o->boundary_len > 0;
  }
  else if (part->kind == EK_PART_MESSAGE)
    start_part (self, o);
}

/* ---- headers ------------------------------------------------------------------------------- */

static bool
take_field (const EkHeader *h, gpointer data)
{
  EkMimeParser *self = data;
  Open *hit = self->n_boundaries > 0 ? find_boundary (self, h->raw.p, h->raw.n) : NULL;

  if (hit) {                         /* a header without an empty line */
    EkHeaderSplit *s = &self->split;
    guint64 before = s->size - h->size;
    self->hit = hit;
    self->hit_at = (EkExtent) { self->header_at.bytes + before,
                                self->header_at.octets + before + s->bare - h->bare,
                                self->header_at.lines + s->lines - h->lines };
    self->line_break = h->lines == 0 ? 0 : h->bare > 0 ? 1 : 2;
    return false;
  }
  if (h->colon && ek_mime_wants (self->part, h->name)) {
    self->kept += h->value.n;
    if (self->kept <= self->limits.kept_max)
      ek_mime_take (self->pool, self->part, h);
    self->mime->limited |= h->truncated || self->kept > self->limits.kept_max;
  }
  return true;
}

static void
header_ended (EkMimeParser *self)
{
  Open *hit = self->hit;
  guint8 line_break = self->line_break;
  bool closing = self->closing;

  if (hit == NULL) {
    open_body (self);
    return;
  }
  EkExtent after = self->pos;
  self->pos = self->hit_at;
  while (self->part)
    open_body (self);
  self->closing = closing;
  meet_boundary (self, hit);
  self->pos = after;
  self->line_break = line_break;
  if (!closing && line_break > 0)    /* a message that ends in the boundary line has no part behind it */
    start_part (self, hit);
}

static void
follow_split (EkMimeParser *self)
{
  const EkHeaderSplit *s = &self->split;

  self->pos = (EkExtent) { self->header_at.bytes + s->size, self->header_at.octets + s->size + s->bare,
                           self->header_at.lines + s->lines };
  if (s->done)
    header_ended (self);
}

static gsize
header_feed (EkMimeParser *self, const char *bytes, gsize n)
{
  gsize used = ek_header_split_feed (&self->split, bytes, n);

  follow_split (self);
  return used;
}

/* ---- bodies -------------------------------------------------------------------------------- */

static void
check_line (EkMimeParser *self, const char *line, gsize n)
{
  Open *hit = find_boundary (self, line, n);

  self->hit = hit;
  self->line = hit ? LINE_BOUNDARY : LINE_PLAIN;
  if (hit)
    meet_boundary (self, hit);
}

/* Takes bytes up to the end of the line, or all.  Behind a boundary the next part begins. */
static gsize
take_line (EkMimeParser *self, const char *p, gsize n)
{
  const char *nl = memchr (p, '\n', n);
  gsize len = nl ? (gsize) (nl - p) + 1 : n;

  self->pos.bytes += len;
  self->pos.octets += len;
  if (nl == NULL) {
    self->last = p[n - 1];
    if (self->line == LINE_UNSEEN)
      self->line = LINE_PLAIN;
    return n;
  }
  bool crlf = (len > 1 ? nl[-1] : self->last) == '\r';
  bool boundary = self->line == LINE_BOUNDARY;
  self->pos.octets += !crlf;
  self->pos.lines++;
  self->line_break = crlf ? 2 : 1;
  self->last = '\n';
  self->line = LINE_UNSEEN;
  if (boundary && !self->closing)
    start_part (self, self->hit);
  return len;
}

static void
flush_head (EkMimeParser *self)
{
  gsize n = self->n_head;

  self->n_head = 0;
  check_line (self, self->head, n);
  take_line (self, self->head, n);
}

/* Keeps the start of a line that may be a boundary until enough of it is there. */
static gsize
hold_head (EkMimeParser *self, const char *p, gsize n)
{
  gsize take = MIN (n, HEAD_MAX - self->n_head);
  const char *nl = memchr (p, '\n', take);

  if (nl)
    take = (gsize) (nl - p) + 1;
  memcpy (self->head + self->n_head, p, take);
  self->n_head += take;
  if (nl || self->n_head == HEAD_MAX || (self->n_head > 1 && self->head[1] != '-'))
    flush_head (self);
  return take;
}

static gsize
body_feed (EkMimeParser *self, const char *bytes, gsize n)
{
  const char *p = bytes, *end = bytes + n;

  while (p < end && self->part == NULL) {
    gsize left = (gsize) (end - p);
    if (self->line == LINE_UNSEEN && self->n_boundaries > 0 && (*p == '-' || self->n_head > 0)) {
      if (self->n_head > 0 || (left < HEAD_MAX && memchr (p, '\n', left) == NULL)) {
        p += hold_head (self, p, left);
        continue;
      }
      const char *nl = memchr (p, '\n', MIN (left, HEAD_MAX));
      check_line (self, p, nl ? (gsize) (nl - p) + 1 : HEAD_MAX);
    }
    p += take_line (self, p, left);
  }
  return (gsize) (p - bytes);
}

/* ---- the parser ---------------------------------------------------------------------------- */

static void
parser_clear (gpointer data)
{
  ek_header_split_clear (&((EkMimeParser *) data)->split);
}

EkMimeParser *
ek_mime_parser_new (EkPool *pool, const EkMimeLimits *limits)
{
  EkMimeParser *self = ek_pool_new0 (pool, EkMimeParser);
  EkMimeLimits l = limits ? *limits : (EkMimeLimits) { 0 };

  self->pool = pool;
  self->limits = (EkMimeLimits) {
    .depth = l.depth ? MIN (l.depth, EK_MIME_DEPTH_MAX) : DEPTH, .parts = l.parts ? l.parts : PARTS,
    .field_max = l.field_max ? l.field_max : FIELD_MAX, .kept_max = l.kept_max ? l.kept_max : KEPT_MAX,
  };
  self->mime = ek_pool_new0 (pool, EkMime);
  self->open = ek_pool_newv (pool, Open, self->limits.depth + 1);
  self->split = (EkHeaderSplit) { .field_max = self->limits.field_max, .func = take_field, .data = self };
  ek_pool_cleanup (pool, parser_clear, self);
  start_part (self, NULL);
  return self;
}

void
ek_mime_parser_feed (EkMimeParser *self, const char *bytes, gsize n)
{
  if (n > 0 && !self->mime->has_nul)
    self->mime->has_nul = memchr (bytes, 0, n) != NULL;
  while (n > 0) {
    gsize used = self->part ? header_feed (self, bytes, n) : body_feed (self, bytes, n);
    bytes += used;
    n -= used;
  }
}

EkMime *
ek_mime_parser_finish (EkMimeParser *self)
{
  if (self->n_head > 0)
    flush_head (self);
  if (self->part && !self->split.done) {
    ek_header_split_end (&self->split);
    follow_split (self);
  }
  while (self->part)
    open_body (self);
  self->line_break = 0;              /* the last line break is the body's own */
  close_parts (self, 0);
  self->mime->total = self->pos;
  return self->mime;
}

EkMime *
ek_mime_parse (EkPool *pool, EkStr message)
{
  EkMimeParser *parser = ek_mime_parser_new (pool, NULL);

  ek_mime_parser_feed (parser, message.p, message.n);
  return ek_mime_parser_finish (parser);
}
