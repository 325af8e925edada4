/* Goal: our records of transactions are Kafka's, byte for byte.
 * Method: every golden record of the version that we write is read and made again; the older ones
 * are read. */
#include "broker/coordinator/txn_codec.h"
#include "tests/rig/golden_lines.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool is_same(struct wire_bytes one, struct wire_bytes other)
{
    return one.byte_count == other.byte_count &&
           memcmp(one.bytes, other.bytes, (size_t)one.byte_count) == 0;
}

static void try_record(struct wire_bytes key, struct wire_bytes value, bool is_written_here)
{
    struct arena arena;
    arena_init(&arena, 1U << 20);
    struct wire_text id;
    struct kafka_transaction_log_value read;
    cr_assert_eq(txn_codec_read_key(key, &id), STATUS_OK);
    cr_assert_eq(txn_codec_read(value, &arena, &read), STATUS_OK);
    if (is_written_here) {
        struct txn_codec_record made;
        txn_codec_make(&made, id, &read);
        cr_expect(is_same(made.key, key));
        cr_expect(is_same(made.value, value));
        txn_codec_done(&made);
        txn_codec_make_gone(&made, id);
        cr_expect(is_same(made.key, key));
        cr_expect_eq(made.value.byte_count, -1);
        txn_codec_done(&made);
    }
    arena_done(&arena);
}

Test(txn_codec, records_are_kafkas)
{
    struct golden_lines lines;
    golden_lines_open(&lines, "coordinator-records.jsonl.gz");
    const json_t *json;
    int count = 0;
    while ((json = golden_lines_next(&lines)) != NULL) {
        if (strcmp(golden_lines_text(json, "topic"), "__transaction_state") != 0) {
            continue;
        }
        int64_t key_bytes;
        int64_t value_bytes;
        uint8_t *key = golden_lines_hex(golden_lines_member(json, "keyHex"), &key_bytes);
        uint8_t *value = golden_lines_hex(golden_lines_member(json, "valueHex"), &value_bytes);
        bool has_unknown_tags = strcmp(golden_lines_text(json, "fill"), "unknown_tags") == 0;
        try_record((struct wire_bytes){key, (int32_t)key_bytes},
                   (struct wire_bytes){value, (int32_t)value_bytes},
                   golden_lines_number(json, "valueVersion") == 1 && !has_unknown_tags);
        free(key);
        free(value);
        count += 1;
    }
    golden_lines_close(&lines);
    cr_expect_gt(count, 10);
}

Test(txn_codec, unknown_kinds_are_told_apart_and_newer_versions_refused)
{
    struct wire_text id;
    struct kafka_transaction_log_value value;
    cr_expect_eq(txn_codec_read_key((struct wire_bytes){(const uint8_t *)"\0\1\0\0", 4}, &id),
                 STATUS_NOT_FOUND);
    cr_expect_neq(txn_codec_read_key((struct wire_bytes){(const uint8_t *)"\0", 1}, &id),
                  STATUS_OK);
    cr_expect_eq(txn_codec_read((struct wire_bytes){(const uint8_t *)"\0\2\0\0", 4}, NULL, &value),
                 STATUS_UNSUPPORTED);
}
