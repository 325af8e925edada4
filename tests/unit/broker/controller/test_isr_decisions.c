/* Goal: only the leader of this very term changes an ISR, and only with members that are as it saw
 * them.
 * Method: one request per rule against one partition on brokers 1 to 3. */
#include "broker/controller/isr_decisions.h"

#include "broker/controller/broker_decisions.h"
#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <string.h>

static struct decider decider;
static int32_t leader;
static int32_t follower;
static int32_t other;

static void set_up(void)
{
    decider_init(&decider, 3, 0);
    cr_assert(decider_create(&decider, "orders", 2, 3));
    const struct image_partition *p = decider_partition(&decider, "orders", 0);
    leader = p->replicas[0];
    follower = p->replicas[1];
    other = p->replicas[2];
}

static void tear_down(void)
{
    decider_done(&decider);
}

TestSuite(isr_decisions, .init = set_up, .fini = tear_down);

static struct isr_decisions_member members[4];

static struct isr_decisions_item proposal(uint32_t isr_count)
{
    const struct image_partition *p = decider_partition(&decider, "orders", 0);
    const int32_t ids[] = {leader, follower, other};
    for (uint32_t i = 0; i < 3; i++) {
        members[i] = (struct isr_decisions_member){ids[i], decider_epoch(&decider, ids[i])};
    }
    return (struct isr_decisions_item){.topic_id = decider_topic(&decider, "orders")->id,
                                       .index = 0,
                                       .leader_epoch = p->leader_epoch,
                                       .partition_epoch = p->partition_epoch,
                                       .isr = members,
                                       .isr_count = isr_count};
}

static enum decision_reason alter_as(int32_t broker_id, struct isr_decisions_item *item)
{
    struct isr_decisions_request request = {.broker_id = broker_id,
                                            .broker_epoch = decider_epoch(&decider, broker_id),
                                            .items = item,
                                            .item_count = 1};
    isr_decisions_alter(decider_begin(&decider), &request);
    cr_expect_eq(request.error.reason, DECISION_NONE);
    bool is_done = item->reason == DECISION_NONE || item->reason == DECISION_LEADER_MOVED;
    if (is_done) {
        decider_apply(&decider);
        cr_expect(memcmp(&item->partition, decider_partition(&decider, "orders", 0),
                         sizeof item->partition) == 0);
    } else {
        cr_expect_eq(decider.writer.record_count, 0);
    }
    return item->reason;
}

Test(isr_decisions, leader_shrinks_and_expands)
{
    struct isr_decisions_item item = proposal(2);
    cr_expect_eq(alter_as(leader, &item), DECISION_NONE);
    cr_expect_eq(item.partition.isr_count, 2);
    cr_expect_eq(item.partition.partition_epoch, 1);
    cr_expect_eq(item.partition.leader_epoch, 0);
    cr_expect_eq(item.partition.elr_count, 0);

    item = proposal(1);
    cr_expect_eq(alter_as(leader, &item), DECISION_NONE);
    cr_expect_str_eq(decider_nodes(item.partition.elr, item.partition.elr_count),
                     decider_nodes(&follower, 1));

    item = proposal(3);
    cr_expect_eq(alter_as(leader, &item), DECISION_NONE);
    cr_expect_eq(item.partition.isr_count, 3);
    cr_expect_eq(item.partition.elr_count, 0);
    cr_expect_eq(item.partition.partition_epoch, 3);
}

Test(isr_decisions, same_isr_again_is_answered_and_changes_nothing)
{
    struct isr_decisions_item item = proposal(3);
    struct isr_decisions_request request = {.broker_id = leader,
                                            .broker_epoch = decider_epoch(&decider, leader),
                                            .items = &item,
                                            .item_count = 1};
    isr_decisions_alter(decider_begin(&decider), &request);

    cr_expect_eq(item.reason, DECISION_NONE);
    cr_expect_eq(item.partition.partition_epoch, 0);
    cr_expect_eq(decider.writer.record_count, 0);
}

Test(isr_decisions, brokers_that_are_not_who_they_say_change_nothing)
{
    struct isr_decisions_item item = proposal(2);
    struct isr_decisions_request request = {.broker_id = leader,
                                            .broker_epoch = decider_epoch(&decider, leader) + 1,
                                            .items = &item,
                                            .item_count = 1};
    isr_decisions_alter(decider_begin(&decider), &request);
    cr_expect_eq(request.error.reason, DECISION_STALE_BROKER);
    request.broker_id = 77;
    isr_decisions_alter(decider_begin(&decider), &request);
    cr_expect_eq(request.error.reason, DECISION_UNKNOWN_BROKER);
    cr_expect_eq(alter_as(follower, &item), DECISION_NOT_THE_LEADER);
}

Test(isr_decisions, epochs_are_held_against_the_newest)
{
    struct isr_decisions_item item = proposal(2);
    cr_assert_eq(alter_as(leader, &item), DECISION_NONE);

    item.isr_count = 1;
    cr_expect_eq(alter_as(leader, &item), DECISION_OLD_PARTITION_EPOCH);
    item = proposal(1);
    item.leader_epoch += 1;
    cr_expect_eq(alter_as(leader, &item), DECISION_NEW_LEADER_EPOCH);
    item = proposal(1);
    item.partition_epoch += 1;
    cr_expect_eq(alter_as(leader, &item), DECISION_NEW_LEADER_EPOCH);
    item = proposal(1);
    item.leader_epoch -= 1;
    cr_expect_eq(alter_as(leader, &item), DECISION_OLD_LEADER_EPOCH);
}

Test(isr_decisions, partitions_that_are_not_there_are_told_apart)
{
    struct isr_decisions_item item = proposal(2);
    item.index = 5;
    cr_expect_eq(alter_as(leader, &item), DECISION_UNKNOWN_PARTITION);
    item = proposal(2);
    item.topic_id = image_maker_id(4711);
    cr_expect_eq(alter_as(leader, &item), DECISION_UNKNOWN_TOPIC_ID);
}

Test(isr_decisions, isr_that_makes_no_sense_is_refused)
{
    struct isr_decisions_item item = proposal(0);
    cr_expect_eq(alter_as(leader, &item), DECISION_REQUEST);
    item = proposal(3);
    members[2] = members[1];
    cr_expect_eq(alter_as(leader, &item), DECISION_REQUEST);
    item = proposal(3);
    members[2].broker_id = 9;
    cr_expect_eq(alter_as(leader, &item), DECISION_REQUEST);
    item = proposal(1);
    item.is_recovering = true; /* Nobody told it to. */
    cr_expect_eq(alter_as(leader, &item), DECISION_REQUEST);
}

/* Its log is damaged. */
static struct isr_decisions_item resignation(uint32_t isr_count)
{
    struct isr_decisions_item item = proposal(3);
    item.isr = members + 1;
    item.isr_count = isr_count;
    return item;
}

Test(isr_decisions, leader_that_leaves_itself_out_gives_the_lead_to_the_isr)
{
    struct isr_decisions_item item = resignation(2);
    cr_expect_eq(alter_as(leader, &item), DECISION_LEADER_MOVED);
    cr_expect_eq(item.partition.leader, follower);
    cr_expect_eq(item.partition.leader_epoch, 1);
    cr_expect_eq(item.partition.isr_count, 2);
    cr_expect_eq(item.partition.elr_count, 0);

    item = resignation(2);
    cr_expect_eq(alter_as(leader, &item), DECISION_NOT_THE_LEADER, "once");
}

Test(isr_decisions, leader_that_leaves_itself_out_gives_the_lead_to_the_elr)
{
    struct isr_decisions_item item = proposal(1);
    cr_assert_eq(alter_as(leader, &item), DECISION_NONE);
    cr_assert_eq(item.partition.elr_count, 2);
    item = resignation(1);
    cr_expect_eq(alter_as(leader, &item), DECISION_LEADER_MOVED);
    cr_expect_eq(item.partition.leader, follower);
    cr_expect_eq(item.partition.isr_count, 1);
}

Test(isr_decisions, lead_is_not_given_to_who_may_lack_what_was_acknowledged)
{
    struct isr_decisions_item item = proposal(2);
    cr_assert_eq(alter_as(leader, &item), DECISION_NONE);
    item = resignation(2); /* The second one is neither in the ISR nor in the ELR. */
    cr_expect_eq(alter_as(leader, &item), DECISION_REQUEST);
    cr_assert(broker_decisions_fence(decider_begin(&decider), follower, -1));
    decider_apply(&decider);
    item = resignation(1);
    cr_expect_eq(alter_as(leader, &item), DECISION_REQUEST, "who is down cannot take over");
    cr_expect_eq(decider_partition(&decider, "orders", 0)->leader, leader);
}

Test(isr_decisions, members_that_are_not_as_the_leader_saw_them_may_not_join)
{
    struct isr_decisions_item item = proposal(2);
    cr_assert_eq(alter_as(leader, &item), DECISION_NONE);

    item = proposal(3);
    members[2].broker_epoch -= 1; /* An earlier incarnation fetched. */
    cr_expect_eq(alter_as(leader, &item), DECISION_INELIGIBLE_REPLICA);
    item = proposal(3);
    members[2].broker_epoch = -1;
    image_maker_fence(&decider.image, other, true);
    cr_expect_eq(alter_as(leader, &item), DECISION_INELIGIBLE_REPLICA);
    image_maker_fence(&decider.image, other, false);
    cr_expect_eq(alter_as(leader, &item), DECISION_NONE);
}

Test(isr_decisions, partition_named_twice_is_refused_twice)
{
    struct isr_decisions_item items[] = {proposal(2), proposal(2)};
    struct isr_decisions_request request = {.broker_id = leader,
                                            .broker_epoch = decider_epoch(&decider, leader),
                                            .items = items,
                                            .item_count = 2};
    isr_decisions_alter(decider_begin(&decider), &request);

    cr_expect_eq(items[0].reason, DECISION_REQUEST);
    cr_expect_eq(items[1].reason, DECISION_REQUEST);
    cr_expect_eq(decider.writer.record_count, 0);
}
