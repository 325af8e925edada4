#include "processor/plan/query_check.h"

#include "processor/plan/plan_check.h"
#include "proto/sys/check.h"

#include <string.h>

#define US_PER_DAY INT64_C(86400000000)

static enum status raise(struct query_check *self, const char *code, uint32_t position,
                         const char *what, const char *why, const char *fix)
{
    return plan_fault_raise(
        self->fault, &(struct plan_fault_text){
                         .code = code, .position = position, .what = what, .why = why, .fix = fix});
}

/* Whether there are groups decides how all else is read. */
static bool has_groups(const Millrace__Plan__Select *select)
{
    if (select->n_group_by > 0 || select->having != NULL) {
        return true;
    }
    for (size_t i = 0; i < select->n_targets; i++) {
        if (expr_check_has_aggregate(select->targets[i]->expr, 0)) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------ window */

/* Days are of 24 hours here, months have no length. */
static enum status read_length(struct query_check *self, const Millrace__Plan__Interval *interval,
                               int64_t *out_us)
{
    uint32_t position = self->select->from->window->position;
    int64_t days = 0;
    int64_t sum = 0;
    if (interval == NULL) {
        return raise(self, "WINDOW", position, "a window without its length",
                     "a window is as long as it is said", "write interval '1 hour'");
    }
    if (interval->months != 0) {
        return raise(self, "WINDOW", position, "a window's length cannot be counted in months",
                     "months are not equally long", "write it in days or hours");
    }
    if (__builtin_mul_overflow((int64_t)interval->days, US_PER_DAY, &days) ||
        __builtin_add_overflow(days, interval->micros, &sum) || sum <= 0) {
        return raise(self, "WINDOW", position, "a window's length must be above zero",
                     "a row falls into the window that holds its time", "write interval '1 hour'");
    }
    *out_us = sum;
    return STATUS_OK;
}

static enum status check_window_kind(struct query_check *self)
{
    const Millrace__Plan__WindowCall *window = self->select->from->window;
    if (window->kind != MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE) {
        bool is_hop = window->kind == MILLRACE__PLAN__WINDOW_KIND__WINDOW_HOP;
        return raise(self, "UNSUPPORTED", window->position,
                     is_hop ? "sliding windows (hop) do not run yet"
                            : "session windows do not run yet",
                     "only tumbling windows do", "write tumble(table, time, interval '1 hour')");
    }
    if (!self->is_grouped) {
        return raise(self, "WINDOW", window->position, "a window without GROUP BY",
                     "rows are put into windows when they are grouped",
                     "add GROUP BY window_start and aggregates, or read the table itself");
    }
    return STATUS_OK;
}

/* What is late is told by the watermark, which follows one column. */
static enum status check_time_column(struct query_check *self)
{
    const Millrace__Plan__Table *table = self->scope.table;
    if (!table->has_watermark) {
        return STATUS_OK;
    }
    const Millrace__Plan__TypedExpr *time = &self->window_time->message;
    bool is_column = time->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN &&
                     time->column < table->n_columns;
    if (is_column && strcmp(table->columns[time->column]->name, table->event_time) == 0) {
        return STATUS_OK;
    }
    return raise(
        self, "WINDOW", self->window_time->position,
        plan_fault_print(self->fault, "the window is not over the event time of %s", table->name),
        "windows are closed by the table's watermark, which follows its event time",
        plan_fault_print(self->fault, "write %s", table->event_time));
}

static enum status read_window(struct query_check *self)
{
    const Millrace__Plan__WindowCall *window = self->select->from->window;
    if (window == NULL) {
        return STATUS_OK;
    }
    TRY(check_window_kind(self));
    struct expr_check reader = {
        .fault = self->fault, .scope = &self->scope, .clause = "FROM", .has_no_window = true};
    if (window->time == NULL) {
        return raise(self, "WINDOW", window->position, "a window without its time",
                     "a row falls into the window that holds its time", "name the time column");
    }
    TRY(expr_check_read_settled(&reader, window->time, &self->window_time));
    if (self->window_time->message.type != MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ) {
        return raise(self, "TYPE_MISMATCH", self->window_time->position,
                     plan_fault_print(self->fault,
                                      "the time of a window must be type timestamptz, not type %s",
                                      typed_expr_type_name(self->window_time->message.type)),
                     "a row falls into the window that holds its time",
                     "name a column of type timestamptz");
    }
    TRY(check_time_column(self));
    TRY(read_length(self, window->size, &self->window_size_us));
    self->window_slide_us = self->window_size_us;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ SELECT */

static enum status count_targets(struct query_check *self, size_t *out_count)
{
    const Millrace__Plan__Select *select = self->select;
    size_t count = 0;
    for (size_t i = 0; i < select->n_targets; i++) {
        count += select->targets[i]->is_star ? self->scope.table->n_columns : 1;
    }
    if (count == 0 || count > PLAN_CHECK_COLUMNS_MAX) {
        return raise(self, "COLUMN_COUNT", select->position,
                     count == 0 ? "a SELECT of nothing" : "too many columns",
                     "a row has 1 to 1,000 columns", "name the columns that you need");
    }
    *out_count = count;
    return STATUS_OK;
}

static enum status read_star(struct query_check *self, const Millrace__Plan__Target *target)
{
    const Millrace__Plan__Table *table = self->scope.table;
    for (size_t i = 0; i < table->n_columns; i++) {
        TRY(typed_expr_new_column(self->fault, target->position, table->columns[i]->type,
                                  (uint32_t)i, &self->targets[self->target_count]));
        self->target_count++;
    }
    return STATUS_OK;
}

static enum status read_targets(struct query_check *self)
{
    const Millrace__Plan__Select *select = self->select;
    size_t count = 0;
    TRY(count_targets(self, &count));
    self->targets = arena_take_array(self->fault->arena, count, sizeof *self->targets);
    if (self->targets == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct expr_check reader = {.fault = self->fault,
                                .scope = &self->scope,
                                .clause = "SELECT",
                                .aggregates = &self->aggregates};
    for (size_t i = 0; i < select->n_targets; i++) {
        const Millrace__Plan__Target *target = select->targets[i];
        if (target->is_star) {
            TRY(read_star(self, target));
            continue;
        }
        if (target->expr == NULL) {
            return raise(self, "SYNTAX", target->position, "a column without its expression",
                         "SELECT says what each column is", "complete it");
        }
        TRY(expr_check_read(&reader, target->expr, &self->targets[self->target_count]));
        if (typed_expr_measure(&self->targets[self->target_count]->message, PLAN_CHECK_TERMS_MAX) >
            PLAN_CHECK_TERMS_MAX) {
            return raise(self, "TOO_COMPLEX", target->position, "an expression with too many terms",
                         "it has at most 4,096, lists of IN written out",
                         "compute a part in a job of its own");
        }
        self->target_count++;
    }
    check(self->target_count == count);
    return STATUS_OK;
}

/* ------------------------------------------------------------------ GROUP BY */

/* `GROUP BY 2`: the second column of SELECT. */
static enum status find_ordinal(struct query_check *self, const Millrace__Plan__Expr *expr,
                                const Millrace__Plan__Expr **out_expr)
{
    int64_t number = expr->literal->integer;
    bool is_number = expr->literal->value_case == MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
    if (!is_number) {
        return raise(self, "GROUPING", expr->position, "non-integer constant in GROUP BY",
                     "all rows would have the same key",
                     "name a column, or the number of one after SELECT");
    }
    if (number < 1 || (uint64_t)number > self->select->n_targets) {
        return raise(self, "GROUPING", expr->position,
                     plan_fault_print(self->fault, "GROUP BY position %lld is not in select list",
                                      (long long)number),
                     "a number in GROUP BY counts the columns after SELECT", "name the column");
    }
    const Millrace__Plan__Target *target = self->select->targets[number - 1];
    if (target->is_star || target->expr == NULL) {
        return raise(self, "GROUPING", expr->position, "GROUP BY of a *", "a key is one expression",
                     "name the columns");
    }
    *out_expr = target->expr;
    return STATUS_OK;
}

/* A name in GROUP BY is an input column if there is one, else what SELECT calls so. */
static const Millrace__Plan__Expr *find_alias(const struct query_check *self,
                                              const Millrace__Plan__Expr *expr)
{
    const Millrace__Plan__ColumnName *name = expr->column;
    if (name->table[0] != '\0' || name_scope_has(&self->scope, name->name)) {
        return expr;
    }
    for (size_t i = 0; i < self->select->n_targets; i++) {
        const Millrace__Plan__Target *target = self->select->targets[i];
        if (!target->is_star && target->expr != NULL && strcmp(target->alias, name->name) == 0) {
            return target->expr;
        }
    }
    return expr;
}

static bool is_window_column(const Millrace__Plan__TypedExpr *expr)
{
    return expr->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN &&
           (expr->column == NAME_SCOPE_WINDOW_START || expr->column == NAME_SCOPE_WINDOW_END);
}

static bool has_window_column(const Millrace__Plan__TypedExpr *expr)
{
    if (expr->kind_case != MILLRACE__PLAN__TYPED_EXPR__KIND_CALL) {
        return is_window_column(expr);
    }
    for (size_t i = 0; i < expr->call->n_arguments; i++) {
        if (has_window_column(expr->call->arguments[i])) {
            return true;
        }
    }
    return false;
}

static enum status add_key(struct query_check *self, struct typed_expr *key)
{
    if (is_window_column(&key->message)) {
        self->has_window_key = true;
        return STATUS_OK;
    }
    if (has_window_column(&key->message)) {
        return raise(self, "UNSUPPORTED", key->position,
                     "window_start or window_end inside an expression of GROUP BY",
                     "groups are closed with the window that they stand in",
                     "group by window_start itself, and compute after SELECT");
    }
    for (size_t i = 0; i < self->key_count; i++) {
        if (typed_expr_is_equal(&self->keys[i]->message, &key->message)) {
            return STATUS_OK;
        }
    }
    self->keys[self->key_count] = key;
    self->key_count++;
    return STATUS_OK;
}

static enum status read_keys(struct query_check *self)
{
    const Millrace__Plan__Select *select = self->select;
    struct expr_check reader = {.fault = self->fault, .scope = &self->scope, .clause = "GROUP BY"};
    if (select->n_group_by > PLAN_CHECK_KEYS_MAX) {
        return raise(self, "TOO_COMPLEX", select->position, "too many keys",
                     "a group has at most 100", "group by fewer columns");
    }
    self->keys = arena_take_array(self->fault->arena, select->n_group_by, sizeof *self->keys);
    if (self->keys == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < select->n_group_by; i++) {
        const Millrace__Plan__Expr *expr = select->group_by[i];
        struct typed_expr *key = NULL;
        if (expr->kind_case == MILLRACE__PLAN__EXPR__KIND_LITERAL) {
            TRY(find_ordinal(self, expr, &expr));
        } else if (expr->kind_case == MILLRACE__PLAN__EXPR__KIND_COLUMN) {
            expr = find_alias(self, expr);
        }
        TRY(expr_check_read_settled(&reader, expr, &key));
        TRY(add_key(self, key));
    }
    return STATUS_OK;
}

static enum status check_window_key(struct query_check *self)
{
    if (self->window_time == NULL || self->has_window_key) {
        return STATUS_OK;
    }
    return raise(self, "WINDOW", self->select->from->window->position,
                 "GROUP BY does not name the window",
                 "the groups of a window are closed with it; without it they would never be",
                 "add window_start to GROUP BY");
}

static enum status read_where(struct query_check *self)
{
    struct expr_check reader = {
        .fault = self->fault, .scope = &self->scope, .clause = "WHERE", .has_no_window = true};
    return self->select->where == NULL
               ? STATUS_OK
               : expr_check_read_bool(&reader, self->select->where, &self->where);
}

static enum status read_having(struct query_check *self)
{
    struct expr_check reader = {.fault = self->fault,
                                .scope = &self->scope,
                                .clause = "HAVING",
                                .aggregates = &self->aggregates};
    return self->select->having == NULL
               ? STATUS_OK
               : expr_check_read_bool(&reader, self->select->having, &self->having);
}

static void count_terms(const Millrace__Plan__TypedExpr *expr, uint32_t *count)
{
    if (expr != NULL && *count <= PLAN_CHECK_TERMS_ALL_MAX) {
        *count += typed_expr_measure(expr, PLAN_CHECK_TERMS_ALL_MAX - *count);
    }
}

/* Each expression is bounded, but there may be many of them. */
static enum status check_size(struct query_check *self)
{
    uint32_t count = 0;
    count_terms(self->where == NULL ? NULL : &self->where->message, &count);
    count_terms(self->having == NULL ? NULL : &self->having->message, &count);
    for (size_t i = 0; i < self->target_count; i++) {
        count_terms(&self->targets[i]->message, &count);
    }
    for (size_t i = 0; i < self->key_count; i++) {
        count_terms(&self->keys[i]->message, &count);
    }
    for (uint32_t i = 0; i < self->aggregates.count; i++) {
        count_terms(self->aggregates.calls[i]->argument, &count);
        count_terms(self->aggregates.calls[i]->filter, &count);
    }
    if (count > PLAN_CHECK_TERMS_ALL_MAX) {
        return raise(self, "TOO_COMPLEX", self->select->position, "a query with too many terms",
                     "it has at most 16,384, lists of IN written out", "write several jobs");
    }
    return STATUS_OK;
}

enum status query_check_read(struct query_check *self)
{
    check(self->scope.table != NULL);
    self->is_grouped = has_groups(self->select);
    self->scope.has_window = self->select->from->window != NULL;
    TRY(read_window(self));
    TRY(read_where(self));
    TRY(read_targets(self));
    TRY(read_keys(self));
    TRY(check_window_key(self));
    TRY(read_having(self));
    return check_size(self);
}
