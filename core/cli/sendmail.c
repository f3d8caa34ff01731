/* sendmail.c - sendmail(1), mailq(1) and newaliases(1): one small program, which may be setgid to ekiden-drop
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/dropfile.h"
#include "flow/roles.h"
#include <locale.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
/* The leak checker looks into its own process, and a set-group-id one may not be looked into. */
int __lsan_is_turned_off (void);

int
__lsan_is_turned_off (void)
{
  return ek_drop_is_setid ();
}
#endif

int
main (int argc, char **argv)
{
  g_autofree char *base = g_path_get_basename (argc > 0 ? argv[0] : "sendmail");

  ek_drop_begin ();                                /* first: no rights, no environment */
  setlocale (LC_CTYPE, "");
  ek_roles_register ();
  if (strcmp (base, "mailq") == 0) {
    ek_drop_forgo ();
    return ek_cli_mailq (argc, argv);
  }
  if (strcmp (base, "newaliases") == 0)
    return 0;                                      /* tables are read again by themselves when they change */
  return ek_cli_sendmail (argc, argv);
}
