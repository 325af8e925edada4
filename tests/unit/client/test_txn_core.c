/* Goal: of what is sent in a transaction a committed reader sees all or nothing, once and in order,
 * whatever breaks on the way.
 * Method: scripted coordinator and logs, for both kinds of transactions, in a simulated world;
 * broken links, silence, refusals, a busy and a moving coordinator; then spans of the log are
 * compared with what the outcomes said. Who lost the id or the time: test_txn_late. */
#include "tests/unit/client/txn_rig.h"

static int spoil_left;

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
    int late_count = 0;
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
        bool is_late = level == 2 && cluster.is_open && prng_below(&chances, 6) == 0;
        if (is_late) {
            scripted_txn_expire(&cluster);
            late_count += 1;
        }
        struct txn_core_outcome got = is_commit ? commit(&subject) : roll_back(&subject);
        cr_expect(!is_late || !is_commit || got.must_abort, "%d: a late commit", t);
        if (got.must_abort) {
            got = roll_back(&subject);
        }
        cr_assert_eq(got.status, STATUS_OK, "%d: %s %d", t, status_text(got.status),
                     got.error_code);
    }
    cr_expect_lt(spoil_left, 60);
    cr_expect_gt(cluster.end_count[1], 20);
    cr_expect_eq(late_count > 0, level == 2);
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
