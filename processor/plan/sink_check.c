#include "processor/plan/sink_check.h"

#include "processor/plan/operator_check.h"
#include "proto/sys/check.h"

#include <string.h>

struct assigner {
    const Millrace__Plan__Insert *asked;
    const Millrace__Plan__Table *sink;
    const struct query_check *query;
    struct plan_fault *fault;
    struct typed_expr **columns;
};

static enum status raise(struct assigner *self, const char *code, uint32_t position,
                         const char *what, const char *why, const char *fix)
{
    return plan_fault_raise(
        self->fault, &(struct plan_fault_text){
                         .code = code, .position = position, .what = what, .why = why, .fix = fix});
}

static enum status refuse_type(struct assigner *self, const Millrace__Plan__Column *column,
                               const struct typed_expr *expr)
{
    const char *name = typed_expr_type_name(column->type);
    bool can_cast = operator_check_can_cast(expr->message.type, column->type);
    return raise(
        self, "TYPE_MISMATCH", expr->position,
        plan_fault_print(self->fault, "column \"%s\" is of type %s but expression is of type %s",
                         column->name, name, typed_expr_type_name(expr->message.type)),
        can_cast ? "only casts in which nothing is lost are made unasked"
                 : "no value of the one stands for a value of the other",
        can_cast ? plan_fault_print(self->fault, "write CAST(… AS %s) around it", name)
                 : plan_fault_print(self->fault, "declare the column of %s as %s", self->sink->name,
                                    typed_expr_type_name(expr->message.type)));
}

static bool is_null(const struct typed_expr *expr)
{
    return expr->message.kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL &&
           expr->message.literal->value_case == MILLRACE__PLAN__LITERAL__VALUE_IS_NULL;
}

static enum status assign(struct assigner *self, size_t place, struct typed_expr *expr)
{
    const Millrace__Plan__Column *column = self->sink->columns[place];
    if (is_null(expr) && column->is_not_null) {
        return raise(self, "TYPE_MISMATCH", expr->position,
                     plan_fault_print(self->fault,
                                      "null value in column \"%s\" violates not-null constraint",
                                      column->name),
                     "the table says NOT NULL", "give it a value, or leave NOT NULL out");
    }
    if (!expr->is_loose && !typed_expr_is_implicit(expr->message.type, column->type)) {
        return refuse_type(self, column, expr);
    }
    return typed_expr_convert(self->fault, expr, column->type, &self->columns[place]);
}

static enum status find_column(struct assigner *self, const char *name, size_t *out_place)
{
    const Millrace__Plan__Table *sink = self->sink;
    for (size_t i = 0; i < sink->n_columns; i++) {
        if (strcmp(sink->columns[i]->name, name) == 0) {
            *out_place = i;
            return STATUS_OK;
        }
    }
    const char **names = arena_take_array(self->fault->arena, sink->n_columns, sizeof *names);
    if (names == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < sink->n_columns; i++) {
        names[i] = sink->columns[i]->name;
    }
    return raise(self, "UNKNOWN_COLUMN", self->asked->position,
                 plan_fault_print(self->fault, "column \"%s\" of relation \"%s\" does not exist",
                                  name, sink->name),
                 "INSERT names columns of the table that it writes",
                 plan_fault_choices(self->fault, name, names, sink->n_columns));
}

static enum status check_count(struct assigner *self, size_t column_count)
{
    size_t given = self->query->target_count;
    if (given == column_count) {
        return STATUS_OK;
    }
    bool is_more = given > column_count;
    uint32_t position =
        is_more ? self->query->targets[column_count]->position : self->asked->position;
    return raise(self, "COLUMN_COUNT", position,
                 is_more ? "INSERT has more expressions than target columns"
                         : "INSERT has more target columns than expressions",
                 plan_fault_print(self->fault, "%s takes %zu columns, SELECT gives %zu",
                                  self->sink->name, column_count, given),
                 is_more ? "leave some out, or declare more columns"
                         : "name the columns that are given: INSERT INTO table (a, b) SELECT …");
}

/* What INSERT does not name is NULL. */
static enum status fill_rest(struct assigner *self)
{
    Millrace__Plan__Literal null = MILLRACE__PLAN__LITERAL__INIT;
    null.value_case = MILLRACE__PLAN__LITERAL__VALUE_IS_NULL;
    null.is_null = true;
    for (size_t i = 0; i < self->sink->n_columns; i++) {
        if (self->columns[i] == NULL) {
            struct typed_expr *expr = NULL;
            TRY(typed_expr_new_literal(self->fault, self->asked->position, &null, &expr));
            TRY(assign(self, i, expr));
        }
    }
    return STATUS_OK;
}

enum status sink_check_assign(const Millrace__Plan__Insert *asked,
                              const Millrace__Plan__Table *sink, const struct query_check *query,
                              struct typed_expr ***out_columns)
{
    struct assigner self = {.asked = asked, .sink = sink, .query = query, .fault = query->fault};
    self.columns =
        arena_take_array(self.fault->arena, sink->n_columns, sizeof(struct typed_expr *));
    if (self.columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    bool is_named = asked->n_columns > 0;
    TRY(check_count(&self, is_named ? asked->n_columns : sink->n_columns));
    for (size_t i = 0; i < query->target_count; i++) {
        size_t place = i;
        if (is_named) {
            TRY(find_column(&self, asked->columns[i], &place));
        }
        if (self.columns[place] != NULL) {
            return raise(&self, "DUPLICATE", asked->position,
                         plan_fault_print(self.fault, "column \"%s\" specified more than once",
                                          sink->columns[place]->name),
                         "a column has one value", "leave one of them out");
        }
        TRY(assign(&self, place, query->targets[i]));
    }
    TRY(fill_rest(&self));
    *out_columns = self.columns;
    return STATUS_OK;
}
