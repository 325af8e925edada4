/* Goal: every text of the golden file comes to exactly the plan, or the complaint, that stands
 * there: names, types, casts, stages, positions, words.
 * Method: parser and checker as the processor runs them, on tables of tables.sql; each case alone.
 * With SQL_CASES_OUT=FILE in the environment the file is written anew, to be looked at and kept. */
#include "processor/parser/sql_script.h"
#include "tests/rig/sql_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES_MIN 100

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *text = calloc(1, (size_t)1 << 20);
    cr_assert_not_null(text);
    size_t byte_count = fread(text, 1, ((size_t)1 << 20) - 1, file);
    cr_assert_gt(byte_count, 0);
    (void)fclose(file);
    return text;
}

static const char *run(const char *tables, const char *text)
{
    static char result[1 << 18];
    struct sql_rig rig;
    struct text_builder report;
    Millrace__Plan__Script *script = NULL;
    const char *told = NULL;

    sql_rig_init(&rig);
    text_builder_init(&report, &rig.arena);
    cr_assert_eq(sql_script_parse(tables, strlen(tables), &rig.arena, &script), STATUS_OK);
    sql_rig_run(&rig, script, tables, &report);
    cr_assert_null(script->fault);
    cr_assert_eq(rig.table_count, 5);
    text_builder_init(&report, &rig.arena);
    cr_assert_eq(sql_script_parse(text, strlen(text), &rig.arena, &script), STATUS_OK);
    sql_rig_run(&rig, script, text, &report);
    cr_assert_eq(text_builder_end(&report, &told), STATUS_OK);
    cr_assert_lt(strlen(told), sizeof result);
    (void)snprintf(result, sizeof result, "%s", told);
    sql_rig_done(&rig);
    return result;
}

struct sql_case {
    char *title;
    char *text;
    char *expected;
};

/* `--- title`, the text, `==>`, what comes of it; cut in place. */
static bool next_case(char **cursor, struct sql_case *out_case)
{
    if (strncmp(*cursor, "--- ", 4) != 0) {
        return false;
    }
    out_case->title = *cursor + 4;
    out_case->text = strchr(out_case->title, '\n') + 1;
    out_case->text[-1] = '\0';
    out_case->expected = strstr(out_case->text, "==>\n");
    cr_assert_not_null(out_case->expected, "%s has no ==>", out_case->title);
    out_case->expected[-1] = '\0';
    out_case->expected += 4;
    char *end = strstr(out_case->expected - 1, "\n--- "); /* Nothing may come of a text. */
    *cursor = end == NULL ? out_case->expected + strlen(out_case->expected) : end + 1;
    if (end != NULL) {
        *end = '\0';
    }
    if (end == out_case->expected - 1) {
        out_case->expected = end;
    }
    return true;
}

/* The last line break of an expectation may be missing. */
static bool is_same(const char *told, const char *expected)
{
    size_t told_bytes = strlen(told);
    size_t expected_bytes = strlen(expected);
    told_bytes -= told_bytes > 0 && told[told_bytes - 1] == '\n' ? 1 : 0;
    expected_bytes -= expected_bytes > 0 && expected[expected_bytes - 1] == '\n' ? 1 : 0;
    return told_bytes == expected_bytes && memcmp(told, expected, told_bytes) == 0;
}

Test(plan_cases, every_text_comes_to_what_the_golden_file_says)
{
    char *tables = read_file(GOLDEN_SQL "/tables.sql");
    char *cases = read_file(GOLDEN_SQL "/cases.txt");
    char *cursor = cases;
    const char *out_path = getenv("SQL_CASES_OUT");
    FILE *out = out_path == NULL ? NULL : fopen(out_path, "wb");
    struct sql_case next;
    int count = 0;

    for (; next_case(&cursor, &next); count++) {
        const char *told = run(tables, next.text);
        cr_expect(out != NULL || is_same(told, next.expected), "%s\n%s\n==>\n%s\nbut expected\n%s",
                  next.title, next.text, told, next.expected);
        if (out != NULL) {
            (void)fprintf(out, "--- %s\n%s\n==>\n%s", next.title, next.text, told);
        }
    }

    cr_expect_eq(*cursor, '\0', "the file goes on behind case %d", count);
    cr_expect_geq(count, CASES_MIN);
    if (out != NULL) {
        (void)fclose(out);
    }
    free(tables);
    free(cases);
}

/* `head`, `count` times `middle`, `tail`. */
static const char *run_long(const char *tables, const char *const parts[3], int count)
{
    static char text[SQL_SCRIPT_TEXT_BYTES_MAX];
    size_t at = (size_t)snprintf(text, sizeof text, "%s", parts[0]);
    for (int i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", parts[1]);
        cr_assert_lt(at, sizeof text);
    }
    at += (size_t)snprintf(text + at, sizeof text - at, "%s", parts[2]);
    cr_assert_lt(at, sizeof text);
    return run(tables, text);
}

#define SELECT "INSERT INTO one SELECT flight FROM flights WHERE "

Test(plan_cases, expressions_up_to_the_bounds_are_taken_by_the_operators)
{
    static const char *const long_texts[][3] = {
        {SELECT "flight IN (1", ", 2", ")"},
        {SELECT, "NOT ", "true"},
        {SELECT "flight > 0", " + 1", ""},
        {SELECT "CASE", " WHEN flight = 1 THEN true", " END"},
        {SELECT "CASE flight", " WHEN 1 THEN true", " END"},
        {SELECT "true", " AND flight > 1", ""},
        {SELECT "coalesce(true", ", flight = 1", ")"},
    };
    static const int counts[] = {1000, 900, 450, 800, 800, 1000, 1300};
    char *tables = read_file(GOLDEN_SQL "/tables.sql");

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const char *told = run_long(tables, long_texts[i], counts[i]);
        cr_expect(strncmp(told, "job one", 7) == 0, "%zu: %s", i, told);
        told = run_long(tables, long_texts[i], 2400);
        cr_expect(strncmp(told, "fault TOO_COMPLEX", 17) == 0, "%zu: %s", i, told);
    }
    free(tables);
}

Test(plan_cases, a_query_that_is_too_large_as_a_whole_is_refused)
{
    static const char *const terms[3] = {
        "INSERT INTO one SELECT id", ", id + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9", " FROM readings"};
    static const char *const keys[3] = {
        "SET job.output_mode = 'update'; INSERT INTO one SELECT count(*) FROM readings GROUP BY id",
        ", id + 1", ""};
    char *tables = read_file(GOLDEN_SQL "/tables.sql");

    cr_expect(strncmp(run_long(tables, terms, 800), "fault COLUMN_COUNT", 18) == 0);
    cr_expect(strncmp(run_long(tables, terms, 900), "fault TOO_COMPLEX", 17) == 0);
    cr_expect(strncmp(run_long(tables, keys, 99), "job one", 7) == 0);
    cr_expect(strncmp(run_long(tables, keys, 100), "fault TOO_COMPLEX", 17) == 0);
    free(tables);
}
