/* build.c - what tells one build of the program from another
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "proc/build.h"
#include <elf.h>
#include <link.h>
#include <string.h>

/* Appends the build id notes of one loaded object. */
static void
notes (const struct dl_phdr_info *info, const ElfW (Phdr) *ph, GString *out)
{
  const char *p = (const char *) info->dlpi_addr + ph->p_vaddr, *end = p + ph->p_memsz;

  while (end - p >= (gssize) sizeof (ElfW (Nhdr))) {
    const ElfW (Nhdr) *n = (const void *) p;
    const char *name = p + sizeof *n, *desc = name + ((n->n_namesz + 3u) & ~3u);
    if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && memcmp (name, "GNU", 4) == 0)
      for (guint i = 0; i < n->n_descsz; i++)
        g_string_append_printf (out, "%02x", (guchar) desc[i]);
    p = desc + ((n->n_descsz + 3u) & ~3u);
  }
}

static int
object (struct dl_phdr_info *info, size_t size, void *data)
{
  const char *base = strrchr (info->dlpi_name, '/');

  if (*info->dlpi_name != '\0' && !g_str_has_prefix (base ? base + 1 : info->dlpi_name, "libekiden"))
    return 0;
  g_string_append_c (data, '.');
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_NOTE)
      notes (info, &info->dlpi_phdr[i], data);
  return 0;
}

const char *
ek_build_id (void)
{
  static char *id;

  if (id == NULL) {
    GString *s = g_string_new (EK_BUILD);
    dl_iterate_phdr (object, s);
    id = g_string_free (s, FALSE);
  }
  return id;
}
