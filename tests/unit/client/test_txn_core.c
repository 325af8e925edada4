/* Goal: of what is sent in a transaction a committed reader sees all or nothing, once and in order,
 * whatever breaks on the way; and whoever lost the id is told so.
 * Method: scripted coordinator and logs, for both kinds of transactions, in a simulated world;
 * broken links, silence, refusals, a busy and a moving coordinator; then spans of the log are
 * compared with what the outcomes said. */
#include "client/txn_core.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/record/batch_iterator.h"
#include "tests/rig/scripted_txn.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 20000
#define NEVER INT64_MAX

enum fate { FATE_OPEN, FATE_COMMITTED, FATE_ABORTED };

static struct scripted_txn cluster;
static struct txn_core subject;
static struct txn_core other;
static struct txn_core_options options;
static uint32_t closed_count;
static int sent_count;
static int reported_count;
static enum status report_statuses[RECORDS_MAX];
static int first_of_txn;
static enum fate fates[RECORDS_MAX];
static struct txn_core_outcome outcome;
static int outcome_count;
static struct prng chances;
static int spoil_left;

static void on_delivery(void *context, const struct producer_delivery *delivery)
{
    (void)context;
    report_statuses[delivery->number] = delivery->status;
    reported_count += 1;
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

/* The outcome of an operation that was accepted. */
static struct txn_core_outcome await(enum status status)
{
    cr_assert_eq(status, STATUS_OK, "%s", status_text(status));
    int before = outcome_count;
    cr_assert(rig_run_until(is_done, &before, 60 * SIM_S));
    cr_assert_eq(outcome_count, before + 1);
    return outcome;
}

/* For a test that plays several worlds. */
static void forget(void)
{
    sent_count = 0;
    reported_count = 0;
    closed_count = 0;
    memset(fates, 0, sizeof fates);
    other.magic = 0;
}

static void begin_with(int16_t level)
{
    rig_begin(77);
    scripted_txn_start(&cluster, rig_loop, level);
    prng_init(&chances, 6);
    options.producer = (struct producer_core_options){.loop = rig_loop,
                                                      .client_id = "test",
                                                      .codec = COMPRESSION_LZ4,
                                                      .batch_bytes_max = 2000,
                                                      .record_bytes_max = 100000,
                                                      .buffer_bytes_max = 10 << 20,
                                                      .request_timeout_ms = 3000,
                                                      .delivery_timeout_ms = 60000,
                                                      .transactional_id = SCRIPTED_TXN_ID,
                                                      .transaction_timeout_ms = 30000,
                                                      .on_delivery = on_delivery,
                                                      .on_closed = on_closed};
}

static void init(struct txn_core *core)
{
    struct address bootstrap = rig_address(SCRIPTED_LOG_PORT);
    options.producer.bootstrap = &bootstrap;
    options.producer.bootstrap_count = 1;
    txn_core_init(core, &options);
}

static void start(struct txn_core *core)
{
    init(core);
    struct txn_core_outcome got = await(txn_core_start(core, NEVER, on_done, NULL));
    cr_assert_eq(got.status, STATUS_OK, "%s %d", status_text(got.status), got.error_code);
}

static void end(void)
{
    cluster.log.spoil = NULL;
    cluster.log.refuse = NULL;
    txn_core_close(&subject);
    if (other.magic != 0) {
        txn_core_close(&other);
    }
    rig_run_for(5 * SIM_S);
    cr_expect_geq(closed_count, 1);
    cr_expect_eq(reported_count, sent_count, "%d of %d", reported_count, sent_count);
    scripted_txn_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

static enum status try_send(struct txn_core *core, int32_t partition)
{
    char value[64];
    int byte_count = snprintf(value, sizeof value, "record %d with some words in it", sent_count);
    struct producer_record record = {.topic = wire_text_of(SCRIPTED_LOG_TOPIC),
                                     .partition = partition,
                                     .number = (uint64_t)sent_count,
                                     .record = {.timestamp_ms = 1000 + sent_count,
                                                .key = {.byte_count = -1},
                                                .value = {(const uint8_t *)value, byte_count}}};
    enum status status = txn_core_send(core, &record);
    if (status == STATUS_OK) {
        cr_assert_lt(sent_count, RECORDS_MAX - 1);
        sent_count += 1;
    }
    return status;
}

static void send_to(struct txn_core *core, int32_t partition)
{
    cr_assert_eq(try_send(core, partition), STATUS_OK);
}

static void begin(struct txn_core *core)
{
    cr_assert_eq(txn_core_begin(core), STATUS_OK);
    first_of_txn = sent_count;
}

static void settle(enum fate fate)
{
    for (int i = first_of_txn; i < sent_count; i++) {
        fates[i] = fate;
    }
}

static struct txn_core_outcome commit(struct txn_core *core)
{
    struct txn_core_outcome got = await(txn_core_commit(core, NEVER, on_done, NULL));
    if (got.status == STATUS_OK) {
        settle(FATE_COMMITTED);
    }
    return got;
}

static struct txn_core_outcome roll_back(struct txn_core *core)
{
    struct txn_core_outcome got = await(txn_core_abort(core, NEVER, on_done, NULL));
    if (got.status == STATUS_OK) {
        settle(FATE_ABORTED);
    }
    return got;
}

static bool is_visible(int32_t partition, int64_t offset)
{
    for (uint32_t i = 0; i < cluster.span_count; i++) {
        const struct scripted_span *span = &cluster.spans[i];
        if (span->partition == partition && offset >= span->first && offset < span->next) {
            return span->is_commit;
        }
    }
    return false;
}

/* Every record of a committed transaction is visible once and in order, no other one is. */
static void compare_with_log(void)
{
    static int seen[RECORDS_MAX];
    memset(seen, 0, sizeof seen);
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    for (int p = 0; p < SCRIPTED_LOG_PARTITIONS; p++) {
        int last = -1;
        struct batch_iterator batches;
        batch_iterator_init(&batches, cluster.log.partitions[p].bytes,
                            cluster.log.partitions[p].byte_count);
        struct batch_view view;
        while (batch_iterator_next(&batches, &view) == STATUS_OK) {
            struct record_iterator records;
            cr_assert_eq(record_iterator_init(&records, &view, &decompressor, &output), STATUS_OK);
            struct record record;
            while (record_iterator_next(&records, &record) == STATUS_OK) {
                int number =
                    (int)strtol((const char *)record.value.bytes + strlen("record "), NULL, 10);
                if (is_visible(p, record.offset)) {
                    seen[number] += 1;
                    cr_expect_gt(number, last, "order in partition %d", p);
                    last = number;
                }
            }
        }
    }
    for (int i = 0; i < sent_count; i++) {
        cr_expect_eq(seen[i], fates[i] == FATE_COMMITTED,
                     "record %d of fate %d is visible %d times", i, fates[i], seen[i]);
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
}

static const int16_t levels[] = {0, 2};

/* ---- the good days ---- */

static void commit_and_abort(int16_t level)
{
    begin_with(level);
    start(&subject);
    for (int t = 0; t < 20; t++) {
        begin(&subject);
        for (int i = 0; i < 30; i++) {
            send_to(&subject, i % SCRIPTED_LOG_PARTITIONS);
        }
        struct txn_core_outcome got = t % 3 == 2 ? roll_back(&subject) : commit(&subject);
        cr_assert_eq(got.status, STATUS_OK, "%d: %s %d", t, status_text(got.status),
                     got.error_code);
    }
    compare_with_log();
    cr_expect_eq(cluster.end_count[1], 14);
    end();
}

Test(txn_core, what_is_committed_is_seen_and_what_is_aborted_is_not)
{
    commit_and_abort(2);
}

Test(txn_core, old_clusters_get_each_partition_named_before_its_first_batch)
{
    commit_and_abort(0);
    cr_expect_geq(cluster.log.request_counts[API_KEY_ADD_PARTITIONS_TO_TXN], 14);
}

Test(txn_core, new_clusters_are_asked_nothing_but_the_end)
{
    begin_with(2);
    start(&subject);
    for (int t = 0; t < 10; t++) {
        begin(&subject);
        send_to(&subject, 0);
        cr_assert_eq(commit(&subject).status, STATUS_OK);
    }
    compare_with_log();

    cr_expect_eq(cluster.log.request_counts[API_KEY_ADD_PARTITIONS_TO_TXN], 0);
    cr_expect_eq(cluster.log.request_counts[API_KEY_INIT_PRODUCER_ID], 1);
    cr_expect_eq(cluster.log.request_counts[API_KEY_PRODUCE], 10);
    cr_expect_eq(cluster.log.request_counts[API_KEY_END_TXN], 10);
    cr_expect_eq(subject.producer.producer_epoch, 10);
    end();
}

Test(txn_core, a_transaction_without_writes_ends_without_a_question)
{
    begin_with(2);
    start(&subject);
    begin(&subject);
    cr_expect_eq(commit(&subject).status, STATUS_OK);
    begin(&subject);
    cr_expect_eq(roll_back(&subject).status, STATUS_OK);

    cr_expect_eq(cluster.log.request_counts[API_KEY_END_TXN], 0);
    end();
}

Test(txn_core, an_operation_in_the_wrong_state_is_refused)
{
    begin_with(2);
    init(&subject);
    cr_expect_eq(txn_core_begin(&subject), STATUS_INVALID);
    cr_expect_eq(txn_core_commit(&subject, NEVER, on_done, NULL), STATUS_INVALID);
    cr_expect_eq(try_send(&subject, 0), STATUS_INVALID);
    cr_expect_eq(await(txn_core_start(&subject, NEVER, on_done, NULL)).status, STATUS_OK);
    cr_expect_eq(try_send(&subject, 0), STATUS_INVALID);
    begin(&subject);
    cr_expect_eq(txn_core_begin(&subject), STATUS_INVALID);
    send_to(&subject, 0);
    cr_expect_eq(txn_core_commit(&subject, NEVER, on_done, NULL), STATUS_OK);
    cr_expect_eq(try_send(&subject, 0), STATUS_INVALID);
    cr_expect_eq(txn_core_abort(&subject, NEVER, on_done, NULL), STATUS_INVALID);
    settle(FATE_COMMITTED);
    rig_run_for(SIM_S);
    cr_expect_eq(outcome.status, STATUS_OK);
    compare_with_log();
    end();
}

Test(txn_core, reports_come_before_the_end_of_their_transaction)
{
    begin_with(2);
    options.producer.linger_ms = 5000;
    start(&subject);
    begin(&subject);
    for (int i = 0; i < 10; i++) {
        send_to(&subject, i % 2);
    }
    int64_t before_ns = loop_now_ns(rig_loop);

    cr_expect_eq(commit(&subject).status, STATUS_OK);

    cr_expect_eq(reported_count, 10);
    cr_expect_lt(loop_now_ns(rig_loop) - before_ns, SIM_S); /* It did not linger. */
    compare_with_log();
    options.producer.linger_ms = 0;
    end();
}

/* ---- offsets ---- */

static struct txn_core_outcome send_offset(int64_t offset)
{
    struct txn_core_group group = {.group = wire_text_of(SCRIPTED_TXN_GROUP), .generation = -1};
    struct txn_core_offset offsets[2] = {
        {.topic = wire_text_of(SCRIPTED_LOG_TOPIC), .offset = offset, .leader_epoch = -1},
        {.topic = wire_text_of(SCRIPTED_LOG_TOPIC),
         .partition = 1,
         .offset = offset,
         .leader_epoch = -1}};
    return await(txn_core_send_offsets(&subject, &group, offsets, 2,
                                       loop_now_ns(rig_loop) + 20 * SIM_S, on_done, NULL));
}

static void offsets_follow_the_transaction(int16_t level)
{
    begin_with(level);
    cluster.busy_ms = 7;
    start(&subject);
    begin(&subject);
    send_to(&subject, 0);
    cr_assert_eq(send_offset(41).status, STATUS_OK);
    cr_expect_eq(cluster.committed_offset, -1);
    cr_assert_eq(commit(&subject).status, STATUS_OK);
    cr_expect_eq(cluster.committed_offset, 41);

    begin(&subject);
    cr_assert_eq(send_offset(99).status, STATUS_OK);
    cr_assert_eq(roll_back(&subject).status, STATUS_OK);
    cr_expect_eq(cluster.committed_offset, 41);

    begin(&subject);
    cr_assert_eq(send_offset(42).status, STATUS_OK);
    cluster.group_coordinator = 0;
    cr_assert_eq(send_offset(43).status, STATUS_OK);
    cr_assert_eq(commit(&subject).status, STATUS_OK);
    cr_expect_eq(cluster.committed_offset, 43);
    compare_with_log();
    end();
}

Test(txn_core, offsets_are_committed_with_the_transaction_or_not_at_all)
{
    offsets_follow_the_transaction(2);
    cr_expect_eq(cluster.log.request_counts[API_KEY_ADD_OFFSETS_TO_TXN], 0);
}

Test(txn_core, old_clusters_are_told_of_the_group_first)
{
    offsets_follow_the_transaction(0);
    cr_expect_geq(cluster.log.request_counts[API_KEY_ADD_OFFSETS_TO_TXN], 4);
}

static int16_t refuse_generation(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    return api_key == API_KEY_TXN_OFFSET_COMMIT ? ERROR_CODE_ILLEGAL_GENERATION : ERROR_CODE_NONE;
}

Test(txn_core, offsets_that_are_refused_break_the_transaction)
{
    begin_with(2);
    start(&subject);
    begin(&subject);
    cluster.log.refuse = refuse_generation;

    struct txn_core_outcome got = send_offset(41);

    cr_expect_eq(got.error_code, ERROR_CODE_ILLEGAL_GENERATION);
    cr_expect(got.must_abort);
    cr_expect_not(got.is_fatal);
    cr_expect(commit(&subject).must_abort);
    cr_expect_eq(try_send(&subject, 0), STATUS_CANCELED);
    cr_expect_eq(roll_back(&subject).status, STATUS_OK);
    begin(&subject);
    send_to(&subject, 0);
    cr_expect_eq(commit(&subject).status, STATUS_OK);
    compare_with_log();
    end();
}

/* ---- faults ---- */

static enum scripted_fault spoil_at_random(struct scripted_log *self, uint32_t broker,
                                           int16_t api_key)
{
    (void)self;
    (void)broker;
    static const enum scripted_fault faults[] = {SCRIPTED_BREAK_BEFORE, SCRIPTED_BREAK_AFTER,
                                                 SCRIPTED_SILENT_AFTER};
    if (spoil_left == 0 || api_key == API_KEY_METADATA || prng_below(&chances, 4) != 0) {
        return SCRIPTED_WELL;
    }
    spoil_left -= 1;
    return faults[prng_below(&chances, 3)];
}

static int16_t refuse_at_random(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    static const int16_t codes[] = {ERROR_CODE_NOT_LEADER_OR_FOLLOWER,
                                    ERROR_CODE_NOT_ENOUGH_REPLICAS, ERROR_CODE_REQUEST_TIMED_OUT};
    static const int16_t coordinator_codes[] = {ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS,
                                                ERROR_CODE_NOT_COORDINATOR,
                                                ERROR_CODE_COORDINATOR_NOT_AVAILABLE};
    if (api_key == API_KEY_FETCH || api_key == API_KEY_LIST_OFFSETS || prng_below(&chances, 4)) {
        return ERROR_CODE_NONE;
    }
    if (api_key == API_KEY_FIND_COORDINATOR) {
        return ERROR_CODE_COORDINATOR_NOT_AVAILABLE;
    }
    return api_key == API_KEY_PRODUCE ? codes[prng_below(&chances, 3)]
                                      : coordinator_codes[prng_below(&chances, 3)];
}

static void storm(int16_t level, uint64_t seed)
{
    forget();
    begin_with(level);
    prng_init(&chances, seed);
    cluster.busy_ms = 4;
    cluster.log.spoil = spoil_at_random;
    cluster.log.refuse = refuse_at_random;
    spoil_left = 60;
    start(&subject);
    for (int t = 0; t < 60; t++) {
        begin(&subject);
        int count = (int)prng_below(&chances, 60);
        for (int i = 0; i < count; i++) {
            send_to(&subject, (int32_t)prng_below(&chances, SCRIPTED_LOG_PARTITIONS));
            if (prng_below(&chances, 10) == 0) {
                rig_run_for(3 * SIM_MS);
            }
        }
        bool is_commit = prng_below(&chances, 4) != 0;
        if (prng_below(&chances, 5) == 0) {
            cluster.coordinator = (uint32_t)prng_below(&chances, SCRIPTED_LOG_BROKERS);
        }
        struct txn_core_outcome got = is_commit ? commit(&subject) : roll_back(&subject);
        if (got.must_abort) {
            got = roll_back(&subject);
        }
        cr_assert_eq(got.status, STATUS_OK, "%d: %s %d", t, status_text(got.status),
                     got.error_code);
    }
    cr_expect_lt(spoil_left, 60);
    cr_expect_gt(cluster.end_count[1], 20);
    compare_with_log();
    end();
}

Test(txn_core, a_storm_leaves_no_half_transaction)
{
    for (uint64_t seed = 1; seed <= 15; seed++) {
        storm(2, seed);
    }
}

Test(txn_core, a_storm_leaves_no_half_transaction_in_an_old_cluster)
{
    for (uint64_t seed = 1; seed <= 15; seed++) {
        storm(0, seed);
    }
}

static int16_t refuse_records(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    return api_key == API_KEY_PRODUCE && partition == 1 ? ERROR_CODE_INVALID_RECORD
                                                        : ERROR_CODE_NONE;
}

static void refused_record(int16_t level)
{
    begin_with(level);
    start(&subject);
    cluster.log.refuse = refuse_records;
    begin(&subject);
    for (int i = 0; i < 200; i++) {
        send_to(&subject, i % SCRIPTED_LOG_PARTITIONS);
    }
    struct txn_core_outcome got = commit(&subject);
    cr_expect_eq(got.error_code, ERROR_CODE_INVALID_RECORD);
    cr_expect(got.must_abort);
    cr_expect_eq(txn_core_state(&subject), TXN_CORE_BROKEN);
    cr_expect_eq(roll_back(&subject).status, STATUS_OK);
    cr_expect_eq(reported_count, sent_count);

    cluster.log.refuse = NULL;
    begin(&subject);
    for (int i = 0; i < 20; i++) {
        send_to(&subject, i % SCRIPTED_LOG_PARTITIONS);
    }
    cr_expect_eq(commit(&subject).status, STATUS_OK);
    compare_with_log();
    end();
}

Test(txn_core, a_refused_record_makes_the_whole_transaction_fail)
{
    refused_record(2);
}

Test(txn_core, a_refused_record_in_an_old_cluster_costs_an_epoch)
{
    refused_record(0);
    cr_expect_eq(cluster.producer_epoch, 1);
}

Test(txn_core, whoever_comes_later_fences_whoever_was_there)
{
    for (size_t i = 0; i < 2; i++) {
        forget();
        begin_with(levels[i]);
        start(&subject);
        begin(&subject);
        send_to(&subject, 0);
        rig_run_for(SIM_S);
        settle(FATE_ABORTED);
        start(&other);

        struct txn_core_outcome got = commit(&subject);

        cr_expect_eq(got.status, STATUS_FENCED, "%s", status_text(got.status));
        cr_expect(got.is_fatal);
        cr_expect_eq(txn_core_begin(&subject), STATUS_FENCED);
        begin(&other);
        send_to(&other, 0);
        cr_expect_eq(commit(&other).status, STATUS_OK);
        compare_with_log();
        end();
    }
}

Test(txn_core, a_fenced_producer_learns_it_from_its_records)
{
    begin_with(2);
    start(&subject);
    start(&other);
    begin(&subject);
    send_to(&subject, 0);
    rig_run_for(SIM_S);

    cr_expect_eq(txn_core_state(&subject), TXN_CORE_DEAD);
    cr_expect_eq(report_statuses[0], STATUS_FENCED);
    struct txn_core_outcome got = roll_back(&subject);
    cr_expect_eq(got.status, STATUS_FENCED);
    cr_expect(got.is_fatal);
    end();
}

Test(txn_core, a_transaction_whose_time_was_over_cannot_commit)
{
    begin_with(2);
    start(&subject);
    begin(&subject);
    send_to(&subject, 0);
    rig_run_for(SIM_S);
    scripted_txn_expire(&cluster);
    settle(FATE_ABORTED);

    struct txn_core_outcome got = commit(&subject);

    cr_expect_eq(got.status, STATUS_FENCED);
    cr_expect(got.is_fatal);
    compare_with_log();
    end();
}

/* ---- time ---- */

static enum scripted_fault be_silent_on_end(struct scripted_log *self, uint32_t broker,
                                            int16_t api_key)
{
    (void)self;
    (void)broker;
    return api_key == API_KEY_END_TXN && spoil_left > 0 ? SCRIPTED_SILENT_AFTER : SCRIPTED_WELL;
}

Test(txn_core, a_commit_that_was_given_up_can_be_asked_for_again)
{
    begin_with(2);
    start(&subject);
    begin(&subject);
    send_to(&subject, 0);
    cluster.log.spoil = be_silent_on_end;
    spoil_left = 1;

    int64_t deadline_ns = loop_now_ns(rig_loop) + 500 * SIM_MS;
    struct txn_core_outcome got = await(txn_core_commit(&subject, deadline_ns, on_done, NULL));
    cr_expect_eq(got.status, STATUS_TIMEOUT);
    cr_expect_eq(txn_core_abort(&subject, NEVER, on_done, NULL), STATUS_INVALID);
    cr_expect_eq(txn_core_begin(&subject), STATUS_INVALID);
    spoil_left = 0;
    cr_expect_eq(commit(&subject).status, STATUS_OK);
    compare_with_log();

    begin(&subject);
    send_to(&subject, 0);
    spoil_left = 1;
    deadline_ns = loop_now_ns(rig_loop) + 500 * SIM_MS;
    got = await(txn_core_commit(&subject, deadline_ns, on_done, NULL));
    cr_expect_eq(got.status, STATUS_TIMEOUT);
    spoil_left = 0;
    rig_run_for(20 * SIM_S);
    cr_expect_eq(txn_core_state(&subject), TXN_CORE_READY); /* It went on without us. */
    cr_expect_eq(commit(&subject).status, STATUS_OK);
    compare_with_log();
    end();
}

static int16_t lack_replicas(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    return api_key == API_KEY_PRODUCE && partition == 0 ? ERROR_CODE_NOT_ENOUGH_REPLICAS
                                                        : ERROR_CODE_NONE;
}

Test(txn_core, a_commit_that_waits_for_records_can_be_turned_into_an_abort)
{
    begin_with(2);
    start(&subject);
    cluster.log.refuse = lack_replicas;
    begin(&subject);
    for (int i = 0; i < 8; i++) {
        send_to(&subject, i % SCRIPTED_LOG_PARTITIONS);
    }
    int64_t deadline_ns = loop_now_ns(rig_loop) + 500 * SIM_MS;
    struct txn_core_outcome got = await(txn_core_commit(&subject, deadline_ns, on_done, NULL));
    cr_expect_eq(got.status, STATUS_TIMEOUT);
    cr_expect_eq(txn_core_state(&subject), TXN_CORE_OPEN);

    int64_t before_ns = loop_now_ns(rig_loop);
    cr_expect_eq(roll_back(&subject).status, STATUS_OK);

    cr_expect_lt(loop_now_ns(rig_loop) - before_ns, SIM_S);
    cr_expect_eq(reported_count, 8);
    compare_with_log();
    end();
}

Test(txn_core, a_start_waits_until_the_coordinator_is_there)
{
    begin_with(2);
    scripted_log_kill(&cluster.log, 1);
    init(&subject);
    int64_t deadline_ns = loop_now_ns(rig_loop) + SIM_S;
    struct txn_core_outcome got = await(txn_core_start(&subject, deadline_ns, on_done, NULL));
    cr_expect_eq(got.status, STATUS_TIMEOUT);
    cluster.coordinator = 0;
    got = await(txn_core_start(&subject, NEVER, on_done, NULL));
    cr_expect_eq(got.status, STATUS_OK);
    end();
}

static int16_t refuse_timeout(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    return api_key == API_KEY_INIT_PRODUCER_ID ? ERROR_CODE_INVALID_TRANSACTION_TIMEOUT
                                               : ERROR_CODE_NONE;
}

Test(txn_core, a_start_that_is_refused_for_good_says_why)
{
    begin_with(2);
    cluster.log.refuse = refuse_timeout;
    init(&subject);

    struct txn_core_outcome got = await(txn_core_start(&subject, NEVER, on_done, NULL));

    cr_expect_eq(got.error_code, ERROR_CODE_INVALID_TRANSACTION_TIMEOUT);
    cr_expect(got.is_fatal);
    end();
}

Test(txn_core, closing_in_the_middle_ends_what_is_under_way)
{
    for (int ms = 0; ms < 12; ms++) {
        forget();
        begin_with(levels[ms % 2]);
        start(&subject);
        begin(&subject);
        for (int i = 0; i < 50; i++) {
            send_to(&subject, i % SCRIPTED_LOG_PARTITIONS);
        }
        int before = outcome_count;
        cr_assert_eq(txn_core_commit(&subject, NEVER, on_done, NULL), STATUS_OK);
        rig_run_for(ms * SIM_MS / 2);
        end();
        cr_expect_eq(outcome_count, before + 1);
    }
}

static int16_t load_for_ever(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    return api_key == API_KEY_ADD_PARTITIONS_TO_TXN ? ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS
                                                    : ERROR_CODE_NONE;
}

/* A commit waits for the partition to be added when all is closed. */
Test(txn_core, closing_while_partitions_are_added_breaks_what_is_closed)
{
    begin_with(0);
    start(&subject);
    cluster.log.refuse = load_for_ever;
    begin(&subject);
    send_to(&subject, 0);
    int before = outcome_count;
    cr_assert_eq(txn_core_commit(&subject, NEVER, on_done, NULL), STATUS_OK);
    rig_run_for(500 * SIM_MS);
    end();
    cr_expect_eq(outcome_count, before + 1);
    cr_expect_eq(outcome.status, STATUS_CANCELED);
}

Test(txn_core, a_topic_that_is_not_there_breaks_the_transaction_and_no_more)
{
    begin_with(2);
    options.producer.delivery_timeout_ms = 2000;
    start(&subject);
    begin(&subject);
    struct producer_record record = {
        .topic = wire_text_of("absent"), .partition = -1, .record = {.key = {.byte_count = -1}}};
    cr_assert_eq(txn_core_send(&subject, &record), STATUS_OK);
    sent_count += 1;

    cr_expect(commit(&subject).must_abort);
    cr_expect_eq(roll_back(&subject).status, STATUS_OK);

    cr_expect_eq(cluster.log.request_counts[API_KEY_END_TXN], 0);
    end();
}
