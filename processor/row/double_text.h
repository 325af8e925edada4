/* A double as the shortest decimal that reads back as the same double.
 *
 * Laid out as PostgreSQL does: plain where the exponent is from -4 to 14, else `1e+15`; a whole
 * number has no point; `NaN`, `Infinity` and `-Infinity` are words that JSON does not know.
 * Owner: nobody. Loop: any. Limits: DOUBLE_TEXT_BYTES_MAX. */
#pragma once

#include <stddef.h>

#define DOUBLE_TEXT_BYTES_MAX 32U

/* Returns the bytes; there is no NUL. */
size_t double_text_write(double value, char out_text[DOUBLE_TEXT_BYTES_MAX]);
