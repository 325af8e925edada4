/* Goal: whose transaction took too long aborts it and goes on, whoever lost the id to another one
 * never comes back, and nothing of either is seen.
 * Method: a scripted coordinator, old and new, that aborts by itself or hands the id on; the log is
 * compared with what the outcomes said. */
#include "tests/unit/client/txn_rig.h"

Test(txn_late, whoever_comes_later_fences_whoever_was_there)
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

/* One transaction of the subject goes well, and is the only one that is seen. */
static void go_on(void)
{
    begin(&subject);
    for (int i = 0; i < 20; i++) {
        send_to(&subject, i % SCRIPTED_LOG_PARTITIONS);
    }
    cr_expect_eq(commit(&subject).status, STATUS_OK);
    compare_with_log();
    cr_expect_eq(cluster.end_count[1], 1);
}

static void expect_fenced(struct txn_core_outcome got)
{
    cr_expect_eq(got.status, STATUS_FENCED, "%s", status_text(got.status));
    cr_expect(got.is_fatal);
    cr_expect_not(got.must_abort);
    cr_expect_eq(txn_core_begin(&subject), STATUS_FENCED);
    cr_expect(roll_back(&subject).is_fatal);
}

/* Another one has taken over, at rest or in the middle of a transaction of the subject. */
static void fenced_in_writing(bool is_open)
{
    begin_with(2);
    start(&subject);
    begin(&subject);
    if (is_open) {
        send_to(&subject, 1);
        rig_run_for(SIM_S);
    }
    start(&other);
    int first = sent_count;
    send_to(&subject, 0);
    rig_run_for(SIM_S);

    cr_expect_eq(txn_core_state(&subject), TXN_CORE_BROKEN);
    cr_expect_eq(report_statuses[first], STATUS_FENCED);
    struct txn_core_outcome got = commit(&subject);
    cr_expect_eq(got.error_code, ERROR_CODE_INVALID_PRODUCER_EPOCH);
    cr_expect(got.must_abort);
    cr_expect_not(got.is_fatal);
    int16_t epoch = cluster.producer_epoch;
    expect_fenced(roll_back(&subject));
    cr_expect_eq(cluster.producer_epoch, epoch, "the zombie has moved the epoch");

    begin(&other);
    send_to(&other, 0);
    cr_expect_eq(commit(&other).status, STATUS_OK);
    compare_with_log();
    end();
}

Test(txn_late, a_fenced_producer_learns_from_its_abort_that_it_is_over)
{
    for (int is_open = 0; is_open < 2; is_open++) {
        forget();
        fenced_in_writing(is_open == 1);
    }
}

/* What the coordinator has aborted since its time was over. */
static void let_expire(int16_t level)
{
    forget();
    begin_with(level);
    start(&subject);
    begin(&subject);
    send_to(&subject, 0);
    rig_run_for(SIM_S);
    scripted_txn_expire(&cluster);
    settle(FATE_ABORTED);
}

Test(txn_late, a_transaction_whose_time_was_over_cannot_commit_but_the_next_one_can)
{
    let_expire(2);

    struct txn_core_outcome got = commit(&subject);

    cr_expect_eq(got.error_code, ERROR_CODE_INVALID_TXN_STATE);
    cr_expect(got.must_abort);
    cr_expect_not(got.is_fatal);
    cr_expect(commit(&subject).must_abort, "it says so until it is aborted");
    cr_assert_eq(roll_back(&subject).status, STATUS_OK);
    go_on();
    end();
}

Test(txn_late, a_write_behind_the_time_of_its_transaction_breaks_it_and_no_more)
{
    for (size_t i = 0; i < 2; i++) {
        let_expire(levels[i]);
        send_to(&subject, 0);
        struct txn_core_outcome got = commit(&subject);
        cr_expect_eq(got.error_code, ERROR_CODE_INVALID_PRODUCER_EPOCH);
        cr_expect(got.must_abort);
        cr_expect_not(got.is_fatal);
        cr_expect_eq(try_send(&subject, 0), STATUS_CANCELED);
        cr_assert_eq(roll_back(&subject).status, STATUS_OK, "level %d", levels[i]);
        go_on();
        end();
    }
}

Test(txn_late, an_abort_behind_its_time_goes_on_with_the_next_epoch)
{
    for (size_t i = 0; i < 2; i++) {
        let_expire(levels[i]);
        cr_assert_eq(roll_back(&subject).status, STATUS_OK, "level %d", levels[i]);
        go_on();
        end();
    }
}

Test(txn_late, offsets_behind_the_time_of_their_transaction_break_it_and_no_more)
{
    for (size_t i = 0; i < 2; i++) {
        let_expire(levels[i]);
        if (levels[i] == 0) { /* It had told of the group before. */
            cluster.has_group = true;
        }
        struct txn_core_outcome got = send_offset(41);
        bool is_told_fenced = levels[i] == 0; /* By AddOffsetsToTxn, which knows that code. */
        cr_expect_eq(got.must_abort, !is_told_fenced, "level %d: %d", levels[i], got.error_code);
        cr_expect_eq(got.is_fatal, is_told_fenced);
        if (!is_told_fenced) {
            cr_assert_eq(roll_back(&subject).status, STATUS_OK);
            go_on();
        }
        cr_expect_eq(cluster.committed_offset, -1);
        end();
    }
}

/* The time was over, and then another one took over: who was late must not come back. */
Test(txn_late, whoever_was_late_and_has_a_successor_stays_dead)
{
    for (size_t i = 0; i < 2; i++) {
        let_expire(levels[i]);
        start(&other);
        send_to(&subject, 0);
        cr_expect(commit(&subject).must_abort);
        int16_t epoch = cluster.producer_epoch;
        expect_fenced(roll_back(&subject));
        cr_expect_eq(cluster.producer_epoch, epoch, "the zombie has moved the epoch");
        begin(&other);
        send_to(&other, 0);
        cr_expect_eq(commit(&other).status, STATUS_OK);
        compare_with_log();
        end();
    }
}

static int16_t refuse_epoch(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    return api_key == API_KEY_ADD_PARTITIONS_TO_TXN ? ERROR_CODE_INVALID_PRODUCER_EPOCH
                                                    : ERROR_CODE_NONE;
}

/* Old coordinators call a fence so, too. Nothing was written, but the abort asks all the same. */
Test(txn_late, an_epoch_that_was_refused_before_any_write_is_asked_about)
{
    for (int is_fenced = 0; is_fenced < 2; is_fenced++) {
        forget();
        begin_with(0);
        start(&subject);
        if (is_fenced == 1) {
            start(&other);
        }
        begin(&subject);
        cluster.log.refuse = refuse_epoch;
        send_to(&subject, 0);
        cr_expect(commit(&subject).must_abort);
        cluster.log.refuse = NULL;
        struct txn_core_outcome got = roll_back(&subject);
        if (is_fenced == 1) {
            expect_fenced(got);
        } else {
            cr_assert_eq(got.status, STATUS_OK, "%s", status_text(got.status));
            go_on();
        }
        end();
    }
}

/* An old commit that hears of a fence hears the last word. */
Test(txn_late, a_fence_at_the_commit_is_final)
{
    let_expire(0);
    struct txn_core_outcome got = commit(&subject);
    cr_expect_eq(got.error_code, ERROR_CODE_PRODUCER_FENCED);
    expect_fenced(got);
    compare_with_log();
    end();
}

static bool has_lost_an_answer;

static enum scripted_fault lose_first_end(struct scripted_log *self, uint32_t broker,
                                          int16_t api_key)
{
    (void)self;
    (void)broker;
    bool is_it = api_key == API_KEY_END_TXN && !has_lost_an_answer;
    has_lost_an_answer = has_lost_an_answer || is_it;
    return is_it ? SCRIPTED_BREAK_AFTER : SCRIPTED_WELL;
}

static int16_t refuse_second_end(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    bool is_second = api_key == API_KEY_END_TXN && cluster.end_count[1] == 1;
    return is_second ? ERROR_CODE_INVALID_PRODUCER_EPOCH : ERROR_CODE_NONE;
}

/* Somebody came behind it. Whoever aborted now and did it again would do it twice. */
Test(txn_late, a_commit_whose_answer_was_lost_is_called_uncommitted)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        forget();
        has_lost_an_answer = false;
        begin_with(levels[i]);
        start(&subject);
        begin(&subject);
        send_to(&subject, 0);
        cluster.log.spoil = lose_first_end;
        cluster.log.refuse = refuse_second_end;
        struct txn_core_outcome got = commit(&subject);
        cr_expect_eq(cluster.end_count[1], 1);
        cr_expect_not(got.must_abort);
        cr_expect(got.is_fatal);
        cr_expect_eq(got.error_code, ERROR_CODE_PRODUCER_FENCED);
        end();
    }
}

/* Without the claim of KIP-360, asking for the id would take it from whoever has it. */
Test(txn_late, a_broker_that_knows_no_claims_is_not_asked_for_a_contested_id)
{
    let_expire(0);
    static struct scripted_range old[16];
    cr_assert(cluster.log.range_count <= sizeof old / sizeof *old);
    memcpy(old, cluster.log.ranges, cluster.log.range_count * sizeof *old);
    for (uint32_t i = 0; i < cluster.log.range_count; i++) {
        if (old[i].api_key == API_KEY_INIT_PRODUCER_ID) {
            old[i].version_max = 2;
        }
    }
    cluster.log.ranges = old;
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        scripted_log_kill(&cluster.log, i);
        scripted_log_revive(&cluster.log, i);
    }
    int16_t epoch = cluster.producer_epoch;

    struct txn_core_outcome got = roll_back(&subject);

    cr_expect_eq(got.status, STATUS_UNSUPPORTED, "%s", status_text(got.status));
    cr_expect(got.is_fatal);
    cr_expect_eq(cluster.producer_epoch, epoch);
    end();
}
