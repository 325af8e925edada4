/* Line by line through a small text file, and the decimal numbers in it.
 *
 * Strict on purpose: a file that a program wrote has one space between fields and no signs or
 * leading zeros that this program would not write.
 *
 * Owner: the decoder. Loop: any. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_lines {
    const char *next;
    const char *end;
};

void text_lines_init(struct text_lines *self, const uint8_t *bytes, size_t byte_count);
/* The next line without its end (\n or \r\n); the last one may lack it. False: no more. */
bool text_lines_step(struct text_lines *self, struct wire_text *out_line);
/* Cuts the field before the first space from `line`; the last one takes all that is left. */
struct wire_text text_lines_field(struct wire_text *line);
/* A decimal number from 0 to `value_max`, or -1 where `may_be_minus_one`, and nothing else. */
bool text_lines_number(struct wire_text field, int64_t value_max, bool may_be_minus_one,
                       int64_t *out_value);

/* The head that Kafka's checkpoints share: a version and a count. UNSUPPORTED: not version 0;
 * MALFORMED: not such lines, or more rows claimed than bytes are left. */
MUST_USE enum status text_lines_head(struct text_lines *self, uint32_t row_count_max,
                                     uint32_t *out_row_count);
