#include "processor/plan/name_scope.h"

#include "processor/plan/plan_check.h"
#include "proto/sys/check.h"

#include <string.h>

struct system_column {
    const char *name;
    Millrace__Plan__Type type;
};

/* In the order of SystemColumn. */
static const struct system_column system_columns[] = {
    {"_created_at", MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ},
    {"_ingested_at", MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ},
    {"_processed_at", MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ},
    {"_topic", MILLRACE__PLAN__TYPE__TYPE_TEXT},
    {"_partition", MILLRACE__PLAN__TYPE__TYPE_INT},
    {"_offset", MILLRACE__PLAN__TYPE__TYPE_BIGINT},
    {"_key", MILLRACE__PLAN__TYPE__TYPE_TEXT},
};

#define SYSTEM_COUNT (sizeof system_columns / sizeof system_columns[0])
_Static_assert(MILLRACE__PLAN__SYSTEM_COLUMN__SYSTEM_KEY + 1 == SYSTEM_COUNT, "all are named");

static bool find_own(const struct name_scope *self, const char *name, uint32_t *out_column,
                     Millrace__Plan__Type *out_type)
{
    for (size_t i = 0; i < self->table->n_columns; i++) {
        if (strcmp(self->table->columns[i]->name, name) == 0) {
            *out_column = (uint32_t)i;
            *out_type = self->table->columns[i]->type;
            return true;
        }
    }
    return false;
}

static bool find_system(const char *name, uint32_t *out_column, Millrace__Plan__Type *out_type)
{
    for (uint32_t i = 0; i < SYSTEM_COUNT; i++) {
        if (strcmp(system_columns[i].name, name) == 0) {
            *out_column = PLAN_CHECK_SYSTEM_COLUMN_BASE + i;
            *out_type = system_columns[i].type;
            return true;
        }
    }
    return false;
}

static bool find_window(const struct name_scope *self, const char *name, uint32_t *out_column,
                        Millrace__Plan__Type *out_type)
{
    bool is_start = strcmp(name, "window_start") == 0;
    if (!self->has_window || (!is_start && strcmp(name, "window_end") != 0)) {
        return false;
    }
    *out_column = is_start ? NAME_SCOPE_WINDOW_START : NAME_SCOPE_WINDOW_END;
    *out_type = MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ;
    return true;
}

static enum status refuse_unknown(const struct name_scope *self, const char *name,
                                  uint32_t position, struct plan_fault *fault)
{
    size_t own_count = self->table->n_columns;
    const char **names =
        arena_take_array(fault->arena, own_count + SYSTEM_COUNT + 2, sizeof *names);
    if (names == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t count = 0;
    for (size_t i = 0; i < own_count; i++) {
        names[count++] = self->table->columns[i]->name;
    }
    if (self->has_window) {
        names[count++] = "window_start";
        names[count++] = "window_end";
    }
    for (size_t i = 0; i < SYSTEM_COUNT; i++) {
        names[count++] = system_columns[i].name;
    }
    bool is_window = strcmp(name, "window_start") == 0 || strcmp(name, "window_end") == 0;
    return plan_fault_raise(
        fault,
        &(struct plan_fault_text){
            .code = "UNKNOWN_COLUMN",
            .position = position,
            .what = plan_fault_print(fault, "column \"%s\" does not exist", name),
            .why =
                plan_fault_print(fault, "table %s has no column of this name", self->table->name),
            .fix = is_window ? "read from a window: FROM tumble(table, time, interval '1 hour')"
                             : plan_fault_choices(fault, name, names, count)});
}

static enum status check_table(const struct name_scope *self,
                               const Millrace__Plan__ColumnName *name, uint32_t position,
                               struct plan_fault *fault)
{
    if (name->table[0] == '\0' || strcmp(name->table, self->alias) == 0) {
        return STATUS_OK;
    }
    return plan_fault_raise(
        fault,
        &(struct plan_fault_text){
            .code = "UNKNOWN_TABLE",
            .position = position,
            .what = plan_fault_print(
                fault, "invalid reference to FROM-clause entry for table \"%s\"", name->table),
            .why = plan_fault_print(fault, "the table is called %s here", self->alias),
            .fix = plan_fault_print(fault, "write %s.%s", self->alias, name->name)});
}

enum status name_scope_find(const struct name_scope *self, const Millrace__Plan__ColumnName *name,
                            uint32_t position, struct plan_fault *fault,
                            struct typed_expr **out_expr)
{
    uint32_t column = 0;
    uint32_t window_column = 0;
    Millrace__Plan__Type type = MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    TRY(check_table(self, name, position, fault));
    bool is_window = find_window(self, name->name, &window_column, &type);
    bool is_own = find_own(self, name->name, &column, &type);
    if (is_own && is_window) {
        return plan_fault_raise(
            fault,
            &(struct plan_fault_text){
                .code = "AMBIGUOUS",
                .position = position,
                .what = plan_fault_print(fault, "column reference \"%s\" is ambiguous", name->name),
                .why = "the table has a column of this name, and the window adds one",
                .fix = "give the table's column another name in CREATE TABLE"});
    }
    if (is_window) {
        column = window_column;
    } else if (!is_own && !find_system(name->name, &column, &type)) {
        return refuse_unknown(self, name->name, position, fault);
    }
    return typed_expr_new_column(fault, position, type, column, out_expr);
}

bool name_scope_has(const struct name_scope *self, const char *name)
{
    uint32_t column = 0;
    Millrace__Plan__Type type = MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    return find_own(self, name, &column, &type) || find_window(self, name, &column, &type) ||
           find_system(name, &column, &type);
}

const char *name_scope_column_name(const struct name_scope *self, uint32_t column)
{
    if (column == NAME_SCOPE_WINDOW_START) {
        return "window_start";
    }
    if (column == NAME_SCOPE_WINDOW_END) {
        return "window_end";
    }
    if (column < self->table->n_columns) {
        return self->table->columns[column]->name;
    }
    bool is_system = column >= PLAN_CHECK_SYSTEM_COLUMN_BASE &&
                     column - PLAN_CHECK_SYSTEM_COLUMN_BASE < SYSTEM_COUNT;
    return is_system ? system_columns[column - PLAN_CHECK_SYSTEM_COLUMN_BASE].name : "?";
}
