/* Goal: rows come out as a table that lines up, or as JSON that reads back.
 * Method: small rows with odd cells, printed into memory or the redirected stream. */
#include "client/shell/shell_output.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdlib.h>
#include <string.h>

static void expect_table(json_t *rows, const char *expected)
{
    char *text = NULL;
    size_t byte_count = 0;
    FILE *out = open_memstream(&text, &byte_count);
    cr_assert_not_null(out);
    shell_output_table(rows, out);
    (void)fclose(out);
    cr_expect_str_eq(text, expected);
    free(text);
}

static void expect_bytes(const void *data, size_t byte_count, const char *expected)
{
    json_t *value = shell_output_bytes((struct millrace_bytes){data, byte_count});
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    cr_expect_str_eq(text, expected);
    free(text);
    json_decref(value);
}

Test(shell_output, columns_line_up_and_numbers_stand_right)
{
    expect_table(json_pack("[{s:s,s:i,s:b},{s:s,s:i,s:b}]", "topic_name", "a", "rows", 20000,
                           "internal", 0, "topic_name", "a-longer-name", "rows", 7, "internal", 1),
                 "TOPIC NAME      ROWS  INTERNAL\n"
                 "a              20000  no\n"
                 "a-longer-name      7  yes\n");
}

Test(shell_output, characters_are_counted_not_bytes)
{
    expect_table(json_pack("[{s:s,s:i},{s:s,s:i}]", "name", "m\xc3\xbchle", "n", 1, "name",
                           "xxxxxx", "n", 2),
                 "NAME    N\n"
                 "m\xc3\xbchle   1\n"
                 "xxxxxx  2\n");
}

Test(shell_output, cells_may_be_null_lists_or_hostile)
{
    expect_table(json_pack("[{s:n,s:[i,i,i],s:s}]", "leader", "isr", 1, 2, 3, "text", "a\x1b[2Jb"),
                 "LEADER  ISR    TEXT\n"
                 "-       1,2,3  a?[2Jb\n");
}

Test(shell_output, no_rows_are_no_table)
{
    expect_table(json_array(), "");
}

Test(shell_output, programs_get_one_line_of_json, .init = cr_redirect_stdout)
{
    struct shell_call call = {.format = SHELL_JSON};

    cr_expect_eq(shell_output_rows(&call, json_pack("[{s:s}]", "name", "a/b"), "no rows"),
                 SHELL_DONE);

    cr_expect_eq(shell_output_finish(&call), SHELL_DONE);
    cr_expect_stdout_eq_str("[{\"name\":\"a/b\"}]\n");
}

Test(shell_output, text_stays_text_and_other_bytes_become_base64)
{
    expect_bytes(NULL, 0, "null");
    expect_bytes("", 0, "\"\"");
    expect_bytes("a\"\0b", 4, "\"a\\\"\\u0000b\"");
    expect_bytes("\xff", 1, "{\"base64\":\"/w==\"}");
    expect_bytes("\xff\x00", 2, "{\"base64\":\"/wA=\"}");
    expect_bytes("\xff\xfe\xfd", 3, "{\"base64\":\"//79\"}");
    expect_bytes("\x80\x01\x02\x03", 4, "{\"base64\":\"gAECAw==\"}");
}
