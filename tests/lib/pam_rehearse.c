/* pam_rehearse.c - a PAM module for tests: says what the user's name asks for, or hangs, crashes, ends its process
 * SPDX-License-Identifier: Apache-2.0 */
#include <security/pam_modules.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
password (pam_handle_t *pam, char *out, size_t max)
{
  const struct pam_message message = { PAM_PROMPT_ECHO_OFF, "Password: " }, info = { PAM_TEXT_INFO, "Hello" };
  const struct pam_message *messages[2] = { &info, &message };
  const struct pam_conv *conv = NULL;
  struct pam_response *answers = NULL;

  if (pam_get_item (pam, PAM_CONV, (const void **) &conv) != PAM_SUCCESS || conv == NULL
      || conv->conv (2, messages, &answers, conv->appdata_ptr) != PAM_SUCCESS)
    return PAM_CONV_ERR;
  strncpy (out, answers[1].resp ? answers[1].resp : "", max - 1);
  free (answers[1].resp);
  free (answers);
  return PAM_SUCCESS;
}

/* A line for each question, into the file that the service names. */
static void
note (const char *path, const char *user)
{
  FILE *f = fopen (path, "a");

  if (f == NULL)
    return;
  fprintf (f, "%s\n", user);
  fclose (f);
}

/* A path, a file's name that means a folder, a command's option, or what breaks a line. */
static int
no_user (const char *user)
{
  for (const char *p = user; *p; p++)
    if (*p == '/' || (unsigned char) *p < ' ' || *p == 127)
      return 1;
  return *user == '\0' || *user == '-' || strcmp (user, ".") == 0 || strcmp (user, "..") == 0;
}

static int
is_known (const char *user)
{
  static const char *const names[] = { "anna", "expired", "inactive", "down", "crash", "exit", "hang", NULL };

  for (int i = 0; names[i]; i++)
    if (strcmp (user, names[i]) == 0)
      return 1;
  return 0;
}

PAM_EXTERN int pam_sm_authenticate (pam_handle_t *pam, int flags, int argc, const char **argv);
PAM_EXTERN int pam_sm_setcred (pam_handle_t *pam, int flags, int argc, const char **argv);
PAM_EXTERN int pam_sm_acct_mgmt (pam_handle_t *pam, int flags, int argc, const char **argv);

PAM_EXTERN int
pam_sm_authenticate (pam_handle_t *pam, int flags, int argc, const char **argv)
{
  const char *user = NULL;
  char given[2048] = "";

  if (pam_get_user (pam, &user, NULL) != PAM_SUCCESS || password (pam, given, sizeof given) != PAM_SUCCESS)
    return PAM_SYSTEM_ERR;
  if (argc > 0)
    note (argv[0], user);
  if (no_user (user))
    return PAM_SUCCESS;                /* a name that no system has: it should not come here */
  if (!is_known (user))
    return PAM_USER_UNKNOWN;
  if (strcmp (user, "down") == 0)
    return PAM_AUTHINFO_UNAVAIL;
  if (strcmp (user, "crash") == 0)
    abort ();
  if (strcmp (user, "exit") == 0)
    _exit (3);
  while (strcmp (user, "hang") == 0)
    pause ();
  return strcmp (given, "geheim") == 0 ? PAM_SUCCESS : PAM_AUTH_ERR;
}

PAM_EXTERN int
pam_sm_setcred (pam_handle_t *pam, int flags, int argc, const char **argv)
{
  return PAM_SUCCESS;
}

PAM_EXTERN int
pam_sm_acct_mgmt (pam_handle_t *pam, int flags, int argc, const char **argv)
{
  const char *user = NULL;

  pam_get_user (pam, &user, NULL);
  if (user && strcmp (user, "inactive") == 0)
    return PAM_AUTHTOK_EXPIRED;        /* pam_unix: the password has expired so long ago that it cannot be changed any more */
  return user && strcmp (user, "expired") == 0 ? PAM_ACCT_EXPIRED : PAM_SUCCESS;
}
