/* date.h - the dates of mail: RFC 5322, IMAP and the log's local form
 * SPDX-License-Identifier: Apache-2.0
 *
 * Times are seconds since 1970 UTC, zones are minutes east of UTC.  Years 1900 to 9999.
 */
#pragma once
#include "base/base.h"

#define EK_DATE_SIZE 48              /* holds each form and its NUL */

/* RFC 5322 3.3 with obsolete forms: no weekday, two-digit years, zone names, comments, no seconds, no
 * zone (then UTC), month before day (asctime).  zone may be NULL.  False when it is no date. */
bool ek_date_parse (EkStr text, gint64 *seconds, int *zone);
/* "Sun, 22 Nov 2026 08:17:52 +0000".  Returns `buf`, which has EK_DATE_SIZE bytes. */
const char *ek_date_format (char *buf, gint64 seconds, int zone);

/* IMAP date-time, "22-Nov-2026 08:17:52 +0000" (day padded with a space), without the quotes. */
bool ek_date_imap_parse (EkStr text, gint64 *seconds, int *zone);
const char *ek_date_imap_format (char *buf, gint64 seconds, int zone);
/* IMAP date of a SEARCH, "1-Feb-1994": the day's first second as if its zone were UTC. */
bool ek_date_imap_day (EkStr text, gint64 *seconds);

/* The machine's zone at that time, minutes east; and its name ("CET"), static for the thread's next call. */
int ek_date_zone (gint64 seconds);
const char *ek_date_zone_name (gint64 seconds);
/* "Nov 22 08:17:52" (the log's), "Sun Nov 22 08:17:52" (mailq's), in the machine's zone. */
const char *ek_date_log_format (char *buf, gint64 seconds);
const char *ek_date_queue_format (char *buf, gint64 seconds);

/* Civil time without any zone: days and seconds, both ways (proleptic Gregorian). */
gint64 ek_date_from_civil (int year, int month, int day, int hour, int minute, int second);
void   ek_date_to_civil (gint64 seconds, int *year, int *month, int *day, int *hour, int *minute,
                         int *second, int *weekday);
