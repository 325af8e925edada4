/* From a plan's tree to steps in the order in which they run.
 *
 * A step's arguments stand in front of it. Where SQL promises that an expression is not evaluated
 * for a row (a branch of CASE, what stands behind a false AND, a true OR, in COALESCE behind a
 * value), everything is computed for all rows all the same, but a mask says for which rows a fault
 * counts.
 *
 * Owner: the expression. Loop: any. Limits: EXPR_STEPS_MAX nodes, EXPR_COMPILE_DEPTH_MAX levels. */
#pragma once

#include "processor/plan/expr.h"
#include "processor/plan/expr_call.h"
#include "proto/sys/arena.h"

#define EXPR_COMPILE_DEPTH_MAX 2048U

struct expr_program {
    struct expr_step *steps; /* In the arena, as all of it. */
    uint32_t step_count;
    uint32_t *arguments; /* Numbers of steps. */
    uint32_t argument_count;
};

/* INVALID: not a plan of ours. FULL: too long or too deep. NO_MEMORY: the arena. */
MUST_USE enum status expr_compile(const Millrace__Plan__TypedExpr *plan,
                                  const enum value_type *inputs, uint32_t input_count,
                                  struct arena *arena, struct expr_program *out_program);
