/* Goal: each committed record becomes one row, in order, within the line drawn for an epoch; and
 * the source knows when it has read all.
 * Method: scripted brokers with one topic in a simulated world; slices are copied into counts. */
#include "processor/source/source.h"
#include "proto/record/batch_builder.h"
#include "proto/record/control_record.h"
#include "tests/rig/scripted_log.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

static struct scripted_log cluster;
static struct source *subject;
static struct source_options options;
static struct source_start starts[SCRIPTED_LOG_PARTITIONS];
static struct address bootstrap;
static struct source_fault faults[8];
static uint32_t fault_count;
static uint32_t news_count;
static bool has_closed;
static int64_t next_offsets[SCRIPTED_LOG_PARTITIONS];
static uint64_t row_count;
static uint32_t slice_count;
static bool values_are_padded;
static bool is_collecting; /* Seals and takes with each piece of news. */

static void look_at(const struct source_rows *rows)
{
    const struct row_origin *origin = &rows->origin;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        int64_t *next = &next_offsets[origin->partition];
        cr_expect_geq(origin->offsets[i], *next);
        *next = origin->offsets[i] + 1;
        char expected[32];
        int length =
            snprintf(expected, sizeof expected, "value %lld", (long long)origin->created_ms[i]);
        cr_assert_eq(origin->values[i].byte_count, values_are_padded ? 1 << 20 : length);
        cr_expect_eq(memcmp(origin->values[i].bytes, expected, (size_t)length), 0);
    }
    row_count += rows->row_count;
    slice_count += 1;
}

static void take_all(void)
{
    struct source_rows rows;
    enum status status;
    while ((status = source_take(subject, &rows)) == STATUS_OK) {
        look_at(&rows);
        source_release(subject);
    }
    cr_expect_eq(status, STATUS_NOT_FOUND);
}

static void on_news(void *context)
{
    (void)context;
    news_count += 1;
    if (is_collecting) {
        source_seal(subject, SIZE_MAX);
        take_all();
    }
}

static void on_fault(void *context, const struct source_fault *fault)
{
    (void)context;
    cr_assert_lt(fault_count, 8);
    faults[fault_count++] = *fault;
}

static void on_closed(void *context)
{
    (void)context;
    has_closed = true;
}

static void set_up(void)
{
    rig_begin(7);
    scripted_log_start(&cluster, rig_loop);
    bootstrap = rig_address(SCRIPTED_LOG_PORT);
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        starts[i] = (struct source_start){.partition = i, .start = {CONSUMER_START_OFFSET, 0}};
    }
    options = (struct source_options){.loop = rig_loop,
                                      .bootstrap = &bootstrap,
                                      .bootstrap_count = 1,
                                      .client_id = "test",
                                      .topic = SCRIPTED_LOG_TOPIC,
                                      .starts = starts,
                                      .start_count = SCRIPTED_LOG_PARTITIONS,
                                      .buffer_bytes_max = 1 << 20,
                                      .fetch_wait_ms = 500,
                                      .request_timeout_ms = 3000,
                                      .on_news = on_news,
                                      .on_fault = on_fault,
                                      .on_closed = on_closed};
}

static void begin(void)
{
    cr_assert_eq(source_open(&options, &subject), STATUS_OK);
}

static void tear_down(void)
{
    source_close(subject);
    rig_run_for(SIM_S);
    cr_expect(has_closed);
    scripted_log_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

TestSuite(source, .init = set_up, .fini = tear_down);

struct shape {
    enum compression_codec codec;
    int64_t producer_id; /* -1: not transactional. */
};

static const struct shape plain = {COMPRESSION_NONE, -1};

static void append(int32_t partition, int record_count, struct shape shape)
{
    struct batch_builder builder;
    struct compressor compressor;
    compressor_init(&compressor);
    batch_builder_init(&builder, NULL, 8 << 20);
    static char value[1 << 20]; /* Zeros behind the text. */
    for (int i = 0; i < record_count; i++) {
        int64_t created_ms = cluster.partitions[partition].end + i;
        int length = snprintf(value, sizeof value, "value %lld", (long long)created_ms);
        length = values_are_padded ? (int)sizeof value : length;
        struct batch_builder_record record = {.timestamp_ms = created_ms,
                                              .key = {.byte_count = -1},
                                              .value = {(const uint8_t *)value, length}};
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.codec = shape.codec;
    finish.producer_id = shape.producer_id;
    finish.is_transactional = shape.producer_id >= 0;
    finish.producer_epoch = shape.producer_id >= 0 ? 0 : -1;
    finish.base_sequence = shape.producer_id >= 0 ? 0 : -1;
    struct batch_view view;
    cr_assert_eq(batch_builder_finish(&builder, &finish, &compressor, &view), STATUS_OK);
    scripted_log_append(&cluster, partition, view.bytes, view.byte_count);
    batch_builder_done(&builder);
    compressor_done(&compressor);
}

static void append_marker(int32_t partition, int64_t producer_id, bool is_commit)
{
    uint8_t bytes[CONTROL_RECORD_MARKER_BYTES];
    struct control_record_marker marker = {
        .producer_id = producer_id, .is_commit = is_commit, .leader_epoch = -1};
    control_record_encode_marker(&marker, bytes);
    scripted_log_append(&cluster, partition, bytes, sizeof bytes);
}

static bool is_at_end(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < source_partition_count(subject); i++) {
        if (!source_view(subject, i)->is_at_end) {
            return false;
        }
    }
    return true;
}

Test(source, every_record_becomes_a_row_in_order)
{
    for (int32_t p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        for (int i = 0; i < 50; i++) {
            append(p, 7, (struct shape){(enum compression_codec)(i % 5), -1});
        }
    }
    is_collecting = true;
    begin();

    cr_expect(rig_run_until(is_at_end, NULL, 10 * SIM_S));

    cr_expect_eq(row_count, 4 * 350);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(source_view(subject, i)->next_offset, 350);
        cr_expect_eq(source_view(subject, i)->stable_end, 350);
        cr_expect_not(source_view(subject, i)->is_unwritten);
    }
    cr_expect_eq(fault_count, 0);
}

Test(source, batch_of_many_records_comes_in_slices)
{
    append(0, 40000, (struct shape){COMPRESSION_ZSTD, -1});
    append(1, 40000, plain);
    is_collecting = true;
    begin();

    cr_expect(rig_run_until(is_at_end, NULL, 10 * SIM_S));

    cr_expect_eq(row_count, 80000);
    cr_expect_eq(slice_count, 6);
}

Test(source, slice_ends_inside_a_batch_of_large_records)
{
    values_are_padded = true;
    append(0, 5, (struct shape){COMPRESSION_ZSTD, -1}); /* Of a megabyte each. */
    append(1, 5, (struct shape){COMPRESSION_ZSTD, -1});
    is_collecting = true;
    begin();

    cr_expect(rig_run_until(is_at_end, NULL, 10 * SIM_S));

    cr_expect_eq(row_count, 10);
    cr_expect_eq(slice_count, 6); /* Two, two, one. */
    for (uint32_t i = 0; i < 2; i++) {
        cr_expect_eq(source_view(subject, i)->next_offset, 5);
    }
}

Test(source, slices_are_as_small_as_asked_for)
{
    append(0, 10, plain);
    options.slice = (struct row_batch_room){.row_count = 4, .byte_count = 1000};
    append(1, 10, plain); /* Ten times "value N". */
    is_collecting = true;
    begin();

    cr_expect(rig_run_until(is_at_end, NULL, 10 * SIM_S));
    cr_expect_eq(row_count, 20);
    cr_expect_eq(slice_count, 6); /* Four, four, two. */
}

static bool has_ready_bytes(void *context)
{
    (void)context;
    return source_ready_bytes(subject) > 0;
}

Test(source, nothing_behind_the_line_is_taken)
{
    options.start_count = 1;
    append(0, 10, plain);
    begin();
    cr_assert(rig_run_until(has_ready_bytes, NULL, 5 * SIM_S));
    take_all();
    cr_expect_eq(row_count, 0, "nothing was sealed");

    source_seal(subject, 1);
    append(0, 10, plain);
    cr_assert(rig_run_until(has_ready_bytes, NULL, 5 * SIM_S));
    take_all();
    cr_expect_eq(row_count, 10);
    cr_expect_eq(source_view(subject, 0)->next_offset, 10);

    source_seal(subject, 1);
    take_all();
    cr_expect_eq(row_count, 20);
}

Test(source, partition_without_a_record_is_known_as_unwritten)
{
    append(1, 1, plain);
    is_collecting = true;
    begin();

    cr_expect(rig_run_until(is_at_end, NULL, 10 * SIM_S));

    cr_expect(source_view(subject, 0)->is_unwritten);
    cr_expect_not(source_view(subject, 1)->is_unwritten);
}

Test(source, aborted_records_and_markers_move_the_position_without_a_row)
{
    options.start_count = 1;
    append(0, 5, (struct shape){COMPRESSION_NONE, 100});
    append_marker(0, 100, true);
    append(0, 5, (struct shape){COMPRESSION_NONE, 200});
    append_marker(0, 200, false);
    struct kafka_fetch_response_aborted_transaction aborted = {.producer_id = 200,
                                                               .first_offset = 6};
    cluster.partitions[0].aborted = &aborted;
    cluster.partitions[0].aborted_count = 1;
    is_collecting = true;
    begin();

    cr_expect(rig_run_until(is_at_end, NULL, 10 * SIM_S));

    cr_expect_eq(row_count, 5);
    cr_expect_eq(source_view(subject, 0)->next_offset, 12);
}

static bool is_done(void *context)
{
    (void)context;
    return source_is_done(subject);
}

Test(source, bounded_source_waits_for_an_open_transaction)
{
    options.is_bounded = true;
    options.start_count = 2;
    append(0, 5, plain);
    append(0, 5, (struct shape){COMPRESSION_NONE, 300});
    append(1, 3, plain);
    cluster.partitions[0].stable_end = 5;
    is_collecting = true;
    begin();

    cr_expect_not(rig_run_until(is_done, NULL, 5 * SIM_S));
    cr_expect_eq(row_count, 8);

    append_marker(0, 300, true);
    cluster.partitions[0].stable_end = -1;
    cr_expect(rig_run_until(is_done, NULL, 5 * SIM_S));
    cr_expect_eq(row_count, 13);
    cr_expect_eq(source_view(subject, 0)->end_offset, 10);
}

Test(source, bounded_source_believes_a_leader_that_the_others_went_on_without)
{
    options.is_bounded = true;
    options.start_count = 2;
    starts[0].end_min = 8; /* Something is known to lie at 7. */
    append(0, 5, plain);
    append(1, 3, plain);
    is_collecting = true;
    begin();

    cr_expect_not(rig_run_until(is_done, NULL, 5 * SIM_S));
    cr_expect_eq(row_count, 0);
    cr_expect_lt(cluster.request_counts[2], 200, "asked %u times", cluster.request_counts[2]);

    append(0, 4, plain);
    cr_expect(rig_run_until(is_done, NULL, SIM_S));
    cr_expect_eq(row_count, 12);
    cr_expect_eq(source_view(subject, 0)->end_offset, 9);
}

Test(source, bounded_source_of_nothing_is_done_at_once)
{
    options.is_bounded = true;
    starts[1].start.value = 3;
    append(1, 3, plain);
    begin();
    cr_expect(rig_run_until(is_done, NULL, SIM_S / 10));
    cr_expect_eq(cluster.request_counts[1], 0, "no fetch");
}

Test(source, bounded_source_goes_back_from_the_end)
{
    options.is_bounded = true;
    options.back_count = 4;
    options.start_count = 2;
    for (int i = 0; i < 9; i++) {
        append(0, 1, plain);
    }
    append(1, 2, plain);
    is_collecting = true;
    begin();
    cr_expect(rig_run_until(is_done, NULL, 5 * SIM_S));
    cr_expect_eq(row_count, 6);
    cr_expect_eq(next_offsets[0], 9);
}

Test(source, bounded_source_begins_where_the_log_does)
{
    options.is_bounded = true;
    options.back_count = 8;
    options.start_count = 2;
    for (int i = 0; i < 9; i++) {
        append(0, 1, plain);
    }
    append(1, 9, plain);
    cluster.partitions[0].start = 7;
    cluster.partitions[1].start = 9; /* All was deleted. */
    is_collecting = true;
    begin();
    cr_expect(rig_run_until(is_done, NULL, 5 * SIM_S));
    cr_expect_eq(row_count, 2);
    cr_expect_eq(fault_count, 0);
}

Test(source, damaged_batch_is_a_fault_with_its_offset)
{
    options.start_count = 1;
    append(0, 5, plain);
    size_t good_bytes = cluster.partitions[0].byte_count;
    append(0, 5, plain);
    cluster.partitions[0].bytes[good_bytes + 70] ^= 1;
    is_collecting = true;
    begin();
    rig_run_for(2 * SIM_S);

    cr_expect_eq(row_count, 5);
    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].partition, 0);
    cr_expect_eq(faults[0].offset, 5);
    cr_expect_eq(faults[0].status, STATUS_CORRUPT);
}

Test(source, records_that_were_deleted_unread_are_a_fault)
{
    options.start_count = 1;
    append(0, 5, plain);
    cluster.partitions[0].start = 3;
    begin();
    rig_run_for(2 * SIM_S);

    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].status, STATUS_OUT_OF_RANGE);
    cr_expect_eq(faults[0].offset, 0);
}

Test(source, latest_is_a_place_before_any_record_comes)
{
    options.start_count = 1;
    starts[0].start.kind = CONSUMER_START_LATEST;
    append(0, 5, plain);
    begin();
    cr_expect_not(source_is_placed(subject));
    rig_run_for(SIM_S / 10);
    cr_expect(source_is_placed(subject));
    cr_expect_eq(source_view(subject, 0)->next_offset, 5);
}

Test(source, records_of_another_topic_of_that_name_are_not_taken)
{
    options.topic_id.bytes[0] = 1;
    is_collecting = true;
    append(0, 5, plain);
    begin();
    rig_run_for(2 * SIM_S);
    cr_assert_eq(row_count, 5);
    cr_assert_eq(fault_count, 0);

    cluster.has_topic = false;
    rig_run_for(2 * SIM_S);
    cluster.has_topic = true;
    cluster.topic_life = 1;
    append(0, 5, plain);
    rig_run_for(5 * SIM_S);

    cr_expect_eq(row_count, 5);
    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].status, STATUS_FENCED);
    cr_expect_eq(faults[0].partition, -1);
}

Test(source, a_former_owner_s_place_in_another_topic_is_a_fault)
{
    options.topic_id.bytes[0] = 1;
    options.topic_id.bytes[1] = 7;
    is_collecting = true;
    append(0, 5, plain);
    begin();
    rig_run_for(2 * SIM_S);

    cr_expect_eq(row_count, 0);
    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].status, STATUS_FENCED);
}
