/* Goal: each record of an assigned partition is handed over once, in order, whatever the brokers
 * do. Method: three scripted brokers in a simulated world; the test reads what it gets with
 * fetch_walk and counts. */
#include "client/consumer_core.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/record/batch_builder.h"
#include "tests/rig/scripted_log.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>

#define FAULTS_MAX 16

static struct scripted_log cluster;
static struct consumer_core subject;
static struct consumer_core_options options;
static bool has_closed;
static int placed_count;
static struct consumer_fault faults[FAULTS_MAX];
static uint32_t fault_count;
static int64_t next_offsets[SCRIPTED_LOG_PARTITIONS]; /* What must come next. */
static int64_t read_count;
static int64_t ingested_count;
static bool is_holding; /* Keeps what comes. */
static struct list held;
static struct prng chances;
static int spoil_left;

static void read_all(struct consumer_fetched *fetched)
{
    struct fetch_walk walk;
    fetch_walk_init(&walk, &fetched->source);
    enum status status;
    while ((status = fetch_walk_batch(&walk, NULL, NULL)) == STATUS_OK) {
        struct record record;
        while (fetch_walk_record(&walk, &record) == STATUS_OK) {
            cr_expect_eq(record.offset, next_offsets[fetched->index]);
            next_offsets[fetched->index] = record.offset + 1;
            read_count += 1;
            ingested_count += walk.ingested_ms == 1000000 + batch_base_offset(&walk.batch);
        }
    }
    if (status == STATUS_NOT_FOUND) {
        cr_expect_eq(walk.next_offset, fetched->next_offset);
    } else {
        fetched->fault = status;
        fetched->next_offset = walk.next_offset;
    }
    consumer_core_give_back(&subject, fetched);
}

static void on_fetched(void *context, struct consumer_fetched *fetched)
{
    (void)context;
    if (is_holding) {
        list_append(&held, &fetched->in_line);
    } else {
        read_all(fetched);
    }
}

static void release_held(void)
{
    is_holding = false;
    struct list *link;
    while ((link = list_take_first(&held)) != NULL) {
        read_all(container_of(link, struct consumer_fetched, in_line));
    }
}

static void on_fault(void *context, const struct consumer_fault *fault)
{
    (void)context;
    cr_assert_lt(fault_count, FAULTS_MAX);
    faults[fault_count++] = *fault;
}

static void on_placed(void *context)
{
    (void)context;
    placed_count += 1;
}

static void on_closed(void *context)
{
    (void)context;
    has_closed = true;
}

static void set_up(void)
{
    rig_begin(31);
    scripted_log_start(&cluster, rig_loop);
    prng_init(&chances, 6);
    list_init(&held);
    options = (struct consumer_core_options){.loop = rig_loop,
                                             .client_id = "test",
                                             .is_committed = true,
                                             .buffer_bytes_max = 1 << 20,
                                             .partition_bytes_max = 2000,
                                             .fetch_bytes_max = 1 << 20,
                                             .fetch_wait_ms = 500,
                                             .request_timeout_ms = 3000,
                                             .on_fetched = on_fetched,
                                             .on_fault = on_fault,
                                             .on_placed = on_placed,
                                             .on_closed = on_closed};
}

static void begin(void)
{
    struct address bootstrap = rig_address(SCRIPTED_LOG_PORT + 2);
    options.bootstrap = &bootstrap;
    options.bootstrap_count = 1;
    consumer_core_init(&subject, &options);
}

static void tear_down(void)
{
    release_held();
    consumer_core_close(&subject);
    rig_run_for(SIM_S);
    cr_expect(has_closed);
    scripted_log_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

TestSuite(consumer_core, .init = set_up, .fini = tear_down);

static void append(int32_t partition, int record_count)
{
    struct batch_builder builder;
    batch_builder_init(&builder, NULL, 1 << 20);
    for (int i = 0; i < record_count; i++) {
        struct batch_builder_record record = {
            .timestamp_ms = cluster.partitions[partition].end + i,
            .key = {.byte_count = -1},
            .value = {(const uint8_t *)"some words of a value", 21}};
        cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view view;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &view), STATUS_OK);
    scripted_log_append(&cluster, partition, view.bytes, view.byte_count);
    batch_builder_done(&builder);
}

static void fill(int batch_count)
{
    for (int32_t p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        for (int i = 0; i < batch_count; i++) {
            append(p, 5);
        }
    }
}

static void assign(const char *topic, int32_t partition, enum consumer_start_kind kind,
                   int64_t value)
{
    cr_assert_eq(consumer_core_assign(&subject, wire_text_of(topic), partition,
                                      (struct consumer_start){kind, value}),
                 STATUS_OK);
}

static bool is_read_to_the_end(void *context)
{
    (void)context;
    for (int p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        if (next_offsets[p] < cluster.partitions[p].end) {
            return false;
        }
    }
    return true;
}

Test(consumer_core, a_whole_topic_is_read_from_its_start_to_its_end)
{
    fill(100);
    begin();
    assign(SCRIPTED_LOG_TOPIC, -1, CONSUMER_START_EARLIEST, 0);

    cr_expect(rig_run_until(is_read_to_the_end, NULL, 5 * SIM_S));

    cr_expect_eq(read_count, 4 * 500);
    cr_expect_eq(ingested_count, read_count);
    cr_expect_eq(placed_count, 1);
    cr_expect_eq(fault_count, 0);
    cr_expect_eq(subject.ready_bytes, 0);
}

Test(consumer_core, a_reader_at_the_end_waits_at_the_broker)
{
    begin();
    assign(SCRIPTED_LOG_TOPIC, -1, CONSUMER_START_LATEST, 0);
    rig_run_for(2 * SIM_S);
    uint32_t fetch_count = cluster.request_counts[API_KEY_FETCH];
    cr_expect_lt(fetch_count, 20, "it waits at the broker: %u fetches", fetch_count);

    fill(1);

    cr_expect(rig_run_until(is_read_to_the_end, NULL, SIM_S));
}

Test(consumer_core, starts_are_found_by_offset_time_and_end)
{
    fill(10);
    begin();
    next_offsets[0] = 13;
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_OFFSET, 13);
    next_offsets[1] = 20;
    assign(SCRIPTED_LOG_TOPIC, 1, CONSUMER_START_TIME, 22); /* Its batch begins at 20. */
    next_offsets[2] = 50;
    assign(SCRIPTED_LOG_TOPIC, 2, CONSUMER_START_LATEST, 0);
    next_offsets[3] = 50;
    assign(SCRIPTED_LOG_TOPIC, 3, CONSUMER_START_TIME, 99999); /* No record is that young. */
    rig_run_for(SIM_S);
    cr_expect_eq(placed_count, 1);
    append(2, 1);
    append(3, 1);

    rig_run_for(2 * SIM_S);

    cr_expect_eq(read_count, 37 + 30 + 1 + 1);
    cr_expect_eq(fault_count, 0);
}

Test(consumer_core, a_committed_reader_stops_at_the_last_stable_offset)
{
    fill(10);
    cluster.partitions[0].stable_end = 25;
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_EARLIEST, 0);

    rig_run_for(2 * SIM_S);
    cr_expect_eq(next_offsets[0], 25);
    cluster.partitions[0].stable_end = -1;
    rig_run_for(2 * SIM_S);

    cr_expect_eq(next_offsets[0], 50);
}

static enum scripted_fault spoil_at_random(struct scripted_log *self, uint32_t broker,
                                           int16_t api_key)
{
    (void)self;
    (void)broker;
    static const enum scripted_fault kinds[] = {SCRIPTED_BREAK_BEFORE, SCRIPTED_BREAK_AFTER,
                                                SCRIPTED_SILENT_AFTER, SCRIPTED_GARBAGE};
    bool is_due = spoil_left > 0 && api_key != API_KEY_METADATA && prng_below(&chances, 3) == 0;
    spoil_left -= is_due;
    return is_due ? kinds[prng_below(&chances, 4)] : SCRIPTED_WELL;
}

static int16_t refuse_at_random(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)api_key;
    (void)partition;
    static const int16_t codes[] = {ERROR_CODE_NOT_LEADER_OR_FOLLOWER,
                                    ERROR_CODE_OFFSET_NOT_AVAILABLE, ERROR_CODE_FENCED_LEADER_EPOCH,
                                    ERROR_CODE_UNKNOWN_LEADER_EPOCH, ERROR_CODE_CORRUPT_MESSAGE};
    return prng_below(&chances, 5) == 0 ? codes[prng_below(&chances, 5)] : ERROR_CODE_NONE;
}

Test(consumer_core, lost_answers_and_refusals_neither_lose_nor_repeat)
{
    fill(200);
    cluster.spoil = spoil_at_random;
    cluster.refuse = refuse_at_random;
    spoil_left = 20;
    begin();
    assign(SCRIPTED_LOG_TOPIC, -1, CONSUMER_START_EARLIEST, 0);

    cr_expect(rig_run_until(is_read_to_the_end, NULL, 200 * SIM_S));

    cr_expect_eq(read_count, 4 * 1000);
    cr_expect_eq(fault_count, 0);
}

Test(consumer_core, it_follows_a_leader_that_dies)
{
    fill(10);
    begin();
    assign(SCRIPTED_LOG_TOPIC, -1, CONSUMER_START_EARLIEST, 0);
    cr_expect(rig_run_until(is_read_to_the_end, NULL, 2 * SIM_S));

    scripted_log_kill(&cluster, 2);
    fill(10);

    cr_expect(rig_run_until(is_read_to_the_end, NULL, 2 * SIM_S));
    cr_expect_eq(read_count, 4 * 100);
}

Test(consumer_core, what_is_not_given_back_bounds_what_is_fetched)
{
    options.buffer_bytes_max = 8000;
    fill(200);
    is_holding = true;
    begin();
    assign(SCRIPTED_LOG_TOPIC, -1, CONSUMER_START_EARLIEST, 0);

    rig_run_for(5 * SIM_S);
    cr_expect_gt(subject.ready_bytes, 0);
    cr_expect_leq(subject.ready_bytes, 8000 + 4 * 2000);
    release_held();

    cr_expect(rig_run_until(is_read_to_the_end, NULL, 60 * SIM_S));
    cr_expect_eq(read_count, 4 * 1000);
}

Test(consumer_core, a_position_outside_the_log_is_a_fault_or_a_reset)
{
    fill(10);
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_OFFSET, 999);
    rig_run_for(SIM_S);
    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].error_code, ERROR_CODE_OFFSET_OUT_OF_RANGE);
    cr_expect_eq(faults[0].partition, 0);

    subject.options.reset = CONSUMER_RESET_EARLIEST;
    cr_assert_eq(consumer_core_seek(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 0,
                                    (struct consumer_start){CONSUMER_START_OFFSET, 999}),
                 STATUS_OK);
    rig_run_for(SIM_S);

    cr_expect_eq(fault_count, 1);
    cr_expect_eq(next_offsets[0], 50);
}

Test(consumer_core, a_seek_drops_what_was_asked_before)
{
    fill(10);
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_EARLIEST, 0);
    rig_run_for(SIM_S);
    cr_expect_eq(next_offsets[0], 50);

    next_offsets[0] = 31;
    cr_assert_eq(consumer_core_seek(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 0,
                                    (struct consumer_start){CONSUMER_START_OFFSET, 31}),
                 STATUS_OK);
    rig_run_for(2 * SIM_S);

    cr_expect_eq(next_offsets[0], 50);
    cr_expect_eq(read_count, 50 + 19);
    cr_expect_eq(consumer_core_seek(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 1,
                                    (struct consumer_start){CONSUMER_START_OFFSET, 0}),
                 STATUS_NOT_FOUND);
}

static bool is_fetch_under_way(void *context)
{
    (void)context;
    return cluster.request_counts[API_KEY_FETCH] > 0;
}

Test(consumer_core, an_answer_that_was_under_way_when_it_was_moved_is_dropped)
{
    fill(10);
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_OFFSET, 0);
    cr_assert(rig_run_until(is_fetch_under_way, NULL, 5 * SIM_S));
    cr_assert_eq(read_count, 0);

    next_offsets[0] = 31;
    cr_assert_eq(consumer_core_seek(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 0,
                                    (struct consumer_start){CONSUMER_START_OFFSET, 31}),
                 STATUS_OK);
    rig_run_for(2 * SIM_S);

    cr_expect_eq(read_count, 19);
}

Test(consumer_core, a_paused_partition_waits_with_its_position)
{
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_EARLIEST, 0);
    assign(SCRIPTED_LOG_TOPIC, 1, CONSUMER_START_EARLIEST, 0);
    cr_assert_eq(consumer_core_pause(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 0, true),
                 STATUS_OK);
    rig_run_for(SIM_S);
    append(0, 5);
    append(1, 5);
    rig_run_for(2 * SIM_S);
    cr_expect_eq(next_offsets[0], 0);
    cr_expect_eq(next_offsets[1], 5);

    cr_assert_eq(consumer_core_pause(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 0, false),
                 STATUS_OK);
    rig_run_for(2 * SIM_S);

    cr_expect_eq(next_offsets[0], 5);
}

Test(consumer_core, a_partition_that_does_not_exist_is_told_before_its_user_gives_up)
{
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_EARLIEST, 0);
    rig_run_for(60 * SIM_S);
    assign(SCRIPTED_LOG_TOPIC, 17, CONSUMER_START_EARLIEST, 0);

    rig_run_for(SIM_S); /* It may just have been made. */
    cr_expect_eq(fault_count, 0);
    rig_run_for(4 * SIM_S);

    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].status, STATUS_NOT_FOUND);
    cr_expect_eq(faults[0].partition, 17);
}

Test(consumer_core, a_topic_that_does_not_exist_is_told_once)
{
    begin();
    assign("absent", -1, CONSUMER_START_EARLIEST, 0);
    assign(SCRIPTED_LOG_TOPIC, 17, CONSUMER_START_EARLIEST, 0);

    rig_run_for(20 * SIM_S);

    cr_assert_eq(fault_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        cr_expect_eq(faults[i].status, STATUS_NOT_FOUND);
        cr_expect_eq(faults[i].error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    }
    cr_expect_eq(placed_count, 1);
}

Test(consumer_core, a_damaged_batch_is_a_fault_at_its_place)
{
    fill(3);
    size_t batch_bytes = cluster.partitions[0].byte_count / 3;
    cluster.partitions[0].bytes[2 * batch_bytes - 1] ^= 1;
    begin();
    assign(SCRIPTED_LOG_TOPIC, 0, CONSUMER_START_EARLIEST, 0);

    rig_run_for(SIM_S);

    cr_expect_eq(read_count, 5);
    cr_assert_eq(fault_count, 1);
    cr_expect_eq(faults[0].status, STATUS_CORRUPT);
    const struct consumer_partition *partition =
        consumer_core_find(&subject, wire_text_of(SCRIPTED_LOG_TOPIC), 0);
    cr_expect_eq(partition->read_position, 5);
    cr_expect_eq(partition->state, CONSUMER_FAILED);
}
