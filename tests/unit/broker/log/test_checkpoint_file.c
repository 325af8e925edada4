/* Goal: the directory's offset checkpoints are Kafka's texts, and a damaged one is refused.
 * Method: the golden files both ways, a table of damage. */
#include "broker/log/checkpoint_file.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void expect_golden(const struct golden_datadir *golden, const char *name)
{
    struct golden_file file = golden_datadir_file(golden, name);
    struct checkpoint_file_row *rows = NULL;
    uint32_t row_count = 0;
    cr_assert_eq(checkpoint_file_decode(file.bytes, file.byte_count, &rows, &row_count), STATUS_OK,
                 "%s", name);

    /* The dump tool gives the rows in the file's order. */
    const json_t *expected = json_object_get(golden_datadir_expected(golden, name), "entries");
    cr_assert_eq(json_array_size(expected), row_count);
    for (uint32_t i = 0; i < row_count; i++) {
        bool is_found = false;
        for (uint32_t j = 0; j < row_count; j++) {
            const json_t *row = json_array_get(expected, j);
            is_found = is_found ||
                       (wire_text_equals(rows[i].topic_name, golden_datadir_text(row, "topic")) &&
                        rows[i].partition == golden_datadir_number(row, "partition") &&
                        rows[i].offset == golden_datadir_number(row, "offset"));
        }
        cr_expect(is_found, "row %u of %s", i, name);
    }

    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(checkpoint_file_encode(rows, row_count, &bytes, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, file.byte_count);
    cr_expect_eq(memcmp(bytes, file.bytes, file.byte_count), 0, "%s", name);
    free(bytes);
    free(rows);
}

Test(checkpoint_file, kafkas_files_read_as_its_dump_tool_says_and_write_as_they_are)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    expect_golden(&golden, CHECKPOINT_FILE_RECOVERY_POINT);
    expect_golden(&golden, CHECKPOINT_FILE_LOG_START);
    expect_golden(&golden, CHECKPOINT_FILE_REPLICATION);
    expect_golden(&golden, CHECKPOINT_FILE_CLEANER);
    golden_datadir_close(&golden);
}

Test(checkpoint_file, no_rows_are_a_file_too)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(checkpoint_file_encode(NULL, 0, &bytes, &byte_count), STATUS_OK);
    cr_expect_eq(byte_count, 4);

    struct checkpoint_file_row *rows = (struct checkpoint_file_row *)&byte_count;
    uint32_t row_count = 9;
    cr_expect_eq(checkpoint_file_decode(bytes, byte_count, &rows, &row_count), STATUS_OK);
    cr_expect_null(rows);
    cr_expect_eq(row_count, 0);
    free(bytes);
}

Test(checkpoint_file, damaged_text_is_refused)
{
    static const struct {
        const char *text;
        enum status expected;
    } cases[] = {
        {"0\n1\nt 0 5\n", STATUS_OK},
        {"0\n1\nt 0 5", STATUS_OK},
        {"", STATUS_MALFORMED},
        {"1\n1\nt 0 5\n", STATUS_UNSUPPORTED},
        {"x\n1\nt 0 5\n", STATUS_MALFORMED},
        {"0\n2\nt 0 5\n", STATUS_MALFORMED},
        {"0\n0\nt 0 5\n", STATUS_MALFORMED},
        {"0\n1000000\nt 0 5\n", STATUS_MALFORMED},
        {"0\n1\nt 0\n", STATUS_MALFORMED},
        {"0\n1\nt 0 5 6\n", STATUS_MALFORMED},
        {"0\n1\n 0 5\n", STATUS_MALFORMED},
        {"0\n1\na/b 0 5\n", STATUS_MALFORMED},
        {"0\n1\n.. 0 5\n", STATUS_MALFORMED},
        {"0\n1\nt -1 5\n", STATUS_MALFORMED},
        {"0\n1\nt 0 -1\n", STATUS_MALFORMED},
        {"0\n1\nt 0 05\n", STATUS_MALFORMED},
        {"0\n1\nt 2147483648 5\n", STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t byte_count = strlen(cases[i].text);
        uint8_t *bytes = malloc(byte_count + 1);
        memcpy(bytes, cases[i].text, byte_count);
        uint8_t *exact = realloc(bytes, byte_count == 0 ? 1 : byte_count);
        struct checkpoint_file_row *rows = NULL;
        uint32_t row_count = 0;
        cr_expect_eq(checkpoint_file_decode(exact, byte_count, &rows, &row_count),
                     cases[i].expected, "case %zu", i);
        free(rows);
        free(exact);
    }
}
