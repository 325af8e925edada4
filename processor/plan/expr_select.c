#include "processor/plan/expr_kernel.h"

#include <string.h>

/* CASE and COALESCE: which argument gives the value of each row, then the values. */

typedef uint16_t choice; /* The number of an argument. */

_Static_assert(4096 <= UINT16_MAX, "EXPR_STEPS_MAX arguments have a number");

static void choose_all(choice *choices, uint32_t row_count, uint32_t argument)
{
    for (uint32_t row = 0; row < row_count; row++) {
        choices[row] = (choice)argument;
    }
}

/* Rows whose bit is set take `argument`. */
static void choose_set(choice *choices, const uint8_t *bits, const uint8_t *more_bits,
                       uint32_t row_count, uint32_t argument)
{
    for (uint32_t row = 0; row < row_count; row++) {
        uint32_t byte = bits[row / 8] & (more_bits == NULL ? 0xffU : more_bits[row / 8]);
        choices[row] = (byte >> row % 8 & 1U) != 0 ? (choice)argument : choices[row];
    }
}

/* Backwards, so that the first condition that is true has the last word. */
static void choose_case(const struct expr_call *call, choice *choices)
{
    uint32_t otherwise = call->step->argument_count - 1;
    choose_all(choices, call->row_count, otherwise);
    for (uint32_t i = otherwise; i > 0; i -= 2) {
        const struct expr_vector *condition = call->arguments[i - 2];
        if (!condition->is_constant) {
            choose_set(choices, condition->column.values.bools, condition->column.validity,
                       call->row_count, i - 1);
        } else if (!column_is_null(&condition->column, 0) && column_bool(&condition->column, 0)) {
            choose_all(choices, call->row_count, i - 1);
        }
    }
}

static void choose_coalesce(const struct expr_call *call, choice *choices)
{
    uint32_t last = call->step->argument_count - 1;
    choose_all(choices, call->row_count, last);
    for (uint32_t i = last; i > 0; i--) {
        const struct expr_vector *argument = call->arguments[i - 1];
        if (argument->column.validity == NULL ||
            (argument->is_constant && !column_is_null(&argument->column, 0))) {
            choose_all(choices, call->row_count, i - 1);
        } else if (!argument->is_constant) {
            choose_set(choices, argument->column.validity, NULL, call->row_count, i - 1);
        }
    }
}

/* Arguments that are chosen from: of CASE those in odd places and the last one. */
static bool is_value(const struct expr_call *call, uint32_t argument)
{
    return call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_COALESCE ||
           argument % 2 == 1 || argument == call->step->argument_count - 1;
}

static enum status select_nulls(struct expr_call *call, const choice *choices)
{
    bool has_null = false;
    for (uint32_t i = 0; i < call->step->argument_count; i++) {
        has_null = has_null || (is_value(call, i) && call->arguments[i]->column.validity != NULL);
    }
    if (!has_null) {
        return STATUS_OK;
    }
    TRY(column_need_validity(&call->column, call->arena));
    for (uint32_t row = 0; row < call->row_count; row++) {
        if (expr_call_is_null(call, choices[row], row)) {
            row_bits_clear(call->column.validity, row);
        }
    }
    return STATUS_OK;
}

#define SELECT_VALUES(member)                                                                      \
    for (uint32_t row = 0; row < call->row_count; row++) {                                         \
        const struct expr_vector *from = call->arguments[choices[row]];                            \
        call->column.values.member[row] = from->column.values.member[from->is_constant ? 0 : row]; \
    }

static void select_bools(struct expr_call *call, const choice *choices)
{
    for (uint32_t row = 0; row < call->row_count; row++) {
        const struct expr_vector *from = call->arguments[choices[row]];
        if (column_bool(&from->column, from->is_constant ? 0 : row)) {
            row_bits_set(call->column.values.bools, row);
        }
    }
}

static enum status select_texts(struct expr_call *call, const choice *choices)
{
    int32_t *ends = call->column.values.text_ends;
    int64_t end = 0;
    for (uint32_t row = 0; row < call->row_count; row++) {
        const struct expr_vector *from = call->arguments[choices[row]];
        const int32_t *from_ends = from->column.values.text_ends + (from->is_constant ? 0 : row);
        end += from_ends[1] - from_ends[0];
        if (end > INT32_MAX) {
            return STATUS_NO_MEMORY;
        }
        ends[row + 1] = (int32_t)end;
    }
    call->column.text_bytes = arena_take(call->arena, (size_t)end);
    if (call->column.text_bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t row = 0; row < call->row_count; row++) {
        const struct expr_vector *from = call->arguments[choices[row]];
        int32_t start = from->column.values.text_ends[from->is_constant ? 0 : row];
        memcpy(call->column.text_bytes + ends[row], from->column.text_bytes + start,
               (size_t)(ends[row + 1] - ends[row]));
    }
    return STATUS_OK;
}

enum status expr_select(struct expr_call *call)
{
    choice *choices = arena_take(call->arena, (size_t)call->row_count * sizeof *choices);
    if (choices == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(expr_call_begin_plain(call));
    if (call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_CASE) {
        choose_case(call, choices);
    } else {
        choose_coalesce(call, choices);
    }
    TRY(select_nulls(call, choices));
    switch (call->step->type) {
    case VALUE_BOOL:
        select_bools(call, choices);
        break;
    case VALUE_INT:
        SELECT_VALUES(ints)
        break;
    case VALUE_BIGINT:
    case VALUE_DOUBLE:
    case VALUE_TIMESTAMPTZ:
        SELECT_VALUES(bigints) /* All of eight bytes. */
        break;
    case VALUE_INTERVAL:
        SELECT_VALUES(intervals)
        break;
    case VALUE_TEXT:
        return select_texts(call, choices);
    }
    return STATUS_OK;
}
