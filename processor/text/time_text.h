/* Times and spans as people write them.
 *
 * Timestamps: `2001-01-01`, then `T` or a space and `hh:mm[:ss[.ffffff]]`, then `Z`, `UTC` or an
 * offset as `+02`, `+0200`, `+02:00`; without one it is UTC. Years 0001 to 9999.
 * Intervals: PostgreSQL's words, `1 hour 30 min`, `2 days ago`, `01:30:00`, `1.5 hours`, `PT…` not.
 * A month stays a month, a day a day; fractions are carried down, a month to 30 days.
 *
 * Owner: nobody. Loop: any. Limits: TIME_TEXT_BYTES_MAX. */
#pragma once

#include "processor/row/value.h"
#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

/* Room for either, formatted, with its NUL. */
#define TIME_TEXT_BYTES_MAX 80U

/* MALFORMED: not a timestamp. OUT_OF_RANGE: not one of ours. */
MUST_USE enum status time_text_parse_timestamp(const char *text, size_t byte_count,
                                               int64_t *out_us);
/* MALFORMED: not an interval. OUT_OF_RANGE: too long. */
MUST_USE enum status time_text_parse_interval(const char *text, size_t byte_count,
                                              struct interval *out_interval);
/* RFC 3339 in UTC, `2001-01-01T00:00:00Z`; a fraction only where it is not zero, without trailing
 * zeros. Returns the bytes without the NUL. */
size_t time_text_format_timestamp(int64_t us, char text[TIME_TEXT_BYTES_MAX]);
/* As PostgreSQL: `1 year 1 mon -2 days +03:00:00`. */
size_t time_text_format_interval(const struct interval *interval, char text[TIME_TEXT_BYTES_MAX]);
