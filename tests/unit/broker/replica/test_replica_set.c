/* Goal: consumers never see what can vanish, and the ISR follows who really keeps up.
 * Method: a leader (1) with followers 2 and 3, driven by hand; times are plain numbers. */
#include "broker/replica/replica_set.h"

#include <criterion/criterion.h>
#include <signal.h>

#define LAG_NS 1000

static struct replica_set set;
static const int32_t replicas[] = {1, 2, 3};

static struct replica_set_term term_with(const int32_t *isr, uint8_t isr_count)
{
    return (struct replica_set_term){.local_id = 1,
                                     .leader_epoch = 5,
                                     .partition_epoch = 9,
                                     .replicas = replicas,
                                     .replica_count = 3,
                                     .isr = isr,
                                     .isr_count = isr_count,
                                     .min_isr = 2,
                                     .log_end = 100,
                                     .flushed_end = 100,
                                     .high_watermark = 90,
                                     .now_ns = 0};
}

static void set_up(void)
{
    struct replica_set_term term = term_with(replicas, 3);
    replica_set_lead(&set, &term);
}

static bool fetched(int32_t broker_id, int64_t end, int64_t flushed_end, int64_t now_ns)
{
    bool has_moved = false;
    struct replica_set_fetch fetch = {.broker_id = broker_id,
                                      .broker_epoch = 70,
                                      .end = end,
                                      .flushed_end = flushed_end,
                                      .now_ns = now_ns};
    cr_assert_eq(replica_set_fetched(&set, &fetch, &has_moved), STATUS_OK);
    return has_moved;
}

TestSuite(replica_set, .init = set_up);

Test(replica_set, high_watermark_waits_for_every_member_to_flush)
{
    replica_set_appended(&set, 110, 1);
    cr_expect(!replica_set_flushed(&set, 110));
    cr_expect(!fetched(2, 110, 110, 2));
    cr_expect_eq(set.high_watermark, 90);

    cr_expect(fetched(3, 110, 105, 3));

    cr_expect_eq(set.high_watermark, 105);
}

Test(replica_set, written_but_not_flushed_does_not_count)
{
    replica_set_appended(&set, 110, 1);
    cr_expect(fetched(2, 110, 110, 2) == false);
    cr_expect(fetched(3, 110, 110, 3));
    cr_expect_eq(set.high_watermark, 100); /* The leader's own flush is missing. */

    cr_expect(replica_set_flushed(&set, 110));
    cr_expect_eq(set.high_watermark, 110);
}

Test(replica_set, a_follower_cannot_claim_to_have_flushed_more_than_it_has)
{
    fetched(2, 95, 4000, 1);
    fetched(3, 95, 4000, 1);

    cr_expect_eq(set.high_watermark, 95);
}

Test(replica_set, high_watermark_stands_still_below_min_isr)
{
    int32_t alone[] = {1};
    struct replica_set_term term = term_with(alone, 1);
    term.partition_epoch = 10;
    cr_assert(replica_set_update(&set, &term));

    replica_set_appended(&set, 120, 1);

    cr_expect(!replica_set_flushed(&set, 120));
    cr_expect_eq(set.high_watermark, 90);
    cr_expect(!replica_set_has_min_isr(&set));
}

Test(replica_set, one_replica_is_enough_where_there_is_only_one)
{
    int32_t one[] = {1};
    struct replica_set_term term = term_with(one, 1);
    term.replicas = one;
    term.replica_count = 1;
    replica_set_lead(&set, &term);

    cr_expect(replica_set_has_min_isr(&set));
    cr_expect_eq(set.high_watermark, 100);
}

Test(replica_set, a_follower_that_stays_behind_is_proposed_to_leave)
{
    struct replica_set_proposal proposal;
    replica_set_appended(&set, 110, 1);
    fetched(2, 110, 110, 900);
    cr_expect(!replica_set_propose(&set, 1000, LAG_NS, &proposal));

    cr_assert(replica_set_propose(&set, 1001, LAG_NS, &proposal));

    cr_expect_eq(proposal.count, 2);
    cr_expect_eq(proposal.broker_ids[0], 1);
    cr_expect_eq(proposal.broker_ids[1], 2);
    cr_expect_eq(proposal.broker_epochs[1], 70);
    cr_expect(!replica_set_propose(&set, 5000, LAG_NS, &proposal), "one proposal at a time");
}

Test(replica_set, steadily_one_batch_behind_is_in_sync)
{
    struct replica_set_proposal proposal;
    int64_t end = 100;
    for (int64_t now = 100; now < 5000; now += 100) {
        fetched(2, end, end, now);
        fetched(3, end, end, now);
        replica_set_appended(&set, end + 10, now + 1);
        end += 10;
    }

    cr_expect(!replica_set_propose(&set, 5000, LAG_NS, &proposal));
}

Test(replica_set, a_joiner_counts_for_the_high_watermark_at_once)
{
    int32_t two[] = {1, 2};
    struct replica_set_term term = term_with(two, 2);
    replica_set_lead(&set, &term);
    struct replica_set_proposal proposal;
    fetched(2, 100, 100, 1);
    fetched(3, 100, 100, 1);
    cr_assert(replica_set_propose(&set, 2, LAG_NS, &proposal));
    cr_expect_eq(proposal.count, 3);

    replica_set_appended(&set, 110, 3);
    replica_set_flushed(&set, 110);
    fetched(2, 110, 110, 4);

    cr_expect_eq(set.high_watermark, 100);
}

Test(replica_set, a_follower_below_the_start_of_the_term_does_not_join)
{
    int32_t two[] = {1, 2};
    struct replica_set_term term = term_with(two, 2);
    replica_set_lead(&set, &term);
    struct replica_set_proposal proposal;

    fetched(3, 95, 95, 1); /* At the high watermark of 90, but the term began at 100. */

    cr_expect(!replica_set_propose(&set, 2, LAG_NS, &proposal));
}

Test(replica_set, a_follower_joins_before_it_has_flushed_what_the_former_leader_committed)
{
    int32_t two[] = {1, 2};
    struct replica_set_term term = term_with(two, 2);
    replica_set_lead(&set, &term);
    struct replica_set_proposal proposal;

    fetched(3, 100, 95, 1); /* It has all of it, and a power cut takes what it has not flushed. */
    cr_expect(!replica_set_propose(&set, 2, LAG_NS, &proposal));

    fetched(3, 100, 100, 3);
    cr_expect(replica_set_propose(&set, 4, LAG_NS, &proposal));
}

Test(replica_set, a_refused_proposal_frees_its_joiner_and_an_unknown_one_does_not)
{
    int32_t two[] = {1, 2};
    struct replica_set_term term = term_with(two, 2);
    struct replica_set_proposal proposal;
    for (int is_known = 0; is_known <= 1; is_known++) {
        replica_set_lead(&set, &term);
        fetched(2, 100, 100, 1);
        fetched(3, 100, 100, 1);
        cr_assert(replica_set_propose(&set, 2, LAG_NS, &proposal));
        replica_set_appended(&set, 110, 3);
        replica_set_flushed(&set, 110);
        fetched(2, 110, 110, 4);

        replica_set_proposal_ended(&set, is_known == 1);

        cr_expect_eq(set.high_watermark, is_known == 1 ? 110 : 100);
    }
}

Test(replica_set, an_older_broker_epoch_is_fenced)
{
    bool has_moved = false;
    fetched(2, 100, 100, 1);
    struct replica_set_fetch zombie = {
        .broker_id = 2, .broker_epoch = 69, .end = 100, .flushed_end = 100, .now_ns = 2};
    struct replica_set_fetch stranger = {.broker_id = 8, .broker_epoch = 1, .end = 100};

    cr_expect_eq(replica_set_fetched(&set, &zombie, &has_moved), STATUS_FENCED);
    cr_expect_eq(replica_set_fetched(&set, &stranger, &has_moved), STATUS_NOT_FOUND);
}

Test(replica_set, an_update_of_an_older_partition_epoch_changes_nothing)
{
    int32_t alone[] = {1};
    struct replica_set_term term = term_with(alone, 1);

    cr_expect(!replica_set_update(&set, &term));

    cr_expect_eq(replica_set_isr_count(&set), 3);
}

Test(replica_set, a_leader_outside_its_replicas_aborts, .signal = SIGABRT)
{
    struct replica_set_term term = term_with(replicas, 3);
    term.local_id = 4;
    replica_set_lead(&set, &term);
}
