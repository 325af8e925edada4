#include "processor/row/decimal_text.h"

#include "proto/sys/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 19U /* 10^19 - 1 fits into 64 bits. */
/* No double lies between two neighbours that need more digits to be told apart (767 do); one more
 * digit that is not zero stands for all that follow. */
#define LONG_DIGITS_MAX 800U
#define EXPONENT_MAX INT64_C(1000000000000)
#define EXACT_POWER_MAX 22 /* 10^22 is the last power of ten that is a double. */

static const double power_of_ten[EXACT_POWER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(const uint8_t *next, const uint8_t *end)
{
    return next < end && (unsigned)(*next - '0') <= 9;
}

/* Digits of one side of the point. */
static const uint8_t *scan_digits(const uint8_t *next, const uint8_t *end, bool is_fraction,
                                  uint32_t *count, struct decimal_text *out)
{
    for (; is_digit(next, end); next++) {
        unsigned digit = (unsigned)(*next - '0');
        if (*count < DIGITS_MAX) {
            out->digits = out->digits * 10 + digit;
            *count += out->digits != 0; /* Zeros in front do not count. */
            out->exponent -= is_fraction;
        } else {
            out->is_cut = out->is_cut || digit != 0;
            out->exponent += !is_fraction;
        }
    }
    return next;
}

static const uint8_t *scan_exponent(const uint8_t *next, const uint8_t *end, int64_t *exponent)
{
    bool is_negative = next < end && *next == '-';
    if (next < end && (*next == '-' || *next == '+')) {
        next++;
    }
    if (!is_digit(next, end)) {
        return NULL;
    }
    int64_t value = 0;
    for (; is_digit(next, end); next++) {
        value = value < EXPONENT_MAX ? value * 10 + (*next - '0') : value;
    }
    *exponent += is_negative ? -value : value;
    return next;
}

const uint8_t *decimal_text_scan(const uint8_t *bytes, const uint8_t *end,
                                 struct decimal_text *out_decimal)
{
    struct decimal_text out = {.start = bytes};
    const uint8_t *next = bytes;
    uint32_t count = 0;
    if (next < end && *next == '-') {
        out.is_negative = true;
        next++;
    }
    const uint8_t *whole = next;
    next = scan_digits(next, end, false, &count, &out);
    if (next == whole || (*whole == '0' && next > whole + 1)) {
        return NULL;
    }
    if (next < end && *next == '.') {
        const uint8_t *fraction = next + 1;
        next = scan_digits(fraction, end, true, &count, &out);
        if (next == fraction) {
            return NULL;
        }
    }
    if (next < end && (*next == 'e' || *next == 'E')) {
        next = scan_exponent(next + 1, end, &out.exponent);
        if (next == NULL) {
            return NULL;
        }
    }
    out.end = next;
    *out_decimal = out;
    return next;
}

static enum status int64_of(uint64_t magnitude, bool is_negative, int64_t *out_value)
{
    if (magnitude > (uint64_t)INT64_MAX + is_negative) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return STATUS_OK;
}

enum status decimal_text_to_int64(const struct decimal_text *self, int64_t *out_value)
{
    uint64_t magnitude = self->digits;
    if (magnitude == 0) {
        *out_value = 0;
        return STATUS_OK;
    }
    if (self->is_cut) {
        /* More than 19 digits: beyond the range unless some of them are behind the point, and then
         * either the last one is, or the whole is beyond the range all the same. */
        return self->exponent >= 0 ? STATUS_OUT_OF_RANGE : STATUS_INVALID;
    }
    int64_t exponent = self->exponent;
    for (; exponent < 0; exponent++) {
        if (magnitude % 10 != 0) {
            return STATUS_INVALID;
        }
        magnitude /= 10; /* Ends: a number that is not zero has at most 19 zeros at its end. */
    }
    for (; exponent > 0; exponent--) {
        if (__builtin_mul_overflow(magnitude, 10, &magnitude)) {
            return STATUS_OUT_OF_RANGE;
        }
    }
    return int64_of(magnitude, self->is_negative, out_value);
}

/* All digits that can matter, without a point, and the exponent that goes with them. */
static size_t long_digits(const struct decimal_text *self, char *text, int64_t *out_exponent)
{
    size_t count = 0;
    int64_t exponent = 0;
    bool is_fraction = false;
    bool is_cut = false;
    const uint8_t *next = self->start + self->is_negative;
    for (; next < self->end && *next != 'e' && *next != 'E'; next++) {
        if (*next == '.') {
            is_fraction = true;
            continue;
        }
        if (count < LONG_DIGITS_MAX) {
            exponent -= is_fraction;
            if (count > 0 || *next != '0') {
                text[count++] = (char)*next;
            }
        } else {
            exponent += !is_fraction;
            is_cut = is_cut || *next != '0';
        }
    }
    if (is_cut) {
        text[count++] = '1';
        exponent -= 1;
    }
    if (next < self->end) {
        const uint8_t *rest = scan_exponent(next + 1, self->end, &exponent);
        check(rest == self->end);
    }
    *out_exponent = exponent;
    return count;
}

static double read_again(const struct decimal_text *self)
{
    char text[LONG_DIGITS_MAX + 32];
    int64_t exponent = 0;
    size_t count = long_digits(self, text, &exponent);
    check(count <= LONG_DIGITS_MAX + 1);
    exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
    int added = snprintf(text + count, sizeof text - count, "e%lld", (long long)exponent);
    check(added > 0 && (size_t)added < sizeof text - count);
    return strtod(text, NULL);
}

enum status decimal_text_to_double(const struct decimal_text *self, double *out_value)
{
    double value = 0;
    if (self->digits == 0) {
        value = 0;
    } else if (!self->is_cut && self->digits <= (UINT64_C(1) << 53) &&
               self->exponent >= -EXACT_POWER_MAX && self->exponent <= EXACT_POWER_MAX) {
        /* Both are doubles, so one rounding is all there is (Clinger 1990). */
        value = (double)self->digits;
        value = self->exponent < 0 ? value / power_of_ten[-self->exponent]
                                   : value * power_of_ten[self->exponent];
    } else {
        value = read_again(self);
    }
    if (isinf(value)) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_value = self->is_negative ? -value : value;
    return STATUS_OK;
}
