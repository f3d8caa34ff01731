/* answer.c - JSON as rows and columns
 * SPDX-License-Identifier: Apache-2.0 */
#include "http.h"
#include <errno.h>
#include <jansson.h>
#include <string.h>

#define ROWS_MAX    10000
#define COLUMNS_MAX 256
#define CELLS_MAX   100000           /* of all rows: a few names may make many cells that are not there */

static EkStatus
strange (GError **error, const char *what)
{
  return ek_fail (error, EK_DEFER, EPROTO, "the answer cannot be used: %s", what);
}

static bool
is_nothing (const json_t *v)
{
  return json_is_null (v) || json_is_false (v);
}

/* A text, number or true; false: it is none. */
static bool
scalar (const json_t *v, EkPool *pool, EkStr *text)
{
  if (json_is_string (v))
    *text = ek_pool_str (pool, (EkStr) { json_string_value (v), json_string_length (v) });
  else if (json_is_integer (v))
    *text = ek_str (ek_pool_printf (pool, "%" JSON_INTEGER_FORMAT, json_integer_value (v)));
  else if (json_is_real (v)) {
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    *text = ek_str (ek_pool_strdup (pool, g_ascii_dtostr (number, sizeof number, json_real_value (v))));
  }
  else if (json_is_true (v))
    *text = EK_STR ("true");
  else
    return false;
  return true;
}

/* ["a", "b"] as "a,b". */
static bool
joined (const json_t *list, EkPool *pool, EkStr *text)
{
  EkBuf out = { 0 };
  bool good = true;

  for (size_t i = 0; good && i < json_array_size (list); i++) {
    EkStr item;
    good = scalar (json_array_get (list, i), pool, &item);
    if (good && i > 0)
      ek_buf_appendc (&out, ',');
    if (good)
      ek_buf_append (&out, item.p, item.n);
  }
  *text = ek_buf_len (&out) ? ek_pool_str (pool, ek_buf_str (&out)) : EK_STR ("");
  ek_buf_release (&out);
  return good;
}

static bool
cell (const json_t *v, EkPool *pool, EkStr *text)
{
  *text = (EkStr) { NULL, 0 };
  return v == NULL || is_nothing (v) || (json_is_array (v) ? joined (v, pool, text) : scalar (v, pool, text));
}

/* ---- columns ---- */

/* All names that the objects have, in the order in which they come; false: too many. */
static bool
name_columns (json_t *const *objects, guint n, EkPool *pool, EkAnswer *answer)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  const char *name;
  json_t *value;

  answer->names = ek_pool_newv (pool, const char *, COLUMNS_MAX + 1);
  for (guint i = 0; i < n; i++)
    json_object_foreach (objects[i], name, value) {
      if (g_hash_table_contains (seen, name))
        continue;
      if (answer->n_columns == COLUMNS_MAX)
        return false;
      char *copy = ek_pool_strdup (pool, name);
      g_hash_table_add (seen, copy);
      answer->names[answer->n_columns++] = copy;
    }
  return true;
}

static EkStatus
rows_of_objects (json_t *const *objects, guint n, EkPool *pool, EkAnswer *answer, GError **error)
{
  if (!name_columns (objects, n, pool, answer))
    return strange (error, "an object has more than 256 members");
  if ((gsize) n * answer->n_columns > CELLS_MAX)
    return ek_fail (error, EK_DEFER, E2BIG, "the answer has more than %u rows times columns", CELLS_MAX);
  answer->n_rows = n;
  answer->cells = ek_pool_newv (pool, EkStr, (gsize) n * answer->n_columns + 1);
  for (guint i = 0; i < n; i++)
    for (guint c = 0; c < answer->n_columns; c++)
      if (!cell (json_object_get (objects[i], answer->names[c]), pool, &answer->cells[(gsize) i * answer->n_columns + c]))
        return strange (error, "a member of an object is neither a text nor a number nor a list of these");
  return answer->n_columns ? EK_OK : EK_NOTFOUND;
}

static EkStatus
rows_of_list (const json_t *list, EkPool *pool, EkAnswer *answer, GError **error)
{
  guint n = (guint) MIN (json_array_size (list), ROWS_MAX + 1);
  json_t **items = ek_pool_newv (pool, json_t *, n + 1);
  guint n_objects = 0;

  if (n > ROWS_MAX)
    return ek_fail (error, EK_DEFER, E2BIG, "the answer has more than %u rows", ROWS_MAX);
  for (guint i = 0; i < n; i++) {
    items[i] = json_array_get (list, i);
    n_objects += json_is_object (items[i]);
  }
  if (n_objects == n && n > 0)
    return rows_of_objects (items, n, pool, answer, error);
  answer->n_columns = 1;
  answer->cells = ek_pool_newv (pool, EkStr, n + 1);
  for (guint i = 0; i < n; i++)
    if (!is_nothing (items[i]) && !scalar (items[i], pool, &answer->cells[answer->n_rows++]))
      return strange (error, "a list has to hold texts and numbers, or objects, and nothing else");
  return answer->n_rows ? EK_OK : EK_NOTFOUND;
}

EkStatus
http_answer (EkStr json, EkPool *pool, EkAnswer *answer, GError **error)
{
  json_error_t why;
  EkStr value;
  EkStatus status;
  json_t *root = json_loadb (json.n ? json.p : "", json.n, JSON_DECODE_ANY, &why);

  *answer = (EkAnswer) { 0 };
  if (root == NULL)
    return ek_fail (error, EK_DEFER, EPROTO, "the answer is no JSON: line %d: %s", why.line, why.text);
  if (is_nothing (root))
    status = EK_NOTFOUND;
  else if (json_is_array (root))
    status = rows_of_list (root, pool, answer, error);
  else if (json_is_object (root))
    status = rows_of_objects (&root, 1, pool, answer, error);
  else {
    status = scalar (root, pool, &value) ? EK_OK : strange (error, "it is of no known kind");
    if (status == EK_OK)
      ek_answer_value (answer, pool, value);
  }
  json_decref (root);
  return status;
}
