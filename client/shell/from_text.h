/* Where reading begins, as people write it: `earliest`, `latest`, an offset, or a time.
 *
 * A time is RFC 3339, as 2001-01-01T00:00:00Z or with +02:00; a date alone is its midnight in UTC.
 *
 * Owner: nobody, pure. Loop: any. Limits: years 1970 to 9999. */
#pragma once

#include "client/client.h"

/* False: it is none of them. */
bool from_text_parse(const char *text, struct millrace_start *out_start);
/* As 2001-01-01T00:00:00.000Z; `text` holds 32 bytes. */
void from_text_format_time(int64_t ms, char *text);
