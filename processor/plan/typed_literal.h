/* Constants: text that turns out to be a number, a moment or a span.
 *
 * Owner: nobody. Loop: any. */
#pragma once

#include "processor/plan/plan_fault.h"

MUST_USE enum status typed_literal_copy(const Millrace__Plan__Literal *literal, struct arena *arena,
                                        Millrace__Plan__Literal **out_literal);
/* A text or NULL as a constant of `type`, by PostgreSQL's rules for input. INVALID: it is none,
 * with the fault at `position`. */
MUST_USE enum status typed_literal_settle(const Millrace__Plan__Literal *literal,
                                          Millrace__Plan__Type type, uint32_t position,
                                          struct plan_fault *fault,
                                          Millrace__Plan__Literal **out_literal);
bool typed_literal_is_equal(const Millrace__Plan__Literal *a, const Millrace__Plan__Literal *b);
