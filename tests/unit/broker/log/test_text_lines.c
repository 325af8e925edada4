/* Goal: only what a program writes is read from a text file.
 * Method: lines with all ends, fields, and a table of numbers. */
#include "broker/log/text_lines.h"

#include <criterion/criterion.h>
#include <string.h>

static struct text_lines lines_of(const char *text)
{
    struct text_lines lines;
    text_lines_init(&lines, (const uint8_t *)text, strlen(text));
    return lines;
}

Test(text_lines, lines_end_in_a_newline_a_return_or_the_file)
{
    struct text_lines lines = lines_of("a\n\nb c\r\nd");
    struct wire_text line;
    static const char *const expected[] = {"a", "", "b c", "d"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(text_lines_step(&lines, &line));
        cr_expect(wire_text_equals(line, expected[i]), "line %zu", i);
    }
    cr_expect_not(text_lines_step(&lines, &line));
    lines = lines_of("");
    cr_expect_not(text_lines_step(&lines, &line));
}

Test(text_lines, fields_are_cut_at_each_space)
{
    struct wire_text line = wire_text_of("a b  c");
    cr_expect(wire_text_equals(text_lines_field(&line), "a"));
    cr_expect(wire_text_equals(text_lines_field(&line), "b"));
    cr_expect(wire_text_equals(text_lines_field(&line), ""));
    cr_expect(wire_text_equals(text_lines_field(&line), "c"));
    cr_expect_eq(line.byte_count, 0);
    cr_expect(wire_text_equals(text_lines_field(&line), ""));
}

Test(text_lines, numbers_are_plain_decimals_within_their_limit)
{
    static const struct {
        const char *text;
        int64_t expected; /* -2: refused. */
    } cases[] = {
        {"0", 0},
        {"7", 7},
        {"2147483647", INT32_MAX},
        {"2147483648", -2},
        {"-1", -1},
        {"-2", -2},
        {"+1", -2},
        {"01", -2},
        {"", -2},
        {" 1", -2},
        {"1 ", -2},
        {"0x10", -2},
        {"99999999999999999999", -2},
        {"1e3", -2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = -2;
        bool is_number = text_lines_number(wire_text_of(cases[i].text), INT32_MAX, true, &value);
        cr_expect_eq(is_number, cases[i].expected != -2, "%s", cases[i].text);
        cr_expect_eq(value, cases[i].expected, "%s", cases[i].text);
    }
    int64_t value = 0;
    cr_expect(text_lines_number(wire_text_of("9223372036854775807"), INT64_MAX, false, &value));
    cr_expect_eq(value, INT64_MAX);
    cr_expect_not(text_lines_number(wire_text_of("9223372036854775808"), INT64_MAX, false, &value));
    cr_expect_not(text_lines_number(wire_text_of("-1"), INT64_MAX, false, &value));
}

Test(text_lines, head_claims_no_more_rows_than_bytes)
{
    uint32_t row_count = 0;
    struct text_lines lines = lines_of("0\n2\n0 0\n1 1");
    cr_expect_eq(text_lines_head(&lines, 100, &row_count), STATUS_OK);
    cr_expect_eq(row_count, 2);
    lines = lines_of("0\n3\n0 0\n1 1");
    cr_expect_eq(text_lines_head(&lines, 100, &row_count), STATUS_MALFORMED);
    lines = lines_of("0\n2\n0 0\n1 1");
    cr_expect_eq(text_lines_head(&lines, 1, &row_count), STATUS_MALFORMED);
    lines = lines_of("3\n");
    cr_expect_eq(text_lines_head(&lines, 1, &row_count), STATUS_UNSUPPORTED);
}
