/* One statement of the grammar's tree → Statement; DROP TABLE a, b is two.
 *
 * Owner: nobody. Loop: the program's. */
#pragma once

#include "processor/parser/sql_context.h"

struct sql_statement_list {
    Millrace__Plan__Statement **statements;
    size_t count;
};

/* `piece_bytes` is the statement's length. INVALID: one that there is not here. */
MUST_USE enum status sql_statement_read(struct sql_context *context, const PgQuery__Node *node,
                                        uint32_t piece_bytes,
                                        struct sql_statement_list *out_statements);
