#include "processor/plan/expr.h"

#include "processor/plan/expr_compile.h"
#include "processor/plan/expr_kernel.h"

#include <stdlib.h>
#include <string.h>

#define EXPR_MAGIC 0xe5b7e55aU
#define EXPR_BYTES_MAX ((size_t)64 << 20) /* Steps and literals. */

struct expr {
    uint32_t magic;
    struct arena arena; /* Of the program. */
    struct expr_program program;
};

/* One evaluation. */
struct run {
    const struct expr *expr;
    const struct row_batch *batch;
    struct arena *arena;
    struct expr_vector *vectors; /* One per step. */
    uint8_t *misfits;            /* Of this expression alone. */
    bool has_misfit;
};

enum status expr_new(const Millrace__Plan__TypedExpr *plan, const enum value_type *inputs,
                     uint32_t input_count, struct expr **out_expr)
{
    struct expr *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = EXPR_MAGIC;
    arena_init(&self->arena, EXPR_BYTES_MAX);
    enum status status = expr_compile(plan, inputs, input_count, &self->arena, &self->program);
    if (status != STATUS_OK) {
        expr_free(self);
        return status;
    }
    *out_expr = self;
    return STATUS_OK;
}

void expr_free(struct expr *self)
{
    if (self == NULL) {
        return;
    }
    check(self->magic == EXPR_MAGIC);
    self->magic = 0;
    arena_done(&self->arena);
    free(self);
}

enum value_type expr_type(const struct expr *self)
{
    check(self->magic == EXPR_MAGIC);
    return self->program.steps[self->program.step_count - 1].type;
}

uint32_t expr_step_count(const struct expr *self)
{
    check(self->magic == EXPR_MAGIC);
    return self->program.step_count;
}

static bool is_about_time(const struct expr_call *call)
{
    enum value_type first = expr_call_column(call, 0)->type;
    return first == VALUE_TIMESTAMPTZ || first == VALUE_INTERVAL;
}

static enum status run_kernel(struct expr_call *call)
{
    switch ((int)call->step->operation) {
    case MILLRACE__PLAN__OPERATION__OPERATION_EQ:
    case MILLRACE__PLAN__OPERATION__OPERATION_NE:
    case MILLRACE__PLAN__OPERATION__OPERATION_LT:
    case MILLRACE__PLAN__OPERATION__OPERATION_LE:
    case MILLRACE__PLAN__OPERATION__OPERATION_GT:
    case MILLRACE__PLAN__OPERATION__OPERATION_GE:
        return expr_compare(call);
    case MILLRACE__PLAN__OPERATION__OPERATION_ADD:
    case MILLRACE__PLAN__OPERATION__OPERATION_SUB:
    case MILLRACE__PLAN__OPERATION__OPERATION_MUL:
    case MILLRACE__PLAN__OPERATION__OPERATION_DIV:
    case MILLRACE__PLAN__OPERATION__OPERATION_MOD:
    case MILLRACE__PLAN__OPERATION__OPERATION_NEG:
        return is_about_time(call) ? expr_time(call) : expr_arithmetic(call);
    case MILLRACE__PLAN__OPERATION__OPERATION_CASE:
    case MILLRACE__PLAN__OPERATION__OPERATION_COALESCE:
        return expr_select(call);
    case MILLRACE__PLAN__OPERATION__OPERATION_CAST:
        return expr_cast(call);
    default:
        return expr_logic(call);
    }
}

static const uint8_t *mask_of(const struct run *self, const struct expr_step *step)
{
    return step->mask == EXPR_NO_MASK ? NULL : self->vectors[step->mask].mask;
}

/* Rows that failed become null; those for which the step counts become misfits. */
static enum status settle_faults(struct run *self, struct expr_call *call, bool is_constant)
{
    if (!row_bits_any(call->faults, call->row_count)) {
        return STATUS_OK;
    }
    const uint8_t *mask = mask_of(self, call->step);
    for (size_t i = 0; i < row_bits_byte_count(self->batch->row_count); i++) {
        uint8_t faults = is_constant ? 0xff : call->faults[i];
        self->misfits[i] |= faults & (mask == NULL ? 0xff : mask[i]);
    }
    self->has_misfit = true;
    return expr_call_clear(&call->column, call->faults, self->arena);
}

static enum status run_call(struct run *self, const struct expr_step *step,
                            struct expr_vector *vector)
{
    const struct expr_vector **arguments =
        arena_take(self->arena, step->argument_count * sizeof *arguments);
    if (arguments == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool is_constant = true;
    for (uint32_t i = 0; i < step->argument_count; i++) {
        uint32_t argument = self->expr->program.arguments[step->first_argument + i];
        arguments[i] = &self->vectors[argument];
        is_constant = is_constant && arguments[i]->is_constant;
    }
    struct expr_call call = {.step = step,
                             .arguments = arguments,
                             .arena = self->arena,
                             .row_count = is_constant ? 1 : self->batch->row_count};
    if (step->may_fault) {
        call.faults = arena_take_array(self->arena, row_bits_byte_count(call.row_count), 1);
        if (call.faults == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    TRY(run_kernel(&call));
    if (step->may_fault) {
        TRY(settle_faults(self, &call, is_constant));
    }
    *vector = (struct expr_vector){.column = call.column, .is_constant = is_constant};
    return STATUS_OK;
}

static enum status run_step(struct run *self, uint32_t index)
{
    const struct expr_program *program = &self->expr->program;
    const struct expr_step *step = &program->steps[index];
    struct expr_vector *vector = &self->vectors[index];
    switch (step->kind) {
    case EXPR_COLUMN:
        check(step->column < self->batch->column_count);
        vector->column = self->batch->columns[step->column];
        check(vector->column.type == step->type);
        return STATUS_OK;
    case EXPR_LITERAL:
        *vector = (struct expr_vector){.column = step->literal, .is_constant = true};
        return STATUS_OK;
    case EXPR_CALL:
        return run_call(self, step, vector);
    case EXPR_MASK_TRUE:
    case EXPR_MASK_NOT_TRUE:
    case EXPR_MASK_NOT_FALSE:
    case EXPR_MASK_NULL:
        return expr_logic_mask(step->kind, &self->vectors[program->arguments[step->first_argument]],
                               mask_of(self, step), self->batch->row_count, self->arena,
                               &vector->mask);
    }
    check_unreachable("a kind of step that there is not");
}

/* The one value for all rows. */
static enum status spread(const struct run *self, struct expr_vector *vector)
{
    uint32_t row_count = self->batch->row_count;
    uint32_t *rows = arena_take_array(self->arena, row_count, sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    vector->is_constant = false;
    enum status status =
        column_gather(&vector->column, rows, row_count, self->arena, &vector->column);
    return status == STATUS_FULL ? STATUS_NO_MEMORY : status;
}

enum status expr_evaluate(const struct expr *self, const struct row_batch *batch,
                          struct arena *arena, uint8_t *misfits, struct column *out_column)
{
    check(self->magic == EXPR_MAGIC);
    check(batch->row_count <= ROW_BATCH_ROWS_MAX);

    size_t byte_count = row_bits_byte_count(batch->row_count);
    struct run run = {.expr = self, .batch = batch, .arena = arena};
    run.vectors = arena_take_array(arena, self->program.step_count, sizeof *run.vectors);
    run.misfits = arena_take_array(arena, byte_count, 1);
    if (run.vectors == NULL || run.misfits == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->program.step_count; i++) {
        TRY(run_step(&run, i));
    }
    struct expr_vector *result = &run.vectors[self->program.step_count - 1];
    if (result->is_constant) {
        TRY(spread(&run, result));
    }
    if (run.has_misfit) {
        TRY(expr_call_clear(&result->column, run.misfits, arena));
        for (size_t i = 0; i < byte_count; i++) {
            misfits[i] |= run.misfits[i] & row_bits_mask(batch->row_count, i);
        }
    }
    *out_column = result->column;
    return STATUS_OK;
}
