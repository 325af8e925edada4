#include "processor/plan/expr_rules.h"

#define OPERATION(name) MILLRACE__PLAN__OPERATION__OPERATION_##name

bool expr_rules_is_type(Millrace__Plan__Type type)
{
    return (int)type >= VALUE_BOOL && (int)type <= VALUE_INTERVAL;
}

static bool is_number(enum value_type type)
{
    return type == VALUE_INT || type == VALUE_BIGINT || type == VALUE_DOUBLE;
}

static bool arithmetic_fits(Millrace__Plan__Operation operation, enum value_type left,
                            enum value_type right, enum value_type result)
{
    bool is_sum = operation == OPERATION(ADD) || operation == OPERATION(SUB);
    if (is_number(left)) {
        bool has_remainder = left != VALUE_DOUBLE || operation != OPERATION(MOD);
        return left == right && left == result && has_remainder;
    }
    if (left == VALUE_INTERVAL && right == VALUE_INTERVAL) {
        return is_sum && result == VALUE_INTERVAL;
    }
    if (left == VALUE_TIMESTAMPTZ && right == VALUE_INTERVAL) {
        return is_sum && result == VALUE_TIMESTAMPTZ;
    }
    if (left == VALUE_INTERVAL && right == VALUE_TIMESTAMPTZ) {
        return operation == OPERATION(ADD) && result == VALUE_TIMESTAMPTZ;
    }
    return left == VALUE_TIMESTAMPTZ && right == VALUE_TIMESTAMPTZ && result == VALUE_INTERVAL &&
           operation == OPERATION(SUB);
}

static bool case_fits(const enum value_type *arguments, uint32_t argument_count,
                      enum value_type result)
{
    for (uint32_t i = 0; i < argument_count; i++) {
        bool is_condition = i % 2 == 0 && i != argument_count - 1;
        if (arguments[i] != (is_condition ? VALUE_BOOL : result)) {
            return false;
        }
    }
    return argument_count >= 3 && argument_count % 2 == 1;
}

static bool all_are(const enum value_type *arguments, uint32_t argument_count, enum value_type type)
{
    for (uint32_t i = 0; i < argument_count; i++) {
        if (arguments[i] != type) {
            return false;
        }
    }
    return true;
}

static bool cast_fits(enum value_type from, enum value_type to)
{
    if (from == to || from == VALUE_TEXT || to == VALUE_TEXT) {
        return true;
    }
    if (from == VALUE_BOOL || to == VALUE_BOOL) {
        enum value_type other = from == VALUE_BOOL ? to : from;
        return other == VALUE_INT || other == VALUE_BIGINT;
    }
    return is_number(from) && is_number(to);
}

bool expr_rules_fit(Millrace__Plan__Operation operation, const enum value_type *arguments,
                    uint32_t argument_count, enum value_type result)
{
    switch ((int)operation) {
    case OPERATION(EQ):
    case OPERATION(NE):
    case OPERATION(LT):
    case OPERATION(LE):
    case OPERATION(GT):
    case OPERATION(GE):
        return argument_count == 2 && arguments[0] == arguments[1] && result == VALUE_BOOL;
    case OPERATION(ADD):
    case OPERATION(SUB):
    case OPERATION(MUL):
    case OPERATION(DIV):
    case OPERATION(MOD):
        return argument_count == 2 &&
               arithmetic_fits(operation, arguments[0], arguments[1], result);
    case OPERATION(NEG):
        return argument_count == 1 && arguments[0] == result &&
               (is_number(result) || result == VALUE_INTERVAL);
    case OPERATION(AND):
    case OPERATION(OR):
        return argument_count >= 2 && all_are(arguments, argument_count, VALUE_BOOL) &&
               result == VALUE_BOOL;
    case OPERATION(NOT):
        return argument_count == 1 && arguments[0] == VALUE_BOOL && result == VALUE_BOOL;
    case OPERATION(IS_NULL):
    case OPERATION(IS_NOT_NULL):
        return argument_count == 1 && result == VALUE_BOOL;
    case OPERATION(CASE):
        return case_fits(arguments, argument_count, result);
    case OPERATION(CAST):
        return argument_count == 1 && cast_fits(arguments[0], result);
    case OPERATION(COALESCE):
        return argument_count >= 1 && all_are(arguments, argument_count, result);
    default:
        return false;
    }
}

/* Are there values of `from` that have none of `to`? The cast is one that there is. */
static bool cast_may_fault(enum value_type from, enum value_type to)
{
    if (to == VALUE_TEXT || to == from) {
        return false;
    }
    if (from == VALUE_TEXT || from == VALUE_DOUBLE) {
        return true;
    }
    return from == VALUE_BIGINT && to == VALUE_INT;
}

bool expr_rules_may_fault(Millrace__Plan__Operation operation, enum value_type first_argument,
                          enum value_type result)
{
    switch ((int)operation) {
    case OPERATION(ADD):
    case OPERATION(SUB):
    case OPERATION(MUL):
    case OPERATION(DIV):
    case OPERATION(MOD):
    case OPERATION(NEG):
        return true;
    case OPERATION(CAST):
        return cast_may_fault(first_argument, result);
    default:
        return false;
    }
}
