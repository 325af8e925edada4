#include "processor/plan/expr_kernel.h"

#include <math.h>

/* Whole numbers and bools first become 64 bits, then what is asked for. */
static int64_t whole_of(const struct column *column, uint32_t row)
{
    switch ((int)column->type) {
    case VALUE_BOOL:
        return column_bool(column, row);
    case VALUE_INT:
        return column->values.ints[row];
    default:
        check(column->type == VALUE_BIGINT);
        return column->values.bigints[row];
    }
}

/* To the nearest whole number, halves to the even one; false: beyond 64 bits, or NaN. */
static bool round_double(double value, int64_t *out)
{
    double rounded = rint(value);
    if (isnan(rounded) || rounded < -0x1p63 || rounded >= 0x1p63) {
        return false;
    }
    *out = (int64_t)rounded;
    return true;
}

static bool put_whole(struct column *column, uint32_t row, int64_t value)
{
    switch ((int)column->type) {
    case VALUE_BOOL:
        if (value != 0) {
            row_bits_set(column->values.bools, row);
        }
        return true;
    case VALUE_INT:
        if (value < INT32_MIN || value > INT32_MAX) {
            return false;
        }
        column->values.ints[row] = (int32_t)value;
        return true;
    case VALUE_BIGINT:
        column->values.bigints[row] = value;
        return true;
    default:
        check(column->type == VALUE_DOUBLE);
        column->values.doubles[row] = (double)value;
        return true;
    }
}

static void cast_numbers(struct expr_call *call)
{
    const struct column *from = expr_call_column(call, 0);
    for (uint32_t row = 0; row < call->row_count; row++) {
        int64_t value = 0;
        bool is_good = true;
        if (from->type == VALUE_DOUBLE) {
            is_good = round_double(from->values.doubles[row], &value);
        } else {
            value = whole_of(from, row);
        }
        if (!is_good || !put_whole(&call->column, row, value)) {
            expr_call_fault(call, row);
        }
    }
}

enum status expr_cast(struct expr_call *call)
{
    if (call->step->type == VALUE_TEXT) {
        return expr_cast_text_to(call);
    }
    if (expr_call_column(call, 0)->type == VALUE_TEXT) {
        return expr_cast_text_from(call);
    }
    TRY(expr_call_begin(call));
    cast_numbers(call);
    return STATUS_OK;
}
