/* One value of a row as JSON.
 *
 * Owner: the writer. Loop: any. Limits: the caller's buffer. */
#pragma once

#include "processor/row/column.h"

/* FULL: `capacity` is too small; nothing is promised of the bytes. */
MUST_USE enum status json_value_write(const struct column *column, uint32_t row, uint8_t *bytes,
                                      size_t capacity, size_t *out_byte_count);
