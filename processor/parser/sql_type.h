/* PostgreSQL's names of types → ours.
 *
 * Owner: nobody. Loop: the program's. */
#pragma once

#include "processor/parser/sql_context.h"

/* INVALID: a type that there is not here; the fault names the nearest that there is. */
MUST_USE enum status sql_type_read(struct sql_context *context, const PgQuery__TypeName *name,
                                   Millrace__Plan__Type *out_type);
/* `interval '3' hour` counts hours: the word that its number stands for, NULL where there is none.
 * INVALID: a combination that is not known here. */
MUST_USE enum status sql_type_interval_unit(struct sql_context *context,
                                            const PgQuery__TypeName *name, const char **out_unit);
