#include "processor/plan/expr_kernel.h"

#include <math.h>

/* Of whole numbers: false where the result is none. A quotient is cut towards zero, a remainder has
 * the dividend's sign, and the least number divided by -1 has remainder 0: as in PostgreSQL. */
#define WHOLE_OPERATION(type_name, member, least)                                                  \
    static bool compute_##member(Millrace__Plan__Operation operation, type_name left,              \
                                 type_name right, type_name *result)                               \
    {                                                                                              \
        switch ((int)operation) {                                                                  \
        case MILLRACE__PLAN__OPERATION__OPERATION_ADD:                                             \
            return !__builtin_add_overflow(left, right, result);                                   \
        case MILLRACE__PLAN__OPERATION__OPERATION_SUB:                                             \
            return !__builtin_sub_overflow(left, right, result);                                   \
        case MILLRACE__PLAN__OPERATION__OPERATION_MUL:                                             \
            return !__builtin_mul_overflow(left, right, result);                                   \
        case MILLRACE__PLAN__OPERATION__OPERATION_DIV:                                             \
            if (right == 0 || (left == (least) && right == -1)) {                                  \
                return false;                                                                      \
            }                                                                                      \
            *result = left / right;                                                                \
            return true;                                                                           \
        case MILLRACE__PLAN__OPERATION__OPERATION_MOD:                                             \
            if (right == 0) {                                                                      \
                return false;                                                                      \
            }                                                                                      \
            *result = right == -1 ? 0 : left % right;                                              \
            return true;                                                                           \
        default:                                                                                   \
            check_unreachable("no arithmetic");                                                    \
        }                                                                                          \
    }                                                                                              \
    static void run_##member(struct expr_call *call)                                               \
    {                                                                                              \
        Millrace__Plan__Operation operation = call->step->operation;                               \
        const type_name *left = expr_call_column(call, 0)->values.member;                          \
        const type_name *right = expr_call_column(call, 1)->values.member;                         \
        for (uint32_t row = 0; row < call->row_count; row++) {                                     \
            if (!compute_##member(operation, left[expr_call_row(call, 0, row)],                    \
                                  right[expr_call_row(call, 1, row)],                              \
                                  &call->column.values.member[row])) {                             \
                expr_call_fault(call, row);                                                        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void negate_##member(struct expr_call *call)                                            \
    {                                                                                              \
        const type_name *values = expr_call_column(call, 0)->values.member;                        \
        for (uint32_t row = 0; row < call->row_count; row++) {                                     \
            if (!compute_##member(MILLRACE__PLAN__OPERATION__OPERATION_SUB, 0, values[row],        \
                                  &call->column.values.member[row])) {                             \
                expr_call_fault(call, row);                                                        \
            }                                                                                      \
        }                                                                                          \
    }

WHOLE_OPERATION(int32_t, ints, INT32_MIN)
WHOLE_OPERATION(int64_t, bigints, INT64_MIN)

/* Of doubles: false where two finite ones leave the type at either end, as PostgreSQL has it. */
static bool compute_doubles(Millrace__Plan__Operation operation, double left, double right,
                            double *result)
{
    bool is_product = false;
    switch ((int)operation) {
    case MILLRACE__PLAN__OPERATION__OPERATION_ADD:
        *result = left + right;
        break;
    case MILLRACE__PLAN__OPERATION__OPERATION_SUB:
        *result = left - right;
        break;
    case MILLRACE__PLAN__OPERATION__OPERATION_MUL:
        *result = left * right;
        is_product = left != 0 && right != 0;
        break;
    default:
        check(operation == MILLRACE__PLAN__OPERATION__OPERATION_DIV);
        if (right == 0 && !isnan(left)) {
            return false;
        }
        *result = left / right;
        is_product = left != 0 && !isinf(right);
        break;
    }
    bool was_infinite = isinf(left) != 0 || isinf(right) != 0;
    return (isinf(*result) == 0 || was_infinite) && (*result != 0 || !is_product);
}

static void run_doubles(struct expr_call *call)
{
    const double *left = expr_call_column(call, 0)->values.doubles;
    const double *right = expr_call_column(call, 1)->values.doubles;
    for (uint32_t row = 0; row < call->row_count; row++) {
        if (!compute_doubles(call->step->operation, left[expr_call_row(call, 0, row)],
                             right[expr_call_row(call, 1, row)],
                             &call->column.values.doubles[row])) {
            expr_call_fault(call, row);
        }
    }
}

static void negate_doubles(struct expr_call *call)
{
    const double *values = expr_call_column(call, 0)->values.doubles;
    for (uint32_t row = 0; row < call->row_count; row++) {
        call->column.values.doubles[row] = -values[row];
    }
}

enum status expr_arithmetic(struct expr_call *call)
{
    TRY(expr_call_begin(call));
    bool is_sign = call->step->operation == MILLRACE__PLAN__OPERATION__OPERATION_NEG;
    switch ((int)call->step->type) {
    case VALUE_INT:
        (is_sign ? negate_ints : run_ints)(call);
        return STATUS_OK;
    case VALUE_BIGINT:
        (is_sign ? negate_bigints : run_bigints)(call);
        return STATUS_OK;
    case VALUE_DOUBLE:
        (is_sign ? negate_doubles : run_doubles)(call);
        return STATUS_OK;
    default:
        check_unreachable("arithmetic of a type that has none");
    }
}
