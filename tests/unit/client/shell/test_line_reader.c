/* Goal: lines come out whole, whatever their length and ending, and no line eats the memory.
 * Method: streams over memory, and an endless one. */
#include "client/shell/line_reader.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct line_reader reader;
static FILE *in;

static void open_text(const char *text, size_t byte_count)
{
    in = tmpfile();
    cr_assert_not_null(in);
    cr_assert_eq(fwrite(text, 1, byte_count, in), byte_count);
    rewind(in);
    line_reader_init(&reader, in);
}

static void tear_down(void)
{
    line_reader_done(&reader);
    if (in != NULL) {
        (void)fclose(in);
    }
}

TestSuite(line_reader, .fini = tear_down);

static void expect_line(const char *expected, size_t byte_count)
{
    cr_assert_eq(line_reader_next(&reader), LINE_READER_LINE);
    cr_expect_eq(reader.line_bytes, byte_count);
    cr_expect_arr_eq(reader.line, expected, byte_count + 1);
}

Test(line_reader, lines_may_be_empty_hold_zeros_and_lack_the_last_newline)
{
    open_text("one\n\na\0b\r\nlast", 14);

    expect_line("one", 3);
    expect_line("", 0);
    expect_line("a\0b\r", 4);
    expect_line("last", 4);
    cr_expect_eq(line_reader_next(&reader), LINE_READER_END);
    cr_expect_eq(line_reader_next(&reader), LINE_READER_END);
}

Test(line_reader, newline_at_the_end_is_no_further_line)
{
    open_text("a\n", 2);

    expect_line("a", 1);
    cr_expect_eq(line_reader_next(&reader), LINE_READER_END);
}

Test(line_reader, lines_around_the_size_of_its_room_are_whole)
{
    for (size_t length = 4094; length <= 4098; length++) {
        char *text = malloc(length + 2);
        cr_assert_not_null(text);
        memset(text, 'x', length);
        text[length] = '\n';
        open_text(text, length + 1);
        text[length] = '\0';
        expect_line(text, length);
        cr_expect_eq(line_reader_next(&reader), LINE_READER_END);
        line_reader_done(&reader);
        (void)fclose(in);
        in = NULL;
        free(text);
    }
}

Test(line_reader, endless_line_is_refused)
{
    in = fopen("/dev/zero", "r");
    cr_assert_not_null(in);
    line_reader_init(&reader, in);

    cr_expect_eq(line_reader_next(&reader), LINE_READER_TOO_LONG);
}

Test(line_reader, stream_that_cannot_be_read_is_told)
{
    in = fopen("/", "r");
    cr_assert_not_null(in);
    line_reader_init(&reader, in);

    cr_expect_eq(line_reader_next(&reader), LINE_READER_FAILED);
}
