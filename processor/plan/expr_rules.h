/* Which operations there are on which types, and which of them can fail.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include "processor/row/value.h"
#include "proto/internal/plan.pb-c.h"

#include <stdbool.h>

bool expr_rules_is_type(Millrace__Plan__Type type);
/* Do the arguments' types and their number suit the operation, and give `result`? */
bool expr_rules_fit(Millrace__Plan__Operation operation, const enum value_type *arguments,
                    uint32_t argument_count, enum value_type result);
/* Can this call itself fail for some row? */
bool expr_rules_may_fault(Millrace__Plan__Operation operation, enum value_type first_argument,
                          enum value_type result);
