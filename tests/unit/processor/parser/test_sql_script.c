/* Goal: no text makes the parser die or lose its place: whatever is too long, too deep or no text
 * at all becomes a fault where it stands. Method: texts made to be deep in each way that the
 * grammar knows, at and beyond the bounds; bytes that are no UTF-8. What texts mean is tested in
 * plan_cases. */
#include "processor/parser/sql_script.h"

#include "processor/text/text_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct arena arena;
static Millrace__Plan__Script *script;

static void set_up(void)
{
    arena_init(&arena, SQL_SCRIPT_ARENA_BYTES);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(sql_script, .init = set_up, .fini = tear_down, .timeout = 60);

static const char *parse(const char *text, size_t byte_count)
{
    arena_reset(&arena);
    cr_assert_eq(sql_script_parse(text, byte_count, &arena, &script), STATUS_OK);
    cr_assert_eq(script->version, 1);
    return script->fault == NULL ? "" : script->fault->code;
}

/* A text of `head`, then `count` times `middle`, then `count` times `end`, then `tail`. */
static const char *tower(const char *const parts[4], int count)
{
    static char text[SQL_SCRIPT_TEXT_BYTES_MAX + 1];
    size_t at = (size_t)snprintf(text, sizeof text, "%s", parts[0]);
    for (int i = 0; i < count && at < sizeof text - 1; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", parts[1]);
    }
    for (int i = 0; i < count && at < sizeof text - 1; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", parts[2]);
    }
    if (at < sizeof text - 1) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s", parts[3]);
    }
    return parse(text, at < sizeof text - 1 ? at : sizeof text - 1);
}

#define SELECT "INSERT INTO t SELECT "

Test(sql_script, what_is_in_bounds_is_parsed)
{
    const char *const sums[4] = {SELECT "1", "+1", "", " FROM s"};
    const char *const parentheses[4] = {SELECT, "(", "1)", " FROM s"};
    const char *const nots[4] = {SELECT, "NOT ", "", "true FROM s"};
    const char *const ands[4] = {SELECT "a", " AND a = 1", "", " FROM s"};
    const char *const list[4] = {SELECT "a IN (1", ",1", "", ") FROM s"};
    const char *const columns[4] = {SELECT "a", ", a + 1", "", " FROM s"};
    const char *const whens[4] = {SELECT "CASE", " WHEN a = 1 THEN 2", "", " END FROM s"};

    cr_expect_str_eq(tower(sums, 450), "");
    cr_expect_str_eq(tower(nots, 900), "");
    cr_expect_str_eq(tower(ands, 3000), "");
    cr_expect_str_eq(tower(list, 10000), "");
    cr_expect_str_eq(tower(columns, 5000), "");
    cr_expect_str_eq(tower(whens, 3000), "");
    cr_expect_eq(script->n_statements, 1);
    cr_expect_str_eq(tower(parentheses, 1), "");
    cr_expect_str_eq(tower((const char *const[4]){SELECT, "(", "", "1"}, 99), "SYNTAX");
}

Test(sql_script, towers_are_refused_before_they_are_parsed)
{
    static const char *const towers[][4] = {
        {SELECT "1", "+1", "", " FROM s"},
        {SELECT, "- ", "", "1 FROM s"},
        {SELECT, "NOT ", "", "true FROM s"},
        {SELECT "1", "::int", "", " FROM s"},
        {SELECT "1", " IS NULL", "", " FROM s"},
        {SELECT, "(", ")", " FROM s"},
        {SELECT "a", "[1]", "", " FROM s"},
        {SELECT, "CASE WHEN ", "", "true FROM s"},
        {SELECT, "f(1, ", ")", " FROM s"},
        {SELECT "a ", "BETWEEN 1 AND NOT a ", "", " FROM s"},
        {SELECT, "(SELECT 1 AS end, ", ")", " FROM s"},
        {SELECT, "(SELECT 1 AS case, ", ")", " FROM s"},
        {"", "SELECT 1 AND 2 UNION ", "", "SELECT 1"},
        {"SELECT 1 FROM a", " JOIN b ON c AND d", "", ""},
        {"SELECT 1 FROM ", "(SELECT 1 FROM ", ")", ""},
        {SELECT "a", ".b", "", " FROM s"},
        {SELECT "a", " COLLATE b", "", " FROM s"},
    };
    for (size_t i = 0; i < sizeof towers / sizeof towers[0]; i++) {
        const char *code = tower(towers[i], 30000);
        cr_expect_str_eq(code, "TOO_COMPLEX", "tower %zu: %s", i, code);
        cr_expect_eq(script->n_statements, 0);
    }
}

Test(sql_script, every_height_of_every_tower_ends_in_an_answer)
{
    static const char *const towers[][4] = {
        {SELECT, "(", "1)", " FROM s"},
        {SELECT, "CASE WHEN true THEN ", "1 END ", " FROM s"},
        {SELECT, "CASE WHEN 1 = ", "1 THEN 2 END ", " FROM s"},
        {SELECT, "- (", ")", " FROM s"},
        {SELECT, "NOT (a AND b OR (", "))", " FROM s"},
    };
    for (size_t i = 0; i < sizeof towers / sizeof towers[0]; i++) {
        for (int height = 0; height < 1200; height += 37) {
            (void)tower(towers[i], height);
        }
    }
    const char *const flat[4] = {SELECT "1", "+1", "", " FROM s"};
    for (int height = 480; height < 505; height++) {
        (void)tower(flat, height);
    }
}

Test(sql_script, a_statement_too_deep_leaves_those_before_it)
{
    const char *const parts[4] = {"DROP TABLE a; DROP TABLE b; " SELECT, "NOT ", "", "1 FROM s"};

    cr_expect_str_eq(tower(parts, 5000), "TOO_COMPLEX");

    cr_expect_eq(script->n_statements, 2);
    cr_expect_gt(script->fault->position, 28);
}

Test(sql_script, the_longest_text_is_parsed_and_one_byte_more_is_not)
{
    static char text[SQL_SCRIPT_TEXT_BYTES_MAX + 1];
    memset(text, ' ', sizeof text);
    memcpy(text, "DROP TABLE a", 12);

    cr_expect_str_eq(parse(text, SQL_SCRIPT_TEXT_BYTES_MAX), "");
    cr_expect_eq(script->n_statements, 1);
    cr_expect_eq(script->statements[0]->byte_count, 12);
    cr_expect_str_eq(parse(text, SQL_SCRIPT_TEXT_BYTES_MAX + 1), "TOO_LONG");
    cr_expect_eq(script->n_statements, 0);
}

Test(sql_script, too_many_statements_are_refused)
{
    const char *const drops[4] = {"", "DROP TABLE a;", "", ""};
    const char *const names[4] = {"DROP TABLE a", ", a", "", ""};

    cr_expect_str_eq(tower(drops, 1000), "");
    cr_expect_eq(script->n_statements, 1000);
    cr_expect_str_eq(tower(drops, 1001), "TOO_COMPLEX");
    cr_expect_eq(script->n_statements, 1000);
    cr_expect_str_eq(tower(names, 999), "");
    cr_expect_eq(script->n_statements, 1000);
    cr_expect_str_eq(tower(names, 1000), "TOO_COMPLEX");
}

Test(sql_script, bytes_that_are_no_text_are_refused_where_they_stand)
{
    static const struct {
        const char *bytes;
        size_t byte_count;
        uint32_t position;
    } texts[] = {
        {"DROP\0TABLE", 10, 4},
        {"\xff", 1, 0},
        {"a\xc3", 2, 1},
        {"ab\xc0\x80", 4, 2},
        {"\xe0\x80\x80", 3, 0},
        {"\xed\xa0\x80", 3, 0},
        {"\xf0\x80\x80\x80", 4, 0},
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xc3(", 2, 0},
        {"\xe2\x82", 2, 0},
        {"\x80", 1, 0},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cr_expect_str_eq(parse(texts[i].bytes, texts[i].byte_count), "SYNTAX", "text %zu", i);
        cr_expect_eq(script->fault->position, texts[i].position, "text %zu", i);
    }
    cr_expect_str_eq(parse("DROP TABLE \"\xf0\x9f\x90\x98\"", 17), "");
}

Test(sql_script, an_arena_that_is_full_is_told)
{
    struct arena small;
    arena_init(&small, 20000);

    cr_expect_eq(sql_script_parse("DROP TABLE a", 12, &small, &script), STATUS_NO_MEMORY);
    arena_done(&small);
}
