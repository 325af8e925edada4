#include "processor/plan/expr_compile.h"

#include "processor/plan/expr_rules.h"

#include <string.h>

#define OPERATION(name) MILLRACE__PLAN__OPERATION__OPERATION_##name

struct compiler {
    const enum value_type *inputs;
    uint32_t input_count;
    struct arena *arena;
    struct expr_program program;
    uint32_t step_count_max;
    uint32_t argument_count_max;
};

static bool is_call(const Millrace__Plan__TypedExpr *plan)
{
    return plan->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_CALL && plan->call != NULL;
}

/* Nodes of the tree; FULL: too many or too deep. */
static enum status count_nodes(const Millrace__Plan__TypedExpr *plan, uint32_t depth,
                               uint32_t *count)
{
    if (depth == EXPR_COMPILE_DEPTH_MAX || *count == EXPR_STEPS_MAX) {
        return STATUS_FULL;
    }
    *count += 1;
    for (size_t i = 0; is_call(plan) && i < plan->call->n_arguments; i++) {
        TRY(count_nodes(plan->call->arguments[i], depth + 1, count));
    }
    return STATUS_OK;
}

/* Can anything in the tree fail? Types are not checked yet; what does not fit is refused later. */
static bool may_fault(const Millrace__Plan__TypedExpr *plan)
{
    if (!is_call(plan)) {
        return false;
    }
    const Millrace__Plan__TypedCall *call = plan->call;
    for (size_t i = 0; i < call->n_arguments; i++) {
        if (may_fault(call->arguments[i])) {
            return true;
        }
    }
    return call->n_arguments > 0 &&
           expr_rules_may_fault(call->operation, (enum value_type)call->arguments[0]->type,
                                (enum value_type)plan->type);
}

static uint32_t push(struct compiler *self, const struct expr_step *step)
{
    check(self->program.step_count < self->step_count_max);
    self->program.steps[self->program.step_count] = *step;
    return self->program.step_count++;
}

/* Room for the numbers of arguments side by side. */
static uint32_t reserve(struct compiler *self, uint32_t count)
{
    check(count <= self->argument_count_max - self->program.argument_count);
    self->program.argument_count += count;
    return self->program.argument_count - count;
}

static uint32_t push_mask(struct compiler *self, enum expr_kind kind, uint32_t argument,
                          uint32_t outer)
{
    uint32_t first = reserve(self, 1);
    self->program.arguments[first] = argument;
    return push(self,
                &(struct expr_step){
                    .kind = kind, .mask = outer, .first_argument = first, .argument_count = 1});
}

static enum status put_text(struct compiler *self, struct column *column, const char *text)
{
    size_t byte_count = strlen(text);
    if (byte_count > INT32_MAX) {
        return STATUS_FULL;
    }
    column->text_bytes = (uint8_t *)arena_copy_text(self->arena, text, byte_count);
    column->values.text_ends[1] = (int32_t)byte_count;
    return column->text_bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* A value of its type, or INVALID. */
static enum status put_literal(struct compiler *self, struct column *column,
                               const Millrace__Plan__Literal *literal)
{
    const Millrace__Plan__Interval *interval = NULL;
    switch ((int)literal->value_case) {
    case MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN:
        column->values.bools[0] = literal->boolean != 0;
        return column->type == VALUE_BOOL ? STATUS_OK : STATUS_INVALID;
    case MILLRACE__PLAN__LITERAL__VALUE_INTEGER:
        if (column->type == VALUE_INT) {
            column->values.ints[0] = (int32_t)literal->integer;
            return column->values.ints[0] == literal->integer ? STATUS_OK : STATUS_INVALID;
        }
        if (column->type == VALUE_BIGINT) {
            column->values.bigints[0] = literal->integer;
            return STATUS_OK;
        }
        return STATUS_INVALID;
    case MILLRACE__PLAN__LITERAL__VALUE_REAL:
        if (column->type == VALUE_DOUBLE) {
            column->values.doubles[0] = literal->real;
            return STATUS_OK;
        }
        return STATUS_INVALID;
    case MILLRACE__PLAN__LITERAL__VALUE_TEXT:
        return column->type == VALUE_TEXT ? put_text(self, column, literal->text) : STATUS_INVALID;
    case MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US:
        if (column->type == VALUE_TIMESTAMPTZ) {
            column->values.bigints[0] = literal->timestamp_us;
            return STATUS_OK;
        }
        return STATUS_INVALID;
    case MILLRACE__PLAN__LITERAL__VALUE_INTERVAL:
        interval = literal->interval;
        if (column->type == VALUE_INTERVAL && interval != NULL) {
            column->values.intervals[0] = (struct interval){
                .months = interval->months, .days = interval->days, .micros = interval->micros};
            return STATUS_OK;
        }
        return STATUS_INVALID;
    default:
        return STATUS_INVALID;
    }
}

static enum status compile_literal(struct compiler *self, const Millrace__Plan__TypedExpr *plan,
                                   uint32_t *out_step)
{
    struct expr_step step = {
        .kind = EXPR_LITERAL, .type = (enum value_type)plan->type, .mask = EXPR_NO_MASK};
    if (plan->literal == NULL) {
        return STATUS_INVALID;
    }
    TRY(column_init(&step.literal, step.type, 1, self->arena));
    if (plan->literal->value_case == MILLRACE__PLAN__LITERAL__VALUE_IS_NULL) {
        TRY(column_set_null(&step.literal, 0, self->arena));
    } else {
        TRY(put_literal(self, &step.literal, plan->literal));
    }
    *out_step = push(self, &step);
    return STATUS_OK;
}

static enum status compile_column(struct compiler *self, const Millrace__Plan__TypedExpr *plan,
                                  uint32_t *out_step)
{
    struct expr_step step = {.kind = EXPR_COLUMN,
                             .type = (enum value_type)plan->type,
                             .mask = EXPR_NO_MASK,
                             .column = plan->column};
    if (plan->column >= self->input_count || self->inputs[plan->column] != step.type) {
        return STATUS_INVALID;
    }
    *out_step = push(self, &step);
    return STATUS_OK;
}

static bool rest_may_fault(const Millrace__Plan__TypedCall *call, size_t first)
{
    for (size_t i = first; i < call->n_arguments; i++) {
        if (may_fault(call->arguments[i])) {
            return true;
        }
    }
    return false;
}

/* The kind of mask that argument `index` puts in front of those behind it; EXPR_CALL: none. */
static enum expr_kind mask_behind(Millrace__Plan__Operation operation, size_t index)
{
    switch ((int)operation) {
    case OPERATION(AND):
        return EXPR_MASK_NOT_FALSE;
    case OPERATION(OR):
        return EXPR_MASK_NOT_TRUE;
    case OPERATION(COALESCE):
        return EXPR_MASK_NULL;
    case OPERATION(CASE):
        return index % 2 == 0 ? EXPR_MASK_NOT_TRUE : EXPR_CALL;
    default:
        return EXPR_CALL;
    }
}

/* Iterative but for the depth of the tree, which count_nodes() has bounded. */
static enum status compile_node(struct compiler *self, const Millrace__Plan__TypedExpr *plan,
                                uint32_t mask, uint32_t *out_step);

static enum status compile_arguments(struct compiler *self, const Millrace__Plan__TypedCall *call,
                                     uint32_t mask, uint32_t first)
{
    bool is_case = call->operation == OPERATION(CASE);
    uint32_t taken = mask; /* Of CASE: rows that take the branch that comes next. */
    for (size_t i = 0; i < call->n_arguments; i++) {
        const Millrace__Plan__TypedExpr *argument = call->arguments[i];
        bool is_branch = is_case && i % 2 == 1;
        uint32_t step = 0;
        TRY(compile_node(self, argument, is_branch ? taken : mask, &step));
        self->program.arguments[first + i] = step;
        bool is_condition = is_case && i % 2 == 0 && i + 1 < call->n_arguments;
        if (is_condition && may_fault(call->arguments[i + 1])) {
            taken = push_mask(self, EXPR_MASK_TRUE, step, mask);
        }
        enum expr_kind kind = mask_behind(call->operation, i);
        if (kind != EXPR_CALL && rest_may_fault(call, i + 1 + is_condition)) {
            mask = push_mask(self, kind, step, mask);
        }
    }
    return STATUS_OK;
}

static enum status compile_call(struct compiler *self, const Millrace__Plan__TypedExpr *plan,
                                uint32_t mask, uint32_t *out_step)
{
    const Millrace__Plan__TypedCall *call = plan->call;
    if (call == NULL) {
        return STATUS_INVALID;
    }
    uint32_t count = (uint32_t)call->n_arguments;
    enum value_type result = (enum value_type)plan->type;
    enum value_type *types = arena_take_array(self->arena, count, sizeof *types);
    if (types == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        types[i] = (enum value_type)call->arguments[i]->type;
    }
    if (!expr_rules_fit(call->operation, types, count, result)) {
        return STATUS_INVALID;
    }
    if (call->operation == OPERATION(CAST) && types[0] == result) {
        return compile_node(self, call->arguments[0], mask, out_step);
    }
    uint32_t first = reserve(self, count);
    TRY(compile_arguments(self, call, mask, first));
    struct expr_step step = {.kind = EXPR_CALL,
                             .operation = call->operation,
                             .type = result,
                             .may_fault = expr_rules_may_fault(call->operation, types[0], result),
                             .mask = mask,
                             .first_argument = first,
                             .argument_count = count};
    *out_step = push(self, &step);
    return STATUS_OK;
}

static enum status compile_node(struct compiler *self, const Millrace__Plan__TypedExpr *plan,
                                uint32_t mask, uint32_t *out_step)
{
    if (!expr_rules_is_type(plan->type)) {
        return STATUS_INVALID;
    }
    switch ((int)plan->kind_case) {
    case MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN:
        return compile_column(self, plan, out_step);
    case MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL:
        return compile_literal(self, plan, out_step);
    case MILLRACE__PLAN__TYPED_EXPR__KIND_CALL:
        return compile_call(self, plan, mask, out_step);
    default:
        return STATUS_INVALID;
    }
}

enum status expr_compile(const Millrace__Plan__TypedExpr *plan, const enum value_type *inputs,
                         uint32_t input_count, struct arena *arena,
                         struct expr_program *out_program)
{
    uint32_t node_count = 0;
    TRY(count_nodes(plan, 0, &node_count));
    struct compiler self = {
        .inputs = inputs,
        .input_count = input_count,
        .arena = arena,
        /* An argument puts at most two masks beside itself, each with one argument. */
        .step_count_max = 3 * node_count,
        .argument_count_max = 3 * node_count,
    };
    self.program.steps = arena_take_array(arena, self.step_count_max, sizeof(struct expr_step));
    self.program.arguments = arena_take_array(arena, self.argument_count_max, sizeof(uint32_t));
    if (self.program.steps == NULL || self.program.arguments == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint32_t root = 0;
    TRY(compile_node(&self, plan, EXPR_NO_MASK, &root));
    check(root == self.program.step_count - 1);
    *out_program = self.program;
    return STATUS_OK;
}
