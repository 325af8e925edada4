/* A number as JSON writes it, to an integer or a double, both exactly.
 *
 * The first 19 digits are kept as a whole number beside the power of ten; a double that does not
 * follow from those alone is read again from its text.
 * Owner: the caller. Loop: any. Limits: none, texts of any length are read in one pass. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stdint.h>

struct decimal_text {
    const uint8_t *start; /* Borrowed. */
    const uint8_t *end;
    uint64_t digits;  /* The first 19 that count, as a number. */
    int64_t exponent; /* Of ten. */
    bool is_negative;
    bool is_cut; /* There are more digits, not all zero. */
};

/* The longest number that starts at `bytes`; its end, or NULL where JSON's grammar sees none. */
const uint8_t *decimal_text_scan(const uint8_t *bytes, const uint8_t *end,
                                 struct decimal_text *out_decimal);
/* INVALID: not whole. OUT_OF_RANGE: beyond 64 bits. */
MUST_USE enum status decimal_text_to_int64(const struct decimal_text *self, int64_t *out_value);
/* OUT_OF_RANGE: beyond the largest double. What is too small becomes zero. */
MUST_USE enum status decimal_text_to_double(const struct decimal_text *self, double *out_value);
