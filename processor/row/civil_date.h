/* Days since 1970-01-01 ⇄ year, month, day of the Gregorian calendar, also before its birth.
 *
 * Years begin in March here, so that the day that comes and goes is the last one, and months of
 * 30.6 days on average give every date by whole numbers.
 * Owner: nobody. Loop: any. Limits: years of 32 bits. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CIVIL_DATE_DAY_US (INT64_C(86400) * 1000000)

struct civil_date {
    int64_t year; /* The year before 1 is 0. */
    uint32_t month;
    uint32_t day;
};

static inline bool civil_date_is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* `month` from 1 to 12. */
static inline uint32_t civil_date_month_days(int64_t year, uint32_t month)
{
    if (month == 2) {
        return civil_date_is_leap(year) ? 29 : 28;
    }
    return 30 + ((month + (month > 7)) & 1U);
}

static inline int64_t civil_date_days(int64_t year, uint32_t month, uint32_t day)
{
    int64_t from_march = month > 2 ? year : year - 1;
    int64_t era = (from_march >= 0 ? from_march : from_march - 399) / 400;
    int64_t year_of_era = from_march - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static inline struct civil_date civil_date_of(int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t from_march = (uint32_t)((5 * day_of_year + 2) / 153);
    uint32_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    return (struct civil_date){.year = year_of_era + era * 400 + (month <= 2),
                               .month = month,
                               .day = (uint32_t)(day_of_year - (153 * from_march + 2) / 5 + 1)};
}
