/* A SELECT with all its names and types known, not yet cut into stages.
 *
 * Owner: plan_check. Loop: any. */
#pragma once

#include "processor/plan/expr_check.h"

struct query_check {
    struct plan_fault *fault;             /* Borrowed. */
    const Millrace__Plan__Select *select; /* Borrowed. */
    struct name_scope scope;
    struct expr_check_aggregates aggregates;
    struct typed_expr *where;  /* NULL: none. */
    struct typed_expr *having; /* NULL: none. */
    struct typed_expr **targets;
    size_t target_count;
    bool is_grouped;
    bool has_window_key;
    struct typed_expr *window_time; /* NULL: no window. */
    int64_t window_size_us;
    int64_t window_slide_us;
    struct typed_expr **keys; /* Without the window. */
    size_t key_count;
};

/* `self` holds fault, select and scope. INVALID: `fault`. */
MUST_USE enum status query_check_read(struct query_check *self);
