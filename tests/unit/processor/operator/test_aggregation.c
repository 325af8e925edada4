/* Goal: only plans that can be computed are taken, and windows begin and end where they should.
 * Method: one plan that is right, changed in one place at a time; borders of windows and of what 64
 * bits can say. */
#include "processor/operator/aggregation.h"
#include "processor/time/watermark.h"

#include <criterion/criterion.h>

#define BIGINT MILLRACE__PLAN__TYPE__TYPE_BIGINT
#define DOUBLE MILLRACE__PLAN__TYPE__TYPE_DOUBLE
#define TEXT MILLRACE__PLAN__TYPE__TYPE_TEXT
#define COLUMNS 1025U

_Static_assert(COLUMNS == STATE_CODEC_COLUMNS_MAX + 1, "one more than there may be");

static struct aggregation subject;
static Millrace__Plan__Aggregation plan;
static Millrace__Plan__AggregateCall calls[3];
static Millrace__Plan__AggregateCall *call_list[COLUMNS];
static Millrace__Plan__TypedExpr number, text, time;
static Millrace__Plan__TypedExpr *keys[COLUMNS];

/* max(text), avg(bigint), count(*) by a text and a bigint, in windows of 10. */
static void set_up(void)
{
    millrace__plan__typed_expr__init(&number);
    millrace__plan__typed_expr__init(&text);
    millrace__plan__typed_expr__init(&time);
    number.type = BIGINT;
    text.type = TEXT;
    time.type = MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ;
    for (int i = 0; i < 3; i++) {
        millrace__plan__aggregate_call__init(&calls[i]);
    }
    calls[0].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX;
    calls[0].argument = &text;
    calls[0].type = TEXT;
    calls[1].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_AVG;
    calls[1].argument = &number;
    calls[1].type = DOUBLE;
    calls[2].function = MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR;
    calls[2].type = BIGINT;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        call_list[i] = &calls[i < 2 ? i : 2];
        keys[i] = i == 0 ? &text : &number;
    }
    millrace__plan__aggregation__init(&plan);
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan.time = &time;
    plan.size_us = 10;
    plan.n_keys = 2;
    plan.keys = keys;
    plan.n_calls = 3;
    plan.calls = call_list;
}

static void tear_down(void)
{
    aggregation_done(&subject);
}

TestSuite(aggregation, .init = set_up, .fini = tear_down);

static void init(void)
{
    cr_assert_eq(aggregation_init(&subject, 7, &plan), STATUS_OK);
}

static void expect_refused(enum status status, const char *what)
{
    cr_expect_eq(aggregation_init(&subject, 7, &plan), status, "%s", what);
    aggregation_done(&subject); /* As promised, also of one that was refused. */
    tear_down();
    set_up();
}

Test(aggregation, rows_have_the_window_the_keys_and_the_results)
{
    enum value_type types[7];
    init();

    cr_assert_eq(aggregation_column_count(&subject), 7);
    aggregation_column_types(&subject, types);
    static const enum value_type expected[] = {VALUE_TIMESTAMPTZ, VALUE_TIMESTAMPTZ, VALUE_TEXT,
                                               VALUE_BIGINT,      VALUE_TEXT,        VALUE_DOUBLE,
                                               VALUE_BIGINT};
    for (int i = 0; i < 7; i++) {
        cr_expect_eq(types[i], expected[i], "column %d", i);
    }
    cr_expect_eq(subject.operator_id, 7);
    cr_expect(subject.has_window);
    cr_expect_not(subject.is_update);
}

Test(aggregation, neither_keys_nor_results_are_needed)
{
    plan.n_keys = 0;
    plan.n_calls = 0;
    init();
    cr_expect_eq(aggregation_column_count(&subject), 2);
}

Test(aggregation, windows_must_have_a_length_and_a_time)
{
    plan.size_us = 0;
    expect_refused(STATUS_INVALID, "no length");
    plan.size_us = -10;
    expect_refused(STATUS_INVALID, "a negative length");
    plan.time = NULL;
    expect_refused(STATUS_INVALID, "no time");
    plan.slide_us = 5;
    expect_refused(STATUS_INVALID, "a tumbling window that slides");
    plan.slide_us = 10;
    init(); /* By its size: that is what tumbling means. */
}

Test(aggregation, other_kinds_of_windows_are_not_known)
{
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_HOP;
    expect_refused(STATUS_UNSUPPORTED, "hop");
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_SESSION;
    expect_refused(STATUS_UNSUPPORTED, "session");
    plan.window = (Millrace__Plan__WindowKind)99;
    expect_refused(STATUS_UNSUPPORTED, "one of a newer version");
}

Test(aggregation, without_windows_only_updates_ever_leave)
{
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
    expect_refused(STATUS_INVALID, "append");
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
    plan.output_mode = MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE;
    init();
    cr_expect(subject.is_update);
    cr_expect_not(subject.has_window);
}

Test(aggregation, calls_must_be_ones_that_exist)
{
    calls[2].argument = &number;
    expect_refused(STATUS_INVALID, "count(*) of something");
    calls[1].argument = NULL;
    expect_refused(STATUS_INVALID, "the mean of nothing");
    calls[1].argument = &text;
    expect_refused(STATUS_INVALID, "the mean of texts");
    calls[1].type = BIGINT;
    expect_refused(STATUS_INVALID, "a mean that is whole");
    calls[0].type = BIGINT;
    expect_refused(STATUS_INVALID, "a greatest text that is a number");
    calls[0].function = (Millrace__Plan__AggregateFunction)99;
    expect_refused(STATUS_INVALID, "an aggregate that nobody knows");
    number.type = (Millrace__Plan__Type)99;
    expect_refused(STATUS_INVALID, "an argument of an unknown type");
    text.type = MILLRACE__PLAN__TYPE__TYPE_UNKNOWN;
    expect_refused(STATUS_INVALID, "a key of no type");
}

Test(aggregation, keys_and_calls_have_their_bound)
{
    plan.n_keys = COLUMNS;
    expect_refused(STATUS_INVALID, "too many keys");
    plan.n_calls = COLUMNS;
    expect_refused(STATUS_INVALID, "too many calls");
    plan.n_keys = COLUMNS - 1;
    plan.n_calls = COLUMNS - 1;
    init();
    cr_expect_eq(aggregation_column_count(&subject), 2 * COLUMNS);
}

Test(aggregation, windows_begin_at_multiples_of_their_length)
{
    static const int64_t starts[] = {0, 10, -10, 1000000, -1000000, INT64_MAX / 10 * 10 - 10};
    static const int64_t others[] = {
        1,         9,
        -1,        -9,
        11,        GROUP_TABLE_NO_WINDOW,
        INT64_MAX, INT64_MAX / 10 * 10}; /* The last one would have no end. */
    init();
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        cr_expect(aggregation_is_start(&subject, starts[i]), "%ld", (long)starts[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_expect_not(aggregation_is_start(&subject, others[i]), "%ld", (long)others[i]);
    }
}

Test(aggregation, without_windows_nothing_else_is_a_start_and_nothing_is_ever_over)
{
    plan.window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
    plan.output_mode = MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_UPDATE;
    init();
    cr_expect(aggregation_is_start(&subject, GROUP_TABLE_NO_WINDOW));
    cr_expect_not(aggregation_is_start(&subject, 0));
    cr_expect_not(aggregation_is_over(&subject, GROUP_TABLE_NO_WINDOW, INT64_MAX));
}

Test(aggregation, window_is_over_when_the_watermark_reaches_its_end)
{
    init();
    cr_expect_not(aggregation_is_over(&subject, 0, WATERMARK_NONE));
    cr_expect_not(aggregation_is_over(&subject, 0, 9));
    cr_expect(aggregation_is_over(&subject, 0, 10));
    cr_expect(aggregation_is_over(&subject, 0, INT64_MAX));
    cr_expect_not(aggregation_is_over(&subject, -10, -1));
    cr_expect(aggregation_is_over(&subject, -10, 0));
}
