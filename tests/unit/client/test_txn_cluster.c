/* Goal: transactions of the core and the brokers' coordinators agree: all or nothing, once and in
 * order, over dead coordinators and leaders.
 * Method: txn_core against whole brokers in a simulated world; what a committed consumer core reads
 * is compared with what the outcomes said. */
#include "client/consumer_core.h"
#include "client/txn_core.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"
#include "tests/unit/client/cluster_rig.h"

#include <stdlib.h>
#include <string.h>

#define PARTITIONS 4
#define RECORDS_MAX 4000

static struct txn_core subject;
static struct txn_core other;
static struct consumer_core reader;
static struct wire_client tool;
static bool has_reader;
static int closed_count;
static int sent_count;
static int first_of_txn;
static bool is_committed[RECORDS_MAX];
static int seen[RECORDS_MAX];
static int last_seen[PARTITIONS];
static int seen_count;
static struct txn_core_outcome outcome;
static int outcome_count;

/* ---- writing ---- */

static void on_delivery(void *context, const struct producer_delivery *delivery)
{
    (void)context;
    (void)delivery;
}

static void on_closed(void *context)
{
    (void)context;
    closed_count += 1;
}

static void on_done(void *context, const struct txn_core_outcome *told)
{
    (void)context;
    outcome = *told;
    outcome_count += 1;
}

static bool is_done(void *context)
{
    return outcome_count > *(int *)context;
}

static struct txn_core_outcome await(enum status status)
{
    cr_assert_eq(status, STATUS_OK, "%s", status_text(status));
    int before = outcome_count;
    cr_assert(rig_until(is_done, &before, 60000));
    return outcome;
}

static void start(struct txn_core *core)
{
    struct txn_core_options options = {.producer = {.loop = rig_loop,
                                                    .bootstrap = rig_bootstrap,
                                                    .bootstrap_count = rig_cluster.broker_count,
                                                    .client_id = "test",
                                                    .codec = COMPRESSION_LZ4,
                                                    .batch_bytes_max = 16384,
                                                    .record_bytes_max = 100000,
                                                    .buffer_bytes_max = 1 << 20,
                                                    .request_timeout_ms = 3000,
                                                    .delivery_timeout_ms = 60000,
                                                    .transactional_id = "tester",
                                                    .transaction_timeout_ms = 30000,
                                                    .on_delivery = on_delivery,
                                                    .on_closed = on_closed}};
    txn_core_init(core, &options);
    struct txn_core_outcome got = await(txn_core_start(core, INT64_MAX, on_done, NULL));
    cr_assert_eq(got.status, STATUS_OK, "%s %d", status_text(got.status), got.error_code);
}

static void send_one(struct txn_core *core, int32_t partition)
{
    char value[16];
    int byte_count = snprintf(value, sizeof value, "%d", sent_count);
    struct producer_record record = {.topic = wire_text_of("events"),
                                     .partition = partition,
                                     .number = (uint64_t)sent_count,
                                     /* Young enough for retention to leave it alone. */
                                     .record = {.timestamp_ms = clock_wall_ms(rig_loop->clock),
                                                .key = {.byte_count = -1},
                                                .value = {(const uint8_t *)value, byte_count}}};
    cr_assert_lt(sent_count, RECORDS_MAX);
    cr_assert_eq(txn_core_send(core, &record), STATUS_OK);
    sent_count += 1;
}

/* One transaction of `count` records; true when its end has come as asked. */
static bool transact(struct txn_core *core, int count, bool is_commit)
{
    cr_assert_eq(txn_core_begin(core), STATUS_OK);
    first_of_txn = sent_count;
    for (int i = 0; i < count; i++) {
        send_one(core, i % PARTITIONS);
    }
    struct txn_core_outcome got = is_commit ? await(txn_core_commit(core, INT64_MAX, on_done, NULL))
                                            : await(txn_core_abort(core, INT64_MAX, on_done, NULL));
    if (got.must_abort) {
        got = await(txn_core_abort(core, INT64_MAX, on_done, NULL));
        is_commit = false;
    }
    cr_assert_eq(got.status, STATUS_OK, "%s %d", status_text(got.status), got.error_code);
    for (int i = first_of_txn; i < sent_count; i++) {
        is_committed[i] = is_commit;
    }
    return is_commit;
}

/* ---- reading ---- */

static void on_fetched(void *context, struct consumer_fetched *fetched)
{
    (void)context;
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    struct fetch_walk walk;
    fetch_walk_init(&walk, &fetched->source);
    while (fetch_walk_batch(&walk, &decompressor, &output) == STATUS_OK) {
        struct record record;
        while (fetch_walk_record(&walk, &record) == STATUS_OK) {
            char text[16] = "";
            memcpy(text, record.value.bytes, (size_t)record.value.byte_count);
            int number = (int)strtol(text, NULL, 10);
            cr_expect_gt(number, last_seen[fetched->index], "partition %d", fetched->index);
            last_seen[fetched->index] = number;
            seen[number] += 1;
            seen_count += 1;
        }
    }
    fetched->next_offset = walk.next_offset;
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    consumer_core_give_back(&reader, fetched);
}

static void on_fault(void *context, const struct consumer_fault *fault)
{
    (void)context;
    cr_assert(false, "%s %d", status_text(fault->status), fault->error_code);
}

static void on_placed(void *context)
{
    (void)context;
}

static int count_committed(void)
{
    int count = 0;
    for (int i = 0; i < sent_count; i++) {
        count += is_committed[i];
    }
    return count;
}

static bool is_all_seen(void *context)
{
    (void)context;
    return seen_count >= count_committed();
}

static void expect_all_or_nothing(void)
{
    struct consumer_core_options options = {.loop = rig_loop,
                                            .bootstrap = rig_bootstrap,
                                            .bootstrap_count = rig_cluster.broker_count,
                                            .client_id = "test",
                                            .is_committed = true,
                                            .buffer_bytes_max = 1 << 20,
                                            .partition_bytes_max = 1 << 16,
                                            .fetch_bytes_max = 1 << 20,
                                            .fetch_wait_ms = 100,
                                            .request_timeout_ms = 3000,
                                            .on_fetched = on_fetched,
                                            .on_fault = on_fault,
                                            .on_placed = on_placed,
                                            .on_closed = on_closed};
    consumer_core_init(&reader, &options);
    has_reader = true;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        last_seen[i] = -1;
        cr_assert_eq(consumer_core_assign(&reader, wire_text_of("events"), i,
                                          (struct consumer_start){.kind = CONSUMER_START_EARLIEST}),
                     STATUS_OK);
    }
    cr_expect(rig_until(is_all_seen, NULL, 30000));
    rig_run_ms(1000); /* Nothing may come behind it. */
    for (int i = 0; i < sent_count; i++) {
        cr_expect_eq(seen[i], is_committed[i], "record %d was seen %d times", i, seen[i]);
    }
}

/* ---- the world ---- */

static void begin(uint32_t broker_count, uint64_t seed)
{
    rig_begin(broker_count, seed);
    rig_leave();
    wire_client_open(&tool, &rig_cluster, 0);
    int16_t replication_factor = broker_count >= 3 ? 3 : 1;
    cr_assert_eq(kafka_talk_create(&tool, "events", PARTITIONS, replication_factor, NULL), 0);
    wire_client_close(&tool);
    rig_enter();
    start(&subject);
}

static bool are_closed(void *context)
{
    return closed_count == *(int *)context;
}

static void end(void)
{
    int expected = 1 + (other.magic != 0) + has_reader;
    txn_core_close(&subject);
    if (other.magic != 0) {
        txn_core_close(&other);
    }
    if (has_reader) {
        consumer_core_close(&reader);
    }
    cr_assert(rig_until(are_closed, &expected, 10000));
    rig_end();
}

Test(txn_cluster, commits_and_aborts_in_a_row_are_all_or_nothing)
{
    begin(1, 31);
    cr_expect(subject.gate.is_implicit, "the brokers finalize transaction.version 2");
    for (int i = 0; i < 60; i++) {
        bool is_commit = i % 3 != 1;
        cr_expect_eq(transact(&subject, 20, is_commit), is_commit, "transaction %d", i);
    }
    expect_all_or_nothing();
    end();
}

Test(txn_cluster, a_successor_fences_and_its_predecessor_leaves_nothing)
{
    begin(1, 32);
    cr_expect(transact(&subject, 20, true));
    cr_assert_eq(txn_core_begin(&subject), STATUS_OK);
    for (int i = 0; i < 20; i++) {
        send_one(&subject, i % PARTITIONS);
    }
    rig_run_ms(500);
    start(&other);
    cr_expect(transact(&other, 20, true));

    struct txn_core_outcome got = await(txn_core_commit(&subject, INT64_MAX, on_done, NULL));

    cr_expect_eq(got.status, STATUS_FENCED);
    cr_expect(got.is_fatal);
    expect_all_or_nothing();
    end();
}

/* Its time is 30 s; brokers look every second. */
static void let_expire(void)
{
    cr_assert_eq(txn_core_begin(&subject), STATUS_OK);
    for (int i = 0; i < 20; i++) {
        send_one(&subject, i % PARTITIONS);
    }
    rig_run_ms(40000);
}

Test(txn_cluster, who_was_late_hears_it_aborts_and_goes_on)
{
    begin(1, 34);
    cr_expect(transact(&subject, 20, true));
    for (int is_writing = 0; is_writing < 2; is_writing++) {
        let_expire();
        if (is_writing == 1) {
            send_one(&subject, 0);
        }
        struct txn_core_outcome got = await(txn_core_commit(&subject, INT64_MAX, on_done, NULL));
        cr_expect_eq(got.error_code, is_writing == 1 ? ERROR_CODE_INVALID_PRODUCER_EPOCH
                                                     : ERROR_CODE_INVALID_TXN_STATE);
        cr_expect(got.must_abort);
        cr_expect_not(got.is_fatal);
        got = await(txn_core_abort(&subject, INT64_MAX, on_done, NULL));
        cr_assert_eq(got.status, STATUS_OK, "%s %d", status_text(got.status), got.error_code);
        cr_expect(transact(&subject, 20, true));
    }
    expect_all_or_nothing();
    end();
}

Test(txn_cluster, who_was_late_and_has_a_successor_stays_dead)
{
    begin(1, 35);
    cr_expect(transact(&subject, 20, true));
    let_expire();
    start(&other);
    cr_expect(transact(&other, 20, true));
    send_one(&subject, 0);

    struct txn_core_outcome got = await(txn_core_commit(&subject, INT64_MAX, on_done, NULL));
    cr_expect(got.must_abort);
    got = await(txn_core_abort(&subject, INT64_MAX, on_done, NULL));

    cr_expect_eq(got.status, STATUS_FENCED);
    cr_expect(got.is_fatal);
    cr_expect_eq(txn_core_begin(&subject), STATUS_FENCED);
    cr_expect(transact(&other, 20, true));
    expect_all_or_nothing();
    end();
}

Test(txn_cluster, dead_brokers_leave_no_half_transaction)
{
    begin(3, 33);
    int committed_count = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++) {
            committed_count += transact(&subject, 20, true);
        }
        uint32_t victim = (uint32_t)subject.coordinator.node - 1;
        rig_kill(round == 1 ? (victim + 1) % 3 : victim);
        for (int i = 0; i < 5; i++) {
            committed_count += transact(&subject, 20, i != 2);
        }
        rig_revive(round == 1 ? (victim + 1) % 3 : victim);
        rig_run_ms(8000);
    }
    cr_expect_geq(committed_count, 24);
    expect_all_or_nothing();
    end();
}
