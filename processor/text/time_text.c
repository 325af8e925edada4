#include "processor/text/time_text.h"

#include "processor/row/civil_date.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define US_PER_S INT64_C(1000000)
#define US_PER_MINUTE (60 * US_PER_S)
#define US_PER_HOUR (60 * US_PER_MINUTE)
#define US_PER_DAY (24 * US_PER_HOUR)
#define UNIT_BYTES_MAX 16U

struct cursor {
    const char *next;
    const char *end;
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static void skip_spaces(struct cursor *cursor)
{
    while (cursor->next < cursor->end && (*cursor->next == ' ' || *cursor->next == '\t')) {
        cursor->next++;
    }
}

static bool take(struct cursor *cursor, char byte)
{
    if (cursor->next == cursor->end || *cursor->next != byte) {
        return false;
    }
    cursor->next++;
    return true;
}

/* Exactly `count` digits. */
static bool take_number(struct cursor *cursor, int count, int32_t *out_number)
{
    int32_t number = 0;
    if (cursor->end - cursor->next < count) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        char byte = cursor->next[i];
        if (!is_digit(byte)) {
            return false;
        }
        number = number * 10 + (byte - '0');
    }
    cursor->next += count;
    *out_number = number;
    return true;
}

/* Digits after a point, as millionths; what is finer is dropped. False: there are none. */
static bool take_fraction(struct cursor *cursor, int64_t *out_millionths)
{
    int64_t weight = 100000;
    int64_t sum = 0;
    const char *begin = cursor->next;
    while (cursor->next < cursor->end && is_digit(*cursor->next)) {
        sum += weight * (*cursor->next - '0');
        weight /= 10;
        cursor->next++;
    }
    *out_millionths = sum;
    return cursor->next > begin;
}

static enum status parse_date(struct cursor *cursor, int64_t *out_days)
{
    int32_t year = 0;
    int32_t month = 0;
    int32_t day = 0;
    if (!take_number(cursor, 4, &year) || !take(cursor, '-') || !take_number(cursor, 2, &month) ||
        !take(cursor, '-') || !take_number(cursor, 2, &day)) {
        return STATUS_MALFORMED;
    }
    if (year < 1 || month < 1 || month > 12 || day < 1 ||
        (uint32_t)day > civil_date_month_days(year, (uint32_t)month)) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_days = civil_date_days(year, (uint32_t)month, (uint32_t)day);
    return STATUS_OK;
}

/* hh:mm[:ss[.ffffff]]; 60 seconds are taken, as PostgreSQL does: the next minute. */
static enum status parse_clock(struct cursor *cursor, int64_t *out_us)
{
    int32_t hour = 0;
    int32_t minute = 0;
    int32_t second = 0;
    int64_t fraction = 0;
    if (!take_number(cursor, 2, &hour) || !take(cursor, ':') || !take_number(cursor, 2, &minute)) {
        return STATUS_MALFORMED;
    }
    if (take(cursor, ':')) {
        if (!take_number(cursor, 2, &second) ||
            (take(cursor, '.') && !take_fraction(cursor, &fraction))) {
            return STATUS_MALFORMED;
        }
    }
    if (hour > 23 || minute > 59 || second > 60) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_us = hour * US_PER_HOUR + minute * US_PER_MINUTE + second * US_PER_S + fraction;
    return STATUS_OK;
}

/* Nothing, Z, UTC, +hh, +hhmm, +hh:mm. */
static enum status parse_zone(struct cursor *cursor, int64_t *out_us)
{
    *out_us = 0;
    skip_spaces(cursor);
    size_t left = (size_t)(cursor->end - cursor->next);
    if (left == 0 || (left == 1 && strncasecmp(cursor->next, "z", 1) == 0) ||
        (left == 3 && strncasecmp(cursor->next, "utc", 3) == 0)) {
        return STATUS_OK;
    }
    int64_t sign = *cursor->next == '-' ? -1 : 1;
    int32_t hour = 0;
    int32_t minute = 0;
    if (!take(cursor, '+') && !take(cursor, '-')) {
        return STATUS_MALFORMED;
    }
    if (!take_number(cursor, 2, &hour)) {
        return STATUS_MALFORMED;
    }
    bool has_colon = take(cursor, ':');
    if ((has_colon || cursor->next < cursor->end) && !take_number(cursor, 2, &minute)) {
        return STATUS_MALFORMED;
    }
    if (cursor->next != cursor->end) {
        return STATUS_MALFORMED;
    }
    if (hour > 15 || minute > 59) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_us = sign * (hour * US_PER_HOUR + minute * US_PER_MINUTE);
    return STATUS_OK;
}

enum status time_text_parse_timestamp(const char *text, size_t byte_count, int64_t *out_us)
{
    struct cursor cursor = {.next = text, .end = text + byte_count};
    int64_t days = 0;
    int64_t clock = 0;
    int64_t zone = 0;
    TRY(parse_date(&cursor, &days));
    if (cursor.next < cursor.end) {
        if (!take(&cursor, 'T') && !take(&cursor, 't') && !take(&cursor, ' ')) {
            return STATUS_MALFORMED;
        }
        TRY(parse_clock(&cursor, &clock));
        TRY(parse_zone(&cursor, &zone));
    }
    *out_us = days * US_PER_DAY + clock - zone;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ intervals */

struct unit {
    const char *name;
    int32_t months; /* Exactly one of the three is not 0. */
    int32_t days;
    int64_t micros;
};

static const struct unit units[] = {
    {"us", 0, 0, 1},
    {"usec", 0, 0, 1},
    {"usecs", 0, 0, 1},
    {"microsecond", 0, 0, 1},
    {"microseconds", 0, 0, 1},
    {"ms", 0, 0, 1000},
    {"msec", 0, 0, 1000},
    {"msecs", 0, 0, 1000},
    {"millisecond", 0, 0, 1000},
    {"milliseconds", 0, 0, 1000},
    {"s", 0, 0, US_PER_S},
    {"sec", 0, 0, US_PER_S},
    {"secs", 0, 0, US_PER_S},
    {"second", 0, 0, US_PER_S},
    {"seconds", 0, 0, US_PER_S},
    {"m", 0, 0, US_PER_MINUTE},
    {"min", 0, 0, US_PER_MINUTE},
    {"mins", 0, 0, US_PER_MINUTE},
    {"minute", 0, 0, US_PER_MINUTE},
    {"minutes", 0, 0, US_PER_MINUTE},
    {"h", 0, 0, US_PER_HOUR},
    {"hr", 0, 0, US_PER_HOUR},
    {"hrs", 0, 0, US_PER_HOUR},
    {"hour", 0, 0, US_PER_HOUR},
    {"hours", 0, 0, US_PER_HOUR},
    {"d", 0, 1, 0},
    {"day", 0, 1, 0},
    {"days", 0, 1, 0},
    {"w", 0, 7, 0},
    {"week", 0, 7, 0},
    {"weeks", 0, 7, 0},
    {"mon", 1, 0, 0},
    {"mons", 1, 0, 0},
    {"month", 1, 0, 0},
    {"months", 1, 0, 0},
    {"y", 12, 0, 0},
    {"yr", 12, 0, 0},
    {"yrs", 12, 0, 0},
    {"year", 12, 0, 0},
    {"years", 12, 0, 0},
};

static const struct unit *take_unit(struct cursor *cursor)
{
    char word[UNIT_BYTES_MAX + 1] = {0};
    size_t byte_count = 0;
    while (cursor->next < cursor->end && is_letter(*cursor->next)) {
        if (byte_count == UNIT_BYTES_MAX) {
            return NULL;
        }
        word[byte_count++] = *cursor->next++;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcasecmp(units[i].name, word) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

/* self += sign * count * one. */
static enum status add_micros(struct interval *self, int64_t sign, int64_t count, int64_t one)
{
    int64_t product = 0;
    if (__builtin_mul_overflow(sign * count, one, &product) ||
        __builtin_add_overflow(self->micros, product, &self->micros)) {
        return STATUS_OUT_OF_RANGE;
    }
    return STATUS_OK;
}

static enum status add_small(int32_t *target, int64_t sign, int64_t count, int64_t one)
{
    int64_t product = 0;
    if (__builtin_mul_overflow(sign * count, one, &product) ||
        __builtin_add_overflow(*target, product, target)) {
        return STATUS_OUT_OF_RANGE;
    }
    return STATUS_OK;
}

/* A fraction of a month becomes days of which it has 30, one of a day becomes time. */
static enum status add_unit(struct interval *self, int64_t sign, int64_t whole, int64_t millionths,
                            const struct unit *unit)
{
    if (unit->micros != 0) {
        TRY(add_micros(self, sign, whole, unit->micros));
        return add_micros(self, sign, millionths * unit->micros / 1000000, 1);
    }
    int64_t day_millionths = 0;
    if (unit->months != 0) {
        int64_t month_millionths = millionths * unit->months;
        TRY(add_small(&self->months, sign, whole, unit->months));
        TRY(add_small(&self->months, sign, month_millionths / 1000000, 1));
        day_millionths = month_millionths % 1000000 * 30;
    } else {
        TRY(add_small(&self->days, sign, whole, unit->days));
        day_millionths = millionths * unit->days;
    }
    TRY(add_small(&self->days, sign, day_millionths / 1000000, 1));
    return add_micros(self, sign, day_millionths % 1000000 * (US_PER_DAY / 1000000), 1);
}

/* After "hh:": mm[:ss[.f]]. */
static enum status add_clock(struct interval *self, int64_t sign, int64_t hours,
                             struct cursor *cursor)
{
    int32_t minute = 0;
    int32_t second = 0;
    int64_t fraction = 0;
    if (!take_number(cursor, 2, &minute)) {
        return STATUS_MALFORMED;
    }
    if (take(cursor, ':')) {
        if (!take_number(cursor, 2, &second) ||
            (take(cursor, '.') && !take_fraction(cursor, &fraction))) {
            return STATUS_MALFORMED;
        }
    }
    if (minute > 59 || second > 59) {
        return STATUS_OUT_OF_RANGE;
    }
    TRY(add_micros(self, sign, hours, US_PER_HOUR));
    return add_micros(self, sign, minute * US_PER_MINUTE + second * US_PER_S + fraction, 1);
}

static enum status add_part(struct interval *self, struct cursor *cursor)
{
    int64_t sign = 1;
    if (take(cursor, '-')) {
        sign = -1;
    } else {
        (void)take(cursor, '+');
    }
    int64_t whole = 0;
    int64_t millionths = 0;
    const char *begin = cursor->next;
    while (cursor->next < cursor->end && is_digit(*cursor->next)) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *cursor->next - '0', &whole)) {
            return STATUS_OUT_OF_RANGE;
        }
        cursor->next++;
    }
    bool has_digits = cursor->next > begin;
    if (has_digits && take(cursor, ':')) {
        return add_clock(self, sign, whole, cursor);
    }
    if (take(cursor, '.')) {
        has_digits = take_fraction(cursor, &millionths);
    }
    skip_spaces(cursor);
    const struct unit *unit = has_digits ? take_unit(cursor) : NULL;
    return unit == NULL ? STATUS_MALFORMED : add_unit(self, sign, whole, millionths, unit);
}

/* "ago" and the space behind it. */
static bool take_ago(struct cursor *cursor)
{
    if (cursor->end - cursor->next < 3 || strncasecmp(cursor->next, "ago", 3) != 0) {
        return false;
    }
    cursor->next += 3;
    skip_spaces(cursor);
    return true;
}

static enum status negate(const struct interval *value, struct interval *out_interval)
{
    struct interval result = {0};
    if (__builtin_sub_overflow(0, value->months, &result.months) ||
        __builtin_sub_overflow(0, value->days, &result.days) ||
        __builtin_sub_overflow(INT64_C(0), value->micros, &result.micros)) {
        return STATUS_OUT_OF_RANGE;
    }
    *out_interval = result;
    return STATUS_OK;
}

enum status time_text_parse_interval(const char *text, size_t byte_count,
                                     struct interval *out_interval)
{
    struct cursor cursor = {.next = text, .end = text + byte_count};
    struct interval sum = {0};
    skip_spaces(&cursor);
    if (cursor.next == cursor.end) {
        return STATUS_MALFORMED;
    }
    TRY(add_part(&sum, &cursor));
    skip_spaces(&cursor);
    while (cursor.next < cursor.end) {
        if (take_ago(&cursor)) {
            return cursor.next == cursor.end ? negate(&sum, out_interval) : STATUS_MALFORMED;
        }
        TRY(add_part(&sum, &cursor));
        skip_spaces(&cursor);
    }
    *out_interval = sum;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ writing */

/* ".5" without trailing zeros, or nothing. */
static size_t print_fraction(char *text, size_t room, int64_t millionths)
{
    if (millionths == 0) {
        text[0] = '\0';
        return 0;
    }
    int count = snprintf(text, room, ".%06" PRId64, millionths);
    check(count == 7);
    size_t byte_count = (size_t)count;
    while (text[byte_count - 1] == '0') {
        byte_count--;
    }
    text[byte_count] = '\0';
    return byte_count;
}

size_t time_text_format_timestamp(int64_t us, char text[TIME_TEXT_BYTES_MAX])
{
    int64_t days = us / US_PER_DAY;
    int64_t rest = us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    struct civil_date date = civil_date_of(days);
    int count =
        snprintf(text, TIME_TEXT_BYTES_MAX, "%04" PRId64 "-%02u-%02uT%02d:%02d:%02d", date.year,
                 date.month, date.day, (int)(rest / US_PER_HOUR),
                 (int)(rest % US_PER_HOUR / US_PER_MINUTE), (int)(rest % US_PER_MINUTE / US_PER_S));
    check(count > 0 && (size_t)count + 9 < TIME_TEXT_BYTES_MAX);
    size_t byte_count = (size_t)count;
    byte_count +=
        print_fraction(text + byte_count, TIME_TEXT_BYTES_MAX - byte_count, rest % US_PER_S);
    text[byte_count] = 'Z';
    text[byte_count + 1] = '\0';
    return byte_count + 1;
}

/* What was written of an interval so far. */
struct parts {
    char *text;
    size_t at;
    bool is_negative; /* The last part was, so that a positive one behind it needs its sign. */
};

/* "3 days" or nothing. */
static void print_count(struct parts *self, int32_t count, const char *unit)
{
    if (count == 0) {
        return;
    }
    size_t room = TIME_TEXT_BYTES_MAX - self->at;
    int printed =
        snprintf(self->text + self->at, room, "%s%s%d %s%s", self->at == 0 ? "" : " ",
                 self->is_negative && count > 0 ? "+" : "", count, unit, count == 1 ? "" : "s");
    check(printed > 0 && (size_t)printed < room);
    self->at += (size_t)printed;
    self->is_negative = count < 0;
}

size_t time_text_format_interval(const struct interval *interval, char text[TIME_TEXT_BYTES_MAX])
{
    struct parts parts = {.text = text};
    print_count(&parts, interval->months / 12, "year");
    print_count(&parts, interval->months % 12, "mon");
    print_count(&parts, interval->days, "day");
    if (interval->micros == 0 && parts.at > 0) {
        return parts.at;
    }
    bool is_negative = interval->micros < 0;
    uint64_t micros = is_negative ? 0 - (uint64_t)interval->micros : (uint64_t)interval->micros;
    size_t room = TIME_TEXT_BYTES_MAX - parts.at;
    int printed = snprintf(text + parts.at, room, "%s%s%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64,
                           parts.at == 0 ? "" : " ",
                           is_negative         ? "-"
                           : parts.is_negative ? "+"
                                               : "",
                           micros / (uint64_t)US_PER_HOUR,
                           micros % (uint64_t)US_PER_HOUR / (uint64_t)US_PER_MINUTE,
                           micros % (uint64_t)US_PER_MINUTE / (uint64_t)US_PER_S);
    check(printed > 0 && (size_t)printed + 8 < room);
    parts.at += (size_t)printed;
    return parts.at + print_fraction(text + parts.at, TIME_TEXT_BYTES_MAX - parts.at,
                                     (int64_t)(micros % (uint64_t)US_PER_S));
}
