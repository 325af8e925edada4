#include "processor/parser/sql_type.h"

#include <string.h>

struct known_type {
    const char *name;
    Millrace__Plan__Type type;
};

static const struct known_type known_types[] = {
    {"bool", MILLRACE__PLAN__TYPE__TYPE_BOOL},
    {"boolean", MILLRACE__PLAN__TYPE__TYPE_BOOL},
    {"int4", MILLRACE__PLAN__TYPE__TYPE_INT},
    {"int", MILLRACE__PLAN__TYPE__TYPE_INT},
    {"integer", MILLRACE__PLAN__TYPE__TYPE_INT},
    {"int8", MILLRACE__PLAN__TYPE__TYPE_BIGINT},
    {"bigint", MILLRACE__PLAN__TYPE__TYPE_BIGINT},
    {"float8", MILLRACE__PLAN__TYPE__TYPE_DOUBLE},
    {"double", MILLRACE__PLAN__TYPE__TYPE_DOUBLE},
    {"text", MILLRACE__PLAN__TYPE__TYPE_TEXT},
    {"varchar", MILLRACE__PLAN__TYPE__TYPE_TEXT},
    {"string", MILLRACE__PLAN__TYPE__TYPE_TEXT},
    {"timestamptz", MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ},
    {"interval", MILLRACE__PLAN__TYPE__TYPE_INTERVAL},
};

struct missing_type {
    const char *name;
    const char *instead;
};

static const struct missing_type missing_types[] = {
    {"int2", "write int"},
    {"float4", "write double precision"},
    {"real", "write double precision"},
    {"numeric", "write double precision, or bigint of the smallest unit"},
    {"decimal", "write double precision, or bigint of the smallest unit"},
    {"timestamp", "write timestamptz: a time without a zone is not a moment"},
    {"date", "write timestamptz or text"},
    {"time", "write text"},
    {"timetz", "write text"},
    {"bpchar", "write text"},
    {"char", "write text"},
    {"uuid", "write text"},
    {"json", "write text"},
    {"jsonb", "write text"},
    {"bytea", "write text"},
};

static const char *const choices[] = {"bool", "int",         "bigint",  "double precision",
                                      "text", "timestamptz", "interval"};

static enum status refuse_name(struct sql_context *context, const PgQuery__TypeName *name,
                               const char *word)
{
    const char *fix = NULL;
    for (size_t i = 0; i < sizeof missing_types / sizeof missing_types[0]; i++) {
        if (strcmp(missing_types[i].name, word) == 0) {
            fix = missing_types[i].instead;
        }
    }
    if (fix == NULL) {
        fix = plan_fault_choices(context->fault, word, choices, sizeof choices / sizeof choices[0]);
    }
    return sql_context_refuse_missing(
        context, name->location,
        plan_fault_print(context->fault, "there is no type \"%s\" here", word), fix);
}

enum status sql_type_read(struct sql_context *context, const PgQuery__TypeName *name,
                          Millrace__Plan__Type *out_type)
{
    const char *schema = name->n_names == 2 ? sql_context_string(name->names[0]) : NULL;
    const char *word =
        name->n_names == 0 ? NULL : sql_context_string(name->names[name->n_names - 1]);
    bool is_plain = name->n_names == 1 || (schema != NULL && strcmp(schema, "pg_catalog") == 0);
    if (word == NULL || !is_plain || name->setof || name->pct_type) {
        return sql_context_refuse(context, name->location, "a type of a schema or of a column",
                                  "write one of the built-in types, as text or bigint");
    }
    if (name->n_array_bounds > 0) {
        return sql_context_refuse(context, name->location, "an array type",
                                  "there are no arrays yet: write text");
    }
    for (size_t i = 0; i < sizeof known_types / sizeof known_types[0]; i++) {
        if (strcmp(known_types[i].name, word) != 0) {
            continue;
        }
        if (name->n_typmods > 0 && known_types[i].type != MILLRACE__PLAN__TYPE__TYPE_INTERVAL) {
            return sql_context_refuse(context, name->location,
                                      "a type with a length or a precision",
                                      "leave the parentheses out");
        }
        *out_type = known_types[i].type;
        return STATUS_OK;
    }
    return refuse_name(context, name, word);
}

enum status sql_type_interval_unit(struct sql_context *context, const PgQuery__TypeName *name,
                                   const char **out_unit)
{
    /* 1 << field, as PostgreSQL numbers them. */
    static const struct {
        int32_t mask;
        const char *unit;
    } units[] = {{1 << 2, "year"},  {1 << 1, "month"},   {1 << 3, "day"},
                 {1 << 10, "hour"}, {1 << 11, "minute"}, {1 << 12, "second"}};
    *out_unit = NULL;
    if (name->n_typmods == 0) {
        return STATUS_OK;
    }
    const PgQuery__Node *node = name->typmods[0];
    if (name->n_typmods == 1 && node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
            if (node->a_const->ival->ival == units[i].mask) {
                *out_unit = units[i].unit;
                return STATUS_OK;
            }
        }
    }
    return sql_context_refuse(context, name->location, "an interval of several fields",
                              "write the units in the text: interval '1 day 2 hours'");
}
