#include "client/shell/from_text.h"

#include <time.h>

#define MS_PER_S INT64_C(1000)
#define S_PER_MINUTE INT64_C(60)
#define S_PER_DAY INT64_C(86400)
#define OFFSET_DIGITS_MAX 18U /* Fits 63 bits. */

/* Exactly `count` digits; -1: there are not so many. Moves `*at` behind them. */
static int take_digits(const char **at, int count)
{
    int number = 0;
    for (int i = 0; i < count; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9') {
            return -1;
        }
        number = number * 10 + (c - '0');
    }
    *at += count;
    return number;
}

static bool take_char(const char **at, char c)
{
    if (**at != c) {
        return false;
    }
    *at += 1;
    return true;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool take_date(const char **at, int64_t *out_days)
{
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_digits(at, 4);
    int month = year >= 1970 && take_char(at, '-') ? take_digits(at, 2) : -1;
    int day = month >= 1 && month <= 12 && take_char(at, '-') ? take_digits(at, 2) : -1;
    if (day < 1 || day > month_days[month - 1] + (month == 2 && is_leap(year) ? 1 : 0)) {
        return false;
    }
    int64_t days = day - 1;
    for (int i = 1970; i < year; i++) {
        days += is_leap(i) ? 366 : 365;
    }
    for (int i = 1; i < month; i++) {
        days += month_days[i - 1] + (i == 2 && is_leap(year) ? 1 : 0);
    }
    *out_days = days;
    return true;
}

/* Digits beyond the millisecond are cut. */
static bool take_fraction(const char **at, int64_t *out_ms)
{
    int64_t ms = 0;
    int64_t scale = 100;
    if (!take_char(at, '.')) {
        *out_ms = 0;
        return true;
    }
    bool has_any = false;
    for (; **at >= '0' && **at <= '9'; *at += 1) {
        ms += (**at - '0') * scale;
        scale /= 10;
        has_any = true;
    }
    *out_ms = ms;
    return has_any;
}

static bool take_zone(const char **at, int64_t *out_seconds)
{
    if (take_char(at, 'Z') || take_char(at, 'z')) {
        *out_seconds = 0;
        return true;
    }
    bool is_west = **at == '-';
    if (!take_char(at, '+') && !take_char(at, '-')) {
        return false;
    }
    int hours = take_digits(at, 2);
    int minutes = hours >= 0 && hours < 24 && take_char(at, ':') ? take_digits(at, 2) : -1;
    if (minutes < 0 || minutes > 59) {
        return false;
    }
    int64_t seconds = (hours * 60 + minutes) * S_PER_MINUTE;
    *out_seconds = is_west ? -seconds : seconds;
    return true;
}

static bool parse_time(const char *text, int64_t *out_ms)
{
    const char *at = text;
    int64_t days = 0;
    if (!take_date(&at, &days)) {
        return false;
    }
    if (*at == '\0') {
        *out_ms = days * S_PER_DAY * MS_PER_S;
        return true;
    }
    if (!take_char(&at, 'T') && !take_char(&at, 't') && !take_char(&at, ' ')) {
        return false;
    }
    int hour = take_digits(&at, 2);
    int minute = hour >= 0 && hour < 24 && take_char(&at, ':') ? take_digits(&at, 2) : -1;
    int second = minute >= 0 && minute < 60 && take_char(&at, ':') ? take_digits(&at, 2) : -1;
    int64_t ms = 0;
    int64_t zone = 0;
    if (second < 0 || second > 59 || !take_fraction(&at, &ms) || !take_zone(&at, &zone) ||
        *at != '\0') {
        return false;
    }
    int64_t seconds = days * S_PER_DAY + (hour * 60 + minute) * S_PER_MINUTE + second - zone;
    if (seconds < 0) {
        return false;
    }
    *out_ms = seconds * MS_PER_S + ms;
    return true;
}

bool from_text_parse(const char *text, struct millrace_start *out_start)
{
    if (strcmp(text, "earliest") == 0) {
        *out_start = (struct millrace_start){MILLRACE_START_EARLIEST, 0};
        return true;
    }
    if (strcmp(text, "latest") == 0) {
        *out_start = (struct millrace_start){MILLRACE_START_LATEST, 0};
        return true;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= OFFSET_DIGITS_MAX && text[digits] == '\0') {
        int64_t offset = 0;
        for (size_t i = 0; i < digits; i++) {
            offset = offset * 10 + (text[i] - '0');
        }
        *out_start = (struct millrace_start){MILLRACE_START_OFFSET, offset};
        return true;
    }
    int64_t ms = 0;
    if (!parse_time(text, &ms)) {
        return false;
    }
    *out_start = (struct millrace_start){MILLRACE_START_TIME, ms};
    return true;
}

void from_text_format_time(int64_t ms, char *text)
{
    time_t seconds = (time_t)(ms / MS_PER_S);
    struct tm parts;
    if (ms < 0 || gmtime_r(&seconds, &parts) == NULL || parts.tm_year > 8099) {
        (void)snprintf(text, 32, "-");
        return;
    }
    char date[24];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text, 32, "%s.%03dZ", date, (int)(ms % MS_PER_S));
}
