/* date.c - RFC 5322, IMAP and log dates, without any locale
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config.h"
#include "mail/date.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

/* ---- civil time ---------------------------------------------------------------------------- */

/* Days since 1970: years begin in March here, so that the leap day is the last of its year. */
static gint64
days_from_civil (int year, int month, int day)
{
  gint64 y = month <= 2 ? year - 1 : year;
  gint64 era = (y >= 0 ? y : y - 399) / 400;
  gint64 in_era = y - era * 400;
  gint64 in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

gint64
ek_date_from_civil (int year, int month, int day, int hour, int minute, int second)
{
  return days_from_civil (year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

void
ek_date_to_civil (gint64 seconds, int *year, int *month, int *day, int *hour, int *minute, int *second,
                  int *weekday)
{
  gint64 n = seconds / 86400, left = seconds % 86400;

  if (left < 0) {
    left += 86400;
    n--;
  }
  *weekday = (int) (((n + 4) % 7 + 7) % 7);
  n += 719468;
  gint64 era = (n >= 0 ? n : n - 146096) / 146097;
  gint64 in_era = n - era * 146097;
  gint64 y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
  gint64 in_year = in_era - (365 * y + y / 4 - y / 100);
  gint64 m = (5 * in_year + 2) / 153;
  *day = (int) (in_year - (153 * m + 2) / 5 + 1);
  *month = (int) (m < 10 ? m + 3 : m - 9);
  *year = (int) (y + era * 400 + (*month <= 2));
  *hour = (int) (left / 3600);
  *minute = (int) (left / 60 % 60);
  *second = (int) (left % 60);
}

static bool
valid_day (int year, int month, int day)
{
  static const guint8 length[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

  return year >= 1900 && year <= 9999 && month >= 1 && month <= 12 && day >= 1
         && day <= length[month - 1] + (month == 2 && leap);
}

/* ---- reading ------------------------------------------------------------------------------- */

typedef struct {
  const char *p, *end;
} Scan;

/* White space, comments, commas. */
static void
skip (Scan *s)
{
  guint depth = 0;

  for (; s->p < s->end; s->p++) {
    if (depth > 0 && *s->p == '\\' && s->p + 1 < s->end)
      s->p++;
    else if (*s->p == '(')
      depth++;
    else if (*s->p == ')' && depth > 0)
      depth--;
    else if (depth == 0 && strchr (" \t\r\n,", *s->p) == NULL)
      break;
    else if (depth == 0 && *s->p == 0)
      break;
  }
}

/* Up to `max` digits; how many there were. */
static int
number (Scan *s, int max, int *value)
{
  int n = 0;

  *value = 0;
  while (n < max && s->p < s->end && g_ascii_isdigit (*s->p)) {
    *value = *value * 10 + (*s->p++ - '0');
    n++;
  }
  return n;
}

static bool
eat (Scan *s, char c)
{
  if (s->p < s->end && *s->p == c) {
    s->p++;
    return true;
  }
  return false;
}

/* The letters at the scan's place, taken. */
static EkStr
word (Scan *s)
{
  const char *from = s->p;

  while (s->p < s->end && g_ascii_isalpha (*s->p))
    s->p++;
  return (EkStr) { from, (gsize) (s->p - from) };
}

/* The index (from 1) of the name that `w` begins with; 0: none. */
static int
name_index (EkStr w, const char (*names)[4], int n)
{
  if (w.n >= 3)
    for (int i = 0; i < n; i++)
      if (ek_str_ieq ((EkStr) { w.p, 3 }, (EkStr) { names[i], 3 }))
        return i + 1;
  return 0;
}

/* hh:mm[:ss]; dots for colons are read too.  A leap second becomes the one before it. */
static bool
read_time (Scan *s, int *hour, int *minute, int *second)
{
  *second = 0;
  if (!number (s, 2, hour))
    return false;
  skip (s);
  if (!eat (s, ':') && !eat (s, '.'))
    return false;
  skip (s);
  if (number (s, 2, minute) != 2)
    return false;
  Scan before = *s;
  skip (s);
  if (eat (s, ':') || eat (s, '.')) {
    skip (s);
    if (number (s, 2, second) != 2)
      return false;
  }
  else
    *s = before;
  if (*second == 60)
    *second = 59;
  return *hour < 24 && *minute < 60 && *second < 60;
}

/* "+0900" or a name (RFC 5322 4.3); an unknown name is UTC, like military letters.  False: nothing there. */
static bool
read_zone (Scan *s, int *zone)
{
  static const struct { const char *name; int hours; } names[] = {
    { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 }, { "MST", -7 }, { "MDT", -6 },
    { "PST", -8 }, { "PDT", -7 }, { "JST", 9 }, { "CET", 1 }, { "CEST", 2 }, { "MET", 1 }, { "MEST", 2 },
    { "BST", 1 }, { "EET", 2 }, { "EEST", 3 }, { "MSK", 3 },
  };

  *zone = 0;
  if (s->p >= s->end)
    return false;
  if (*s->p == '+' || *s->p == '-') {
    int sign = *s->p++ == '-' ? -1 : 1, value, n = number (s, 4, &value);
    if (n == 2 && eat (s, ':')) {                    /* "+09:00" */
      int minutes;
      if (number (s, 2, &minutes) != 2)
        return false;
      value = value * 100 + minutes;
      n = 4;
    }
    if (n != 4 || value % 100 > 59 || value / 100 > 24)
      return false;
    *zone = sign * (value / 100 * 60 + value % 100);
    return true;
  }
  EkStr w = word (s);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    if (ek_str_ieq (w, ek_str (names[i].name)))
      *zone = names[i].hours * 60;
  return w.n > 0;
}

static bool
read_year (Scan *s, int *year)
{
  int n = number (s, 5, year);

  if (n == 2)
    *year += *year < 50 ? 2000 : 1900;
  else if (n == 3)
    *year += 1900;
  return n >= 2 && n <= 4;
}

bool
ek_date_parse (EkStr text, gint64 *seconds, int *zone)
{
  Scan s = { text.p, EK_STR_END (text) };
  int year = 0, month = 0, day = 0, hour, minute, second, offset = 0;

  skip (&s);
  EkStr w = word (&s);
  if (w.n > 0 && (month = name_index (w, months, 12)) == 0 && name_index (w, days, 7) == 0)
    return false;
  skip (&s);
  if (w.n > 0 && month == 0) {
    Scan before = s;
    if ((month = name_index (word (&s), months, 12)) == 0)
      s = before;
    skip (&s);
  }
  bool asctime = month > 0;                          /* "Sun Nov  6 08:49:37 1994": month first */
  if (!number (&s, 2, &day))
    return false;
  skip (&s);
  if (!asctime) {
    eat (&s, '-');
    if ((month = name_index (word (&s), months, 12)) == 0)
      return false;
    skip (&s);
    eat (&s, '-');
    skip (&s);
    if (!read_year (&s, &year))
      return false;
    skip (&s);
  }
  if (!read_time (&s, &hour, &minute, &second))
    return false;
  skip (&s);
  if (asctime) {
    Scan before = s;
    if (!read_year (&s, &year)) {                    /* "... 08:49:37 EST 1994" */
      s = before;
      if (!read_zone (&s, &offset))
        return false;
      skip (&s);
      if (!read_year (&s, &year))
        return false;
    }
    skip (&s);
  }
  int later;
  if (read_zone (&s, &later))
    offset = later;
  if (!valid_day (year, month, day))
    return false;
  *seconds = ek_date_from_civil (year, month, day, hour, minute, second) - offset * 60;
  if (zone)
    *zone = offset;
  return true;
}

/* "1-Feb-1994", " 1-Feb-1994", "01-Feb-1994". */
static bool
read_imap_day (Scan *s, int *year, int *month, int *day)
{
  bool padded = eat (s, ' ');
  int n = number (s, 2, day);

  return (n == 1 || (n == 2 && !padded)) && eat (s, '-')
         && (*month = name_index ((EkStr) { s->p, MIN ((gsize) (s->end - s->p), 3) }, months, 12)) != 0
         && (s->p += 3, eat (s, '-')) && number (s, 4, year) == 4 && valid_day (*year, *month, *day);
}

bool
ek_date_imap_parse (EkStr text, gint64 *seconds, int *zone)
{
  Scan s = { text.p, EK_STR_END (text) };
  int year, month, day, hour, minute, second, offset;

  if (!read_imap_day (&s, &year, &month, &day) || !eat (&s, ' '))
    return false;
  if (number (&s, 2, &hour) != 2 || !eat (&s, ':') || number (&s, 2, &minute) != 2 || !eat (&s, ':')
      || number (&s, 2, &second) != 2 || !eat (&s, ' ') || hour > 23 || minute > 59 || second > 60)
    return false;
  if (s.end - s.p != 5 || (*s.p != '+' && *s.p != '-') || !read_zone (&s, &offset) || s.p != s.end)
    return false;
  *seconds = ek_date_from_civil (year, month, day, hour, minute, MIN (second, 59)) - offset * 60;
  if (zone)
    *zone = offset;
  return true;
}

bool
ek_date_imap_day (EkStr text, gint64 *seconds)
{
  Scan s = { text.p, EK_STR_END (text) };
  int year, month, day;

  if (text.n == 0 || text.p[0] == ' ' || !read_imap_day (&s, &year, &month, &day) || s.p != s.end)
    return false;
  *seconds = ek_date_from_civil (year, month, day, 0, 0, 0);
  return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Seconds that every form can show: years 1900 to 9999, a day inside for any zone. */
static gint64
bounded (gint64 seconds)
{
  return CLAMP (seconds, G_GINT64_CONSTANT (-2208902400), G_GINT64_CONSTANT (253402214400));
}

const char *
ek_date_format (char *buf, gint64 seconds, int zone)
{
  int y, mo, d, h, mi, s, wd;

  zone = CLAMP (zone, -1439, 1439);
  ek_date_to_civil (bounded (seconds) + zone * 60, &y, &mo, &d, &h, &mi, &s, &wd);
  snprintf (buf, EK_DATE_SIZE, "%s, %d %s %04d %02d:%02d:%02d %c%02d%02d", days[wd], d, months[mo - 1], y, h,
            mi, s, zone < 0 ? '-' : '+', ABS (zone) / 60, ABS (zone) % 60);
  return buf;
}

const char *
ek_date_imap_format (char *buf, gint64 seconds, int zone)
{
  int y, mo, d, h, mi, s, wd;

  zone = CLAMP (zone, -1439, 1439);
  ek_date_to_civil (bounded (seconds) + zone * 60, &y, &mo, &d, &h, &mi, &s, &wd);
  snprintf (buf, EK_DATE_SIZE, "%2d-%s-%04d %02d:%02d:%02d %c%02d%02d", d, months[mo - 1], y, h, mi, s,
            zone < 0 ? '-' : '+', ABS (zone) / 60, ABS (zone) % 60);
  return buf;
}

int
ek_date_zone (gint64 seconds)
{
  time_t t = (time_t) bounded (seconds);
  struct tm tm;

  return localtime_r (&t, &tm) ? (int) (tm.tm_gmtoff / 60) : 0;
}

const char *
ek_date_zone_name (gint64 seconds)
{
  static __thread char name[16];
  time_t t = (time_t) bounded (seconds);
  struct tm tm;

  g_strlcpy (name, localtime_r (&t, &tm) && tm.tm_zone ? tm.tm_zone : "UTC", sizeof name);
  return name;
}

const char *
ek_date_log_format (char *buf, gint64 seconds)
{
  int y, mo, d, h, mi, s, wd;

  seconds = bounded (seconds);
  ek_date_to_civil (seconds + ek_date_zone (seconds) * 60, &y, &mo, &d, &h, &mi, &s, &wd);
  snprintf (buf, EK_DATE_SIZE, "%s %2d %02d:%02d:%02d", months[mo - 1], d, h, mi, s);
  return buf;
}

const char *
ek_date_queue_format (char *buf, gint64 seconds)
{
  int y, mo, d, h, mi, s, wd;

  seconds = bounded (seconds);
  ek_date_to_civil (seconds + ek_date_zone (seconds) * 60, &y, &mo, &d, &h, &mi, &s, &wd);
  snprintf (buf, EK_DATE_SIZE, "%s %s %2d %02d:%02d:%02d", days[wd], months[mo - 1], d, h, mi, s);
  return buf;
}
