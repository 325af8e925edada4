/* Goal: expressions give what PostgreSQL gives, null and failure included, whether their arguments
 * are columns or the same for all rows.
 * Method: tests/golden/expr/expr.tsv has inputs of eight rows, expressions, and PostgreSQL's
 * answers as text. Each is evaluated over the rows many times over (blocks, their ends), then row
 * by row with the columns' values as literals. What is left are plans that must be refused, and
 * what PostgreSQL's range allows and ours does not. */
#include "processor/plan/expr.h"
#include "tests/unit/processor/plan/expr_words.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOLDEN_ROWS 8U
#define INPUTS_MAX 16U
#define FIELDS_MAX 16U
#define LINE_BYTES_MAX 1024U

static struct arena arena;      /* Of one expression. */
static struct arena long_arena; /* Of the inputs. */
static struct expr_words_input inputs[INPUTS_MAX];
static enum value_type types[INPUTS_MAX];
static uint32_t input_count;
static struct column golden[INPUTS_MAX]; /* Eight rows. */

static void set_up(void)
{
    arena_init(&arena, (size_t)256 << 20);
    arena_init(&long_arena, (size_t)1 << 20);
}

static void tear_down(void)
{
    arena_done(&arena);
    arena_done(&long_arena);
}

static struct column make_texts(const char *const *texts, uint32_t count, struct arena *from)
{
    struct column column;
    cr_assert_eq(column_init(&column, VALUE_TEXT, count, from), STATUS_OK);
    size_t byte_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        byte_count += strlen(texts[i]);
    }
    column.text_bytes = arena_take(from, byte_count);
    for (uint32_t i = 0; i < count; i++) {
        int32_t start = column.values.text_ends[i];
        bool is_null = strcmp(texts[i], "\\N") == 0;
        if (is_null) {
            cr_assert_eq(column_set_null(&column, i, from), STATUS_OK);
        }
        size_t bytes = is_null ? 0 : strlen(texts[i]);
        memcpy(column.text_bytes + start, texts[i], bytes);
        column.values.text_ends[i + 1] = start + (int32_t)bytes;
    }
    return column;
}

/* Evaluates over `columns`; the caller's misfits have room for 64 Ki rows. */
static struct column evaluate(Millrace__Plan__TypedExpr *plan, struct column *columns,
                              uint32_t row_count, uint8_t *misfits)
{
    struct expr *expr = NULL;
    struct row_batch batch = {
        .row_count = row_count, .column_count = input_count, .columns = columns};
    struct column out;
    cr_assert_eq(expr_new(plan, types, input_count, &expr), STATUS_OK);
    cr_assert_eq(expr_type(expr), (enum value_type)plan->type);
    cr_assert_eq(expr_evaluate(expr, &batch, &arena, misfits, &out), STATUS_OK);
    cr_assert_eq(out.row_count, row_count);
    expr_free(expr);
    return out;
}

static void add_input(char **fields, uint32_t field_count)
{
    cr_assert_eq(field_count, 3 + GOLDEN_ROWS);
    const char *name = arena_copy_text(&long_arena, fields[1], strlen(fields[1]));
    enum value_type type = expr_words_type(fields[2]);
    struct column texts = make_texts((const char *const *)fields + 3, GOLDEN_ROWS, &long_arena);
    struct expr_words_input text_input = {"s", VALUE_TEXT};
    char cast[32];
    snprintf(cast, sizeof cast, "%s(s)", fields[2]);
    Millrace__Plan__TypedExpr *plan = expr_words_read(cast, &text_input, 1, &long_arena);
    struct expr *expr = NULL;
    uint8_t misfits = 0;
    struct row_batch batch = {.row_count = GOLDEN_ROWS, .column_count = 1, .columns = &texts};
    cr_assert_eq(expr_new(plan, &text_input.type, 1, &expr), STATUS_OK);
    cr_assert_eq(expr_evaluate(expr, &batch, &long_arena, &misfits, &golden[input_count]),
                 STATUS_OK);
    cr_assert_eq(misfits, 0, "input %s", name);
    expr_free(expr);
    inputs[input_count] = (struct expr_words_input){name, type};
    types[input_count] = type;
    input_count++;
}

static void expect_row(const char *what, const struct column *texts, const uint8_t *misfits,
                       uint32_t row, const char *expected)
{
    bool is_misfit = row_bits_get(misfits, row);
    struct column_text text = column_text(texts, row);
    if (strcmp(expected, "\\E") == 0) {
        cr_expect(is_misfit, "%s row %u is %.*s, must fail", what, row, (int)text.byte_count,
                  (const char *)text.bytes);
        cr_expect(column_is_null(texts, row), "%s row %u fails and is not null", what, row);
        return;
    }
    cr_expect_not(is_misfit, "%s row %u fails, must be %s", what, row, expected);
    if (is_misfit) {
        return;
    }
    if (strcmp(expected, "\\N") == 0) {
        cr_expect(column_is_null(texts, row), "%s row %u is %.*s, must be null", what, row,
                  (int)text.byte_count, (const char *)text.bytes);
        return;
    }
    cr_expect_not(column_is_null(texts, row), "%s row %u is null, must be %s", what, row, expected);
    cr_expect(text.byte_count == strlen(expected) &&
                  memcmp(text.bytes, expected, text.byte_count) == 0,
              "%s row %u is %.*s, must be %s", what, row, (int)text.byte_count,
              (const char *)text.bytes, expected);
}

/* The eight rows over and over. */
static void repeat_rows(uint32_t row_count, struct column *columns)
{
    uint32_t *rows = arena_take_array(&arena, row_count, sizeof *rows);
    for (uint32_t i = 0; i < row_count; i++) {
        rows[i] = i % GOLDEN_ROWS;
    }
    for (uint32_t i = 0; i < input_count; i++) {
        cr_assert_eq(column_gather(&golden[i], rows, row_count, &arena, &columns[i]), STATUS_OK);
    }
}

static void expect_rows(const char *words, char **answers, uint32_t row_count)
{
    struct column columns[INPUTS_MAX];
    uint8_t misfits[64] = {0};
    arena_reset(&arena);
    repeat_rows(row_count, columns);
    Millrace__Plan__TypedExpr *plan = expr_words_read(words, inputs, input_count, &arena);
    struct column out = evaluate(expr_words_to_text(plan, &arena), columns, row_count, misfits);
    for (uint32_t row = 0; row < row_count; row++) {
        expect_row(words, &out, misfits, row, answers[row % GOLDEN_ROWS]);
    }
}

/* The value of a column in one row, as a literal. */
static void make_literal(Millrace__Plan__TypedExpr *plan, uint32_t row)
{
    const struct column *column = &golden[plan->column];
    Millrace__Plan__Literal *literal = arena_take(&arena, sizeof *literal);
    millrace__plan__literal__init(literal);
    if (column_is_null(column, row)) {
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_IS_NULL;
    } else if (column->type == VALUE_BOOL) {
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_BOOLEAN;
        literal->boolean = column_bool(column, row);
    } else if (column->type == VALUE_INT || column->type == VALUE_BIGINT) {
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
        literal->integer =
            column->type == VALUE_INT ? column->values.ints[row] : column->values.bigints[row];
    } else if (column->type == VALUE_DOUBLE) {
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_REAL;
        literal->real = column->values.doubles[row];
    } else if (column->type == VALUE_TEXT) {
        struct column_text text = column_text(column, row);
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TEXT;
        literal->text = arena_copy_text(&arena, (const char *)text.bytes, text.byte_count);
    } else if (column->type == VALUE_TIMESTAMPTZ) {
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TIMESTAMP_US;
        literal->timestamp_us = column->values.bigints[row];
    } else {
        struct interval value = column->values.intervals[row];
        literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTERVAL;
        literal->interval = arena_take(&arena, sizeof *literal->interval);
        millrace__plan__interval__init(literal->interval);
        literal->interval->months = value.months;
        literal->interval->days = value.days;
        literal->interval->micros = value.micros;
    }
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    plan->literal = literal;
}

/* Columns whose bit is set in `which` become literals. */
static void replace_columns(Millrace__Plan__TypedExpr *plan, uint32_t row, uint32_t which)
{
    if (plan->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN) {
        if ((which >> plan->column & 1U) != 0) {
            make_literal(plan, row);
        }
    } else if (plan->kind_case == MILLRACE__PLAN__TYPED_EXPR__KIND_CALL) {
        for (size_t i = 0; i < plan->call->n_arguments; i++) {
            replace_columns(plan->call->arguments[i], row, which);
        }
    }
}

/* Every second column (or all) is the same for all rows. */
static void expect_constants(const char *words, char **answers, uint32_t which)
{
    for (uint32_t row = 0; row < GOLDEN_ROWS; row++) {
        struct column columns[INPUTS_MAX];
        uint8_t misfits = 0;
        const uint32_t rows[] = {row, row, row};
        arena_reset(&arena);
        Millrace__Plan__TypedExpr *plan = expr_words_read(words, inputs, input_count, &arena);
        replace_columns(plan, row, which);
        for (uint32_t i = 0; i < input_count; i++) {
            cr_assert_eq(column_gather(&golden[i], rows, 3, &arena, &columns[i]), STATUS_OK);
        }
        struct column out = evaluate(expr_words_to_text(plan, &arena), columns, 3, &misfits);
        expect_row(words, &out, &misfits, 2, answers[row]);
    }
}

static uint32_t split(char *line, char **fields)
{
    uint32_t count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *next = line; next != NULL && count < FIELDS_MAX;) {
        fields[count++] = next;
        next = strchr(next, '\t');
        if (next != NULL) {
            *next++ = '\0';
        }
    }
    return count;
}

/* Calls `each` for every expression of the file. */
static void walk_golden(void (*each)(const char *words, char **answers))
{
    char line[LINE_BYTES_MAX];
    char *fields[FIELDS_MAX];
    uint32_t expr_count = 0;
    FILE *file = fopen(GOLDEN_EXPR "/expr.tsv", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        uint32_t field_count = split(line, fields);
        if (strcmp(fields[0], "input") == 0) {
            add_input(fields, field_count);
        } else {
            cr_assert_eq(field_count, 2 + GOLDEN_ROWS, "%s", fields[1]);
            each(fields[1], fields + 2);
            expr_count++;
        }
    }
    fclose(file);
    cr_expect_gt(expr_count, 500);
}

static void each_over_rows(const char *words, char **answers)
{
    expect_rows(words, answers, GOLDEN_ROWS);
    expect_rows(words, answers, 205);
}

static void each_as_constants(const char *words, char **answers)
{
    expect_constants(words, answers, 0xffffffff);
    expect_constants(words, answers, 0x55555555);
    expect_constants(words, answers, 0xaaaaaaaa);
}

TestSuite(expr, .init = set_up, .fini = tear_down);

Test(expr, columns_give_what_postgresql_gives)
{
    walk_golden(each_over_rows);
}

Test(expr, constants_give_what_postgresql_gives)
{
    walk_golden(each_as_constants);
}

static void one_input(enum value_type type, uint32_t row_count, struct column *column)
{
    inputs[0] = (struct expr_words_input){"a", type};
    types[0] = type;
    input_count = 1;
    cr_assert_eq(column_init(column, type, row_count, &arena), STATUS_OK);
}

Test(expr, a_column_alone_is_the_batchs_own)
{
    struct column column;
    uint8_t misfits = 0;
    one_input(VALUE_INT, 8, &column);

    struct column out = evaluate(expr_words_read("a", inputs, 1, &arena), &column, 8, &misfits);

    cr_expect_eq(out.values.ints, column.values.ints);
}

Test(expr, no_rows_give_no_rows)
{
    struct column column;
    uint8_t misfits = 0;
    one_input(VALUE_INT, 0, &column);
    const char *const all[] = {"a", "1", "add(a,1)", "div(1,0)", "case(gt(a,1),'x','y')"};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        evaluate(expr_words_read(all[i], inputs, 1, &arena), &column, 0, &misfits);
    }
    cr_expect_eq(misfits, 0);
}

Test(expr, misfits_are_added_to_those_that_stand)
{
    struct column column;
    uint8_t misfits = 0x81;
    one_input(VALUE_INT, 8, &column);
    for (int32_t i = 0; i < 8; i++) {
        column.values.ints[i] = i - 3;
    }

    struct column out =
        evaluate(expr_words_read("div(12,a)", inputs, 1, &arena), &column, 8, &misfits);

    cr_expect_eq(misfits, 0x89);
    cr_expect(column_is_null(&out, 3));
    cr_expect_not(column_is_null(&out, 0));
    cr_expect_eq(out.values.ints[7], 3);
}

Test(expr, a_row_that_failed_is_null_whatever_else_was_made_of_it)
{
    struct column column;
    uint8_t misfits = 0;
    one_input(VALUE_INT, 3, &column);
    column.values.ints[0] = 1;
    column.values.ints[2] = 1;

    struct column out =
        evaluate(expr_words_read("case(gt(div(1,a),0),'one','other')", inputs, 1, &arena), &column,
                 3, &misfits);

    cr_expect_eq(misfits, 2);
    cr_expect(column_is_null(&out, 1));
    cr_expect_eq(column_text(&out, 1).byte_count, 0);
    cr_expect_arr_eq(column_text(&out, 2).bytes, "one", 3);
}

Test(expr, the_columns_of_the_batch_stay_as_they_are)
{
    struct column column;
    uint8_t misfits = 0;
    one_input(VALUE_INT, 8, &column);
    cr_assert_eq(column_set_null(&column, 2, &arena), STATUS_OK);

    evaluate(expr_words_read("div(a,a)", inputs, 1, &arena), &column, 8, &misfits);

    cr_expect_eq(misfits, 0xfb);
    cr_expect_eq(column.validity[0], 0xfb);
}

Test(expr, times_leave_the_years_of_four_digits_as_misfits)
{
    struct column column;
    uint8_t misfits = 0;
    one_input(VALUE_TIMESTAMPTZ, 5, &column);
    column.values.bigints[0] = 253402300799999999;
    column.values.bigints[1] = -62167219200000000;
    column.values.bigints[2] = INT64_MAX;
    column.values.bigints[3] = INT64_MIN;

    evaluate(expr_words_read("add(a,%'00:00:00.000001')", inputs, 1, &arena), &column, 5, &misfits);
    cr_expect_eq(misfits, 0x0d);
    misfits = 0;
    evaluate(expr_words_read("sub(a,%'1 mon')", inputs, 1, &arena), &column, 5, &misfits);
    cr_expect_eq(misfits, 0x0e);
    misfits = 0;
    evaluate(expr_words_read("add(a,%'2147483647 days')", inputs, 1, &arena), &column, 5, &misfits);
    cr_expect_eq(misfits, 0x1f);
}

static enum status refuse(const char *words)
{
    struct expr *expr = NULL;
    enum status status =
        expr_new(expr_words_read(words, inputs, input_count, &arena), types, input_count, &expr);
    cr_expect_null(expr);
    return status;
}

Test(expr, plans_whose_types_do_not_fit_are_invalid)
{
    struct column column;
    one_input(VALUE_INT, 1, &column);
    const char *const broken[] = {"add(a,1L)",
                                  "add(a,1.5)",
                                  "eq(a,'x')",
                                  "and(a,true)",
                                  "not(a)",
                                  "neg('x')",
                                  "add('x','y')",
                                  "mod(1.5,1.5)",
                                  "case(a,1,2)",
                                  "case(true,1,'x')",
                                  "coalesce(a,1L)",
                                  "and(true)",
                                  "timestamptz(a)",
                                  "interval(a)",
                                  "bool(1.5)",
                                  "double(true)",
                                  "mul(%'1 day',%'1 day')",
                                  "add(@'2001-01-01',@'2001-01-01')",
                                  "sub(%'1 day',@'2001-01-01')",
                                  "neg(@'2001-01-01')",
                                  "add(a,add(1,'x'))",
                                  "isnull(a,a)",
                                  "eq(a,a,a)",
                                  "case(true,1,false,2)",
                                  "add(a)"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        cr_expect_eq(refuse(broken[i]), STATUS_INVALID, "%s", broken[i]);
    }
}

Test(expr, plans_that_no_one_made_are_invalid)
{
    struct column column;
    one_input(VALUE_INT, 1, &column);
    struct expr *expr = NULL;
    Millrace__Plan__TypedExpr *plan = expr_words_read("a", inputs, 1, &arena);

    plan->column = 1;
    cr_expect_eq(expr_new(plan, types, 1, &expr), STATUS_INVALID);
    plan->column = 0;
    plan->type = MILLRACE__PLAN__TYPE__TYPE_BIGINT;
    cr_expect_eq(expr_new(plan, types, 1, &expr), STATUS_INVALID);
    plan->type = (Millrace__Plan__Type)99;
    cr_expect_eq(expr_new(plan, types, 1, &expr), STATUS_INVALID);
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND__NOT_SET;
    cr_expect_eq(expr_new(plan, types, 1, &expr), STATUS_INVALID);
    plan = expr_words_read("2147483647", inputs, 1, &arena);
    plan->literal->integer = 2147483648;
    cr_expect_eq(expr_new(plan, types, 1, &expr), STATUS_INVALID);
    plan = expr_words_read("add(a,1)", inputs, 1, &arena);
    plan->call->operation = (Millrace__Plan__Operation)99;
    cr_expect_eq(expr_new(plan, types, 1, &expr), STATUS_INVALID);
    cr_expect_null(expr);
}

static Millrace__Plan__TypedExpr *nest(uint32_t levels)
{
    Millrace__Plan__TypedExpr *plan = expr_words_read("neg(a)", inputs, 1, &arena);
    for (uint32_t i = 1; i < levels; i++) {
        Millrace__Plan__TypedExpr *outer = expr_words_read("neg(a)", inputs, 1, &arena);
        outer->call->arguments[0] = plan;
        plan = outer;
    }
    return plan;
}

Test(expr, a_tree_too_deep_or_too_wide_is_full)
{
    struct column column;
    struct expr *expr = NULL;
    uint8_t misfits = 0;
    one_input(VALUE_INT, 1, &column);
    column.values.ints[0] = 5;

    cr_expect_eq(expr_new(nest(2048), types, 1, &expr), STATUS_FULL);
    cr_expect_eq(evaluate(nest(2000), &column, 1, &misfits).values.ints[0], 5);

    Millrace__Plan__TypedExpr *wide = expr_words_read("coalesce(a,a)", inputs, 1, &arena);
    wide->call->n_arguments = EXPR_STEPS_MAX;
    wide->call->arguments = arena_take_array(&arena, EXPR_STEPS_MAX, sizeof(void *));
    for (uint32_t i = 0; i < EXPR_STEPS_MAX; i++) {
        wide->call->arguments[i] = expr_words_read("a", inputs, 1, &arena);
    }
    cr_expect_eq(expr_new(wide, types, 1, &expr), STATUS_FULL);
    wide->call->n_arguments -= 1;
    cr_expect_eq(evaluate(wide, &column, 1, &misfits).values.ints[0], 5);
}

Test(expr, an_arena_at_its_limit_is_no_memory)
{
    struct column column;
    struct column out;
    struct expr *expr = NULL;
    struct arena small;
    uint8_t misfits[125] = {0};
    one_input(VALUE_INT, 1000, &column);
    struct row_batch batch = {.row_count = 1000, .column_count = 1, .columns = &column};
    cr_assert_eq(expr_new(expr_words_read("text(add(a,1))", inputs, 1, &arena), types, 1, &expr),
                 STATUS_OK);
    arena_init(&small, 20000);

    cr_expect_eq(expr_evaluate(expr, &batch, &small, misfits, &out), STATUS_NO_MEMORY);

    arena_done(&small);
    expr_free(expr);
}

Test(expr, a_column_of_another_type_than_promised_aborts, .signal = SIGABRT)
{
    struct column column;
    uint8_t misfits = 0;
    one_input(VALUE_INT, 1, &column);
    Millrace__Plan__TypedExpr *plan = expr_words_read("a", inputs, 1, &arena);
    column.type = VALUE_BIGINT;

    evaluate(plan, &column, 1, &misfits);
}
