/* Timestamps as JSON records carry them: RFC 3339, to and from microseconds since 1970.
 *
 * Strict where people are free (processor/text is for people): a date, `T`, `t` or a space, a time
 * with seconds, and `Z`, `z` or an offset of hours and minutes. Digits behind the sixth of a
 * fraction are cut off, so that no moment moves to the next second. Second 60 is one only where UTC
 * inserts it, at the end of a day, and is the next day's first moment, as POSIX counts.
 *
 * Owner: the caller. Loop: any. Limits: years 0000 to 9999 in UTC. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

#define JSON_TIME_BYTES_MAX 40U

/* MALFORMED: not such a time. OUT_OF_RANGE: its offset moves it out of those years. */
MUST_USE enum status json_time_read(const uint8_t *bytes, size_t byte_count, int64_t *out_us);
/* In UTC, with a fraction only where it is not zero. Moments outside the years 0000 to 9999, which
 * no record can have brought, get a sign and as many digits as they need (ISO 8601). Returns the
 * bytes; there is no NUL. */
size_t json_time_write(int64_t us, uint8_t out[JSON_TIME_BYTES_MAX]);
