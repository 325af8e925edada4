#include "processor/plan/expr_kernel.h"

#include "processor/row/civil_date.h"

/* Timestamps stay in the years 0000 to 9999, which RFC 3339 can write. */
#define MIN_US (INT64_C(-719528) * CIVIL_DATE_DAY_US)
#define MAX_US (INT64_C(2932897) * CIVIL_DATE_DAY_US - 1)

static bool add_intervals(const struct interval *left, const struct interval *right,
                          struct interval *result)
{
    return !__builtin_add_overflow(left->months, right->months, &result->months) &&
           !__builtin_add_overflow(left->days, right->days, &result->days) &&
           !__builtin_add_overflow(left->micros, right->micros, &result->micros);
}

static bool subtract_intervals(const struct interval *left, const struct interval *right,
                               struct interval *result)
{
    return !__builtin_sub_overflow(left->months, right->months, &result->months) &&
           !__builtin_sub_overflow(left->days, right->days, &result->days) &&
           !__builtin_sub_overflow(left->micros, right->micros, &result->micros);
}

static bool negate_interval(const struct interval *value, struct interval *result)
{
    return subtract_intervals(&(struct interval){0}, value, result);
}

/* The same day and time of another month, or its last day. */
static bool add_months(int64_t us, int32_t months, int64_t *result)
{
    int64_t days = us / CIVIL_DATE_DAY_US - (us % CIVIL_DATE_DAY_US < 0);
    int64_t of_day = us - days * CIVIL_DATE_DAY_US;
    struct civil_date date = civil_date_of(days);
    int64_t month = date.year * 12 + date.month - 1 + months;
    int64_t year = month / 12 - (month % 12 < 0);
    uint32_t month_of_year = (uint32_t)(month - year * 12) + 1;
    if (year < 0 || year > 9999) {
        return false;
    }
    uint32_t last = civil_date_month_days(year, month_of_year);
    days = civil_date_days(year, month_of_year, date.day < last ? date.day : last);
    *result = days * CIVIL_DATE_DAY_US + of_day;
    return true;
}

/* Months first, then days, then the rest, as PostgreSQL; a day of UTC has 24 hours. */
static bool add_to_time(int64_t us, const struct interval *interval, int64_t *result)
{
    int64_t days_us = 0;
    if (us < MIN_US || us > MAX_US) {
        return false; /* From a record's header, perhaps; nothing can be said of its calendar. */
    }
    if (interval->months != 0 && !add_months(us, interval->months, &us)) {
        return false;
    }
    if (__builtin_mul_overflow((int64_t)interval->days, CIVIL_DATE_DAY_US, &days_us) ||
        __builtin_add_overflow(us, days_us, &us) ||
        __builtin_add_overflow(us, interval->micros, &us) || us < MIN_US || us > MAX_US) {
        return false;
    }
    *result = us;
    return true;
}

/* Whole days apart from the rest, as PostgreSQL. */
static bool subtract_times(int64_t left, int64_t right, struct interval *result)
{
    int64_t us = 0;
    if (__builtin_sub_overflow(left, right, &us)) {
        return false;
    }
    result->months = 0;
    result->days = (int32_t)(us / CIVIL_DATE_DAY_US);
    result->micros = us % CIVIL_DATE_DAY_US;
    return true;
}

static bool run_time(const struct expr_call *call, uint32_t row, int64_t *result)
{
    /* The interval may stand in front of the plus. */
    uint32_t time = expr_call_column(call, 0)->type == VALUE_TIMESTAMPTZ ? 0 : 1;
    int64_t us = expr_call_column(call, time)->values.bigints[expr_call_row(call, time, row)];
    uint32_t at = expr_call_row(call, 1 - time, row);
    struct interval interval = expr_call_column(call, 1 - time)->values.intervals[at];
    if (call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_SUB &&
        !negate_interval(&interval, &interval)) {
        return false;
    }
    return add_to_time(us, &interval, result);
}

static bool run_interval(const struct expr_call *call, uint32_t row, struct interval *result)
{
    const struct column *left = expr_call_column(call, 0);
    uint32_t left_row = expr_call_row(call, 0, row);
    if (call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_NEG) {
        return negate_interval(&left->values.intervals[left_row], result);
    }
    const struct column *right = expr_call_column(call, 1);
    uint32_t right_row = expr_call_row(call, 1, row);
    if (left->type == VALUE_TIMESTAMPTZ) {
        return subtract_times(left->values.bigints[left_row], right->values.bigints[right_row],
                              result);
    }
    const struct interval *one = &left->values.intervals[left_row];
    const struct interval *other = &right->values.intervals[right_row];
    return call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_SUB
               ? subtract_intervals(one, other, result)
               : add_intervals(one, other, result);
}

enum status expr_time(struct expr_call *call)
{
    TRY(expr_call_begin(call));
    for (uint32_t row = 0; row < call->row_count; row++) {
        bool is_good = call->step->type == VALUE_TIMESTAMPTZ
                           ? run_time(call, row, &call->column.values.bigints[row])
                           : run_interval(call, row, &call->column.values.intervals[row]);
        if (!is_good) {
            expr_call_fault(call, row);
        }
    }
    return STATUS_OK;
}
