/* Goal: a reader sees each record from its position on once, and nothing of what was aborted.
 * Method: logs built batch by batch, with markers, aborted lists, cuts and damaged bytes. */
#include "client/fetch_walk.h"
#include "proto/record/batch_builder.h"
#include "proto/record/control_record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 65536

static uint8_t bytes[BYTES_MAX];
static size_t byte_count;
static int64_t end;
static struct compressor compressor;
static struct decompressor decompressor;
static struct decompressor_output output;

static void set_up(void)
{
    byte_count = 0;
    end = 0;
    compressor_init(&compressor);
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
}

static void tear_down(void)
{
    compressor_done(&compressor);
    decompressor_done(&decompressor);
    decompressor_output_done(&output);
}

TestSuite(fetch_walk, .init = set_up, .fini = tear_down);

/* `record_count` records at the end; `producer_id` -1: of no transaction. */
static void add(int record_count, int64_t producer_id, enum compression_codec codec)
{
    struct batch_builder builder;
    batch_builder_init(&builder, NULL, BYTES_MAX);
    for (int i = 0; i < record_count; i++) {
        struct batch_builder_record record = {.timestamp_ms = end + i,
                                              .key = {.byte_count = -1},
                                              .value = {(const uint8_t *)"words words words", 17}};
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.codec = codec;
    finish.base_offset = end;
    finish.leader_epoch = 3;
    finish.producer_id = producer_id;
    finish.producer_epoch = producer_id >= 0 ? 0 : -1;
    finish.base_sequence = producer_id >= 0 ? 0 : -1;
    finish.is_transactional = producer_id >= 0;
    struct batch_view view;
    cr_assert_eq(batch_builder_finish(&builder, &finish, &compressor, &view), STATUS_OK);
    memcpy(bytes + byte_count, view.bytes, view.byte_count);
    byte_count += view.byte_count;
    end = batch_next_offset(&view);
    batch_builder_done(&builder);
}

static void end_transaction(int64_t producer_id, bool is_commit)
{
    struct control_record_marker marker = {
        .base_offset = end, .leader_epoch = 3, .producer_id = producer_id, .is_commit = is_commit};
    control_record_encode_marker(&marker, bytes + byte_count);
    byte_count += CONTROL_RECORD_MARKER_BYTES;
    end += 1;
}

/* The offsets seen, as text, so that a failure shows them; and how the walk ended. */
static const char *walk(const struct fetch_walk_source *from, enum status *out_status,
                        int64_t *out_next)
{
    static char text[4096];
    size_t length = 0;
    struct fetch_walk_source source = *from;
    source.bytes = bytes;
    source.byte_count = source.byte_count == 0 ? byte_count : source.byte_count;
    struct fetch_walk self;
    fetch_walk_init(&self, &source);
    text[0] = '\0';
    while ((*out_status = fetch_walk_batch(&self, &decompressor, &output)) == STATUS_OK) {
        struct record record;
        enum status status;
        while ((status = fetch_walk_record(&self, &record)) == STATUS_OK) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%lld ",
                                       (long long)record.offset);
            cr_expect_eq(record.timestamp_ms, record.offset);
        }
        cr_expect_eq(status, STATUS_NOT_FOUND);
    }
    *out_next = self.next_offset;
    return text;
}

static void expect(struct fetch_walk_source source, const char *offsets, int64_t next)
{
    enum status status;
    int64_t found_next;
    cr_expect_str_eq(walk(&source, &status, &found_next), offsets);
    cr_expect_eq(status, STATUS_NOT_FOUND);
    cr_expect_eq(found_next, next);
}

Test(fetch_walk, records_before_the_position_are_passed_over_for_every_codec)
{
    for (unsigned codec = 0; codec < COMPRESSION_CODEC_COUNT; codec++) {
        byte_count = 0;
        end = 0;
        add(3, -1, (enum compression_codec)codec);
        add(3, -1, (enum compression_codec)codec);

        expect((struct fetch_walk_source){.position = 0}, "0 1 2 3 4 5 ", 6);
        expect((struct fetch_walk_source){.position = 4}, "4 5 ", 6);
        expect((struct fetch_walk_source){.position = 6}, "", 6);
    }
}

Test(fetch_walk, a_batch_that_is_cut_short_is_not_there_yet)
{
    add(2, -1, COMPRESSION_NONE);
    size_t first_bytes = byte_count;
    add(2, -1, COMPRESSION_NONE);

    for (size_t cut = first_bytes; cut < byte_count; cut++) {
        expect((struct fetch_walk_source){.byte_count = cut}, "0 1 ", 2);
    }
}

Test(fetch_walk, control_batches_are_never_shown_and_still_move_the_reader)
{
    add(1, 7, COMPRESSION_NONE);
    end_transaction(7, true);

    expect((struct fetch_walk_source){.is_committed = true}, "0 ", 2);
    expect((struct fetch_walk_source){.is_committed = false}, "0 ", 2);
    expect((struct fetch_walk_source){.position = 1, .is_committed = true}, "", 2);
}

Test(fetch_walk, aborted_records_are_hidden_from_a_committed_reader_only)
{
    add(2, 7, COMPRESSION_LZ4);  /* 0 1: aborted. */
    add(2, 8, COMPRESSION_LZ4);  /* 2 3: of another, committed. */
    add(1, 7, COMPRESSION_LZ4);  /* 4: aborted. */
    end_transaction(7, false);   /* 5 */
    add(1, 7, COMPRESSION_LZ4);  /* 6: the next transaction, committed. */
    end_transaction(8, true);    /* 7 */
    end_transaction(7, true);    /* 8 */
    add(1, -1, COMPRESSION_LZ4); /* 9 */
    struct fetch_walk_aborted aborted[] = {{.producer_id = 7, .first_offset = 0}};

    expect((struct fetch_walk_source){.is_committed = true, .aborted = aborted, .aborted_count = 1},
           "2 3 6 9 ", 10);
    expect((struct fetch_walk_source){.is_committed = false}, "0 1 2 3 4 6 9 ", 10);
}

Test(fetch_walk, several_aborted_transactions_of_one_producer_end_one_by_one)
{
    add(1, 7, COMPRESSION_NONE); /* 0: aborted */
    end_transaction(7, false);   /* 1 */
    add(1, 7, COMPRESSION_NONE); /* 2: committed */
    end_transaction(7, true);    /* 3 */
    add(1, 7, COMPRESSION_NONE); /* 4: aborted */
    end_transaction(7, false);   /* 5 */
    add(1, 7, COMPRESSION_NONE); /* 6: aborted, its marker is not here yet */
    struct fetch_walk_aborted aborted[] = {{.producer_id = 9, .first_offset = 0},
                                           {.producer_id = 7, .first_offset = 6},
                                           {.producer_id = 7, .first_offset = 0},
                                           {.producer_id = 7, .first_offset = 4},
                                           {.producer_id = 1, .first_offset = 0}};

    expect((struct fetch_walk_source){.is_committed = true, .aborted = aborted, .aborted_count = 5},
           "2 ", 7);
}

Test(fetch_walk, a_transaction_that_began_before_the_bytes_is_hidden_too)
{
    end = 100;
    add(1, 7, COMPRESSION_NONE);
    end_transaction(7, false);
    add(1, 7, COMPRESSION_NONE);
    struct fetch_walk_aborted aborted[] = {{.producer_id = 7, .first_offset = 40}};

    expect(
        (struct fetch_walk_source){
            .position = 100, .is_committed = true, .aborted = aborted, .aborted_count = 1},
        "102 ", 103);
}

Test(fetch_walk, a_damaged_batch_stops_the_walk_in_front_of_it)
{
    add(2, -1, COMPRESSION_NONE);
    size_t first_bytes = byte_count;
    add(2, -1, COMPRESSION_NONE);
    bytes[byte_count - 3] ^= 1;
    struct fetch_walk_source source = {.position = 0};
    enum status status;
    int64_t next;

    cr_expect_str_eq(walk(&source, &status, &next), "0 1 ");
    cr_expect_eq(status, STATUS_CORRUPT);
    cr_expect_eq(next, 2);
    cr_expect_gt(first_bytes, 0);
}

Test(fetch_walk, ingested_times_belong_to_their_batches)
{
    add(1, 7, COMPRESSION_NONE);
    end_transaction(7, true);
    add(1, -1, COMPRESSION_NONE);
    add(1, -1, COMPRESSION_NONE);
    const int64_t times[] = {500, 501, 502};
    struct fetch_walk_source source = {
        .bytes = bytes, .byte_count = byte_count, .ingested_ms = times, .ingested_count = 3};
    struct fetch_walk self;
    fetch_walk_init(&self, &source);

    cr_assert_eq(fetch_walk_batch(&self, &decompressor, &output), STATUS_OK);
    cr_expect_eq(self.ingested_ms, 500);
    cr_assert_eq(fetch_walk_batch(&self, &decompressor, &output), STATUS_OK);
    cr_expect_eq(self.ingested_ms, 502);
    cr_assert_eq(fetch_walk_batch(&self, &decompressor, &output), STATUS_OK);
    cr_expect_eq(self.ingested_ms, -1, "the broker told fewer than there are");
}

Test(fetch_walk, measuring_finds_the_end_without_opening_anything)
{
    int64_t next = -1;
    int32_t epoch = -1;
    add(3, -1, COMPRESSION_GZIP);
    add(3, -1, COMPRESSION_GZIP);

    cr_expect_eq(fetch_walk_measure(bytes, byte_count - 1, 1, &next, &epoch), STATUS_OK);
    cr_expect_eq(next, 3);
    cr_expect_eq(epoch, 3);
    cr_expect_eq(fetch_walk_measure(bytes, 30, 1, &next, &epoch), STATUS_OK);
    cr_expect_eq(next, 1);
    bytes[16] = 1;
    cr_expect_neq(fetch_walk_measure(bytes, byte_count, 1, &next, &epoch), STATUS_OK);
}
