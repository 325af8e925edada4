#include "processor/parser/sql_select.h"

#include "processor/parser/sql_expr.h"
#include "proto/sys/check.h"

#include <string.h>

enum status sql_select_table_name(struct sql_context *context, const PgQuery__RangeVar *node,
                                  char **out_name)
{
    if (node->schemaname[0] != '\0' || node->catalogname[0] != '\0') {
        return sql_context_refuse(context, node->location, "a table of a schema",
                                  "write the table's name alone: there are no schemas");
    }
    if (node->relpersistence[0] != 'p' && node->relpersistence[0] != '\0') {
        return sql_context_refuse(context, node->location, "a temporary or unlogged table",
                                  "leave the word out");
    }
    return sql_context_copy(context, node->relname, out_name);
}

static enum status read_alias(struct sql_context *context, const PgQuery__Alias *alias,
                              int32_t location, Millrace__Plan__From *from)
{
    if (alias == NULL) {
        return STATUS_OK;
    }
    if (alias->n_colnames > 0) {
        return sql_context_refuse(context, location, "new names for a table's columns",
                                  "name them after SELECT, with AS");
    }
    return sql_context_copy(context, alias->aliasname, &from->alias);
}

struct window_function {
    const char *name;
    Millrace__Plan__WindowKind kind;
    size_t argument_count;
    const char *usage;
};

static const struct window_function window_functions[] = {
    {"tumble", MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE, 3,
     "write tumble(table, time_column, interval '1 hour')"},
    {"hop", MILLRACE__PLAN__WINDOW_KIND__WINDOW_HOP, 4,
     "write hop(table, time_column, interval '5 minutes', interval '1 hour'): slide, then size"},
    {"session", MILLRACE__PLAN__WINDOW_KIND__WINDOW_SESSION, 3,
     "write session(table, time_column, interval '30 minutes')"},
};

static const struct window_function *find_window(const PgQuery__FuncCall *call)
{
    const char *name = call->n_funcname == 1 ? sql_context_string(call->funcname[0]) : NULL;
    for (size_t i = 0; name != NULL && i < sizeof window_functions / sizeof window_functions[0];
         i++) {
        if (strcmp(window_functions[i].name, name) == 0) {
            return &window_functions[i];
        }
    }
    return NULL;
}

static enum status refuse_usage(struct sql_context *context, int32_t location,
                                const struct window_function *function)
{
    return plan_fault_raise(
        context->fault,
        &(struct plan_fault_text){
            .code = "WINDOW",
            .position = sql_context_position(context, location),
            .what = plan_fault_print(context->fault, "these are not the arguments of %s",
                                     function->name),
            .why = "a window takes a table, the column that is its time, and how long it is",
            .fix = function->usage});
}

static enum status read_window(struct sql_context *context, const PgQuery__FuncCall *call,
                               Millrace__Plan__From *from)
{
    const struct window_function *function = find_window(call);
    if (function == NULL) {
        return sql_context_refuse(context, call->location, "this function in FROM",
                                  "these are there: tumble, hop, session");
    }
    bool is_plain = call->n_args == function->argument_count && !call->agg_star &&
                    !call->agg_distinct && call->n_agg_order == 0 && call->agg_filter == NULL &&
                    call->over == NULL;
    if (!is_plain || call->args[0]->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) {
        return refuse_usage(context, call->location, function);
    }
    const PgQuery__ColumnRef *table = call->args[0]->column_ref;
    const char *name = table->n_fields == 1 ? sql_context_string(table->fields[0]) : NULL;
    if (name == NULL) {
        return refuse_usage(context, table->location, function);
    }
    Millrace__Plan__WindowCall *window = arena_take(context->arena, sizeof *window);
    if (window == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__window_call__init(window);
    window->kind = function->kind;
    window->position = sql_context_position(context, call->location);
    TRY(sql_context_copy(context, name, &from->table));
    from->position = sql_context_position(context, table->location);
    TRY(sql_expr_read(context, call->args[1], &window->time));
    if (function->kind == MILLRACE__PLAN__WINDOW_KIND__WINDOW_HOP) {
        TRY(sql_expr_read_interval(context, call->args[2], &window->slide));
    }
    TRY(sql_expr_read_interval(context, call->args[call->n_args - 1], &window->size));
    from->window = window;
    return STATUS_OK;
}

static enum status read_range_function(struct sql_context *context,
                                       const PgQuery__RangeFunction *node,
                                       Millrace__Plan__From *from)
{
    const PgQuery__List *first =
        node->n_functions == 1 && node->functions[0]->node_case == PG_QUERY__NODE__NODE_LIST
            ? node->functions[0]->list
            : NULL;
    bool is_call = first != NULL && first->n_items > 0 &&
                   first->items[0]->node_case == PG_QUERY__NODE__NODE_FUNC_CALL;
    if (!is_call || node->lateral || node->ordinality || node->is_rowsfrom ||
        node->n_coldeflist > 0) {
        return sql_context_refuse(context, -1, "this form of a function in FROM",
                                  "write FROM tumble(table, time_column, interval '1 hour')");
    }
    const PgQuery__FuncCall *call = first->items[0]->func_call;
    TRY(read_window(context, call, from));
    return read_alias(context, node->alias, call->location, from);
}

static enum status read_from(struct sql_context *context, const PgQuery__SelectStmt *node,
                             Millrace__Plan__From **out_from)
{
    if (node->n_from_clause == 0) {
        return sql_context_refuse_word(context, "SELECT", "a SELECT without FROM",
                                       "name the table that it reads");
    }
    if (node->n_from_clause > 1) {
        return sql_context_refuse_word(context, "FROM", "more than one table in FROM",
                                       "read one table: joins are not there yet");
    }
    Millrace__Plan__From *from = arena_take(context->arena, sizeof *from);
    if (from == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__from__init(from);
    const PgQuery__Node *item = node->from_clause[0];
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR) {
        const PgQuery__RangeVar *table = item->range_var;
        from->position = sql_context_position(context, table->location);
        TRY(sql_select_table_name(context, table, &from->table));
        TRY(read_alias(context, table->alias, table->location, from));
    } else if (item->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION) {
        TRY(read_range_function(context, item->range_function, from));
    } else {
        bool is_join = item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR;
        return sql_context_refuse_word(
            context, is_join ? "JOIN" : "FROM", is_join ? "JOIN" : "a subquery in FROM",
            is_join ? "read one table: joins are not there yet"
                    : "write it as a job of its own, into a table between");
    }
    *out_from = from;
    return STATUS_OK;
}

static bool is_star(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && node->column_ref->n_fields == 1 &&
           node->column_ref->fields[0]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static enum status read_target(struct sql_context *context, const PgQuery__Node *node,
                               Millrace__Plan__Target *target)
{
    check(node->node_case == PG_QUERY__NODE__NODE_RES_TARGET);
    const PgQuery__ResTarget *result = node->res_target;
    millrace__plan__target__init(target);
    target->position = sql_context_position(context, result->location);
    if (is_star(result->val)) {
        target->is_star = true;
        return STATUS_OK;
    }
    if (result->name[0] != '\0') {
        TRY(sql_context_copy(context, result->name, &target->alias));
    }
    return sql_expr_read(context, result->val, &target->expr);
}

static enum status read_targets(struct sql_context *context, const PgQuery__SelectStmt *node,
                                Millrace__Plan__Select *select)
{
    size_t count = node->n_target_list;
    if (count == 0) {
        return sql_context_refuse(context, -1, "a SELECT of nothing", "name the columns");
    }
    Millrace__Plan__Target *targets =
        arena_take_array(context->arena, count, sizeof(Millrace__Plan__Target));
    select->targets = arena_take_array(context->arena, count, sizeof(Millrace__Plan__Target *));
    if (targets == NULL || select->targets == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(read_target(context, node->target_list[i], &targets[i]));
        select->targets[i] = &targets[i];
    }
    select->n_targets = count;
    return STATUS_OK;
}

static enum status refuse_clauses(struct sql_context *context, const PgQuery__SelectStmt *node)
{
    if (node->n_values_lists > 0) {
        return sql_context_refuse_word(context, "VALUES", "VALUES",
                                       "write records with `millrace produce TOPIC`");
    }
    if (node->op != PG_QUERY__SET_OPERATION__SETOP_NONE) {
        const char *word = node->op == PG_QUERY__SET_OPERATION__SETOP_UNION       ? "UNION"
                           : node->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? "INTERSECT"
                                                                                  : "EXCEPT";
        return sql_context_refuse_word(context, word, "UNION, INTERSECT and EXCEPT",
                                       "write a job for each SELECT, into the same table");
    }
    if (node->n_distinct_clause > 0) {
        return sql_context_refuse_word(context, "DISTINCT", "SELECT DISTINCT",
                                       "group by the columns instead");
    }
    if (node->with_clause != NULL) {
        return sql_context_refuse(context, node->with_clause->location, "WITH before SELECT",
                                  "write it as a job of its own, into a table between");
    }
    if (node->n_sort_clause > 0 || node->limit_count != NULL || node->limit_offset != NULL) {
        const char *word = node->n_sort_clause > 0     ? "ORDER"
                           : node->limit_count != NULL ? "LIMIT"
                                                       : "OFFSET";
        return sql_context_refuse_word(context, word, "ORDER BY, LIMIT and OFFSET",
                                       "leave it out: a stream has no end to sort at");
    }
    if (node->n_window_clause > 0 || node->n_locking_clause > 0 || node->into_clause != NULL ||
        node->group_distinct) {
        return sql_context_refuse(context, -1, "WINDOW, FOR UPDATE, INTO or GROUP BY DISTINCT",
                                  "leave it out");
    }
    return STATUS_OK;
}

static enum status read_select(struct sql_context *context, const PgQuery__SelectStmt *node,
                               Millrace__Plan__Select **out_select)
{
    TRY(refuse_clauses(context, node));
    Millrace__Plan__Select *select = arena_take(context->arena, sizeof *select);
    if (select == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__select__init(select);
    select->position = context->base;
    TRY(read_from(context, node, &select->from));
    TRY(read_targets(context, node, select));
    TRY(sql_expr_read_optional(context, node->where_clause, &select->where));
    TRY(sql_expr_read_optional(context, node->having_clause, &select->having));
    size_t count = node->n_group_clause;
    if (count > 0) {
        select->group_by = arena_take_array(context->arena, count, sizeof(Millrace__Plan__Expr *));
        if (select->group_by == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (size_t i = 0; i < count; i++) {
            TRY(sql_expr_read(context, node->group_clause[i], &select->group_by[i]));
        }
        select->n_group_by = count;
    }
    *out_select = select;
    return STATUS_OK;
}

static enum status read_columns(struct sql_context *context, const PgQuery__InsertStmt *node,
                                Millrace__Plan__Insert *insert)
{
    if (node->n_cols == 0) {
        return STATUS_OK;
    }
    insert->columns = arena_take_array(context->arena, node->n_cols, sizeof(char *));
    if (insert->columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < node->n_cols; i++) {
        check(node->cols[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET);
        const PgQuery__ResTarget *column = node->cols[i]->res_target;
        if (column->n_indirection > 0) {
            return sql_context_refuse(context, column->location, "a part of a column",
                                      "name the column alone");
        }
        TRY(sql_context_copy(context, column->name, &insert->columns[i]));
    }
    insert->n_columns = node->n_cols;
    return STATUS_OK;
}

enum status sql_select_read_insert(struct sql_context *context, const PgQuery__InsertStmt *node,
                                   Millrace__Plan__Insert **out_insert)
{
    if (node->with_clause != NULL) {
        return sql_context_refuse(context, node->with_clause->location, "WITH before INSERT",
                                  "write it as a job of its own, into a table between");
    }
    if (node->on_conflict_clause != NULL || node->n_returning_list > 0) {
        return sql_context_refuse_word(context,
                                       node->n_returning_list > 0 ? "RETURNING" : "CONFLICT",
                                       "ON CONFLICT and RETURNING", "leave it out");
    }
    if (node->override > PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET ||
        node->select_stmt == NULL ||
        node->select_stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return sql_context_refuse(context, -1, "DEFAULT VALUES and OVERRIDING",
                                  "write INSERT INTO table SELECT … FROM …");
    }
    Millrace__Plan__Insert *insert = arena_take(context->arena, sizeof *insert);
    if (insert == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__insert__init(insert);
    insert->position = sql_context_position(context, node->relation->location);
    TRY(sql_select_table_name(context, node->relation, &insert->table));
    TRY(read_columns(context, node, insert));
    TRY(read_select(context, node->select_stmt->select_stmt, &insert->select));
    *out_insert = insert;
    return STATUS_OK;
}
