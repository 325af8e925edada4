/* Which columns a name may mean: those of the table read, those that every table has, and the two
 * that a window adds.
 *
 * Columns get numbers that say where they are from; what a stage reads and in which order is
 * decided later. Names that start with an underscore and are not the table's are the system's.
 *
 * Owner: plan_check. Loop: any. */
#pragma once

#include "processor/plan/typed_expr.h"

/* Below: the table's, in its order; from PLAN_CHECK_SYSTEM_COLUMN_BASE: the system's. */
#define NAME_SCOPE_WINDOW_START (1U << 17)
#define NAME_SCOPE_WINDOW_END (NAME_SCOPE_WINDOW_START + 1U)
#define NAME_SCOPE_AGGREGATE_BASE (1U << 18) /* Plus the number of the call. */

struct name_scope {
    const Millrace__Plan__Table *table; /* Borrowed. */
    const char *alias;                  /* What the table is called here; borrowed. */
    bool has_window;
};

/* INVALID: no such column, or one of two. */
MUST_USE enum status name_scope_find(const struct name_scope *self,
                                     const Millrace__Plan__ColumnName *name, uint32_t position,
                                     struct plan_fault *fault, struct typed_expr **out_expr);
/* Whether an unqualified name is there at all. */
bool name_scope_has(const struct name_scope *self, const char *name);
/* The name of a column by its number; "?" for none of the scope's. */
const char *name_scope_column_name(const struct name_scope *self, uint32_t column);
