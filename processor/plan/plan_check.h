/* From what was asked (CreateTable, Insert) to what is kept and run (Table, JobPlan): names are
 * resolved, types known, options checked, a query cut into stages. Pure: nothing is looked at but
 * the arguments.
 *
 * All results and faults live in the given arena: pack them to keep them, then drop the arena; the
 * library's free functions must not touch them. Nothing of the input is referenced afterwards.
 *
 * A plan that comes back has no query_id, and its tables are those that find_table gave, topic ids
 * included: the caller fills what only it knows.
 *
 * Owner: the caller. Loop: any. Limits: PLAN_CHECK_DEPTH_MAX, PLAN_CHECK_COLUMNS_MAX, the arena
 * (PLAN_CHECK_ARENA_BYTES suffice for a text of 64 KiB). */
#pragma once

#include "processor/plan/plan_fault.h"
#include "processor/plan/plan_settings.h"

/* A stack bound for everything that walks an expression; the parser allows no more. */
#define PLAN_CHECK_DEPTH_MAX 1500U
#define PLAN_CHECK_COLUMNS_MAX 1000U
#define PLAN_CHECK_TERMS_MAX 4096U          /* Of one expression, IN and BETWEEN written out. */
#define PLAN_CHECK_TERMS_ALL_MAX 16384U     /* Of all expressions of a query. */
#define PLAN_CHECK_KEYS_MAX 100U            /* Of GROUP BY. */
#define PLAN_CHECK_PACKED_BYTES_MAX 900000U /* A plan must fit a record of the catalog. */
/* In `Stage.source_columns` this plus a SystemColumn stands for a column that every table has. */
#define PLAN_CHECK_SYSTEM_COLUMN_BASE 65536U
#define PLAN_CHECK_ARENA_BYTES ((size_t)64 << 20)

/* The tables that there are, as the catalog knows them. */
struct plan_tables {
    /* NULL: no such table. Live until the check returns. */
    const Millrace__Plan__Table *(*find)(void *context, const char *name);
    /* Names in any order for "did you mean"; NULL past the last. May be NULL. */
    const char *(*name_at)(void *context, size_t index);
    /* Of the table's topic; 0: not known (the job then starts with 1). */
    uint32_t (*partition_count)(void *context, const Millrace__Plan__Table *table);
    void *context;
};

struct plan_check_options {
    const struct plan_tables *tables;
    const struct plan_settings *settings;
    const char *text; /* Of the statement, kept in the plan for people; may be NULL. */
    size_t text_bytes;
};

/* `fault` must have been initialised with the arena that shall hold the result.
 * INVALID: `fault->message` says what is wrong. NO_MEMORY: the arena is full. */
MUST_USE enum status plan_check_table(const Millrace__Plan__CreateTable *asked,
                                      struct plan_fault *fault, Millrace__Plan__Table **out_table);
/* `asked` may be NULL, as of an EXPLAIN that no parser made. */
MUST_USE enum status plan_check_insert(const Millrace__Plan__Insert *asked,
                                       const struct plan_check_options *options,
                                       struct plan_fault *fault,
                                       Millrace__Plan__JobPlan **out_plan);
