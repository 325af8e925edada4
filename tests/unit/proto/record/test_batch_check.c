/* Goal: each rule refuses what it is for, names the record, and lets its neighbours pass.
 * Method: one batch that passes, changed in one place a test. What Kafka answers to broken batches
 * is compared in test_batch_golden.c. */
#include "proto/record/batch_builder.h"
#include "proto/record/batch_check.h"
#include "tests/rig/batch_seal.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct budget budget;
static struct batch_builder builder;
static struct compressor compressor;
static struct decompressor decompressor;
static struct batch_rules rules;
static struct batch_view batch;
static struct batch_verdict verdict;

/* Two records at 1000 and 2000 ms with keys. */
static void set_up(void)
{
    budget_init(&budget, (size_t)4 << 20);
    batch_builder_init(&builder, NULL, (size_t)32 << 20);
    compressor_init(&compressor);
    decompressor_init(&decompressor, &budget);
    rules = (struct batch_rules){
        .byte_count_max = 1000,
        .decompressed_bytes_max = (size_t)1 << 20,
        .timestamp_ms_max = 5000,
        .decompressor = &decompressor,
    };
}

static void tear_down(void)
{
    decompressor_done(&decompressor);
    compressor_done(&compressor);
    batch_builder_done(&builder);
    cr_expect_eq(budget_taken_bytes(&budget), 0, "all memory is given back");
}

TestSuite(batch_check, .init = set_up, .fini = tear_down);

static void append(int64_t timestamp_ms, const char *key)
{
    static const uint8_t value[50] = {1};
    struct batch_builder_record record = {
        .timestamp_ms = timestamp_ms,
        .key = {.bytes = (const uint8_t *)key, .byte_count = key == NULL ? -1 : 1},
        .value = {.bytes = value, .byte_count = sizeof value}};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
}

static void finish(enum compression_codec codec)
{
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    options.codec = codec;
    cr_assert_eq(batch_builder_finish(&builder, &options, &compressor, &batch), STATUS_OK);
    cr_assert_eq(batch_codec(&batch), codec);
}

static enum batch_fault fault(void)
{
    enum status status = batch_check_produce(batch.bytes, batch.byte_count, &rules, &verdict);
    cr_expect_eq(status, batch_fault_status(verdict.fault));
    return verdict.fault;
}

static void finish_good(void)
{
    append(1000, "a");
    append(2000, "b");
    finish(COMPRESSION_NONE);
}

static enum batch_fault fault_after_change(size_t position, uint32_t value)
{
    finish_good();
    big_endian_put32(builder.bytes + position, value);
    batch_seal(builder.bytes, batch.byte_count);
    return fault();
}

Test(batch_check, good_batch_passes_and_tells_its_greatest_time)
{
    finish_good();

    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    cr_expect(verdict.is_walked);
    cr_expect_eq(verdict.max_timestamp_ms, 2000);
    cr_expect_eq(verdict.max_timestamp_index, 1);
    cr_expect_eq(verdict.record_index, -1);
    cr_expect_eq(verdict.batch.bytes, batch.bytes);
}

Test(batch_check, no_bytes_are_no_batch)
{
    cr_expect_eq(batch_check_produce(NULL, 0, &rules, &verdict), STATUS_INVALID);
    cr_expect_eq(verdict.fault, BATCH_FAULT_EMPTY_SET);
}

Test(batch_check, size_limit_is_inclusive)
{
    finish_good();
    rules.byte_count_max = batch.byte_count;
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    rules.byte_count_max = batch.byte_count - 1;
    cr_expect_eq(fault(), BATCH_FAULT_TOO_LARGE);
}

Test(batch_check, second_batch_even_a_cut_one_is_refused)
{
    uint8_t both[600];
    finish_good();
    memcpy(both, batch.bytes, batch.byte_count);
    memcpy(both + batch.byte_count, batch.bytes, batch.byte_count);

    for (size_t more = 1; more <= batch.byte_count; more++) {
        enum status status = batch_check_produce(both, batch.byte_count + more, &rules, &verdict);
        cr_expect_eq(status, STATUS_INVALID);
        cr_expect_eq(verdict.fault, more < BATCH_PEEK_BYTES ? BATCH_FAULT_BYTES_AFTER_BATCH
                                                            : BATCH_FAULT_SEVERAL_BATCHES);
    }
}

Test(batch_check, wrong_checksum_is_told_before_all_else)
{
    finish_good();
    builder.bytes[30] ^= 1;
    builder.bytes[22] = 7;
    cr_expect_eq(fault(), BATCH_FAULT_CHECKSUM);
}

Test(batch_check, base_offset_of_a_client_is_zero)
{
    finish_good();
    builder.bytes[7] = 1;
    cr_expect_eq(fault(), BATCH_FAULT_OFFSETS);
}

Test(batch_check, last_delta_fits_the_count)
{
    cr_expect_eq(fault_after_change(23, 2), BATCH_FAULT_RECORD_COUNT);
}

Test(batch_check, client_sends_one_record_at_least)
{
    finish_good();
    big_endian_put32(builder.bytes + 23, UINT32_MAX);
    big_endian_put32(builder.bytes + 57, 0);
    batch_seal(builder.bytes, batch.byte_count);
    cr_expect_eq(fault(), BATCH_FAULT_RECORD_COUNT);
}

Test(batch_check, first_of_the_greatest_times_is_named)
{
    append(1000, "a");
    append(2000, "a");
    append(2000, "a");
    finish(COMPRESSION_NONE);
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    cr_expect_eq(verdict.max_timestamp_index, 1);
}

Test(batch_check, producer_needs_epoch_and_sequence)
{
    finish_good();
    batch_stamp_producer(builder.bytes, 5, 0, 0);
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    batch_stamp_producer(builder.bytes, 5, -1, 0);
    cr_expect_eq(fault(), BATCH_FAULT_PRODUCER);
    batch_stamp_producer(builder.bytes, 5, 0, -1);
    cr_expect_eq(fault(), BATCH_FAULT_PRODUCER);
    batch_stamp_producer(builder.bytes, -1, -1, 7);
    cr_expect_eq(fault(), BATCH_FAULT_NONE, "a sequence without a producer means nothing");
}

Test(batch_check, transactional_batch_needs_the_requests_id_and_a_producer)
{
    finish_good();
    builder.bytes[22] = BATCH_TRANSACTIONAL;
    batch_seal(builder.bytes, batch.byte_count);
    cr_expect_eq(fault(), BATCH_FAULT_TXN_WITHOUT_ID);
    cr_expect_eq(batch_fault_code(verdict.fault), 53);
    rules.has_transactional_id = true;
    cr_expect_eq(fault(), BATCH_FAULT_TXN_WITHOUT_PRODUCER);
    batch_stamp_producer(builder.bytes, 5, 0, 0);
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
}

Test(batch_check, zstd_can_be_refused)
{
    append(1000, "a");
    append(1000, "a");
    append(1000, "a");
    finish(COMPRESSION_ZSTD);
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    rules.is_zstd_refused = true;
    cr_expect_eq(fault(), BATCH_FAULT_CODEC_REFUSED);
}

Test(batch_check, timestamps_out_of_range_name_the_first_record)
{
    append(1000, "a");
    append(5000, "a");
    append(5001, "a");
    append(5002, "a");
    finish(COMPRESSION_NONE);

    cr_expect_eq(fault(), BATCH_FAULT_TIMESTAMP);
    cr_expect_eq(verdict.record_index, 2);
    cr_expect_eq(verdict.timestamp_ms, 5001);
    rules.is_append_time = true;
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
}

Test(batch_check, no_timestamp_passes_and_other_negative_ones_do_not)
{
    append(-1, "a");
    finish(COMPRESSION_NONE);
    rules.timestamp_ms_min = 500;
    cr_expect_eq(fault(), BATCH_FAULT_NONE);

    batch_builder_reset(&builder);
    append(-2, "a");
    finish(COMPRESSION_NONE);
    rules.timestamp_ms_min = INT64_MIN;
    cr_expect_eq(fault(), BATCH_FAULT_TIMESTAMP);
    cr_expect_eq(verdict.record_index, 0);
}

Test(batch_check, timestamps_of_an_unopened_batch_are_judged_by_its_header)
{
    append(1000, "a");
    append(1000, "a");
    append(5001, "a");
    finish(COMPRESSION_LZ4);

    rules.timestamp_ms_max = 5001;
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    rules.timestamp_ms_max = 5000;
    cr_expect_eq(fault(), BATCH_FAULT_TIMESTAMP);
    cr_expect_eq(verdict.record_index, -1);
    cr_expect_eq(verdict.timestamp_ms, 5001);
    cr_expect_not(verdict.is_walked);
}

Test(batch_check, compacted_topic_needs_keys_even_in_compressed_batches)
{
    append(1000, "a");
    append(1000, "a");
    append(1000, NULL);
    finish(COMPRESSION_GZIP);
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
    cr_expect_not(verdict.is_walked);

    rules.is_compacted = true;
    cr_expect_eq(fault(), BATCH_FAULT_KEY_MISSING);
    cr_expect_eq(verdict.record_index, 2);
}

Test(batch_check, offset_deltas_are_the_indexes)
{
    struct batch_builder_record record = {.timestamp_ms = 1, .key = {.byte_count = -1}};
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    cr_assert_eq(batch_builder_append_at(&builder, &record, 1), STATUS_OK);
    cr_assert_eq(batch_builder_finish(&builder, &options, NULL, &batch), STATUS_OK);
    big_endian_put32(builder.bytes + 23, 0);
    batch_seal(builder.bytes, batch.byte_count);

    cr_expect_eq(fault(), BATCH_FAULT_OFFSET_DELTA);
    cr_expect_eq(verdict.record_index, 0);
}

Test(batch_check, bomb_costs_no_more_memory_than_the_window)
{
    size_t zero_bytes = (size_t)16 << 20;
    uint8_t *zeros = calloc(1, zero_bytes);
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        struct batch_builder_record record = {
            .timestamp_ms = 1000,
            .key = {.byte_count = -1},
            .value = {.bytes = zeros, .byte_count = (int32_t)zero_bytes}};
        batch_builder_reset(&builder);
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
        finish((enum compression_codec)codec);
        rules.byte_count_max = zero_bytes;
        rules.is_full = true;

        rules.decompressed_bytes_max = (size_t)1 << 20;
        cr_expect_eq(fault(), BATCH_FAULT_DECOMPRESSED_TOO_LARGE, "%d", codec);
        cr_expect_leq(budget_taken_bytes(&budget), DECOMPRESSOR_WINDOW_BYTES);
        rules.decompressed_bytes_max = zero_bytes + 100;
        cr_expect_eq(fault(), BATCH_FAULT_NONE, "%d", codec);
        cr_expect_leq(budget_taken_bytes(&budget), DECOMPRESSOR_WINDOW_BYTES);
    }
    free(zeros);
}

Test(batch_check, missing_memory_is_not_the_clients_fault)
{
    append(1000, "a");
    append(1000, "a");
    append(1000, "a");
    finish(COMPRESSION_LZ4);
    rules.is_full = true;
    budget.limit_bytes = 0;

    cr_expect_eq(fault(), BATCH_FAULT_NO_ROOM);
    cr_expect_eq(batch_fault_status(verdict.fault), STATUS_BUSY);
    budget.limit_bytes = (size_t)1 << 20;
    cr_expect_eq(fault(), BATCH_FAULT_NONE);
}

/* Bytes of one record, and what is wrong with them. */
static const struct crafted {
    const char *what;
    uint8_t bytes[20];
    size_t byte_count;
    enum batch_fault fault;
} crafted[] = {
    {"fits", {12, 0, 0, 0, 1, 1, 0}, 7, BATCH_FAULT_NONE},
    {"key, value, header",
     {26, 0, 0, 0, 2, 'k', 2, 'v', 2, 2, 'h', 2, 'x', 0},
     13,
     BATCH_FAULT_RECORD_FRAME},
    {"with a header", {26, 0, 0, 0, 2, 'k', 2, 'v', 2, 4, 'h', 'h', 2, 'x'}, 14, BATCH_FAULT_NONE},
    {"header value null", {18, 0, 0, 0, 1, 1, 2, 2, 'h', 1}, 10, BATCH_FAULT_NONE},
    {"header value of length -2", {18, 0, 0, 0, 1, 1, 2, 2, 'h', 3}, 10, BATCH_FAULT_RECORD_FRAME},
    {"header key null", {16, 0, 0, 0, 1, 1, 2, 1, 1}, 9, BATCH_FAULT_RECORD_FRAME},
    {"key of length -2", {12, 0, 0, 0, 3, 1, 0}, 7, BATCH_FAULT_RECORD_FRAME},
    {"value of length -2", {12, 0, 0, 0, 1, 3, 0}, 7, BATCH_FAULT_RECORD_FRAME},
    {"key one byte beyond", {14, 0, 0, 0, 8, 1, 0, 0}, 8, BATCH_FAULT_RECORD_FRAME},
    {"value one byte beyond", {14, 0, 0, 0, 1, 6, 0, 0}, 8, BATCH_FAULT_RECORD_FRAME},
    {"negative header count", {12, 0, 0, 0, 1, 1, 1}, 7, BATCH_FAULT_RECORD_FRAME},
    {"more headers than bytes", {12, 0, 0, 0, 1, 1, 2}, 7, BATCH_FAULT_RECORD_FRAME},
    {"byte left over in it", {14, 0, 0, 0, 1, 1, 0, 0}, 8, BATCH_FAULT_RECORD_FRAME},
    {"length of nothing", {0}, 1, BATCH_FAULT_RECORD_FRAME},
    {"negative length", {1, 0, 0, 0, 1, 1, 0}, 7, BATCH_FAULT_RECORD_FRAME},
    {"only attributes", {2, 0}, 2, BATCH_FAULT_RECORD_FRAME},
    {"ends in its time", {4, 0, 0}, 3, BATCH_FAULT_RECORD_FRAME},
    {"ends in its delta", {6, 0, 0, 0}, 4, BATCH_FAULT_RECORD_FRAME},
    {"ends in its key", {8, 0, 0, 0, 1}, 5, BATCH_FAULT_RECORD_FRAME},
    {"ends in its value", {10, 0, 0, 0, 1, 1}, 6, BATCH_FAULT_RECORD_FRAME},
    {"time varint cut by the end", {4, 0, 0x80}, 3, BATCH_FAULT_RECORD_FRAME},
    {"zero in five bytes", {20, 0, 0, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0}, 11, BATCH_FAULT_NONE},
    {"33 bits", {20, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 1, 0}, 11, BATCH_FAULT_RECORD_FRAME},
    {"six bytes",
     {22, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0},
     12,
     BATCH_FAULT_RECORD_FRAME},
    {"time in ten bytes",
     {30, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 1, 1, 0},
     16,
     BATCH_FAULT_NONE},
    {"time of 65 bits",
     {30, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2, 0, 1, 1, 0},
     16,
     BATCH_FAULT_RECORD_FRAME},
    {"nothing", {0}, 0, BATCH_FAULT_RECORDS_MISSING},
};

/* One record's bytes as a batch in a block of exactly its size. */
static uint8_t *batch_of_bytes(const void *bytes, size_t byte_count, enum compression_codec codec)
{
    uint8_t *made = calloc(1, BATCH_HEADER_BYTES + byte_count);
    cr_assert_not_null(made);
    made[16] = BATCH_MAGIC;
    big_endian_put16(made + 21, (uint16_t)codec);
    big_endian_put64(made + 43, UINT64_MAX);
    big_endian_put32(made + 57, 1);
    memcpy(made + BATCH_HEADER_BYTES, bytes, byte_count);
    batch_seal(made, BATCH_HEADER_BYTES + byte_count);
    batch = (struct batch_view){.bytes = made,
                                .byte_count = (uint32_t)(BATCH_HEADER_BYTES + byte_count)};
    return made;
}

/* Stored lz4 blocks would do as well; what matters is that the bytes pass through the window. */
static enum batch_fault fault_through_window(const struct crafted *test, size_t window_bytes)
{
    struct wire_slice packed;
    struct wire_slice plain = {.base = test->bytes, .byte_count = test->byte_count};
    cr_assert_eq(compressor_run(&compressor, COMPRESSION_GZIP, 1, plain, &packed), STATUS_OK);
    uint8_t *made = batch_of_bytes(packed.base, packed.byte_count, COMPRESSION_GZIP);
    struct decompressor narrow;
    decompressor_init(&narrow, NULL);
    narrow.window_bytes = window_bytes;
    rules.decompressor = &narrow;
    enum batch_fault found = fault();
    decompressor_done(&narrow);
    free(made);
    return found;
}

Test(batch_check, record_frames_are_judged_the_same_in_memory_and_through_any_window)
{
    rules.is_full = true;
    for (size_t i = 0; i < sizeof crafted / sizeof crafted[0]; i++) {
        const struct crafted *test = &crafted[i];
        uint8_t *made = batch_of_bytes(test->bytes, test->byte_count, COMPRESSION_NONE);
        cr_expect_eq(fault(), test->fault, "%s: %s", test->what, batch_fault_text(verdict.fault));
        free(made);
        for (size_t window_bytes = 1; window_bytes < 18; window_bytes++) {
            cr_expect_eq(fault_through_window(test, window_bytes), test->fault, "%s, %zu: %s",
                         test->what, window_bytes, batch_fault_text(verdict.fault));
        }
    }
}

static enum batch_fault stored_after_change(int64_t base_offset, uint32_t last_delta,
                                            uint32_t record_count)
{
    batch_builder_reset(&builder);
    finish_good();
    big_endian_put64(builder.bytes, (uint64_t)base_offset);
    big_endian_put32(builder.bytes + 23, last_delta);
    big_endian_put32(builder.bytes + 57, record_count);
    batch_seal(builder.bytes, batch.byte_count);
    enum status status = batch_check_stored(&batch, &verdict);
    cr_expect_eq(status, batch_fault_status(verdict.fault));
    return verdict.fault;
}

Test(batch_check, stored_batches_may_have_gaps_but_no_offsets_that_cannot_be)
{
    cr_expect_eq(stored_after_change(70, 9, 2), BATCH_FAULT_NONE);
    cr_expect_eq(stored_after_change(70, 9, 0), BATCH_FAULT_NONE);
    cr_expect_eq(stored_after_change(70, 9, 10), BATCH_FAULT_NONE);
    cr_expect_eq(stored_after_change(70, 9, 11), BATCH_FAULT_RECORD_COUNT);
    cr_expect_eq(stored_after_change(70, 9, UINT32_MAX), BATCH_FAULT_RECORD_COUNT);
    cr_expect_eq(stored_after_change(-1, 9, 2), BATCH_FAULT_OFFSETS);
    cr_expect_eq(stored_after_change(70, UINT32_MAX, 0), BATCH_FAULT_OFFSETS);
    cr_expect_eq(stored_after_change(INT64_MAX - 10, 9, 2), BATCH_FAULT_NONE);
    cr_expect_eq(stored_after_change(INT64_MAX - 9, 9, 2), BATCH_FAULT_OFFSETS);
}
