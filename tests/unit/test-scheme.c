/* test-scheme.c - password schemes, against hashes made by doveadm pw, mkpasswd and openssl passwd
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "auth/scheme-builtin.h"
#include <crypt.h>
#include <string.h>

#define SECRET "ekiden \xe9\xa7\x85\xe4\xbc\x9d"

#ifdef WITH_ARGON2
extern const EkModule ek_module_argon2;
#endif

static const char *const made_elsewhere[] = {
  /* doveadm pw */
  ("{PLAIN}" SECRET),
  "{SHA512-CRYPT}$6$uhWZb8m4oSkotZoF$DLCrIZ/ClS7k.ei2vwedtdKmk4EylE9IuCV7RTcP8u9skhkgbTRAgKAe/brrbv5lfICTsx9c3igZVbqg4TaQU0",
  "{SHA512-CRYPT}$6$rounds=1500$y9egf8BgfQW4Bqvd$xyNqYRP/IRa2LKO/tqWGP57hXuSncIeykaGRmqzNW4w6UH0QCrOXD52h1vE6lUp8BFfmK34rQWUsba04pEKfw1",
  "{SHA256-CRYPT}$5$k/rO.finPAUXfpuj$TAy7i0lojCLlyEZRAhaagf4ZUbp/4ESc5A7RhCDgI9A",
  "{BLF-CRYPT}$2y$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
  "{MD5-CRYPT}$1$l1jqdSqr$ZyJFnSQ0Uzbc7Jjr/N45X0",
  "{DES-CRYPT}PIrYHmUl42JIg",
  "{CRYPT}$2y$05$RrhmCnfZsfTjEcI8ZWNltee.z/7jwYkpXiOgr1kWNHIg0fW6iGUTu",
  "{SHA}yUFY1J7h7VgN7Y9rfuCDoXePjrY=",
  "{SHA1}yUFY1J7h7VgN7Y9rfuCDoXePjrY=",
  "{sha.HEX}c94158d49ee1ed580ded8f6b7ee083a1778f8eb6",
  "{SHA}c94158d49ee1ed580ded8f6b7ee083a1778f8eb6",
  "{SHA256}5sSs2JuBjHV9o+JT97xWAU1h1elULWDS7If5e+VKzdM=",
  "{SHA256.HEX}e6c4acd89b818c757da3e253f7bc56014d61d5e9542d60d2ec87f97be54acdd3",
  "{SHA512}Q4ixLNfL3qocXkVCHg1yCTNXML8gpykE3u01n7/Tc5K8ME4o252cGjztVuiT3pTJDC3HZoeWgk+q0F20BUv+ag==",
  "{SSHA}EtKSoFZk6JAv+OKIK7xL3pjS4EtE2XpQ",
  "{SSHA256}OsYMCiVfZD0aANOxcmvKw073Bl8A7Skm/KpPQX6a1jIb0IPM",
  "{SSHA256.HEX}9a5e7c8e8d83e38caf246a845ee52757ded6f0295b35b3f9d54ca38e81144013bd24e3e6",
  "{SSHA512}yaLyo3nm591ZHVrqlAa90kTBhzqLwoLMjv55SnzNsTOG2n6V3d5zq/KgsvL+MPcE6IRVi7iq/OcjFcxcDO1ZqMbciPI=",
  "{SMD5}ydD5SuXI60Ept8L2SdrPxx944YM=",
  "{PLAIN-MD5}91610021e3c3ad37adb91b032f16a937",
  "{LDAP-MD5}kWEAIePDrTetuRsDLxapNw==",
  "{MD5}$1$29zec2rU$brMM7zvbXIGWUaC5syr1w0",
  "{MD5}91610021e3c3ad37adb91b032f16a937",
  "{PLAIN.B64}ZWtpZGVuIOmnheS8nQ==",
  "{CLEARTEXT.hex}656b6964656e20e9a785e4bc9d",
  "{SHA512-CRYPT.b64}JDYkWUdteE00cUM4ZW8vWkN3RyRUdlFWczhHUjh2MlR4THZqMTdiOUI1cU1Kck9zZkkvQlJ1TlVEdG5QT2ZkTXpjSTFVZFBtdGFVWjQvN0VvUmxVVTZ0QndEeDM2MENSUE4wNC91aGIuLw==",
  "{PBKDF2}$1$7/AeacSJXfuAL8UR$5000$958b8cc3c612e3616ef1b8bada2e044afdd621ec",
  "{PBKDF2}$1$cwIrbbQBjTHj1UJB$1500$023e2d698f25b4216228cd360f4711fcdc1ef0d3",
  /* mkpasswd: yescrypt, gost-yescrypt, scrypt */
  "{CRYPT}$y$j9T$OQFIlFUmfwx2lKIUHRodo.$o73duDe/2A9NaPjR64TII27.X8joTeeKpLr4L4/ijc4",
  "{CRYPT}$gy$j9T$UVg5MDElFjFxELt8XnyXI0$oIDqH8522/lbQ.FMmZpO8nQ6dgwrpzJwxo6s/.b8MnA",
  "{CRYPT}$7$CU..../....LRTYv2gUUpTLe8do5H/GQ/$kjI.zmE6L.3hrwqOF0GZ5Dxz0yKM0Ue9jTy91iFJp7D",
  /* crypt(3): sha1crypt, SunMD5 with its rounds in three ways, BSDi's DES, NT, and BLF-CRYPT by its other names */
  "{CRYPT}$sha1$1500$Kq3nZ0fT$cbzEDj99o3fMERdmNELbLujl1p5H",
  "{CRYPT}$md5$BPm.fm03$$t1l3BzuJi6oMUnUT3EZ7y1",
  "{CRYPT}$md5,rounds=5000$GUBv0xjJ$$L3R81pIM0evklLXP/eyob/",
  "{CRYPT}$md5$rounds=904$GUBv0xjJ$vs.qGFRyh8pPJh3XA6rRN/",
  "{CRYPT}_J9..rasmPjIC/ZyglrU",
  "{CRYPT}$3$$481c35f91d1876df0ee4fd1dbf6d8f90",
  "{CRYPT}$2a$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
  "{BLF-CRYPT}$2a$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
  "{CRYPT}$2b$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
  "{BLF-CRYPT}$2b$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
  "{BLF-CRYPT}$2x$05$W6rb0HZrOclAvwG3cgU/HefA74jGhATzKozbZ97ySlvRo7kTEN35a",
  /* openssl passwd -6, -1 */
  "{SHA512-CRYPT}$6$abcdefgh$iXvuuY5zLdDD5vqAI/71Q3iTu3RW7Lnpqffx5zIf6fiD1351IveJBDeAeIWBnjw7fIGsFVC7vAt5ZGDrxsJJ41",
  "{MD5-CRYPT}$1$abcdefgh$Dni7N6g9w/PUrRedkpPDw0",
#ifdef WITH_ARGON2
  "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$bjjwdGA+UpW/JxtUQGp6qw$ZeqIr7DpREZUpJKBRIPrjZuLyVVLDr180kC7aPQaSiY",
  "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$WqhF751TslBFXQkve3ayzQ$kx0KfbAd9RcGREf6/MufaTkuFGdPvZzDPAX5z0HaYJw",
  /* the same, as OpenLDAP names them */
  "{ARGON2}$argon2i$v=19$m=32768,t=4,p=1$bjjwdGA+UpW/JxtUQGp6qw$ZeqIr7DpREZUpJKBRIPrjZuLyVVLDr180kC7aPQaSiY",
  "{ARGON2}$argon2id$v=19$m=65536,t=3,p=1$WqhF751TslBFXQkve3ayzQ$kx0KfbAd9RcGREf6/MufaTkuFGdPvZzDPAX5z0HaYJw",
#endif
};

static void
test_vectors (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (made_elsewhere); i++) {
    EkStr stored = ek_str (made_elsewhere[i]);
    g_autoptr (GError) error = NULL;
    g_test_message ("%s", stored.p);
    g_assert_cmpint (ek_password_verify (EK_STR (SECRET), stored, "PLAIN", &error), ==, EK_OK);
    g_assert_cmpint (ek_password_verify (EK_STR ("ekiden"), stored, "PLAIN", &error), ==, EK_FAIL);
    g_assert_cmpint (ek_password_verify (EK_STR (""), stored, "PLAIN", &error), ==, EK_FAIL);
    g_assert_cmpint (ek_password_verify ((EkStr) { NULL, 0 }, stored, "PLAIN", &error), ==, EK_FAIL);
    if (!strstr (stored.p, "DES"))       /* which reads eight bytes */
      g_assert_cmpint (ek_password_verify (EK_STR (SECRET "\0x"), stored, "PLAIN", &error), ==, EK_FAIL);
    g_assert_no_error (error);
  }
}

/* Those that are known by their authors' or others' tests, of other secrets than ours. */
static void
test_known (void)
{
  static const struct { const char *secret, *stored; } known[] = {
    { "password", "{CRYPT}$sha1$64000$wnUR8T1U$vt1TFQ50tBMFgkflAFAOer2CwdYZ" }, { "password", "{CRYPT}$sha1$40000$jtNX3nZ2$hBNaIXkt4wBI2o5rsi8KejSjNqIq" },
    { "test", "{CRYPT}$md5$rounds=904$Vc3VgyFx44iS8.Yu$Scf90iLWN6O6mT9TA06NK/" },
    { "Don41dL33", "{CRYPT}$md5$rounds=904$ZZZig8GS.S0pRNhc$dw5NMYJoxLlnFq4E.phLy." }, { "U*U*U*U*", "{CRYPT}_J9..CCCCXBrJUJV154M" },
    { "password", "{CRYPT}$3$$8846f7eaee8fb117ad06bdd830b7586c" }, { "", "{CRYPT}$3$$31d6cfe0d16ae931b73c59d7e0c089c0" },
    { "U*U", "{BLF-CRYPT}$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
    { "U*U", "{CRYPT}$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" },
    { "\xa3", "{CRYPT}$2a$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    g_test_message ("%s", known[i].stored);
    g_assert_cmpint (ek_password_verify (ek_str (known[i].secret), ek_str (known[i].stored), "PLAIN", NULL), ==, EK_OK);
    g_assert_cmpint (ek_password_verify (EK_STR ("passwort"), ek_str (known[i].stored), "PLAIN", NULL), ==, EK_FAIL);
  }
}

/* Of all that crypt(3) knows: locked as shadow(5) has it matches nobody, and so does what is cut, or what it cannot read, which is told.  Not
 * one of them is ever right. */
static void
test_locked_or_malformed (void)
{
  static const char *const whole[] = {
    "$y$j9T$OQFIlFUmfwx2lKIUHRodo.$o73duDe/2A9NaPjR64TII27.X8joTeeKpLr4L4/ijc4", "$gy$j9T$UVg5MDElFjFxELt8XnyXI0$oIDqH8522/lbQ.FMmZpO8nQ6dgwrpzJwxo6s/.b8MnA",
    "$7$CU..../....LRTYv2gUUpTLe8do5H/GQ/$kjI.zmE6L.3hrwqOF0GZ5Dxz0yKM0Ue9jTy91iFJp7D", "$2y$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
    "$2a$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6", "$2b$05$W6rb0HZrOclAvwG3cgU/HeLfdRZI2V8CBPSvSWklE5s2haNUcWss6",
    "$sha1$1500$Kq3nZ0fT$cbzEDj99o3fMERdmNELbLujl1p5H", "$md5$BPm.fm03$$t1l3BzuJi6oMUnUT3EZ7y1", "$md5,rounds=5000$GUBv0xjJ$$L3R81pIM0evklLXP/eyob/",
    "_J9..rasmPjIC/ZyglrU", "$3$$481c35f91d1876df0ee4fd1dbf6d8f90", "$1$l1jqdSqr$ZyJFnSQ0Uzbc7Jjr/N45X0", "PIrYHmUl42JIg",
    "$5$k/rO.finPAUXfpuj$TAy7i0lojCLlyEZRAhaagf4ZUbp/4ESc5A7RhCDgI9A",
    "$6$uhWZb8m4oSkotZoF$DLCrIZ/ClS7k.ei2vwedtdKmk4EylE9IuCV7RTcP8u9skhkgbTRAgKAe/brrbv5lfICTsx9c3igZVbqg4TaQU0",
  };
  static const char *const unreadable[] = {
    "$y$", "$y$j9T", "$gy$", "$gy$j9T$a!b$x", "$7$", "$7$CU", "$2a$", "$2b$05$CC", "$2b$03$CCCCCCCCCCCCCCCCCCCCC.", "$2a$32$CCCCCCCCCCCCCCCCCCCCC.x", "$2$05$CCCCCCCCCCCCCCCCCCCCC.x",
    "$2b$05$CCCCCCCCCC:CCCCCCCCCC.x", "$sha1$", "$sha1$abc$x$", "$sha1$1500$", "$md5", "$md5,rounds=x$abc$$x", "$md5,rounds=99999999999$abc$$x", "_J9..", "_J9..CCC",
    "_J9..CC:CXBrJUJV154M", "$3", "$4$abc$def",
  };

  for (guint i = 0; i < G_N_ELEMENTS (whole); i++)
    for (guint how = 0; how < 4; how++) {
      static const char *const locks[] = { "!", "!!", "*", "*LK*" };
      g_autofree char *locked = g_strconcat ("{CRYPT}", locks[how], whole[i], NULL);
      g_autofree char *cut = g_strdup_printf ("{CRYPT}%.*s", (int) (strlen (whole[i]) - 1 - how), whole[i]);
      g_autoptr (GError) error = NULL;
      g_test_message ("%s, %s", locked, cut);
      g_assert_cmpint (ek_password_verify (EK_STR (SECRET), ek_str (locked), "PLAIN", &error), ==, EK_FAIL);
      g_assert_no_error (error);
      if (how == 0 || how == 3)
        g_assert_cmpint (ek_password_verify (EK_STR (SECRET), ek_str (cut), "PLAIN", NULL), !=, EK_OK);
    }
  for (guint i = 0; i < G_N_ELEMENTS (unreadable); i++) {
    g_autofree char *stored = g_strconcat ("{CRYPT}", unreadable[i], NULL);
    g_autoptr (GError) error = NULL;
    g_test_message ("%s", stored);
    g_assert_cmpint (ek_password_verify (EK_STR ("x"), ek_str (stored), "PLAIN", &error), ==, EK_DEFER);
    g_assert_nonnull (strstr (error->message, "crypt(3) does not know such a hash"));
  }
}

/* Ours is libcrypt's hash, byte for byte, for every length of secret and salt and either number of rounds. */
static void
test_sha_crypt (void)
{
  static const char salts[] = "./09azAZsaltsalt";
  static const char *const others[] = { "$5", "$6$", "$6$$", "$7$salt", "$6$rounds=999$salt$", "$6$rounds=05000$salt$", "$6$rounds=5000", "$6$rounds=$salt$",
                                        "$6$rounds=x$salt$", "$6$rounds=1000000000$salt$", "$6$sa:lt$", "$6$longer than that$", "$6$salt$hash ", "$6$salt$ha:sh", "$5$abcdefghijklmnopq$" };
  guchar secret[600];
  EkBuf out = { 0 };

  ek_random (secret, sizeof secret);
  for (guint i = 0; i < sizeof secret; i++)
    secret[i] |= secret[i] == 0;
  for (guint n = 0; n < 512; n += n < 140 ? 1 : 53)
    for (guint large = 0; large < 2; large++) {
      struct crypt_data data = { 0 };
      g_autofree char *phrase = g_strndup ((char *) secret, n);
      g_autofree char *setting = g_strdup_printf ("$%u$%s%.*s%s", 5 + large, n % 3 ? "rounds=1000$" : n % 2 ? "rounds=1234$" : "", (int) (1 + n % 16), salts,
                                                  n % 5 ? "$" : "");
      ek_buf_clear (&out);
      g_assert_true (ek_scheme_sha_crypt (ek_str (phrase), ek_str (setting), &out));
      ek_buf_appendc (&out, '\0');
      g_assert_cmpstr (ek_buf_at (&out), ==, crypt_rn (phrase, setting, &data, sizeof data));
    }
  ek_buf_clear (&out);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_assert_false (ek_scheme_sha_crypt (EK_STR ("x"), ek_str (others[i]), &out));
  g_assert_false (ek_scheme_sha_crypt ((EkStr) { (char *) secret, 512 }, EK_STR ("$6$salt$"), &out));
  g_assert_false (ek_scheme_sha_crypt (EK_STR ("a\0b"), EK_STR ("$6$salt$"), &out));
  g_assert_cmpuint (ek_buf_len (&out), ==, 0);
  ek_buf_release (&out);
}

static void
test_default_scheme (void)
{
  EkStr sha = EK_STR ("yUFY1J7h7VgN7Y9rfuCDoXePjrY=");

  g_assert_cmpint (ek_password_verify (EK_STR (SECRET), sha, "SHA", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR (SECRET), sha, "PLAIN", NULL), ==, EK_FAIL);
  g_assert_cmpint (ek_password_verify (sha, sha, "PLAIN", NULL), ==, EK_OK);
}

/* What nobody can decide is DEFER with a reason, what matches nothing is FAIL without one. */
static void
test_unusable (void)
{
  static const char *const broken[] = {
    "{NOSUCH}abc", "{SHA256-CRYPT}$6$abcdefgh$iXvuuY5z", "{DES-CRYPT}short", "{DES-CRYPT}PIrYHmUl42J:g",
    "{SHA256}AAAA", "{SHA}not base64!", "{SSHA}yUFY1J7h7VgN7Y9rfuCDoXePjrY=", "{SHA.hex}zz", "{PLAIN.b64}=",
    "{CRYPT}$z$unknown$", "{PLAIN-MD5}91610021e3c3ad37adb91b032f16a9",
    "{PBKDF2}$2$a$5000$958b8cc3c612e3616ef1b8bada2e044afdd621ec", "{PBKDF2}$1$a$0$958b8cc3c612e3616ef1b8bada2e044afdd621ec",
    "{PBKDF2}$1$a$99999999$958b8cc3c612e3616ef1b8bada2e044afdd621ec", "{PBKDF2}$1$a$5000$958b8c", "{PBKDF2}$1$a5000", "{PBKDF2}$1$",
#ifdef WITH_ARGON2
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3", "{ARGON2ID}$argon2i$v=19$m=32768,t=4,p=1$a$b",
#endif
  };

  for (guint i = 0; i < G_N_ELEMENTS (broken); i++) {
    g_autoptr (GError) error = NULL;
    g_test_message ("%s", broken[i]);
    g_assert_cmpint (ek_password_verify (EK_STR ("x"), ek_str (broken[i]), "PLAIN", &error), ==, EK_DEFER);
    g_assert_nonnull (error);
  }
  static const char *const locked[] = { "", "{PLAIN}", "{CRYPT}", "{CRYPT}!", "{CRYPT}*", "{SHA512-CRYPT}!$6$a$b" };
  for (guint i = 0; i < G_N_ELEMENTS (locked); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_cmpint (ek_password_verify (EK_STR (""), ek_str (locked[i]), "PLAIN", &error), ==, EK_FAIL);
    g_assert_no_error (error);
  }
}

static void
check_made (const char *scheme, guint cost, const char *beginning)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *a = ek_password_make (scheme, EK_STR ("geheim"), cost, &error);
  g_assert_no_error (error);
  g_autofree char *b = ek_password_make (scheme, EK_STR ("geheim"), cost, &error);
  g_test_message ("%s", a);
  g_assert_true (g_str_has_prefix (a, beginning));
  g_assert_cmpint (ek_password_verify (EK_STR ("geheim"), ek_str (a), "PLAIN", &error), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("Geheim"), ek_str (a), "PLAIN", &error), ==, EK_FAIL);
  g_assert_no_error (error);
  if (strstr (scheme, "CRYPT") || strstr (scheme, "SSHA"))
    g_assert_cmpstr (a, !=, b);          /* salted */
}

static void
test_make (void)
{
  check_made ("plain", 0, "{PLAIN}geheim");
  check_made ("SHA512-CRYPT", 0, "{SHA512-CRYPT}$6$");
  check_made ("SHA512-CRYPT", 1500, "{SHA512-CRYPT}$6$rounds=1500$");
  check_made ("SHA256-CRYPT", 1000, "{SHA256-CRYPT}$5$rounds=1000$");
  check_made ("blf-crypt", 4, "{BLF-CRYPT}$2y$04$");
  check_made ("MD5-CRYPT", 0, "{MD5-CRYPT}$1$");
  check_made ("MD5", 0, "{MD5}$1$");
  check_made ("DES-CRYPT", 0, "{DES-CRYPT}");
  check_made ("CRYPT", 1, "{CRYPT}$y$");
  check_made ("CRYPT.b64", 1, "{CRYPT.b64}");
  check_made ("PBKDF2", 0, "{PBKDF2}$1$");
  check_made ("pbkdf2", 2000, "{PBKDF2}$1$");
  check_made ("SHA", 0, "{SHA}");
  check_made ("SHA256.hex", 0, "{SHA256.hex}");
  check_made ("SSHA512.base64", 0, "{SSHA512.b64}");
  check_made ("SSHA256", 0, "{SSHA256}");
  check_made ("SMD5", 0, "{SMD5}");
  check_made ("PLAIN-MD5", 0, "{PLAIN-MD5}");
  check_made ("PLAIN-MD5.b64", 0, "{PLAIN-MD5.b64}");
  check_made ("LDAP-MD5", 0, "{LDAP-MD5}");
#ifdef WITH_ARGON2
  check_made ("ARGON2I", 3, "{ARGON2I}$argon2i$v=19$m=32768,t=3,p=1$");
  check_made ("ARGON2ID", 1, "{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=1$");
#endif
  check_made (EK_SCHEME_DEFAULT, 0, "{");
}

static void
refuses (const char *scheme, EkStr secret, guint cost, const char *part)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (ek_password_make (scheme, secret, cost, &error));
  g_assert_nonnull (error);
  if (!strstr (error->message, part))
    g_error ("\"%s\" lacks \"%s\"", error->message, part);
}

static void
test_make_refuses (void)
{
  char longer[EK_PASSWORD_MAX + 1];

  memset (longer, 'x', sizeof longer);
  refuses ("NOSUCH", EK_STR ("x"), 0, "NOSUCH is not known");
  refuses ("SHA512-CRYPT", EK_STR ("x"), 999, "from 1000 to");
  refuses ("BLF-CRYPT", EK_STR ("x"), 32, "from 4 to 31");
  refuses ("PBKDF2", EK_STR ("x"), 999, "from 1000 to");
  refuses ("SSHA", EK_STR ("x"), 5, "no rounds");
  refuses ("MD5-CRYPT", EK_STR ("x"), 5, "no rounds");
  refuses ("PLAIN", EK_STR ("x"), 5, "no rounds");
  refuses ("BLF-CRYPT", (EkStr) { longer, 73 }, 0, "first 72 bytes");
  refuses ("DES-CRYPT", EK_STR ("123456789"), 0, "first 8 bytes");
  refuses ("SHA512-CRYPT", EK_STR ("a\0b"), 0, "NUL");
  refuses ("SSHA", (EkStr) { longer, sizeof longer }, 0, "at most 1024");
  /* What a digest can hold may have a NUL. */
  g_autofree char *stored = ek_password_make ("SSHA256", EK_STR ("a\0b"), 0, NULL);
  g_assert_cmpint (ek_password_verify (EK_STR ("a\0b"), ek_str (stored), "PLAIN", NULL), ==, EK_OK);
  g_assert_cmpint (ek_password_verify (EK_STR ("a\0c"), ek_str (stored), "PLAIN", NULL), ==, EK_FAIL);
}

static void
test_slow (void)
{
  static const char *const slow[] = { "{SHA512-CRYPT}$6$x$y", "{BLF-CRYPT}x", "{crypt}x", "{PBKDF2}x", "{MD5}$1$x", "{NOSUCH}x", "{SHA512-CRYPT.b64}eA==" };
  static const char *const quick[] = { "x", "{PLAIN}x", "{SSHA256}x", "{sha1.hex}00", "{MD5}x", "{SHA512-CRYPT}", "" };

  for (guint i = 0; i < G_N_ELEMENTS (slow); i++)
    g_assert_true (ek_password_is_slow (ek_str (slow[i]), "PLAIN"));
  for (guint i = 0; i < G_N_ELEMENTS (quick); i++)
    g_assert_false (ek_password_is_slow (ek_str (quick[i]), "PLAIN"));
  g_assert_true (ek_password_is_slow (EK_STR ("x"), "CRYPT"));
}

static void
test_registry (void)
{
  g_auto (GStrv) names = ek_scheme_names ();

  g_assert_true (g_strv_contains ((const char *const *) names, "SSHA512"));
  for (guint i = 0; names[i]; i++) {
    g_assert_true (ek_scheme_known (ek_str (names[i])));
    if (i > 0)
      g_assert_cmpstr (names[i - 1], <, names[i]);
  }
  g_assert_true (ek_scheme_known (EK_STR ("ssha.hex")));
  g_assert_false (ek_scheme_known (EK_STR ("")));
  g_assert_false (ek_scheme_known (EK_STR (".hex")));
  EkStr scheme;
  g_assert_true (ek_str_eq (ek_scheme_split (EK_STR ("{A.b64}x}y"), &scheme), EK_STR ("x}y")));
  g_assert_true (ek_str_eq (scheme, EK_STR ("A.b64")));
  g_assert_true (ek_str_eq (ek_scheme_split (EK_STR ("{A"), &scheme), EK_STR ("{A")));
  g_assert_cmpuint (scheme.n, ==, 0);
}

static void
test_dummy (void)
{
  guint64 before = ek_password_n_dummies ();
  gint64 start = ek_now ();

  ek_password_dummy (EK_STR ("x"), EK_STR (""), "PLAIN");
  start = ek_now ();
  ek_password_dummy (EK_STR ("x"), EK_STR (""), "PLAIN");
  gint64 dummy = ek_now () - start;
  g_autofree char *stored = ek_password_make (EK_SCHEME_DEFAULT, EK_STR ("y"), 0, NULL);
  start = ek_now ();
  g_assert_cmpint (ek_password_verify (EK_STR ("x"), ek_str (stored), "PLAIN", NULL), ==, EK_FAIL);
  gint64 real = ek_now () - start;
  g_test_message ("dummy %" G_GINT64_FORMAT " us, real %" G_GINT64_FORMAT " us", dummy, real);
  g_assert_cmpint (dummy, >, real / 8);      /* a busy machine may stretch either */
  ek_password_dummy (EK_STR ("x"), EK_STR ("{PLAIN}z"), "PLAIN");
  g_assert_cmpuint (ek_password_n_dummies (), ==, before + 3);
}

static void
test_weaker (void)
{
  static const struct { const char *stored, *scheme; guint cost; bool weaker; } cases[] = {
    { "{PLAIN}x", "BLF-CRYPT", 0, true }, { "x", "BLF-CRYPT", 0, true }, { "{SHA.hex}00", "SHA512-CRYPT", 0, true },
    { "{SSHA}x", "BLF-CRYPT", 0, true }, { "{MD5}$1$a$b", "BLF-CRYPT", 0, true }, { "{CRYPT}$1$a$b", "BLF-CRYPT", 0, true },
    { "{CRYPT}abcdefghijklm", "SHA512-CRYPT", 0, true }, { "{crypt}$6$a$b", "BLF-CRYPT", 0, true }, { "{CRYPT}$6$a$b", "SHA512-CRYPT", 0, false },
    { "{BLF-CRYPT}$2y$10$a", "BLF-CRYPT", 0, false }, { "{BLF-CRYPT}$2y$10$a", "BLF-CRYPT", 12, true },
    { "{CRYPT}$2b$10$a", "BLF-CRYPT", 12, true }, { "{BLF-CRYPT}$2y$12$a", "BLF-CRYPT", 12, false },
    { "{SHA512-CRYPT}$6$a$b", "SHA512-CRYPT", 5000, false }, { "{SHA512-CRYPT}$6$a$b", "SHA512-CRYPT", 20000, true },
    { "{SHA512-CRYPT}$6$rounds=20000$a$b", "SHA512-CRYPT", 20000, false }, { "{SHA256-CRYPT}$5$a$b", "SHA512-CRYPT", 20000, false },
    { "{PBKDF2}$1$salt$1000$00", "PBKDF2", 200000, true }, { "{PBKDF2}$1$salt$200000$00", "PBKDF2", 200000, false },
    { "{ARGON2ID}$argon2id$x", "BLF-CRYPT", 12, false }, { "{CRYPT}$y$a$b", "BLF-CRYPT", 12, false }, { "{BLF-CRYPT}$2y$12$a", "ARGON2ID", 0, true },
    { "{SCRAM-SHA-256}x", "BLF-CRYPT", 0, false }, { "{CRAM-MD5}x", "BLF-CRYPT", 0, false }, { "{NOSUCH}x", "BLF-CRYPT", 0, false },
    { "{BLF-CRYPT}", "BLF-CRYPT", 12, false }, { "{PBKDF2}$1$", "PBKDF2", 9, false },
    /* what is encoded: $6$rounds=6000$a$b, $6$rounds=20000$a$b, $1$a$b, and what is no base64 */
    { "{SHA512-CRYPT.b64}JDYkcm91bmRzPTYwMDAkYSRi", "SHA512-CRYPT", 20000, true }, { "{SHA512-CRYPT.b64}JDYkcm91bmRzPTIwMDAwJGEkYg==", "SHA512-CRYPT.b64", 20000, false },
    { "{CRYPT.hex}243124612462", "SHA512-CRYPT", 0, true }, { "{CRYPT.b64}JDYkcm91bmRzPTYwMDAkYSRi", "SHA256-CRYPT", 20000, false }, { "{CRYPT.b64}=", "BLF-CRYPT", 0, false },
    /* what libcrypt knows besides */
    { "{CRYPT}$sha1$1500$abc$d", "SHA256-CRYPT", 0, true }, { "{CRYPT}$md5,rounds=5000$abc$$d", "SHA256-CRYPT", 0, true },
    { "{CRYPT}_J9..CCCCXBrJUJV154M", "SHA256-CRYPT", 0, true }, { "{CRYPT}$3$$8846f7eaee8fb117ad06bdd830b7586c", "SHA256-CRYPT", 0, true },
    /* Argon2: by memory and passes */
    { "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$a$b", "ARGON2ID", 0, false }, { "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$a$b", "ARGON2ID", 3, false },
    { "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$a$b", "ARGON2ID", 4, true }, { "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$a$b", "ARGON2ID", 2, false },
    { "{ARGON2ID}$argon2id$v=19$m=19456,t=3,p=1$a$b", "ARGON2ID", 3, true }, { "{ARGON2ID}$argon2id$v=19$m=32768,t=4,p=1$a$b", "ARGON2ID", 3, true },
    { "{ARGON2ID}$argon2id$v=19$m=32768,t=6,p=1$a$b", "ARGON2ID", 3, false }, { "{ARGON2ID}$argon2id$v=19$m=1048576,t=1,p=1$a$b", "ARGON2ID", 3, false },
    { "{ARGON2}$argon2id$v=19$m=65536,t=3,p=1$a$b", "ARGON2ID", 4, true }, { "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$a$b", "ARGON2", 4, true },
    { "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$a$b", "ARGON2I", 5, true }, { "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$a$b", "ARGON2I", 4, false },
    { "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$a$b", "ARGON2ID", 0, true }, { "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$a$b", "ARGON2ID", 1, false },
    { "{ARGON2I}$argon2i$v=19$m=1048576,t=10,p=1$a$b", "ARGON2ID", 3, false }, { "{ARGON2}$argon2i$v=19$m=32768,t=4,p=1$a$b", "ARGON2", 0, true },
    { "{ARGON2I}$argon2i$v=19$m=65536,t=3,p=1$a$b", "ARGON2I", 4, false }, { "{ARGON2ID}$argon2id$v=19$m=65536,t=1,p=1$a$b", "ARGON2I", 1000, false },
    { "{ARGON2}$argon2id$v=19$m=65536,t=1,p=1$a$b", "ARGON2I", 1000, false }, { "{ARGON2ID}$argon2id$", "ARGON2ID", 9, false },
    { "{ARGON2ID}", "ARGON2ID", 9, false }, { "{ARGON2ID}$argon2id$v=19$m=,t=", "ARGON2ID", 9, false },
    { "{ARGON2ID}$argon2id$v=19$m=99999999999999999999,t=99999999999999999999,p=1$a$b", "ARGON2ID", 1000, false },
    /* yescrypt and the like: in no order with Argon2 */
    { "{CRYPT}$y$j9T$a$b", "ARGON2ID", 1000, false }, { "{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$a$b", "CRYPT", 11, false }, { "{ARGON2I}$argon2i$x", "CRYPT", 11, false },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    if (ek_password_weaker (ek_str (cases[i].stored), cases[i].scheme, cases[i].cost) != cases[i].weaker)
      g_error ("%s is %sweaker than %s", cases[i].stored, cases[i].weaker ? "not " : "", cases[i].scheme);
}

/* What is made by some settings is never weaker than these say, nor than those of less cost; and is weaker than those of more. */
static void
test_made_is_not_weaker (void)
{
  static const struct { const char *scheme; guint cost, more; } cases[] = {
    { "SHA512-CRYPT", 1000, 1001 }, { "SHA256-CRYPT.b64", 6000, 6001 }, { "BLF-CRYPT", 5, 6 }, { "BLF-CRYPT.hex", 4, 5 }, { "PBKDF2", 1000, 1001 },
    { "CRYPT", 1, 2 }, { "CRYPT", 2, 3 }, { "CRYPT", 3, 4 }, { "crypt.b64", 5, 6 },
#ifdef WITH_ARGON2
    { "ARGON2I", 3, 4 }, { "ARGON2ID", 1, 2 }, { "argon2id.b64", 2, 3 }, { "ARGON2", 1, 2 },
#endif
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *made = ek_password_make (cases[i].scheme, EK_STR ("geheim"), cases[i].cost, NULL);
    g_test_message ("%s", made);
    for (guint cost = 0; cost <= cases[i].cost; cost++)
      g_assert_false (ek_password_weaker (ek_str (made), cases[i].scheme, cost));
    g_assert_true (ek_password_weaker (ek_str (made), cases[i].scheme, cases[i].more));
    g_assert_cmpint (ek_scheme_rank (cases[i].scheme), >=, 3);
  }
}

/* CRYPT is what libcrypt likes best.  Where that is yescrypt, its cost is read as crypt_gensalt(3) writes it, of all that are like it. */
static void
test_weaker_yescrypt (void)
{
  static const char *const prefixes[] = { "$y$", "$gy$", "$7$" };
  static const char *const untold[] = { "$y$", "$y$j", "$y$j9", "$y$j9T", "$y$j9T.$a$b", "$y$.9T$a$b", "$y$jn.T$a$b", "$y$j9!$a$b", "$gy$j9T", "$7$", "$7$.", "$7$CU...",
                                       "$7$CU..../...", "$7$C...../....a$b", "$7$CU.........a$b", "$7$!U..../....a$b" };

  if (g_strcmp0 (crypt_preferred_method (), "$y$") != 0) {
    g_test_skip ("libcrypt likes another scheme best");
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (prefixes); i++)
    for (guint cost = i == 2 ? 6 : 1; cost <= 11; cost++) {
      char salt[16] = "0123456789abcde", setting[CRYPT_GENSALT_OUTPUT_SIZE];
      g_assert_nonnull (crypt_gensalt_rn (prefixes[i], cost, salt, sizeof salt, setting, sizeof setting));
      g_autofree char *stored = g_strconcat ("{CRYPT}", setting, "$hash", NULL);
      g_test_message ("%u: %s", cost, stored);
      g_assert_false (ek_password_weaker (ek_str (stored), "CRYPT", 0));
      g_assert_false (ek_password_weaker (ek_str (stored), "CRYPT", cost));
      g_assert_true (ek_password_weaker (ek_str (stored), "CRYPT", cost + 1));
    }
  for (guint i = 0; i < G_N_ELEMENTS (untold); i++) {
    g_autofree char *stored = g_strconcat ("{CRYPT}", untold[i], NULL);
    g_test_message ("%s", stored);
    g_assert_false (ek_password_weaker (ek_str (stored), "CRYPT", 11));
  }
  g_assert_true (ek_password_weaker (EK_STR ("{CRYPT}$y$j.5$a$b"), "CRYPT", 2));       /* less than crypt_gensalt() ever makes */
  g_assert_true (ek_password_weaker (EK_STR ("{BLF-CRYPT}$2y$12$a"), "CRYPT", 0));
  g_assert_true (ek_password_weaker (EK_STR ("{CRYPT}abcdefghijklm"), "CRYPT.b64", 0));
}

static void
test_base64 (void)
{
  static const struct { EkStr bytes; const char *text; } good[] = {      /* RFC 4648 section 10 */
    { { "", 0 }, "" }, { { "f", 1 }, "Zg==" }, { { "fo", 2 }, "Zm8=" }, { { "foo", 3 }, "Zm9v" },
    { { "foob", 4 }, "Zm9vYg==" }, { { "fooba", 5 }, "Zm9vYmE=" }, { { "foobar", 6 }, "Zm9vYmFy" },
    { { "\xff\xfe\xfd", 3 }, "//79" },
  };
  static const char *const bad[] = { "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z m8=", "====", "A===", "Zg==Zg==", "Zm8\n" };
  EkBuf buf = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    ek_buf_clear (&buf);
    ek_base64_encode (good[i].bytes, &buf);
    g_assert_true (ek_str_eq (ek_buf_str (&buf), ek_str (good[i].text)));
    ek_buf_clear (&buf);
    g_assert_true (ek_base64_decode (ek_str (good[i].text), &buf));
    g_assert_true (ek_str_eq (ek_buf_str (&buf), good[i].bytes));
  }
  ek_buf_clear (&buf);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_assert_false (ek_base64_decode (ek_str (bad[i]), &buf));
    g_assert_cmpuint (ek_buf_len (&buf), ==, 0);
  }
  g_assert_true (ek_hex_decode (EK_STR ("00fFA9"), &buf));
  g_assert_true (ek_str_eq (ek_buf_str (&buf), EK_STR ("\0\xff\xa9")));
  g_assert_false (ek_hex_decode (EK_STR ("0"), &buf));
  g_assert_false (ek_hex_decode (EK_STR ("0g"), &buf));
  ek_buf_wipe (&buf);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#ifdef WITH_ARGON2
  ek_scheme_register (ek_module_argon2.scheme);
  ek_scheme_register (ek_module_argon2.scheme);
#endif
  g_test_add_func ("/scheme/vectors", test_vectors);
  g_test_add_func ("/scheme/known", test_known);
  g_test_add_func ("/scheme/locked-or-malformed", test_locked_or_malformed);
  g_test_add_func ("/scheme/sha-crypt", test_sha_crypt);
  g_test_add_func ("/scheme/default", test_default_scheme);
  g_test_add_func ("/scheme/unusable", test_unusable);
  g_test_add_func ("/scheme/make", test_make);
  g_test_add_func ("/scheme/make-refuses", test_make_refuses);
  g_test_add_func ("/scheme/slow", test_slow);
  g_test_add_func ("/scheme/registry", test_registry);
  g_test_add_func ("/scheme/dummy", test_dummy);
  g_test_add_func ("/scheme/weaker", test_weaker);
  g_test_add_func ("/scheme/weaker/made", test_made_is_not_weaker);
  g_test_add_func ("/scheme/weaker/yescrypt", test_weaker_yescrypt);
  g_test_add_func ("/scheme/base64", test_base64);
  return g_test_run ();
}
