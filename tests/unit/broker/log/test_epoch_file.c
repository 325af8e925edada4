/* Goal: leader-epoch-checkpoint is Kafka's text, and a damaged one is refused as a whole.
 * Method: the golden files both ways, a table of damage, every cut and flip of one. */
#include "broker/log/epoch_file.h"

#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static enum status decode(const char *text, struct epoch_history *history)
{
    epoch_history_init(history);
    return epoch_file_decode((const uint8_t *)text, strlen(text), history);
}

Test(epoch_file, kafkas_files_read_as_its_dump_tool_says_and_write_as_they_are)
{
    struct golden_datadir golden;
    golden_datadir_open(&golden);
    struct golden_file file;
    uint32_t file_count = 0;
    for (size_t i = 0; golden_datadir_file_at(&golden, i, &file); i++) {
        if (strstr(file.name, EPOCH_FILE_NAME) == NULL) {
            continue;
        }
        file_count += 1;
        struct epoch_history history;
        epoch_history_init(&history);
        cr_assert_eq(epoch_file_decode(file.bytes, file.byte_count, &history), STATUS_OK, "%s",
                     file.name);
        const json_t *rows =
            json_object_get(golden_datadir_expected(&golden, file.name), "entries");
        cr_assert_eq(json_array_size(rows), history.entry_count);
        for (uint32_t row = 0; row < history.entry_count; row++) {
            const struct epoch_history_entry *entry = &epoch_history_entries(&history)[row];
            cr_expect_eq(entry->epoch, golden_datadir_number(json_array_get(rows, row), "epoch"));
            cr_expect_eq(entry->start_offset,
                         golden_datadir_number(json_array_get(rows, row), "startOffset"));
        }
        uint8_t *bytes = NULL;
        size_t byte_count = 0;
        cr_assert_eq(epoch_file_encode(&history, &bytes, &byte_count), STATUS_OK);
        cr_expect_eq(byte_count, file.byte_count);
        cr_expect_eq(memcmp(bytes, file.bytes, file.byte_count), 0);
        free(bytes);
        epoch_history_done(&history);
    }
    cr_expect_eq(file_count, 5);
    golden_datadir_close(&golden);
}

Test(epoch_file, empty_history_is_a_file_without_rows)
{
    struct epoch_history history;
    epoch_history_init(&history);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(epoch_file_encode(&history, &bytes, &byte_count), STATUS_OK);

    cr_expect_eq(byte_count, 4);
    cr_expect_arr_eq(bytes, "0\n0\n", 4);
    cr_expect_eq(epoch_file_decode(bytes, byte_count, &history), STATUS_OK);
    cr_expect_eq(history.entry_count, 0);
    free(bytes);
    epoch_history_done(&history);
}

Test(epoch_file, largest_numbers_fit_in)
{
    struct epoch_history history;
    cr_assert_eq(decode("0\n1\n2147483647 9223372036854775807\n", &history), STATUS_OK);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    cr_assert_eq(epoch_file_encode(&history, &bytes, &byte_count), STATUS_OK);
    cr_expect_arr_eq(bytes, "0\n1\n2147483647 9223372036854775807\n", byte_count);
    free(bytes);
    epoch_history_done(&history);
}

Test(epoch_file, damaged_text_is_refused_and_leaves_no_rows)
{
    static const struct {
        const char *text;
        enum status expected;
    } cases[] = {
        {"0\n2\n0 7\n2 269\n", STATUS_OK},
        {"0\n2\n0 7\n2 269", STATUS_OK},
        {"0\r\n1\r\n0 7\r\n", STATUS_OK},
        {"", STATUS_MALFORMED},
        {"0", STATUS_MALFORMED},
        {"1\n0\n", STATUS_UNSUPPORTED},
        {"0\n-1\n", STATUS_MALFORMED},
        {"0\n2\n0 7\n", STATUS_MALFORMED},
        {"0\n1\n0 7\n2 269\n", STATUS_MALFORMED},
        {"0\n2\n0 7\n\n2 269\n", STATUS_MALFORMED},
        {"0\n2\n2 7\n2 269\n", STATUS_MALFORMED},
        {"0\n2\n0 7\n2 7\n", STATUS_MALFORMED},
        {"0\n1\n0\n", STATUS_MALFORMED},
        {"0\n1\n0 7 9\n", STATUS_MALFORMED},
        {"0\n1\n0  7\n", STATUS_MALFORMED},
        {"0\n1\n0 -1\n", STATUS_MALFORMED},
        {"0\n1\n2147483648 7\n", STATUS_MALFORMED},
        {"0\n1\n1 9223372036854775808\n", STATUS_MALFORMED},
        {"0\n65537\n1 9\n", STATUS_MALFORMED},
        {"0\n99999999999999999999\n1 9\n", STATUS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct epoch_history history;
        cr_expect_eq(decode(cases[i].text, &history), cases[i].expected, "case %zu", i);
        cr_expect(cases[i].expected == STATUS_OK || history.entry_count == 0, "case %zu", i);
        epoch_history_done(&history);
    }
}

Test(epoch_file, no_cut_or_flipped_text_reads_past_its_end)
{
    static const char text[] = "0\n3\n0 7\n2 269\n40 27000\n";
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        for (size_t bit = 0; bit < cut * 8 + 1; bit++) {
            uint8_t *bytes = malloc(cut == 0 ? 1 : cut);
            memcpy(bytes, text, cut);
            if (bit < cut * 8) {
                bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            }
            struct epoch_history history;
            epoch_history_init(&history);
            enum status status = epoch_file_decode(bytes, cut, &history);
            cr_expect(status == STATUS_OK || status == STATUS_MALFORMED ||
                      status == STATUS_UNSUPPORTED);
            epoch_history_done(&history);
            free(bytes);
        }
    }
}
