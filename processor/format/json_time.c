#include "processor/format/json_time.h"

#include "processor/row/civil_date.h"
#include "proto/sys/check.h"

#include <stdbool.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define SECOND_US INT64_C(1000000)
#define TIME_BYTES_MIN 20U        /* 2001-01-01T00:00:00Z */
#define MIN_DAYS INT64_C(-719528) /* 0000-01-01 */
#define MAX_DAYS INT64_C(2932896) /* 9999-12-31 */

static uint32_t digit_at(const uint8_t *bytes, size_t index)
{
    return (uint32_t)bytes[index] - '0';
}

static uint32_t two_digits(const uint8_t *bytes, size_t index)
{
    return digit_at(bytes, index) * 10 + digit_at(bytes, index + 1);
}

static const char shape[] = "0000-00-00T00:00:00";

static bool fits_shape(const uint8_t *bytes, size_t first)
{
    uint32_t broken = 0;
    for (size_t i = first; i < sizeof shape - 1; i++) {
        broken |= shape[i] == '0' ? digit_at(bytes, i) > 9 : bytes[i] != (uint8_t)shape[i];
    }
    return broken == 0;
}

/* Digits and signs where they belong in `2001-01-01T00:00:00`; what the digits say is not asked. */
static bool has_shape(const uint8_t *bytes)
{
    if (bytes[10] != 'T' && bytes[10] != 't' && bytes[10] != ' ') {
        return false;
    }
#ifdef __SSE2__
    /* The first 16 bytes at once: each is a digit or its sign, as the shape says. */
    static const uint32_t signs = 1U << 4 | 1U << 7 | 1U << 13;
    static const uint32_t letter = 1U << 10;
    __m128i start = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i wanted = _mm_loadu_si128((const __m128i *)(const void *)shape);
    __m128i digits = _mm_sub_epi8(start, _mm_set1_epi8('0'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digits, _mm_set1_epi8(9)), digits);
    uint32_t digit_bits = (uint32_t)_mm_movemask_epi8(is_digit);
    uint32_t sign_bits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(start, wanted));
    uint32_t good = (digit_bits & ~(signs | letter)) | (sign_bits & signs) | letter;
    return good == 0xffff && fits_shape(bytes, 16);
#else
    uint8_t copy[sizeof shape];
    memcpy(copy, bytes, sizeof shape - 1);
    copy[10] = 'T';
    return fits_shape(copy, 0);
#endif
}

/* `.` and digits; returns where it ends, or `next` where there is none. */
static const uint8_t *read_fraction(const uint8_t *next, const uint8_t *end, int64_t *us)
{
    const uint8_t *start = next;
    if (next == end || *next != '.') {
        return next;
    }
    int64_t unit = SECOND_US / 10;
    for (next++; next < end && (uint32_t)*next - '0' <= 9; next++) {
        *us += (int64_t)(*next - '0') * unit;
        unit /= 10; /* Zero behind the sixth digit. */
    }
    return next == start + 1 ? NULL : next;
}

/* What stands behind the time: minutes that local time is ahead. */
static bool read_offset(const uint8_t *next, const uint8_t *end, int64_t *minutes)
{
    if (end - next == 1 && (*next == 'Z' || *next == 'z')) {
        *minutes = 0;
        return true;
    }
    if (end - next != 6 || (*next != '+' && *next != '-') || next[3] != ':') {
        return false;
    }
    for (size_t i = 1; i < 6; i++) {
        if (i != 3 && digit_at(next, i) > 9) {
            return false;
        }
    }
    uint32_t hour = two_digits(next, 1);
    uint32_t minute = two_digits(next, 4);
    *minutes = (int64_t)(hour * 60 + minute) * (*next == '-' ? -1 : 1);
    return hour <= 23 && minute <= 59;
}

enum status json_time_read(const uint8_t *bytes, size_t byte_count, int64_t *out_us)
{
    if (byte_count < TIME_BYTES_MIN || !has_shape(bytes)) {
        return STATUS_MALFORMED;
    }
    int64_t year = (int64_t)two_digits(bytes, 0) * 100 + two_digits(bytes, 2);
    uint32_t month = two_digits(bytes, 5);
    uint32_t day = two_digits(bytes, 8);
    uint32_t hour = two_digits(bytes, 11);
    uint32_t minute = two_digits(bytes, 14);
    uint32_t second = two_digits(bytes, 17);
    if (month < 1 || month > 12 || day < 1 || day > civil_date_month_days(year, month) ||
        hour > 23 || minute > 59 || second > 60) {
        return STATUS_MALFORMED;
    }
    int64_t minutes = 0;
    int64_t us = 0;
    const uint8_t *next = bytes + 19;
    const uint8_t *end = bytes + byte_count;
    if (end - next != 1 || *next != 'Z') {
        next = read_fraction(next, end, &us);
        if (next == NULL || !read_offset(next, end, &minutes)) {
            return STATUS_MALFORMED;
        }
    }
    int64_t days = civil_date_days(year, month, day);
    int64_t of_day = ((int64_t)(hour * 60 + minute) - minutes) * 60 + second;
    if (second == 60 && of_day % 86400 != 0) {
        return STATUS_MALFORMED;
    }
    us += (days * 86400 + of_day) * SECOND_US;
    if (us < MIN_DAYS * CIVIL_DATE_DAY_US || us >= (MAX_DAYS + 1) * CIVIL_DATE_DAY_US) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_us = us;
    return STATUS_OK;
}

static uint8_t *put_number(uint8_t *next, uint64_t value, uint32_t digit_count)
{
    for (uint32_t i = digit_count; i > 0; i--) {
        next[i - 1] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
    check(value == 0);
    return next + digit_count;
}

static uint8_t *put_year(uint8_t *next, int64_t year)
{
    if (year >= 0 && year <= 9999) {
        return put_number(next, (uint64_t)year, 4);
    }
    *next++ = year < 0 ? '-' : '+';
    return put_number(next, (uint64_t)(year < 0 ? -year : year), 6);
}

static uint8_t *put_fraction(uint8_t *next, uint64_t us)
{
    if (us == 0) {
        return next;
    }
    *next++ = '.';
    next = put_number(next, us, 6);
    while (next[-1] == '0') {
        next--;
    }
    return next;
}

size_t json_time_write(int64_t us, uint8_t out[JSON_TIME_BYTES_MAX])
{
    int64_t days = us / CIVIL_DATE_DAY_US - (us % CIVIL_DATE_DAY_US < 0);
    uint64_t of_day = (uint64_t)us - (uint64_t)days * (uint64_t)CIVIL_DATE_DAY_US;
    struct civil_date date = civil_date_of(days);
    uint64_t seconds = of_day / (uint64_t)SECOND_US;
    uint8_t *next = put_year(out, date.year);
    *next++ = '-';
    next = put_number(next, date.month, 2);
    *next++ = '-';
    next = put_number(next, date.day, 2);
    *next++ = 'T';
    next = put_number(next, seconds / 3600, 2);
    *next++ = ':';
    next = put_number(next, seconds / 60 % 60, 2);
    *next++ = ':';
    next = put_number(next, seconds % 60, 2);
    next = put_fraction(next, of_day % (uint64_t)SECOND_US);
    *next++ = 'Z';
    return (size_t)(next - out);
}
