/* Goal: builders make batches that readers take, stop at their limit, and keep what they have.
 * Method: records up to the limit and past it; the batch is read back. */
#include "proto/record/batch_builder.h"
#include "proto/record/batch_check.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

static struct budget budget;
static struct batch_builder builder;
static struct compressor compressor;
static struct decompressor decompressor;

static void set_up(void)
{
    budget_init(&budget, (size_t)1 << 20);
    batch_builder_init(&builder, &budget, 16384);
    compressor_init(&compressor);
    decompressor_init(&decompressor, &budget);
}

static void tear_down(void)
{
    decompressor_done(&decompressor);
    compressor_done(&compressor);
    batch_builder_done(&builder);
    cr_expect_eq(budget_taken_bytes(&budget), 0, "all memory is given back");
}

TestSuite(batch_builder, .init = set_up, .fini = tear_down);

static const uint8_t zeros[1000];

static struct batch_builder_record record_of(int64_t timestamp_ms, int32_t value_bytes)
{
    return (struct batch_builder_record){
        .timestamp_ms = timestamp_ms,
        .key = {.bytes = zeros, .byte_count = 1},
        .value = {.bytes = zeros, .byte_count = value_bytes},
    };
}

static uint32_t append_until_full(void)
{
    struct batch_builder_record record = record_of(1000, 1000);
    uint32_t record_count = 0;
    enum status status = batch_builder_append(&builder, &record);
    while (status == STATUS_OK) {
        record_count += 1;
        status = batch_builder_append(&builder, &record);
    }
    cr_expect_eq(status, STATUS_FULL);
    return record_count;
}

static struct batch_verdict verdict_of(const struct batch_view *batch)
{
    const struct batch_rules rules = {
        .byte_count_max = 16384,
        .decompressed_bytes_max = 16384,
        .timestamp_ms_max = INT64_MAX,
        .is_full = true,
        .has_transactional_id = true,
        .decompressor = &decompressor,
    };
    struct batch_verdict verdict;
    status_ignore(batch_check_produce(batch->bytes, batch->byte_count, &rules, &verdict),
                  "the verdict says the same");
    return verdict;
}

Test(batch_builder, full_builder_makes_a_batch_of_what_it_took)
{
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view batch;
    uint32_t record_count = append_until_full();
    cr_assert_eq(batch_builder_finish(&builder, &options, NULL, &batch), STATUS_OK);

    cr_expect_eq(record_count, 16);
    cr_expect_eq(batch_record_count(&batch), 16);
    cr_expect_leq(batch.byte_count, 16384);
    cr_expect_eq(verdict_of(&batch).fault, BATCH_FAULT_NONE);
    cr_expect_eq(batch_leader_epoch(&batch), -1);
    cr_expect_eq(batch_producer_id(&batch), -1);
    cr_expect_eq(batch_base_sequence(&batch), -1);
}

Test(batch_builder, every_codec_makes_a_batch_that_full_validation_takes)
{
    for (int codec = COMPRESSION_NONE; codec <= COMPRESSION_ZSTD; codec++) {
        struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
        struct batch_view batch;
        options.codec = (enum compression_codec)codec;
        batch_builder_reset(&builder);
        append_until_full();
        cr_assert_eq(batch_builder_finish(&builder, &options, &compressor, &batch), STATUS_OK);

        cr_expect_eq(batch_codec(&batch), codec);
        cr_expect_eq(verdict_of(&batch).fault, BATCH_FAULT_NONE);
        cr_expect(codec == COMPRESSION_NONE || batch.byte_count < 2000);
    }
}

Test(batch_builder, records_that_do_not_shrink_stay_uncompressed)
{
    struct batch_builder_record record = record_of(5, 1);
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view batch;
    options.codec = COMPRESSION_GZIP;
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    cr_assert_eq(batch_builder_finish(&builder, &options, &compressor, &batch), STATUS_OK);

    cr_expect_eq(batch_codec(&batch), COMPRESSION_NONE);
    cr_expect_eq(verdict_of(&batch).fault, BATCH_FAULT_NONE);
}

Test(batch_builder, limit_is_the_whole_batches)
{
    /* Beside its 100 bytes of value the record takes ten, key included. */
    uint8_t room[BATCH_HEADER_BYTES + 110];
    struct batch_builder_record record = record_of(0, 100);
    struct batch_builder exact;

    batch_builder_init_over(&exact, room, sizeof room);
    cr_expect_eq(batch_builder_append(&exact, &record), STATUS_OK);
    cr_expect_eq(exact.byte_count, sizeof room);
    batch_builder_done(&exact);
    batch_builder_init_over(&exact, room, sizeof room - 1);
    cr_expect_eq(batch_builder_append(&exact, &record), STATUS_FULL);
    batch_builder_done(&exact);
}

Test(batch_builder, record_larger_than_the_limit_never_fits)
{
    uint8_t *bytes = calloc(1, 20000);
    struct batch_builder_record record = record_of(5, 1);
    record.value = (struct wire_bytes){.bytes = bytes, .byte_count = 20000};

    cr_expect_eq(batch_builder_append(&builder, &record), STATUS_FULL);
    cr_expect_eq(builder.record_count, 0);
    free(bytes);
}

Test(batch_builder, record_takes_no_more_than_was_said)
{
    const struct batch_builder_header header = {.key = wire_text_of("key"),
                                                .value = {.bytes = zeros, .byte_count = 3}};
    struct batch_builder_record record = record_of(INT64_MIN, 1000);
    record.headers = &header;
    record.header_count = 1;
    batch_builder_set_base_timestamp(&builder, INT64_MAX);
    size_t before = builder.byte_count;
    cr_assert_eq(batch_builder_append_at(&builder, &record, INT32_MAX), STATUS_OK);

    cr_expect_leq(builder.byte_count - before, batch_builder_record_bytes_max(&record));
    cr_expect_eq(batch_builder_append(&builder, &record), STATUS_FULL, "no delta is left");
}

Test(batch_builder, budget_that_refuses_adds_nothing)
{
    struct batch_builder_record record = record_of(5, 900);
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    budget.limit_bytes = budget_taken_bytes(&budget);

    cr_expect_eq(batch_builder_append(&builder, &record), STATUS_BUSY);
    cr_expect_eq(builder.record_count, 1);
    budget.limit_bytes = (size_t)1 << 20;
    cr_expect_eq(batch_builder_append(&builder, &record), STATUS_OK);
}

Test(batch_builder, greatest_timestamp_is_the_batches)
{
    static const int64_t times_ms[] = {500, 700, -1, 600};
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view batch;
    for (size_t i = 0; i < 4; i++) {
        struct batch_builder_record record = record_of(times_ms[i], 1);
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, &options, NULL, &batch), STATUS_OK);

    cr_expect_eq(batch_base_timestamp(&batch), 500);
    cr_expect_eq(batch_max_timestamp(&batch), 700);
    cr_expect_eq(verdict_of(&batch).max_timestamp_index, 1);
}

Test(batch_builder, identity_and_flags_are_written)
{
    struct batch_builder_record record = record_of(5, 1);
    struct batch_view batch;
    const struct batch_builder_finish options = {.producer_id = 77,
                                                 .producer_epoch = 3,
                                                 .base_sequence = 9,
                                                 .leader_epoch = 4,
                                                 .base_offset = 50,
                                                 .is_transactional = true};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    cr_assert_eq(batch_builder_finish(&builder, &options, NULL, &batch), STATUS_OK);

    cr_expect_eq(batch_producer_id(&batch), 77);
    cr_expect_eq(batch_producer_epoch(&batch), 3);
    cr_expect_eq(batch_base_sequence(&batch), 9);
    cr_expect_eq(batch_leader_epoch(&batch), 4);
    cr_expect_eq(batch_base_offset(&batch), 50);
    cr_expect(batch_is_transactional(&batch));
    cr_expect_not(batch_is_control(&batch));
    cr_expect(batch_has_right_checksum(&batch));
}

Test(batch_builder, offsets_that_fall_abort, .signal = SIGABRT)
{
    struct batch_builder_record record = record_of(5, 1);
    status_ignore(batch_builder_append_at(&builder, &record, 7), "there is room");
    status_ignore(batch_builder_append_at(&builder, &record, 7), "never returns");
}

Test(batch_builder, finishing_nothing_aborts, .signal = SIGABRT)
{
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view batch;
    status_ignore(batch_builder_finish(&builder, &options, NULL, &batch), "never returns");
}
