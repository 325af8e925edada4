#include "processor/plan/expr_kernel.h"

/* Eight rows of a bool argument: which are true, which are false; the others are null. */
struct truth {
    uint8_t is_true;
    uint8_t is_false;
};

static struct truth truth_of(const struct expr_vector *argument, size_t byte)
{
    const struct column *column = &argument->column;
    if (argument->is_constant) {
        if (column_is_null(column, 0)) {
            return (struct truth){0, 0};
        }
        bool value = column_bool(column, 0);
        return (struct truth){value ? 0xff : 0, value ? 0 : 0xff};
    }
    uint8_t valid = column->validity == NULL ? 0xff : column->validity[byte];
    return (struct truth){(uint8_t)(column->values.bools[byte] & valid),
                          (uint8_t)(~column->values.bools[byte] & valid)};
}

/* NULL is "not known": false and NULL is false, true and NULL is NULL. */
static enum status combine(struct expr_call *call)
{
    bool is_and = call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_AND;
    TRY(expr_call_begin_plain(call));
    TRY(column_need_validity(&call->column, call->arena));
    for (size_t i = 0; i < row_bits_byte_count(call->row_count); i++) {
        struct truth all = truth_of(call->arguments[0], i);
        for (uint32_t k = 1; k < call->step->argument_count; k++) {
            struct truth next = truth_of(call->arguments[k], i);
            all.is_true = is_and ? all.is_true & next.is_true : all.is_true | next.is_true;
            all.is_false = is_and ? all.is_false | next.is_false : all.is_false & next.is_false;
        }
        call->column.values.bools[i] = all.is_true;
        call->column.validity[i] = all.is_true | all.is_false;
    }
    return STATUS_OK;
}

static enum status invert(struct expr_call *call)
{
    TRY(expr_call_begin(call));
    const uint8_t *bools = expr_call_column(call, 0)->values.bools;
    for (size_t i = 0; i < row_bits_byte_count(call->row_count); i++) {
        call->column.values.bools[i] = (uint8_t)~bools[i];
    }
    return STATUS_OK;
}

static enum status ask_null(struct expr_call *call, bool is_null_asked)
{
    TRY(expr_call_begin_plain(call));
    const uint8_t *validity = expr_call_column(call, 0)->validity;
    for (size_t i = 0; i < row_bits_byte_count(call->row_count); i++) {
        uint8_t valid = validity == NULL ? 0xff : validity[i];
        call->column.values.bools[i] = is_null_asked ? (uint8_t)~valid : valid;
    }
    return STATUS_OK;
}

enum status expr_logic(struct expr_call *call)
{
    switch ((int)call->step->operation) {
    case MILLRACE__PLAN__OPERATION__OPERATION_AND:
    case MILLRACE__PLAN__OPERATION__OPERATION_OR:
        return combine(call);
    case MILLRACE__PLAN__OPERATION__OPERATION_NOT:
        return invert(call);
    case MILLRACE__PLAN__OPERATION__OPERATION_IS_NULL:
        return ask_null(call, true);
    default:
        check(call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_IS_NOT_NULL);
        return ask_null(call, false);
    }
}

static uint8_t mask_byte(enum expr_kind kind, const struct expr_vector *argument, size_t byte)
{
    const uint8_t *validity = argument->column.validity;
    switch (kind) {
    case EXPR_MASK_TRUE:
        return truth_of(argument, byte).is_true;
    case EXPR_MASK_NOT_TRUE:
        return (uint8_t)~truth_of(argument, byte).is_true;
    case EXPR_MASK_NOT_FALSE:
        return (uint8_t)~truth_of(argument, byte).is_false;
    case EXPR_MASK_NULL:
        if (argument->is_constant) {
            return column_is_null(&argument->column, 0) ? 0xff : 0;
        }
        return validity == NULL ? 0 : (uint8_t)~validity[byte];
    case EXPR_COLUMN:
    case EXPR_LITERAL:
    case EXPR_CALL:
        break;
    }
    check_unreachable("no mask");
}

enum status expr_logic_mask(enum expr_kind kind, const struct expr_vector *argument,
                            const uint8_t *outer, uint32_t row_count, struct arena *arena,
                            uint8_t **out_mask)
{
    size_t byte_count = row_bits_byte_count(row_count);
    uint8_t *mask = arena_take(arena, byte_count);
    if (mask == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < byte_count; i++) {
        mask[i] = mask_byte(kind, argument, i) & (outer == NULL ? 0xff : outer[i]);
    }
    *out_mask = mask;
    return STATUS_OK;
}
