#include "processor/operator/row_steps.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static enum status step_compile(struct row_step *step, Millrace__Plan__TypedExpr *const *plans,
                                size_t plan_count, const enum value_type *inputs,
                                uint32_t input_count)
{
    step->exprs = calloc(plan_count + 1, sizeof *step->exprs);
    if (step->exprs == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < plan_count; i++) {
        TRY(expr_new(plans[i], inputs, input_count, &step->exprs[i]));
        step->expr_count += 1;
    }
    return STATUS_OK;
}

static enum status set_types(struct row_steps *self, const enum value_type *types, uint32_t count)
{
    enum value_type *copy = calloc((size_t)count + 1, sizeof *copy);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (count > 0) {
        memcpy(copy, types, count * sizeof *copy);
    }
    free(self->types);
    self->types = copy;
    self->type_count = count;
    return STATUS_OK;
}

static enum status init_filter(struct row_steps *self, struct row_step *step,
                               Millrace__Plan__TypedExpr *filter)
{
    step->is_filter = true;
    TRY(step_compile(step, &filter, 1, self->types, self->type_count));
    return expr_type(step->exprs[0]) == VALUE_BOOL ? STATUS_OK : STATUS_INVALID;
}

static enum status init_projection(struct row_steps *self, struct row_step *step,
                                   const Millrace__Plan__Projection *projection)
{
    TRY(step_compile(step, projection->expressions, projection->n_expressions, self->types,
                     self->type_count));
    enum value_type *types = calloc((size_t)step->expr_count + 1, sizeof *types);
    if (types == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < step->expr_count; i++) {
        types[i] = expr_type(step->exprs[i]);
    }
    enum status status = set_types(self, types, step->expr_count);
    free(types);
    return status;
}

enum status row_steps_init(struct row_steps *self, Millrace__Plan__Operator *const *operators,
                           uint32_t operator_count, const enum value_type *inputs,
                           uint32_t input_count)
{
    *self = (struct row_steps){0};
    if (operator_count > ROW_STEPS_MAX) {
        return STATUS_FULL;
    }
    self->steps = calloc((size_t)operator_count + 1, sizeof *self->steps);
    if (self->steps == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(set_types(self, inputs, input_count));
    for (uint32_t i = 0; i < operator_count; i++) {
        struct row_step *step = &self->steps[i];
        self->step_count += 1;
        const Millrace__Plan__Operator *operator= operators[i];
        if (operator->kind_case == MILLRACE__PLAN__OPERATOR__KIND_FILTER) {
            TRY(init_filter(self, step, operator->filter));
        } else if (operator->kind_case == MILLRACE__PLAN__OPERATOR__KIND_PROJECTION) {
            TRY(init_projection(self, step, operator->projection));
        } else {
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

void row_steps_done(struct row_steps *self)
{
    for (uint32_t i = 0; i < self->step_count; i++) {
        for (uint32_t k = 0; k < self->steps[i].expr_count; k++) {
            expr_free(self->steps[i].exprs[k]);
        }
        free(self->steps[i].exprs);
    }
    free(self->steps);
    free(self->types);
    *self = (struct row_steps){0};
}

uint64_t row_steps_column_count(const struct row_steps *self, uint32_t input_count)
{
    uint64_t count = 0;
    uint64_t width = input_count;
    for (uint32_t i = 0; i < self->step_count; i++) {
        const struct row_step *step = &self->steps[i];
        for (uint32_t k = 0; k < step->expr_count; k++) {
            count += expr_step_count(step->exprs[k]);
        }
        width = step->is_filter ? width : step->expr_count;
        count += step->is_filter ? 2 * width : width; /* Rows that leave: the others are copied. */
    }
    return count;
}

/* Tells each row of `misfits`, then leaves it out. */
static enum status run_drop_misfits(const struct row_batch *rows, const uint8_t *misfits,
                                    const char *reason, struct row_steps_report *report,
                                    struct row_batch *out_rows)
{
    if (!row_bits_any(misfits, rows->row_count)) {
        *out_rows = *rows;
        return STATUS_OK;
    }
    size_t byte_count = row_bits_byte_count(rows->row_count);
    uint8_t *keep = arena_take(rows->arena, byte_count);
    if (keep == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < byte_count; i++) {
        keep[i] = (uint8_t)~misfits[i];
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (row_bits_get(misfits, i)) {
            TRY(report->on_misfit(report->context, rows, i, reason));
        }
    }
    return row_batch_select(rows, keep, rows->arena, out_rows);
}

static enum status run_filter(const struct row_step *step, const struct row_batch *rows,
                              uint8_t *misfits, struct row_steps_report *report,
                              struct row_batch *out_rows)
{
    struct column passes;
    TRY(expr_evaluate(step->exprs[0], rows, rows->arena, misfits, &passes));
    size_t byte_count = row_bits_byte_count(rows->row_count);
    uint8_t *keep = arena_take(rows->arena, byte_count);
    uint8_t *unfit = arena_take_array(rows->arena, byte_count, 1);
    if (keep == NULL || unfit == NULL) {
        return STATUS_NO_MEMORY;
    }
    /* Misfits stay, so that they are told; they leave behind. */
    for (size_t i = 0; i < byte_count; i++) {
        uint8_t valid = passes.validity == NULL ? 0xff : passes.validity[i];
        keep[i] = (uint8_t)((passes.values.bools[i] & valid) | misfits[i]);
    }
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (row_bits_get(keep, i)) {
            if (row_bits_get(misfits, i)) {
                row_bits_set(unfit, kept_count);
            }
            kept_count += 1;
        }
    }
    report->filtered_count += rows->row_count - kept_count;
    struct row_batch kept;
    TRY(row_batch_select(rows, keep, rows->arena, &kept));
    return run_drop_misfits(&kept, unfit, "the condition has no value for this row", report,
                            out_rows);
}

static enum status run_projection(const struct row_step *step, const struct row_batch *rows,
                                  uint8_t *misfits, struct row_steps_report *report,
                                  struct row_batch *out_rows)
{
    struct column *columns = arena_take_array(rows->arena, step->expr_count, sizeof *columns);
    if (columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < step->expr_count; i++) {
        TRY(expr_evaluate(step->exprs[i], rows, rows->arena, misfits, &columns[i]));
    }
    struct row_batch made = *rows;
    made.columns = columns;
    made.column_count = step->expr_count;
    return run_drop_misfits(&made, misfits,
                            "an expression has no value for this row (overflow, division "
                            "by zero or a text that cannot be cast)",
                            report, out_rows);
}

enum status row_steps_run(const struct row_steps *self, const struct row_batch *rows,
                          struct arena *arena, struct row_steps_report *report,
                          struct row_batch *out_rows)
{
    struct row_batch batch = *rows;
    batch.arena = arena;
    for (uint32_t i = 0; i < self->step_count && batch.row_count > 0; i++) {
        const struct row_step *step = &self->steps[i];
        uint8_t *misfits = arena_take_array(arena, row_bits_byte_count(batch.row_count), 1);
        if (misfits == NULL) {
            return STATUS_NO_MEMORY;
        }
        struct row_batch next;
        TRY(step->is_filter ? run_filter(step, &batch, misfits, report, &next)
                            : run_projection(step, &batch, misfits, report, &next));
        batch = next;
    }
    *out_rows = batch;
    return STATUS_OK;
}
