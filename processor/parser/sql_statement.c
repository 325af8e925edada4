#include "processor/parser/sql_statement.h"

#include "processor/parser/sql_expr.h"
#include "processor/parser/sql_select.h"
#include "processor/parser/sql_type.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

static enum status read_column(struct sql_context *context, const PgQuery__ColumnDef *node,
                               Millrace__Plan__ColumnDefinition *column)
{
    millrace__plan__column_definition__init(column);
    column->position = sql_context_position(context, node->location);
    TRY(sql_context_copy(context, node->colname, &column->name));
    TRY(sql_type_read(context, node->type_name, &column->type));
    for (size_t i = 0; i < node->n_constraints; i++) {
        check(node->constraints[i]->node_case == PG_QUERY__NODE__NODE_CONSTRAINT);
        const PgQuery__Constraint *constraint = node->constraints[i]->constraint;
        if (constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL) {
            column->is_not_null = true;
        } else if (constraint->contype != PG_QUERY__CONSTR_TYPE__CONSTR_NULL) {
            return sql_context_refuse(context, constraint->location,
                                      "a constraint other than NOT NULL",
                                      "leave it out; filter with WHERE");
        }
    }
    if (node->coll_clause != NULL || node->compression[0] != '\0' || node->n_fdwoptions > 0) {
        return sql_context_refuse(context, node->location, "COLLATE, COMPRESSION or OPTIONS",
                                  "leave it out");
    }
    return STATUS_OK;
}

static enum status read_columns(struct sql_context *context, const PgQuery__CreateStmt *node,
                                Millrace__Plan__CreateTable *table)
{
    size_t count = node->n_table_elts;
    if (count == 0) {
        return sql_context_refuse(context, node->relation->location, "a table without columns",
                                  "name its columns with their types");
    }
    Millrace__Plan__ColumnDefinition *columns =
        arena_take_array(context->arena, count, sizeof *columns);
    table->columns = arena_take_array(context->arena, count, sizeof *table->columns);
    if (columns == NULL || table->columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        if (node->table_elts[i]->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF) {
            return sql_context_refuse(context, -1, "a constraint of a table, or LIKE",
                                      "name the columns with their types only");
        }
        TRY(read_column(context, node->table_elts[i]->column_def, &columns[i]));
        table->columns[i] = &columns[i];
    }
    table->n_columns = count;
    return STATUS_OK;
}

/* The value of an option or a setting, as text: 'text', number, true, or a bare word. */
static enum status read_value(struct sql_context *context, const PgQuery__Node *node,
                              int32_t location, char **out_value)
{
    char number[16];
    const char *value = NULL;
    switch (node == NULL ? 0 : (int)node->node_case) {
    case PG_QUERY__NODE__NODE_STRING:
        value = node->string->sval;
        break;
    case PG_QUERY__NODE__NODE_FLOAT:
        value = node->float_->fval;
        break;
    case PG_QUERY__NODE__NODE_BOOLEAN:
        value = node->boolean->boolval ? "true" : "false";
        break;
    case PG_QUERY__NODE__NODE_INTEGER:
        (void)snprintf(number, sizeof number, "%d", node->integer->ival);
        value = number;
        break;
    case PG_QUERY__NODE__NODE_TYPE_NAME:
        value = node->type_name->n_names == 1 && node->type_name->n_typmods == 0
                    ? sql_context_string(node->type_name->names[0])
                    : NULL;
        break;
    default:
        break;
    }
    if (value == NULL) {
        return sql_context_refuse(context, location, "a value of this form",
                                  "write it as text in quotes: name = 'value'");
    }
    return sql_context_copy(context, value, out_value);
}

static enum status read_options(struct sql_context *context, const PgQuery__CreateStmt *node,
                                Millrace__Plan__CreateTable *table)
{
    size_t count = node->n_options;
    Millrace__Plan__Option *options = arena_take_array(context->arena, count, sizeof *options);
    table->options = arena_take_array(context->arena, count, sizeof *table->options);
    if (options == NULL || table->options == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        check(node->options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM);
        const PgQuery__DefElem *element = node->options[i]->def_elem;
        millrace__plan__option__init(&options[i]);
        options[i].position = sql_context_position(context, element->location);
        bool has_space = element->defnamespace[0] != '\0';
        TRY(sql_context_copy(context,
                             plan_fault_print(context->fault, "%s%s%s", element->defnamespace,
                                              has_space ? "." : "", element->defname),
                             &options[i].name));
        TRY(read_value(context, element->arg, element->location, &options[i].value));
        table->options[i] = &options[i];
    }
    table->n_options = count;
    return STATUS_OK;
}

static enum status read_create(struct sql_context *context, const PgQuery__CreateStmt *node,
                               Millrace__Plan__Statement *statement)
{
    if (node->n_inh_relations > 0 || node->partbound != NULL || node->partspec != NULL ||
        node->of_typename != NULL || node->n_constraints > 0 || node->tablespacename[0] != '\0' ||
        node->access_method[0] != '\0' ||
        node->oncommit > PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_NOOP) {
        return sql_context_refuse(context, -1,
                                  "INHERITS, PARTITION, OF, USING, TABLESPACE or ON COMMIT",
                                  "write CREATE TABLE name (columns) WITH (options)");
    }
    Millrace__Plan__CreateTable *table = arena_take(context->arena, sizeof *table);
    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__create_table__init(table);
    table->if_not_exists = node->if_not_exists;
    TRY(sql_select_table_name(context, node->relation, &table->name));
    TRY(read_columns(context, node, table));
    TRY(read_options(context, node, table));
    statement->create_table = table;
    statement->kind_case = MILLRACE__PLAN__STATEMENT__KIND_CREATE_TABLE;
    return STATUS_OK;
}

static enum status read_setting(struct sql_context *context, const PgQuery__VariableSetStmt *node,
                                Millrace__Plan__Statement *statement)
{
    Millrace__Plan__Setting *setting = arena_take(context->arena, sizeof *setting);
    if (setting == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__setting__init(setting);
    setting->position = context->base;
    bool is_value = node->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE;
    bool is_default = node->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT ||
                      node->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET;
    if (node->is_local || (is_value ? node->n_args != 1 : !is_default)) {
        return sql_context_refuse(context, -1, "this form of SET", "write SET job.name = 'value'");
    }
    TRY(sql_context_copy(context, node->name, &setting->name));
    if (is_value) {
        const PgQuery__Node *argument = node->args[0];
        if (argument->node_case != PG_QUERY__NODE__NODE_A_CONST) {
            return sql_context_refuse(context, sql_expr_location(argument), "a value of this form",
                                      "write SET job.name = 'value'");
        }
        const PgQuery__AConst *constant = argument->a_const;
        setting->position = sql_context_position(context, constant->location);
        char number[16];
        const char *value = number;
        if (constant->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
            value = constant->sval->sval;
        } else if (constant->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
            value = constant->fval->fval;
        } else if (constant->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
            (void)snprintf(number, sizeof number, "%d", constant->ival->ival);
        } else {
            return sql_context_refuse(context, constant->location, "a value of this form",
                                      "write SET job.name = 'value'");
        }
        TRY(sql_context_copy(context, value, &setting->value));
    }
    statement->setting = setting;
    statement->kind_case = MILLRACE__PLAN__STATEMENT__KIND_SETTING;
    return STATUS_OK;
}

static enum status read_insert(struct sql_context *context, const PgQuery__InsertStmt *node,
                               Millrace__Plan__Statement *statement)
{
    TRY(sql_select_read_insert(context, node, &statement->insert));
    statement->kind_case = MILLRACE__PLAN__STATEMENT__KIND_INSERT;
    return STATUS_OK;
}

/* EXPLAIN (WATERMARK) is what EXPLAIN prints anyway. */
static enum status read_explain(struct sql_context *context, const PgQuery__ExplainStmt *node,
                                Millrace__Plan__Statement *statement)
{
    for (size_t i = 0; i < node->n_options; i++) {
        check(node->options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM);
        const PgQuery__DefElem *option = node->options[i]->def_elem;
        if (strcmp(option->defname, "watermark") != 0 || option->arg != NULL) {
            return sql_context_refuse(context, option->location, "this option of EXPLAIN",
                                      "write EXPLAIN INSERT … or EXPLAIN (WATERMARK) INSERT …");
        }
    }
    if (node->query == NULL || node->query->node_case != PG_QUERY__NODE__NODE_INSERT_STMT) {
        return sql_context_refuse(context, -1, "EXPLAIN of anything but INSERT INTO … SELECT",
                                  "write EXPLAIN INSERT INTO table SELECT … FROM …");
    }
    Millrace__Plan__Explain *explain = arena_take(context->arena, sizeof *explain);
    if (explain == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__explain__init(explain);
    TRY(sql_select_read_insert(context, node->query->insert_stmt, &explain->insert));
    statement->explain = explain;
    statement->kind_case = MILLRACE__PLAN__STATEMENT__KIND_EXPLAIN;
    return STATUS_OK;
}

static enum status read_call(struct sql_context *context, const PgQuery__CallStmt *node,
                             Millrace__Plan__Statement *statement)
{
    TRY(sql_expr_read_call(context, node->funccall, &statement->call));
    statement->kind_case = MILLRACE__PLAN__STATEMENT__KIND_CALL;
    return STATUS_OK;
}

static enum status refuse_statement(struct sql_context *context, const PgQuery__Node *node)
{
    const char *what = "a statement of this kind";
    const char *fix = "these are there: CREATE TABLE, DROP TABLE, SET, INSERT INTO … SELECT, "
                      "EXPLAIN, CALL";
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        what = "SELECT on its own";
        fix = "write INSERT INTO table SELECT …, then `millrace consume` the table's topic";
        break;
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        what = "CREATE TABLE AS and CREATE MATERIALIZED VIEW";
        fix = "write CREATE TABLE with the columns, then INSERT INTO it SELECT …";
        break;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        what = "UPDATE and DELETE";
        break;
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        what = "BEGIN, COMMIT and their like";
        fix = "leave it out: each epoch of a job is a transaction by itself";
        break;
    case PG_QUERY__NODE__NODE_DROP_STMT:
        what = "DROP of anything but tables, and CASCADE";
        fix = "write DROP TABLE [IF EXISTS] name";
        break;
    default:
        break;
    }
    return sql_context_refuse(context, -1, what, fix);
}

static enum status read_drop(struct sql_context *context, const PgQuery__DropStmt *node,
                             const PgQuery__Node *whole, struct sql_statement_list *list)
{
    if (node->remove_type != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE || node->concurrent ||
        node->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE) {
        return refuse_statement(context, whole);
    }
    for (size_t i = 0; i < list->count; i++) {
        check(node->objects[i]->node_case == PG_QUERY__NODE__NODE_LIST);
        const PgQuery__List *name = node->objects[i]->list;
        const char *word = name->n_items == 1 ? sql_context_string(name->items[0]) : NULL;
        if (word == NULL) {
            return sql_context_refuse(context, -1, "a table of a schema",
                                      "write the table's name alone: there are no schemas");
        }
        Millrace__Plan__DropTable *drop = arena_take(context->arena, sizeof *drop);
        if (drop == NULL) {
            return STATUS_NO_MEMORY;
        }
        millrace__plan__drop_table__init(drop);
        drop->if_exists = node->missing_ok;
        drop->position = context->base;
        TRY(sql_context_copy(context, word, &drop->name));
        list->statements[i]->drop_table = drop;
        list->statements[i]->kind_case = MILLRACE__PLAN__STATEMENT__KIND_DROP_TABLE;
    }
    return STATUS_OK;
}

static enum status new_list(struct sql_context *context, size_t count, uint32_t piece_bytes,
                            struct sql_statement_list *list)
{
    Millrace__Plan__Statement *statements =
        arena_take_array(context->arena, count, sizeof *statements);
    list->statements = arena_take_array(context->arena, count, sizeof *list->statements);
    if (statements == NULL || list->statements == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        millrace__plan__statement__init(&statements[i]);
        statements[i].position = context->base;
        statements[i].byte_count = piece_bytes;
        list->statements[i] = &statements[i];
    }
    list->count = count;
    return STATUS_OK;
}

static enum status read_single(struct sql_context *context, const PgQuery__Node *node,
                               Millrace__Plan__Statement *statement)
{
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return read_create(context, node->create_stmt, statement);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return read_insert(context, node->insert_stmt, statement);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return read_setting(context, node->variable_set_stmt, statement);
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return read_explain(context, node->explain_stmt, statement);
    case PG_QUERY__NODE__NODE_CALL_STMT:
        return read_call(context, node->call_stmt, statement);
    default:
        return refuse_statement(context, node);
    }
}

enum status sql_statement_read(struct sql_context *context, const PgQuery__Node *node,
                               uint32_t piece_bytes, struct sql_statement_list *out_statements)
{
    struct sql_statement_list list = {0};
    bool is_drop = node->node_case == PG_QUERY__NODE__NODE_DROP_STMT;
    TRY(new_list(context, is_drop ? node->drop_stmt->n_objects : 1, piece_bytes, &list));
    if (is_drop) {
        TRY(read_drop(context, node->drop_stmt, node, &list));
    } else {
        TRY(read_single(context, node, list.statements[0]));
    }
    *out_statements = list;
    return STATUS_OK;
}
