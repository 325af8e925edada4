#include "processor/plan/expr_kernel.h"

#include <math.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK                                                                                      \
    64U /* Rows of one turn: known to the compiler, so that it can use wide registers.             \
         */

__extension__ typedef __int128 wide; /* An interval in microseconds leaves 64 bits. */

/* 64 bytes of 0 or 1 to bits. */
static void pack(const uint8_t flags[BLOCK], uint8_t bits[BLOCK / 8])
{
#ifdef __SSE2__
    for (size_t i = 0; i < BLOCK / 16; i++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(flags + 16 * i));
        uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_slli_epi16(bytes, 7));
        bits[2 * i] = (uint8_t)mask;
        bits[2 * i + 1] = (uint8_t)(mask >> 8);
    }
#else
    for (size_t i = 0; i < BLOCK / 8; i++) {
        bits[i] = 0;
        for (size_t k = 0; k < 8; k++) {
            bits[i] = (uint8_t)(bits[i] | flags[8 * i + k] << k);
        }
    }
#endif
}

static void put_block(struct expr_call *call, uint32_t first, const uint8_t flags[BLOCK])
{
    uint8_t bits[BLOCK / 8];
    uint32_t left = call->row_count - first;
    pack(flags, bits);
    memcpy(call->column.values.bools + first / 8, bits,
           row_bits_byte_count(left < BLOCK ? left : BLOCK));
}

/* One block of values of an argument: its own array, or a copy where it is constant or too short.
 */
#define COMPARE_BLOCK(type_name, member)                                                           \
    static const type_name *member##_block(const struct expr_call *call, uint32_t argument,        \
                                           uint32_t first, type_name copy[BLOCK])                  \
    {                                                                                              \
        const struct expr_vector *vector = call->arguments[argument];                              \
        const type_name *values = vector->column.values.member;                                    \
        uint32_t left = call->row_count - first;                                                   \
        if (!vector->is_constant && left >= BLOCK) {                                               \
            return values + first;                                                                 \
        }                                                                                          \
        if (vector->is_constant && first > 0) {                                                    \
            return copy;                                                                           \
        }                                                                                          \
        for (uint32_t i = 0; i < BLOCK; i++) {                                                     \
            copy[i] = vector->is_constant ? values[0] : i < left ? values[first + i] : 0;          \
        }                                                                                          \
        return copy;                                                                               \
    }

#define COMPARE_WITH(symbol)                                                                       \
    for (uint32_t i = 0; i < BLOCK; i++) {                                                         \
        flags[i] = (uint8_t)(left[i] symbol right[i]);                                             \
    }                                                                                              \
    break;

#define COMPARE_KERNEL(type_name, member)                                                          \
    COMPARE_BLOCK(type_name, member)                                                               \
    static void compare_##member(struct expr_call *call)                                           \
    {                                                                                              \
        type_name left_copy[BLOCK];                                                                \
        type_name right_copy[BLOCK];                                                               \
        uint8_t flags[BLOCK];                                                                      \
        for (uint32_t first = 0; first < call->row_count; first += BLOCK) {                        \
            const type_name *left = member##_block(call, 0, first, left_copy);                     \
            const type_name *right = member##_block(call, 1, first, right_copy);                   \
            switch ((int)call->step->operation) {                                                  \
            case MILLRACE__PLAN__OPERATION__OPERATION_EQ:                                          \
                COMPARE_WITH(==)                                                                   \
            case MILLRACE__PLAN__OPERATION__OPERATION_NE:                                          \
                COMPARE_WITH(!=)                                                                   \
            case MILLRACE__PLAN__OPERATION__OPERATION_LT:                                          \
                COMPARE_WITH(<)                                                                    \
            case MILLRACE__PLAN__OPERATION__OPERATION_LE:                                          \
                COMPARE_WITH(<=)                                                                   \
            case MILLRACE__PLAN__OPERATION__OPERATION_GT:                                          \
                COMPARE_WITH(>)                                                                    \
            case MILLRACE__PLAN__OPERATION__OPERATION_GE:                                          \
                COMPARE_WITH(>=)                                                                   \
            default:                                                                               \
                check_unreachable("no comparison");                                                \
            }                                                                                      \
            put_block(call, first, flags);                                                         \
        }                                                                                          \
    }

COMPARE_KERNEL(int32_t, ints)
COMPARE_KERNEL(int64_t, bigints)

static int order_doubles(double left, double right)
{
    if (isnan(left) || isnan(right)) {
        return (isnan(left) != 0) - (isnan(right) != 0);
    }
    return (left > right) - (left < right);
}

static int order_texts(struct column_text left, struct column_text right)
{
    size_t both = left.byte_count < right.byte_count ? left.byte_count : right.byte_count;
    int order = memcmp(left.bytes, right.bytes, both);
    return order != 0 ? order
                      : (left.byte_count > right.byte_count) - (left.byte_count < right.byte_count);
}

static wide interval_length(const struct interval *interval)
{
    wide days = (wide)interval->months * 30 + interval->days;
    return days * INT64_C(86400000000) + interval->micros;
}

/* Negative, 0 or positive, as memcmp() says it. */
static int order_values(const struct expr_call *call, uint32_t row)
{
    const struct column *left = expr_call_column(call, 0);
    const struct column *right = expr_call_column(call, 1);
    uint32_t left_row = expr_call_row(call, 0, row);
    uint32_t right_row = expr_call_row(call, 1, row);
    if (left->type == VALUE_BOOL) {
        return column_bool(left, left_row) - column_bool(right, right_row);
    }
    if (left->type == VALUE_DOUBLE) {
        return order_doubles(left->values.doubles[left_row], right->values.doubles[right_row]);
    }
    if (left->type == VALUE_TEXT) {
        return order_texts(column_text(left, left_row), column_text(right, right_row));
    }
    check(left->type == VALUE_INTERVAL);
    wide one = interval_length(&left->values.intervals[left_row]);
    wide other = interval_length(&right->values.intervals[right_row]);
    return (one > other) - (one < other);
}

static bool holds(Millrace__Plan__Operation operation, int order)
{
    switch ((int)operation) {
    case MILLRACE__PLAN__OPERATION__OPERATION_EQ:
        return order == 0;
    case MILLRACE__PLAN__OPERATION__OPERATION_NE:
        return order != 0;
    case MILLRACE__PLAN__OPERATION__OPERATION_LT:
        return order < 0;
    case MILLRACE__PLAN__OPERATION__OPERATION_LE:
        return order <= 0;
    case MILLRACE__PLAN__OPERATION__OPERATION_GT:
        return order > 0;
    default:
        check(operation == MILLRACE__PLAN__OPERATION__OPERATION_GE);
        return order >= 0;
    }
}

static void compare_by_order(struct expr_call *call)
{
    for (uint32_t row = 0; row < call->row_count; row++) {
        if (holds(call->step->operation, order_values(call, row))) {
            row_bits_set(call->column.values.bools, row);
        }
    }
}

enum status expr_compare(struct expr_call *call)
{
    TRY(expr_call_begin(call));
    switch (expr_call_column(call, 0)->type) {
    case VALUE_INT:
        compare_ints(call);
        break;
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        compare_bigints(call);
        break;
    case VALUE_BOOL:
    case VALUE_DOUBLE:
    case VALUE_TEXT:
    case VALUE_INTERVAL:
        compare_by_order(call);
        break;
    }
    return STATUS_OK;
}
