/* fuzz-logrecord.c - bytes from a broken-into role on its log pipe, and the same as a segment's frame
 * SPDX-License-Identifier: Apache-2.0 */
/* covers: core/base/record.c core/base/render.c core/base/recordjson.c core/proc/logrole.c */
/* options: -max_len=8192 */
#include "fuzz.h"
#include "proc/logrole.h"
#include "trace/segment.h"

/* One line, nothing that a terminal or a JSON parser would stumble over. */
static void
check_text (EkStr s, bool json)
{
  g_assert_true (g_utf8_validate (s.p, (gssize) s.n, NULL));
  for (gsize i = 0; i < s.n; i++)
    g_assert_true ((guchar) s.p[i] >= ' ' && (json || s.p[i] != 0x7f));
}

static void
check_record (const EkRecord *record)
{
  static const EkRecordTag tag = { .name = "ekiden", .login_name = "dovecot", .role = "edge", .pid = 1 };
  EkBuf out = { 0 };
  EkTraceIndex index;

  ek_record_tag (record, &tag, &out);
  ek_record_line (record, &out);
  ek_record_story (record, &out);
  check_text (ek_buf_str (&out), false);
  ek_buf_clear (&out);
  ek_record_json (record, "edge", 1, "mx", &out);
  check_text (ek_buf_str (&out), true);
  ek_buf_release (&out);
  ek_trace_index_init (&index);
  ek_trace_index_add (&index, record, 32);
  ek_trace_index_clear (&index);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static EkLogRole *role;
  const char *bytes = (const char *) data;
  EkRecord record;
  EkFrame frame;
  g_autofree char *copy = g_memdup2 (size ? bytes : "", MAX (size, 1));     /* so that reading beyond it is seen */

  if (role == NULL)
    role = ek_logrole_open (&(EkLogOptions) { .file = "/dev/null", .json = "/dev/null" }, "mx", NULL);
  for (gsize at = 0; at < size;) {
    gssize n = ek_record_read (copy + at, size - at, &record);
    if (n > 0)
      check_record (&record);
    if (ek_frame_read (copy + at, size - at, &frame) > 0)
      check_record (&frame.record);
    at += n > 0 ? (gsize) n : 1;
  }
  gsize half = size / 2;
  ek_logrole_input (role, size & 1 ? "edge" : "edge+queue", 7, copy, half);
  ek_logrole_input (role, size & 1 ? "edge" : "edge+queue", 7, copy + half, size - half);
  ek_logrole_gone (role, 7);
  ek_logrole_tick (role);
  return 0;
}
