/* conf.h - the configuration as a tree: what ekiden.conf says, and where it says it
 * SPDX-License-Identifier: Apache-2.0
 *
 *   $nets = 192.0.2.0/24, 198.51.100.0/24        # variables: top level, before their first use
 *   listener "mx" {                              # kind and name; `queue { ... }` has no name
 *     address  = 0.0.0.0:25, "[::]:25"           # a list; brackets need quotes
 *     protocol = smtp
 *     trusted  = [ 127.0.0.1,                    # a list in brackets may span lines
 *                  $nets ]                       # a variable alone gives all its items
 *     greeting = "ESMTP of ${company}"           # in a string and in a word one value is put in
 *     timeout  = 5m30s
 *   }
 *   ldap "staff" { password = file("ldap.secret") }
 *   lua "policy" { script = read("policy.lua") } # the file's text: it is no secret, and roles without files get it
 *   include "conf.d/[a-z]*.conf"                 # relative to the file that says so, in byte order
 *
 * A setting ends with its line (or with the `}`).  A string ends on its line too, unless a `\` is
 * its last character: then it goes on in the next line, without that line's leading blanks.
 * Escapes: \n \t \r \" \\ \$ \xHH.  `#` outside a string begins a comment.
 *
 * A tree is read-only once it is loaded, so any thread may read it.  Everything in it belongs to
 * the EkConf; texts are wiped when it is freed, because some are secrets.
 */
#pragma once
#include "conf/problem.h"

typedef struct EkConf        EkConf;
typedef struct EkConfBlock   EkConfBlock;
typedef struct EkConfSetting EkConfSetting;

typedef struct {                     /* one value, or one item of a list */
  EkStr     text;                    /* variables and escapes resolved; a NUL stands behind it */
  EkConfPos at;
  bool      quoted;                  /* was a string: `"yes"` and `yes` may differ */
  bool      secret;                  /* came from file("..."): never printed */
  bool      unread;                  /* file("...") under EK_CONF_NO_FILES: text is the file's name */
  const char *file;                  /* read("..."): the file that the text is of; else NULL */
} EkConfItem;

struct EkConfSetting {
  EkConfSetting *next;
  const char    *key;
  EkConfPos      at;                 /* of the key */
  EkConfItem    *items;              /* none for `key =` and `key = []` */
  guint          n_items;
  bool           list;               /* written with brackets or a comma */
  bool           broken;             /* an error was told about the value: its items are not all there */
  gsize          start, end;         /* bytes of the value in its file: what `config set` replaces */
};

struct EkConfBlock {
  EkConfBlock   *next;               /* the next block of the same parent */
  EkConfBlock   *parent;             /* NULL: this is the root */
  const char    *kind;               /* "" for the root */
  const char    *name;               /* NULL: has none */
  EkConfPos      at;                 /* of the kind; file NULL: made by the core, not written */
  EkConfSetting *settings;           /* in the order of the file */
  EkConfBlock   *blocks;
  EkConfSetting *last_setting;       /* ends of the two lists */
  EkConfBlock   *last_block;
  gsize          body, close;        /* bytes behind the `{` and of the `}`, in at.file */
  guint          index;              /* counts the root's blocks from 0 */
  guint32        roles;              /* which roles get it, and who may ask it: EK_ROLE_BIT(), EK_ASKER_BIT();
                                        set by the check */
};

struct EkConf {
  EkPool      *pool;
  EkConfBlock *root;                 /* never NULL */
  guint        n_blocks;             /* of the root */
  char        *module_path;          /* folders, ":" between them, where modules are looked for */
};

enum {
  EK_CONF_NO_FILES   = 1,            /* file("...") is not read: for a check without rights */
  EK_CONF_NO_INCLUDE = 2,            /* include is an error: for text from elsewhere */
};

/* Reads a file with its includes.  Always gives a tree, of what could be understood; the errors are
 * in `problems`.  A file over 8 MB, or 32 MB in all, is refused. */
EkConf *ek_conf_load (const char *path, guint flags, EkProblems *problems);
/* The same from memory.  `name` stands for the file, and relative paths are relative to its folder. */
EkConf *ek_conf_load_text (const char *name, EkStr text, guint flags, EkProblems *problems);
/* As ek_conf_load(), but `text` stands for what the file `edited` holds (as realpath(3) names it). */
EkConf *ek_conf_load_edited (const char *path, const char *edited, EkStr text, guint flags,
                             EkProblems *problems);
EkConf *ek_conf_new (void);                                /* an empty tree */
void    ek_conf_free (EkConf *conf);                       /* NULL is fine */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EkConf, ek_conf_free)

/* $EKIDEN_CONFIG (not in a set-id program), else sysconfdir/ekiden/ekiden.conf. */
const char *ek_conf_default_path (void);

/* Looks for a block below `parent`; name NULL: the one without a name. */
EkConfBlock   *ek_conf_find_block (const EkConfBlock *parent, const char *kind, const char *name);
EkConfSetting *ek_conf_find_setting (const EkConfBlock *block, const char *key);

/* A copy of a value's text in the tree's pool, a NUL behind it, wiped when the tree is freed. */
EkStr ek_conf_text (EkConf *conf, EkStr text);

/* "listener \"mx\"", "queue", "the top level": how messages name a block.  In the pool. */
const char *ek_conf_block_label (const EkConfBlock *block, EkPool *pool);
/* Appends a text as it could be typed: plain, or quoted with escapes. */
void        ek_conf_text_write (EkStr text, EkBuf *out);
/* Appends an item, or a setting's whole value, as it could be typed; secrets as (hidden). */
void        ek_conf_item_write (const EkConfItem *item, EkBuf *out);
void        ek_conf_value_write (const EkConfSetting *setting, EkBuf *out);
