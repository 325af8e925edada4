/* INSERT INTO … SELECT of the grammar's tree → Insert.
 *
 * Owner: nobody. Loop: the program's. */
#pragma once

#include "processor/parser/sql_context.h"

/* INVALID: a clause that there is not here. */
MUST_USE enum status sql_select_read_insert(struct sql_context *context,
                                            const PgQuery__InsertStmt *node,
                                            Millrace__Plan__Insert **out_insert);
/* A table's name without a schema. INVALID: it has one. */
MUST_USE enum status sql_select_table_name(struct sql_context *context,
                                           const PgQuery__RangeVar *node, char **out_name);
