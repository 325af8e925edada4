/* Goal: no Script from outside (a data frame's, or bytes that only look so) kills the door: what is
 * unpacked is not too deep, and what is checked becomes a plan that holds together or a fault.
 * Method: the input is packed bytes; statements are run against three tables. */
#include "processor/plan/plan_nesting.h"
#include "proto/sys/check.h"
#include "tests/rig/sql_rig.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static const struct {
    const char *name;
    Millrace__Plan__Type type;
} columns[] = {
    {"a", MILLRACE__PLAN__TYPE__TYPE_INT},      {"b", MILLRACE__PLAN__TYPE__TYPE_BIGINT},
    {"c", MILLRACE__PLAN__TYPE__TYPE_DOUBLE},   {"d", MILLRACE__PLAN__TYPE__TYPE_TEXT},
    {"e", MILLRACE__PLAN__TYPE__TYPE_BOOL},     {"f", MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ},
    {"g", MILLRACE__PLAN__TYPE__TYPE_INTERVAL},
};
#define COLUMN_COUNT (sizeof columns / sizeof columns[0])

static char *copy(struct arena *arena, const char *text)
{
    char *made = arena_copy_text(arena, text, strlen(text));
    check(made != NULL);
    return made;
}

static void add_option(struct arena *arena, Millrace__Plan__CreateTable *create, const char *name,
                       const char *value)
{
    Millrace__Plan__Option *option = arena_take(arena, sizeof *option);
    check(option != NULL);
    millrace__plan__option__init(option);
    option->name = copy(arena, name);
    option->value = copy(arena, value);
    create->options[create->n_options++] = option;
}

/* The names that the seeds use: s is read, o and n are written. */
static void add_table(struct sql_rig *rig, const char *name, size_t begin, size_t end)
{
    struct arena *arena = &rig->arena;
    struct plan_fault fault;
    Millrace__Plan__CreateTable create;
    Millrace__Plan__ColumnDefinition *definitions[COLUMN_COUNT];
    Millrace__Plan__Option *options[2];
    millrace__plan__create_table__init(&create);
    create.name = copy(arena, name);
    create.columns = definitions;
    create.options = options;
    for (size_t i = begin; i < end; i++) {
        Millrace__Plan__ColumnDefinition *definition = arena_take(arena, sizeof *definition);
        check(definition != NULL);
        millrace__plan__column_definition__init(definition);
        definition->name = copy(arena, columns[i].name);
        definition->type = columns[i].type;
        definitions[create.n_columns++] = definition;
    }
    if (end - begin == COLUMN_COUNT) {
        add_option(arena, &create, "event_time", "f");
        add_option(arena, &create, "watermark", "1 hour");
    }
    plan_fault_init(&fault, arena);
    check(plan_check_table(&create, &fault, &rig->tables[rig->table_count]) == STATUS_OK);
    rig->table_count++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct sql_rig rig;
    struct text_builder report;
    if (plan_nesting_check(&millrace__plan__script__descriptor, bytes, byte_count) != STATUS_OK) {
        return 0;
    }
    Millrace__Plan__Script *script = millrace__plan__script__unpack(NULL, byte_count, bytes);
    if (script == NULL) {
        return 0;
    }
    if (script->n_statements > SQL_RIG_TABLES_MAX - 3) {
        millrace__plan__script__free_unpacked(script, NULL); /* The rig keeps few tables. */
        return 0;
    }
    sql_rig_init(&rig);
    text_builder_init(&report, &rig.arena);
    add_table(&rig, "s", 0, COLUMN_COUNT);
    add_table(&rig, "o", 1, COLUMN_COUNT);
    add_table(&rig, "n", 1, 2);
    Millrace__Plan__Fault *fault = script->fault;
    script->fault = NULL; /* Only the parser says it. */
    sql_rig_run(&rig, script, NULL, &report);
    script->fault = fault;
    sql_rig_done(&rig);
    millrace__plan__script__free_unpacked(script, NULL);
    return 0;
}
