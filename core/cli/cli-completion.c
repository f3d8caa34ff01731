/* cli-completion.c - ekiden completion: what a shell needs to complete the words of ekiden(1)
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include <string.h>
#include <unistd.h>

/* The same as etc/completion/ekiden.bash: a test compares them. */
static const char bash[] =
  "# ekiden.bash - completion of ekiden(1) for bash\n"
  "# SPDX-License-Identifier: Apache-2.0\n"
  "_ekiden() {\n"
  "  local cur=${COMP_WORDS[COMP_CWORD]} words=\n"
  "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
  "    words='status reload stop upgrade reopen rekey queue mailq sendmail doctor fsck config module trace user pw completion'\n"
  "  elif [ \"$COMP_CWORD\" -eq 2 ]; then\n"
  "    case ${COMP_WORDS[1]} in\n"
  "      queue) words='list show status flush hold release delete requeue' ;;\n"
  "      config) words='check show set reference manual' ;;\n"
  "      module) words='list show doc' ;;\n"
  "      user) words='add passwd list delete' ;;\n"
  "      completion) words='bash' ;;\n"
  "      *) words='--help --json --config' ;;\n"
  "    esac\n"
  "  else\n"
  "    case ${COMP_WORDS[1]} in\n"
  "      queue) words=\"ALL deferred hold active $(ekiden mailq 2>/dev/null | grep -oE '^[0-9A-F]{16}')\" ;;\n"
  "      *) words='--help --json --config' ;;\n"
  "    esac\n"
  "  fi\n"
  "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
  "}\n"
  "complete -o default -F _ekiden ekiden\n";

int
ek_cli_completion (int argc, char **argv)
{
  static const GOptionEntry entries[] = { { NULL, 0, 0, 0, NULL, NULL, NULL } };
  EkBuf out = { 0 };
  int status;

  if (!ek_cli_options (&argc, &argv, entries, "bash - write the completion for a shell", "Example:\n  ekiden completion bash > "
                       "/etc/bash_completion.d/ekiden", &status))
    return status;
  if (argc != 2 || strcmp (argv[1], "bash") != 0)
    return ek_cli_usage ("completion takes the name of a shell: bash");
  ek_buf_appends (&out, bash);
  ek_cli_write (STDOUT_FILENO, &out);
  return EK_EXIT_OK;
}
