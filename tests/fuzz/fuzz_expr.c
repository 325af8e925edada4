/* Goal: no plan that a topic can hold makes an expression abort, and each row is computed as if it
 * were alone.
 * Method: the input is a packed TypedExpr. What compiles is evaluated over rows of edge values of
 * every type, all at once and row by row: same values, nulls and misfits. */
#include "processor/plan/expr.h"
#include "proto/sys/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 9U
#define COLUMNS 8U
#define NULL_ROW 4U
#define ARENA_BYTES ((size_t)64 << 20)
#define INPUT_BYTES_MAX 4096U

static const enum value_type types[COLUMNS] = {VALUE_BOOL,     VALUE_INT,  VALUE_BIGINT,
                                               VALUE_DOUBLE,   VALUE_TEXT, VALUE_TIMESTAMPTZ,
                                               VALUE_INTERVAL, VALUE_INT};
static struct arena inputs_arena;
static struct arena arena;
static struct column columns[COLUMNS];
static struct row_batch rows;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void must(enum status status)
{
    check(status == STATUS_OK);
}

static void fill_texts(struct column *column)
{
    static const char *const texts[ROWS] = {"",    "42", "-9223372036854775808", "1e308",       "",
                                            "yes", "é",  "2001-02-03 04:05:06",  "1 mon 2 days"};
    column->text_bytes = arena_take(&inputs_arena, 256);
    for (uint32_t i = 0; i < ROWS; i++) {
        int32_t start = column->values.text_ends[i];
        memcpy(column->text_bytes + start, texts[i], strlen(texts[i]));
        column->values.text_ends[i + 1] = start + (int32_t)strlen(texts[i]);
    }
}

static void make_rows(void)
{
    static const int32_t ints[ROWS] = {0, 1, -1, INT32_MAX, 0, INT32_MIN, 7, -3, 1000000};
    static const int64_t bigints[ROWS] = {0,         1, -1, INT64_MAX,      0,
                                          INT64_MIN, 7, -3, 978307200000000};
    const double doubles[ROWS] = {0, -0.0, 0.5, NAN, 0, INFINITY, -1e308, 5e-324, 2147483647.5};
    arena_init(&inputs_arena, (size_t)1 << 20);
    for (uint32_t i = 0; i < COLUMNS; i++) {
        must(column_init(&columns[i], types[i], ROWS, &inputs_arena));
        if (types[i] == VALUE_TEXT) {
            fill_texts(&columns[i]);
        }
        must(column_set_null(&columns[i], NULL_ROW, &inputs_arena));
    }
    for (uint32_t row = 0; row < ROWS; row++) {
        if (row % 2 == 1) {
            row_bits_set(columns[0].values.bools, row);
        }
        columns[1].values.ints[row] = ints[row];
        columns[2].values.bigints[row] = bigints[row];
        columns[3].values.doubles[row] = doubles[row];
        columns[5].values.bigints[row] = bigints[row];
        columns[6].values.intervals[row] = (struct interval){
            .months = ints[row], .days = ints[ROWS - 1 - row], .micros = bigints[row]};
        columns[7].values.ints[row] = ints[ROWS - 1 - row];
    }
    rows = (struct row_batch){.row_count = ROWS, .column_count = COLUMNS, .columns = columns};
}

static bool same_value(const struct column *left, uint32_t left_row, const struct column *right,
                       uint32_t right_row)
{
    if (column_is_null(left, left_row) || column_is_null(right, right_row)) {
        return column_is_null(left, left_row) && column_is_null(right, right_row);
    }
    if (left->type == VALUE_BOOL) {
        return column_bool(left, left_row) == column_bool(right, right_row);
    }
    if (left->type == VALUE_TEXT) {
        struct column_text one = column_text(left, left_row);
        struct column_text other = column_text(right, right_row);
        return one.byte_count == other.byte_count &&
               memcmp(one.bytes, other.bytes, one.byte_count) == 0;
    }
    if (left->type == VALUE_DOUBLE && isnan(left->values.doubles[left_row])) {
        return isnan(right->values.doubles[right_row]); /* Its bits are nobody's promise. */
    }
    size_t size = column_value_bytes(left->type);
    return memcmp(left->values.bools + left_row * size, right->values.bools + right_row * size,
                  size) == 0;
}

static void hold_row(const struct expr *expr, uint32_t row, const struct column *all,
                     const uint8_t *misfits)
{
    struct row_batch alone;
    struct column out;
    uint8_t alone_misfits = 0;
    must(row_batch_gather(&rows, &row, 1, &arena, &alone));
    must(expr_evaluate(expr, &alone, &arena, &alone_misfits, &out));
    check(out.row_count == 1 && alone_misfits <= 1);
    check((alone_misfits != 0) == row_bits_get(misfits, row));
    check(same_value(all, row, &out, 0));
    if (all->type == VALUE_TEXT && column_is_null(all, row)) {
        check(column_text(all, row).byte_count == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (rows.row_count == 0) {
        make_rows();
    }
    if (byte_count > INPUT_BYTES_MAX) {
        return 0;
    }
    Millrace__Plan__TypedExpr *plan = millrace__plan__typed_expr__unpack(NULL, byte_count, bytes);
    if (plan == NULL) {
        return 0;
    }
    struct expr *expr = NULL;
    if (expr_new(plan, types, COLUMNS, &expr) == STATUS_OK) {
        struct column out;
        uint8_t misfits[2] = {0};
        arena_init(&arena, ARENA_BYTES);
        must(expr_evaluate(expr, &rows, &arena, misfits, &out));
        check(out.row_count == ROWS && out.type == expr_type(expr) && misfits[1] <= 1);
        for (uint32_t row = 0; row < ROWS; row++) {
            hold_row(expr, row, &out, misfits);
        }
        arena_done(&arena);
    }
    expr_free(expr);
    millrace__plan__typed_expr__free_unpacked(plan, NULL);
    return 0;
}
