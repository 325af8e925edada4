/* Which column of the sink gets what: by position, with the casts in which nothing is lost.
 *
 * Owner: plan_check. Loop: any. */
#pragma once

#include "processor/plan/query_check.h"

/* One expression for each column of `sink`, over the query's columns; NULL for those that INSERT
 * does not name. INVALID: numbers or types do not fit. */
MUST_USE enum status sink_check_assign(const Millrace__Plan__Insert *asked,
                                       const Millrace__Plan__Table *sink,
                                       const struct query_check *query,
                                       struct typed_expr ***out_columns);
