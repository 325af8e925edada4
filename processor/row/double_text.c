#include "processor/row/double_text.h"

#include "proto/sys/check.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_DIGITS 15 /* As many decimal digits always survive a double. */
#define DIGITS_MAX 17   /* As many always suffice. */
#define EXPONENT_FIRST (-4)
#define EXPONENT_LAST 14

/* 0.d1d2… is not how it is meant: d1.d2… × 10^exponent. */
struct digits {
    char text[DIGITS_MAX + 1];
    int count;
    int exponent;
};

static void strip_zeros(struct digits *self)
{
    while (self->count > 1 && self->text[self->count - 1] == '0') {
        self->count--;
    }
}

/* Numbers of few digits: the power of ten that makes it whole is searched. Since both the whole
 * number and the power are doubles, their quotient is what reading the text would give. */
static bool few_digits(double magnitude, struct digits *out)
{
    double power = 1;
    for (int scale = 0; scale <= 22; scale++, power *= 10) {
        double scaled = magnitude * power;
        if (scaled >= 1e15) {
            return false;
        }
        double whole = rint(scaled);
        if (whole >= 1 && whole / power == magnitude) {
            int count = snprintf(out->text, sizeof out->text, "%lld", (long long)whole);
            check(count > 0 && count <= SHORT_DIGITS + 1);
            out->count = count;
            out->exponent = count - 1 - scale;
            strip_zeros(out);
            return true;
        }
    }
    return false;
}

static void many_digits(double magnitude, struct digits *out)
{
    char text[40];
    /* Doubles near zero have fewer digits than others. */
    int precision = magnitude < DBL_MIN ? 1 : SHORT_DIGITS;
    for (; precision <= DIGITS_MAX; precision++) {
        int written = snprintf(text, sizeof text, "%.*e", precision - 1, magnitude);
        check(written > 0 && (size_t)written < sizeof text);
        if (precision == DIGITS_MAX || strtod(text, NULL) == magnitude) {
            break;
        }
    }
    const char *exponent = strchr(text, 'e');
    check(exponent != NULL);
    out->text[0] = text[0];
    memcpy(out->text + 1, text + 2, (size_t)precision - 1); /* Behind the point, if there is one. */
    out->count = precision;
    out->exponent = (int)strtol(exponent + 1, NULL, 10);
    strip_zeros(out);
}

static char *put(char *next, const char *bytes, size_t byte_count)
{
    memcpy(next, bytes, byte_count);
    return next + byte_count;
}

static char *put_zeros(char *next, int count)
{
    memset(next, '0', (size_t)count);
    return next + count;
}

static char *put_plain(char *next, const struct digits *digits)
{
    int whole = digits->exponent + 1; /* Digits in front of the point. */
    if (whole <= 0) {
        next = put(next, "0.", 2);
        next = put_zeros(next, -whole);
        return put(next, digits->text, (size_t)digits->count);
    }
    if (whole >= digits->count) {
        next = put(next, digits->text, (size_t)digits->count);
        return put_zeros(next, whole - digits->count);
    }
    next = put(next, digits->text, (size_t)whole);
    *next++ = '.';
    return put(next, digits->text + whole, (size_t)(digits->count - whole));
}

static char *put_exponent(char *next, const struct digits *digits)
{
    *next++ = digits->text[0];
    if (digits->count > 1) {
        *next++ = '.';
        next = put(next, digits->text + 1, (size_t)digits->count - 1);
    }
    char text[8];
    int written = snprintf(text, sizeof text, "e%c%02d", digits->exponent < 0 ? '-' : '+',
                           abs(digits->exponent));
    check(written > 0 && (size_t)written < sizeof text);
    return put(next, text, (size_t)written);
}

size_t double_text_write(double value, char out_text[DOUBLE_TEXT_BYTES_MAX])
{
    char *next = out_text;
    if (isnan(value)) {
        return (size_t)(put(next, "NaN", 3) - out_text);
    }
    if (signbit(value)) {
        *next++ = '-';
    }
    double magnitude = fabs(value);
    struct digits digits = {.text = "0", .count = 1};
    if (isinf(value)) {
        return (size_t)(put(next, "Infinity", 8) - out_text);
    }
    if (magnitude != 0 && !few_digits(magnitude, &digits)) {
        many_digits(magnitude, &digits);
    }
    if (digits.exponent < EXPONENT_FIRST || digits.exponent > EXPONENT_LAST) {
        next = put_exponent(next, &digits);
    } else {
        next = put_plain(next, &digits);
    }
    check((size_t)(next - out_text) <= DOUBLE_TEXT_BYTES_MAX);
    return (size_t)(next - out_text);
}
