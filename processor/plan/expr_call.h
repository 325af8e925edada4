/* One step of a compiled expression at work: its arguments' columns in, its own column out.
 *
 * A value that is the same for all rows is kept once (`is_constant`), so that literals cost nothing
 * per row. A call whose arguments are all constant is computed for one row.
 *
 * A row that fails (overflow, a text that does not cast) is marked with expr_call_fault(); whether
 * that makes the row a misfit is decided afterwards, by the mask of the rows that the step counts
 * for. Its value becomes null.
 *
 * Owner: expr_evaluate. Loop: its. Limits: those of the batch. */
#pragma once

#include "processor/row/row_batch.h"
#include "proto/internal/plan.pb-c.h"
#include "proto/sys/check.h"

enum expr_kind {
    EXPR_COLUMN,  /* Of the batch. */
    EXPR_LITERAL, /* A column of one row. */
    EXPR_CALL,
    /* Masks: rows of the outer mask for which the argument is … */
    EXPR_MASK_TRUE,
    EXPR_MASK_NOT_TRUE,
    EXPR_MASK_NOT_FALSE,
    EXPR_MASK_NULL,
};

#define EXPR_NO_MASK UINT32_MAX /* All rows count. */

struct expr_step {
    enum expr_kind kind;
    Millrace__Plan__Operation operation; /* Of a call. */
    enum value_type type;
    bool may_fault;
    uint32_t column;
    struct column literal; /* Of one row, in the expression's memory. */
    uint32_t mask;         /* A step: rows for which a fault counts. */
    uint32_t first_argument;
    uint32_t argument_count;
};

/* What a step has given: a column of all rows or of one, or the bits of a mask. */
struct expr_vector {
    struct column column;
    bool is_constant;
    uint8_t *mask; /* NULL: all rows. */
};

struct expr_call {
    const struct expr_step *step;
    const struct expr_vector *const *arguments;
    struct arena *arena;
    uint32_t row_count;   /* 1 when all arguments are constant. */
    uint8_t *faults;      /* A bit per row; NULL where the step cannot fail. */
    struct column column; /* The result; kernels fill values, nulls stand already (but SELECTs). */
};

static inline bool expr_call_is_null(const struct expr_call *self, uint32_t argument, uint32_t row)
{
    const struct expr_vector *vector = self->arguments[argument];
    return column_is_null(&vector->column, vector->is_constant ? 0 : row);
}

/* The row where an argument has its value for `row`. */
static inline uint32_t expr_call_row(const struct expr_call *self, uint32_t argument, uint32_t row)
{
    return self->arguments[argument]->is_constant ? 0 : row;
}

static inline const struct column *expr_call_column(const struct expr_call *self, uint32_t argument)
{
    return &self->arguments[argument]->column;
}

/* Marks a row, unless it is null anyway. */
static inline void expr_call_fault(struct expr_call *self, uint32_t row)
{
    check(self->faults != NULL);
    if (!column_is_null(&self->column, row)) {
        row_bits_set(self->faults, row);
    }
}

/* `self->column` of the step's type; null where any argument is. NO_MEMORY: the arena. */
MUST_USE enum status expr_call_begin(struct expr_call *self);
/* The same, but nothing is null yet. */
MUST_USE enum status expr_call_begin_plain(struct expr_call *self);
/* Makes the rows of `bits` null, without touching arrays that are shared. NO_MEMORY: the arena. */
MUST_USE enum status expr_call_clear(struct column *column, const uint8_t *bits,
                                     struct arena *arena);
