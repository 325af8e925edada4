/* Goal: transaction markers are Kafka's, and other control records are told apart from damage.
 * Method: bytes of a real marker; records with short or strange keys and values. */
#include "proto/record/control_record.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>

static const struct control_record_marker commit = {
    .base_offset = 12,
    .leader_epoch = 3,
    .timestamp_ms = 1760000000000,
    .producer_id = 9001,
    .producer_epoch = 4,
    .is_commit = true,
    .coordinator_epoch = 7,
};

/* "commit-marker-epoch-7" of tests/golden/kafka/batches.jsonl.gz. */
static const uint8_t commit_bytes[CONTROL_RECORD_MARKER_BYTES] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x42, 0x00, 0x00, 0x00, 0x03,
    0x02, 0xa1, 0x13, 0x1a, 0x80, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x99, 0xc8,
    0x2c, 0xc0, 0x00, 0x00, 0x00, 0x01, 0x99, 0xc8, 0x2c, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x23, 0x29, 0x00, 0x04, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x01, 0x20, 0x00, 0x00,
    0x00, 0x08, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00};

static struct record record_of(const uint8_t *key, int32_t key_bytes, const uint8_t *value,
                               int32_t value_bytes)
{
    return (struct record){.key = {.bytes = key, .byte_count = key_bytes},
                           .value = {.bytes = value, .byte_count = value_bytes}};
}

Test(control_record, marker_has_kafkas_bytes)
{
    uint8_t bytes[CONTROL_RECORD_MARKER_BYTES];
    control_record_encode_marker(&commit, bytes);

    cr_expect_arr_eq(bytes, commit_bytes, sizeof bytes);
}

Test(control_record, marker_comes_back)
{
    struct control_record_marker abort_marker = commit;
    abort_marker.is_commit = false;
    uint8_t bytes[CONTROL_RECORD_MARKER_BYTES];
    struct batch_view batch;
    struct control_record control;
    control_record_encode_marker(&abort_marker, bytes);
    cr_assert_eq(batch_view_init(&batch, bytes, sizeof bytes), STATUS_OK);

    cr_expect_eq(control_record_of_batch(&batch, &control), STATUS_OK);
    cr_expect_eq(control.type, CONTROL_RECORD_ABORT);
    cr_expect_eq(control.coordinator_epoch, 7);
}

Test(control_record, later_versions_are_read_by_what_is_known)
{
    static const uint8_t key[] = {0, 9, 0, 1, 42};
    static const uint8_t value[] = {0, 5, 0, 0, 0, 8, 77};
    struct record record = record_of(key, sizeof key, value, sizeof value);
    struct control_record control;

    cr_expect_eq(control_record_decode(&record, &control), STATUS_OK);
    cr_expect_eq(control.type, CONTROL_RECORD_COMMIT);
    cr_expect_eq(control.coordinator_epoch, 8);
}

Test(control_record, type_of_a_later_time_is_unknown)
{
    static const uint8_t key[] = {0, 0, 0, 7};
    struct record record = record_of(key, sizeof key, NULL, -1);
    struct control_record control;

    cr_expect_eq(control_record_decode(&record, &control), STATUS_OK);
    cr_expect_eq(control.type, CONTROL_RECORD_UNKNOWN);
}

Test(control_record, short_or_negative_is_malformed)
{
    static const uint8_t key[] = {0, 0, 0, 1};
    static const uint8_t negative_key[] = {0xff, 0xff, 0, 1};
    static const uint8_t value[] = {0, 0, 0, 0, 0, 8};
    static const uint8_t negative_value[] = {0x80, 0, 0, 0, 0, 8};
    const struct record records[] = {
        record_of(NULL, -1, value, 6),        record_of(key, 3, value, 6),
        record_of(negative_key, 4, value, 6), record_of(key, 4, value, 5),
        record_of(key, 4, NULL, -1),          record_of(key, 4, negative_value, 6),
    };
    struct control_record control;

    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        cr_expect_eq(control_record_decode(&records[i], &control), STATUS_MALFORMED, "%zu", i);
    }
}

Test(control_record, emptied_control_batch_holds_none)
{
    uint8_t bytes[BATCH_HEADER_BYTES] = {0};
    struct batch_view batch;
    struct control_record control;
    bytes[16] = BATCH_MAGIC;
    bytes[22] = BATCH_CONTROL;
    batch_seal(bytes, sizeof bytes);
    cr_assert_eq(batch_view_init(&batch, bytes, sizeof bytes), STATUS_OK);

    cr_expect_eq(control_record_of_batch(&batch, &control), STATUS_NOT_FOUND);
}

Test(control_record, compressed_control_batch_is_malformed)
{
    uint8_t bytes[CONTROL_RECORD_MARKER_BYTES];
    struct batch_view batch;
    struct control_record control;
    control_record_encode_marker(&commit, bytes);
    bytes[22] |= COMPRESSION_LZ4;
    batch_seal(bytes, sizeof bytes);
    cr_assert_eq(batch_view_init(&batch, bytes, sizeof bytes), STATUS_OK);

    cr_expect_eq(control_record_of_batch(&batch, &control), STATUS_MALFORMED);
}
