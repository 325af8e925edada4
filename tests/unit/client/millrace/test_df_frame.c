/* Goal: a data frame is the same query as its SQL, down to the last cast, and a frame that was
 * misused says so at its end instead of doing something else.
 * Method: the packed Script of a frame and that of a text are checked against the same tables;
 * their plans must be equal. Each misuse ends in its error. */
#include "client/client.h"
#include "processor/parser/sql_script.h"
#include "tests/rig/sql_rig.h"

#include <criterion/criterion.h>

static const char tables[] =
    "CREATE TABLE flights (flight bigint, scheduled_at timestamptz, departed_at timestamptz, "
    "delay_min int, distance_mi int, origin text, destination text) WITH (topic = 'flights', "
    "event_time = 'scheduled_at', watermark = '1 hour', late_topic = 'flights-late');"
    "CREATE TABLE delays (window_start timestamptz, haul text, flights bigint, mean_delay double "
    "precision, worst int);"
    "CREATE TABLE out (a bigint, b double precision, c text, d timestamptz, e boolean, f interval);"
    "CREATE TABLE one (n bigint);";

static struct sql_rig rig;
static struct millrace_df *df;

static void set_up(void)
{
    Millrace__Plan__Script *script = NULL;
    struct text_builder report;
    sql_rig_init(&rig);
    text_builder_init(&report, &rig.arena);
    cr_assert_eq(sql_script_parse(tables, sizeof tables - 1, &rig.arena, &script), STATUS_OK);
    sql_rig_run(&rig, script, tables, &report);
    cr_assert_eq(rig.table_count, 4);
    rig.shows_plans = true;
}

static void tear_down(void)
{
    millrace_df_free(df);
    sql_rig_done(&rig);
}

TestSuite(df_frame, .init = set_up, .fini = tear_down);

static const char *run(const Millrace__Plan__Script *script)
{
    struct text_builder report;
    const char *told = NULL;
    text_builder_init(&report, &rig.arena);
    plan_settings_init(&rig.settings);
    sql_rig_run(&rig, script, NULL, &report);
    cr_assert_eq(text_builder_end(&report, &told), STATUS_OK);
    return told;
}

static const char *run_sql(const char *text)
{
    Millrace__Plan__Script *script = NULL;
    cr_assert_eq(sql_script_parse(text, strlen(text), &rig.arena, &script), STATUS_OK);
    cr_assert_null(script->fault);
    return run(script);
}

static const char *run_frame(void)
{
    struct millrace_bytes bytes = {NULL, 0};
    struct millrace_error error;
    cr_assert_eq(millrace_df_script(df, &bytes, &error), 0, "%s", error.what);
    Millrace__Plan__Script *script = millrace__plan__script__unpack(NULL, bytes.size, bytes.data);
    cr_assert_not_null(script);
    const char *told = run(script);
    millrace__plan__script__free_unpacked(script, NULL);
    return told;
}

static void expect_same(const char *text)
{
    const char *of_frame = run_frame();
    const char *of_text = run_sql(text);
    cr_expect(strncmp(of_text, "job ", 4) == 0, "%s", of_text);
    cr_expect_str_eq(of_frame, of_text);
}

static struct millrace_expr *column(const char *name)
{
    return millrace_df_column(df, name);
}

Test(df_frame, the_query_of_the_readme_is_its_sql)
{
    df = millrace_df_from("flights");
    struct millrace_expr *miles = column("distance_mi");
    struct millrace_expr *haul =
        millrace_df_when(df, NULL, millrace_df_op(df, miles, "<", millrace_df_int(df, 500)),
                         millrace_df_text(df, "short"));
    haul = millrace_df_when(df, haul, millrace_df_op(df, miles, "<", millrace_df_int(df, 1500)),
                            millrace_df_text(df, "medium"));
    haul = millrace_df_else(df, haul, millrace_df_text(df, "long"));
    millrace_df_tumble(df, "scheduled_at", 3 * MILLRACE_HOUR);
    millrace_df_group_by(df, column("window_start"));
    millrace_df_group_by(df, haul);
    millrace_df_select(df, NULL, column("window_start"));
    millrace_df_select(df, "haul", haul);
    millrace_df_select(df, NULL, millrace_df_count(df));
    millrace_df_select(df, NULL, millrace_df_call(df, "avg", column("delay_min")));
    millrace_df_select(df, NULL, millrace_df_call(df, "max", column("delay_min")));
    millrace_df_into(df, "delays");

    expect_same("INSERT INTO delays SELECT window_start, CASE WHEN distance_mi < 500 THEN 'short' "
                "WHEN distance_mi < 1500 THEN 'medium' ELSE 'long' END AS haul, count(*), "
                "avg(delay_min), max(delay_min) FROM tumble(flights, scheduled_at, "
                "interval '3 hours') GROUP BY window_start, haul");
}

Test(df_frame, every_kind_of_expression_is_its_sql)
{
    df = millrace_df_from("flights");
    millrace_df_where(df, millrace_df_op(df, column("delay_min"), ">=", millrace_df_int(df, -5)));
    millrace_df_where(df, millrace_df_op(df, millrace_df_is_null(df, column("origin")), "or",
                                         millrace_df_not(df, millrace_df_bool(df, false))));
    millrace_df_select(df, NULL,
                       millrace_df_cast(df, millrace_df_call(df, "neg", column("delay_min")),
                                        MILLRACE_TYPE_BIGINT));
    millrace_df_select(df, NULL,
                       millrace_df_op(df, column("flight"), "*", millrace_df_double(df, 0.5)));
    millrace_df_select(df, NULL, millrace_df_null(df));
    millrace_df_select(df, NULL,
                       millrace_df_op(df, column("departed_at"), "+",
                                      millrace_df_interval(df, 1, 2, 3 * MILLRACE_HOUR)));
    millrace_df_select(df, NULL,
                       millrace_df_op(df, column("scheduled_at"), "<",
                                      millrace_df_time(df, INT64_C(978307200000000))));
    millrace_df_select(df, NULL, millrace_df_text(df, "90 minutes"));
    millrace_df_into(df, "out");

    expect_same("INSERT INTO out SELECT CAST(- delay_min AS bigint), flight * 0.5, NULL, "
                "departed_at + interval '1 month 2 days 03:00:00', scheduled_at < timestamptz "
                "'2001-01-01', '90 minutes' FROM flights WHERE delay_min >= -5 AND (origin IS NULL "
                "OR NOT false)");
}

Test(df_frame, settings_having_and_filters_are_their_sql)
{
    df = millrace_df_from("flights");
    struct millrace_expr *all = millrace_df_count(df);
    struct millrace_expr *late =
        millrace_df_op(df, column("delay_min"), ">", millrace_df_int(df, 15));
    millrace_df_set(df, "name", "late-flights");
    millrace_df_set(df, "output_mode", "update");
    millrace_df_group_by(df, column("origin"));
    millrace_df_having(df, millrace_df_op(df, all, ">", millrace_df_int(df, 10)));
    millrace_df_select(df, NULL, millrace_df_filter(df, all, late));
    millrace_df_into(df, "one");

    expect_same("SET job.name = 'late-flights'; SET job.output_mode = 'update'; INSERT INTO one "
                "SELECT count(*) FILTER (WHERE delay_min > 15) FROM flights GROUP BY origin HAVING "
                "count(*) > 10");
}

Test(df_frame, what_sql_refuses_is_refused_alike)
{
    df = millrace_df_from("flights");
    millrace_df_session(df, "scheduled_at", 30 * MILLRACE_MINUTE);
    millrace_df_group_by(df, column("window_start"));
    millrace_df_select(df, NULL, millrace_df_count(df));
    millrace_df_into(df, "one");
    cr_expect(strncmp(run_frame(), "fault UNSUPPORTED", 17) == 0);
    millrace_df_free(df);

    df = millrace_df_from("flights");
    millrace_df_hop(df, "scheduled_at", MILLRACE_MINUTE, MILLRACE_HOUR);
    millrace_df_group_by(df, column("window_start"));
    millrace_df_select(df, NULL, millrace_df_count(df));
    millrace_df_into(df, "one");
    cr_expect(strncmp(run_frame(), "fault UNSUPPORTED", 17) == 0);
    millrace_df_free(df);

    df = millrace_df_from("flights");
    millrace_df_select_all(df);
    millrace_df_into(df, "one");
    cr_expect(strncmp(run_frame(), "fault COLUMN_COUNT", 18) == 0);
    millrace_df_free(df);

    df = millrace_df_from("flights");
    millrace_df_select(df, NULL, column("flihgt"));
    millrace_df_into(df, "one");
    cr_expect(strncmp(run_frame(), "fault UNKNOWN_COLUMN", 20) == 0);
}

static void expect_spoilt(const char *what)
{
    struct millrace_bytes bytes = {NULL, 0};
    struct millrace_error error;
    struct millrace_sql_answer *answer = NULL;

    cr_expect_eq(millrace_df_script(df, &bytes, &error), MILLRACE_INVALID_ARGUMENT);
    cr_expect_str_eq(error.what, what);
    cr_expect_null(bytes.data);
    cr_expect_eq(millrace_df_start(df, NULL, 0, &answer, &error), MILLRACE_INVALID_ARGUMENT);
    cr_expect_str_eq(error.what, what);
    cr_expect_eq(millrace_df_explain(df, NULL, 0, &answer, NULL), MILLRACE_INVALID_ARGUMENT);
    cr_expect_null(answer);
    millrace_df_free(df);
    df = NULL;
}

/* All that can be called, on a frame that is spoilt already. */
static void call_everything(void)
{
    millrace_df_tumble(df, "a", 1);
    millrace_df_hop(df, NULL, 1, 1);
    millrace_df_session(df, "a", 1);
    millrace_df_where(df, NULL);
    millrace_df_having(df, column("a"));
    millrace_df_group_by(df, millrace_df_cast(df, NULL, MILLRACE_TYPE_INT));
    millrace_df_select(df, "a", millrace_df_filter(df, millrace_df_count(df), column("b")));
    millrace_df_select(df, NULL,
                       millrace_df_else(df, millrace_df_when(df, NULL, NULL, NULL), NULL));
    millrace_df_select(df, NULL, millrace_df_when(df, NULL, column("a"), millrace_df_int(df, 1)));
    millrace_df_select(df, NULL, millrace_df_interval(df, 1, 1, 1));
    millrace_df_select(df, NULL, millrace_df_text(df, NULL));
    millrace_df_select(df, NULL, millrace_df_op(df, NULL, "+", NULL));
    millrace_df_select_all(df);
    millrace_df_set(df, NULL, NULL);
    millrace_df_into(df, NULL);
}

Test(df_frame, the_first_mistake_is_told_at_the_end)
{
    df = millrace_df_from(NULL);
    call_everything();
    expect_spoilt("the table's name is missing");

    df = millrace_df_from("t");
    millrace_df_select(df, NULL, column(NULL));
    millrace_df_into(df, "s");
    expect_spoilt("the column's name is missing");

    df = millrace_df_from("t");
    struct millrace_df *other = millrace_df_from("u");
    millrace_df_select(df, NULL, millrace_df_column(other, "a"));
    expect_spoilt("an expression is another's");
    millrace_df_free(other);

    df = millrace_df_from("t");
    millrace_df_where(df, NULL);
    call_everything();
    expect_spoilt("an expression is NULL");

    df = millrace_df_from("t");
    millrace_df_tumble(df, "a", 1);
    millrace_df_hop(df, "a", 1, 1);
    expect_spoilt("the frame has two windows");

    df = millrace_df_from("t");
    millrace_df_select(df, NULL, column("a"));
    expect_spoilt("the frame has no sink");

    df = millrace_df_from("t");
    millrace_df_into(df, "s");
    expect_spoilt("the frame selects nothing");

    df = millrace_df_from("t");
    (void)millrace_df_when(df, column("a"), column("b"), column("c"));
    expect_spoilt("a branch is added to what is no open CASE");

    df = millrace_df_from("t");
    (void)millrace_df_filter(df, column("a"), column("b"));
    expect_spoilt("a filter is for aggregates");
}

Test(df_frame, what_grows_without_end_is_refused)
{
    df = millrace_df_from("t");
    struct millrace_expr *sum = column("a");
    for (int i = 0; i < 64; i++) {
        sum = millrace_df_op(df, sum, "+", sum);
    }
    expect_spoilt("an expression is too large");

    df = millrace_df_from("t");
    sum = column("a");
    for (int i = 0; i < 2000; i++) {
        sum = millrace_df_not(df, sum);
    }
    expect_spoilt("an expression is too large");

    df = millrace_df_from("t");
    for (int i = 0; i < 1001; i++) {
        millrace_df_select_all(df);
    }
    expect_spoilt("too many columns, keys or settings");
}

Test(df_frame, memory_that_ends_is_told)
{
    static char name[100000];
    struct millrace_bytes bytes = {NULL, 0};
    struct millrace_error error;
    df = millrace_df_from("t");
    memset(name, 'x', sizeof name - 1);
    for (int i = 0; i < 500; i++) {
        (void)column(name);
    }

    cr_expect_eq(millrace_df_script(df, &bytes, &error), MILLRACE_NO_MEMORY);
}

Test(df_frame, an_aggregate_may_be_used_with_and_without_its_filter)
{
    df = millrace_df_from("flights");
    struct millrace_expr *all = millrace_df_count(df);
    (void)millrace_df_filter(df, all, column("a"));
    millrace_df_set(df, "output_mode", "update");
    millrace_df_select(df, NULL, all);
    millrace_df_into(df, "one");

    expect_same("SET job.output_mode = 'update'; INSERT INTO one SELECT count(*) FROM flights");
}
