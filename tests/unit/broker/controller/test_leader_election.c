/* Goal: the right replica leads, nobody who may lack acknowledged records does, and epochs rise as
 * they must.
 * Method: one partition on brokers 1 to 3 through single events, then long random histories in
 * which each broker's log is modelled and every leader is held to have what was acknowledged. */
#include "broker/controller/leader_election.h"

#include "broker/controller/isr_decisions.h"
#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct decider decider;
static struct image_partition p;
static struct leader_election_view view;
static struct leader_election_rules rules;

static void set_up(void)
{
    decider_init(&decider, 3, 0);
    p = (struct image_partition){.leader = 1,
                                 .leader_epoch = 5,
                                 .partition_epoch = 9,
                                 .replica_count = 3,
                                 .isr_count = 3,
                                 .replicas = {1, 2, 3},
                                 .isr = {1, 2, 3}};
    rules = (struct leader_election_rules){.insync_min = 2};
    leader_election_view_init(&view, decider.image);
}

static void tear_down(void)
{
    decider_done(&decider);
}

TestSuite(leader_election, .init = set_up, .fini = tear_down);

/* The partition after brokers were fenced or unfenced for good. */
static void fence(int32_t broker_id, bool is_fenced)
{
    image_maker_fence(&decider.image, broker_id, is_fenced);
    leader_election_view_init(&view, decider.image);
    struct image_partition next;
    if (leader_election_step(&view, &rules, &p, &next)) {
        cr_expect_eq(next.partition_epoch, p.partition_epoch + 1);
        cr_expect_eq(next.leader_epoch, p.leader_epoch + (next.leader != p.leader));
        p = next;
    }
}

static void expect_state(int32_t leader, const char *isr, const char *elr)
{
    cr_expect_eq(p.leader, leader, "leader is %d, not %d", p.leader, leader);
    cr_expect_str_eq(decider_nodes(p.isr, p.isr_count), isr);
    cr_expect_str_eq(decider_nodes(p.elr, p.elr_count), elr);
}

Test(leader_election, nothing_changes_while_nothing_happens)
{
    struct image_partition next;
    cr_expect_not(leader_election_step(&view, &rules, &p, &next));
}

Test(leader_election, first_replica_in_sync_follows_a_dead_leader)
{
    p.isr_count = 2;
    p.isr[0] = 1;
    p.isr[1] = 3;
    fence(1, true);
    expect_state(3, "3", "1");
    cr_expect_eq(p.leader_epoch, 6);
    cr_expect_eq(p.partition_epoch, 10);
}

Test(leader_election, dead_follower_leaves_the_isr_without_a_new_leader_epoch)
{
    fence(2, true);
    expect_state(1, "1,3", "");
    cr_expect_eq(p.leader_epoch, 5);
    cr_expect_eq(p.partition_epoch, 10);
}

Test(leader_election, who_leaves_an_isr_that_is_too_small_stays_eligible)
{
    fence(2, true);
    fence(3, true);
    expect_state(1, "1", "3"); /* 2 left while two others were in sync: it may lack records. */
    fence(1, true);
    expect_state(-1, "", "1,3");
    cr_expect_eq(p.leader_epoch, 6);
    fence(2, false);
    expect_state(-1, "", "1,3"); /* Live, and not eligible. */
    fence(3, false);
    expect_state(3, "3", "1");
    cr_expect_not(p.is_recovering);
    cr_expect_eq(p.leader_epoch, 7);
}

Test(leader_election, only_replica_leads_again_when_it_is_back)
{
    rules.insync_min = 1;
    p.replica_count = 1;
    p.isr_count = 1;
    fence(1, true);
    expect_state(-1, "", "1");
    cr_expect_eq(p.last_known_elr[0], 1);
    fence(1, false);
    expect_state(1, "1", "");
    cr_expect_eq(p.last_known_elr_count, 0);
    cr_expect_eq(p.leader_epoch, 7);
    cr_expect_eq(p.partition_epoch, 11);
}

Test(leader_election, broker_that_shuts_down_hands_over_and_leaves)
{
    struct image_partition next;
    view.leaving_id = 1;
    cr_assert(leader_election_step(&view, &rules, &p, &next));
    p = next;
    expect_state(2, "2,3", "");
}

Test(leader_election, last_one_in_sync_serves_until_it_is_gone)
{
    struct image_partition next;
    p.isr_count = 1;
    p.elr_count = 1;
    p.elr[0] = 2;
    view.leaving_id = 1;
    cr_expect_not(leader_election_step(&view, &rules, &p, &next));
    fence(1, true);
    expect_state(2, "2", "1");
}

Test(leader_election, broker_whose_disk_is_gone_is_neither_in_sync_nor_eligible)
{
    struct image_partition next;
    p.isr_count = 1;
    p.elr_count = 2;
    p.elr[0] = 2;
    p.elr[1] = 3;
    view.wiped_id = 1;
    view.fenced_id = 1;
    cr_assert(leader_election_step(&view, &rules, &p, &next));
    p = next;
    expect_state(2, "2", "3");
}

Test(leader_election, wiped_broker_does_not_lead_its_only_partition_unless_the_topic_allows_it)
{
    struct image_partition next;
    rules.insync_min = 1;
    p.replica_count = 1;
    p.isr_count = 1;
    view.wiped_id = 1;
    view.fenced_id = 1;
    cr_assert(leader_election_step(&view, &rules, &p, &next));
    p = next;
    expect_state(-1, "", "");
    cr_expect_eq(p.last_known_elr_count, 0);

    leader_election_view_init(&view, decider.image);
    cr_expect_not(leader_election_step(&view, &rules, &p, &next));
    rules.is_unclean_allowed = true;
    cr_assert(leader_election_step(&view, &rules, &p, &next));
    p = next;
    expect_state(1, "1", "");
    cr_expect(p.is_recovering);
}

Test(leader_election, unclean_election_waits_for_nobody_and_clears_the_elr)
{
    rules.is_unclean_allowed = true;
    fence(2, true);
    fence(3, true);
    fence(1, true);
    expect_state(-1, "", "1,3");
    fence(2, false);
    expect_state(2, "2", "");
    cr_expect(p.is_recovering);
    fence(3, false);
    expect_state(2, "2", "");
}

Test(leader_election, memory_topic_goes_on_with_who_led_last)
{
    struct image_partition next;
    rules.is_memory_durable = true;
    for (int32_t id = 1; id <= 3; id++) {
        fence(id, true);
    }
    expect_state(-1, "", "2,3"); /* 1 led; then 2 with 3 in sync; then 3 alone. */
    for (int32_t id = 1; id <= 3; id++) {
        view.unclean_id = id;
        if (leader_election_step(&view, &rules, &p, &next)) {
            p = next;
        }
    }
    expect_state(-1, "", "");
    cr_assert_eq(p.last_known_elr_count, 1);
    int32_t last = p.last_known_elr[0];
    cr_expect_eq(last, 3);
    fence(1, false);
    expect_state(-1, "", "");
    fence(last, false);
    expect_state(3, "3", "");
    cr_expect(p.is_recovering);
}

Test(leader_election, first_replica_leads_again_when_it_is_asked_for)
{
    struct image_partition next;
    p.leader = 3;
    cr_expect_not(leader_election_step(&view, &rules, &p, &next));
    rules.prefers_first = true;
    cr_assert(leader_election_step(&view, &rules, &p, &next));
    cr_expect_eq(next.leader, 1);
    cr_expect_eq(next.leader_epoch, 6);
    p.isr_count = 2;
    p.isr[0] = 2;
    p.isr[1] = 3;
    cr_expect_not(leader_election_step(&view, &rules, &p, &next));
}

Test(leader_election, asked_elections_answer_with_a_reason_each)
{
    cr_assert(decider_create(&decider, "orders", 3, 3));
    const struct image_partition *first = decider_partition(&decider, "orders", 0);
    int32_t preferred = first->replicas[0];
    image_maker_fence(&decider.image, preferred, true);
    leader_election_decide_repairs(decider_begin(&decider));
    decider_apply(&decider);
    struct leader_election_request items[] = {
        {.name = wire_text_of("orders"), .index = 0},
        {.name = wire_text_of("orders"), .index = 1},
        {.name = wire_text_of("orders"), .index = 7},
        {.name = wire_text_of("unknown"), .index = 0},
        {.name = wire_text_of("orders"), .index = 1, .is_unclean = true},
        {.name = wire_text_of("orders"), .index = 2, .is_unclean = true}};
    struct leader_election_requests request = {.items = items, .item_count = 6};
    leader_election_decide_asked(decider_begin(&decider), &request);

    cr_expect_eq(items[0].error.reason, DECISION_NO_PREFERRED_LEADER);
    cr_expect_eq(items[1].error.reason, DECISION_NO_ELECTION_NEEDED);
    cr_expect_eq(items[2].error.reason, DECISION_UNKNOWN_PARTITION);
    cr_expect_eq(items[3].error.reason, DECISION_UNKNOWN_PARTITION);
    cr_expect_eq(items[4].error.reason, DECISION_REQUEST);
    cr_expect_eq(items[5].error.reason, DECISION_NO_ELECTION_NEEDED);
    cr_expect_eq(decider.writer.record_count, 0);
}

Test(leader_election, repairs_come_in_pieces_until_nothing_is_left)
{
    uint32_t round_count = 0;
    cr_assert(decider_create(&decider, "a", 10000, 3));
    cr_assert(decider_create(&decider, "b", 10000, 3));
    image_maker_fence(&decider.image, 2, true);
    for (bool is_done = false; !is_done; round_count++) {
        is_done = leader_election_decide_repairs(decider_begin(&decider));
        cr_assert_leq(decider_apply(&decider), LEADER_ELECTION_CHANGES_MAX);
    }

    cr_expect_eq(round_count, 3);
    cr_expect(leader_election_decide_repairs(decider_begin(&decider)));
    cr_expect_eq(decider.writer.record_count, 0);
    for (int32_t i = 0; i < 10000; i++) {
        cr_assert_neq(decider_partition(&decider, "b", i)->leader, 2);
        cr_assert_eq(decider_partition(&decider, "b", i)->isr_count, 2);
    }
}

Test(leader_election, largest_piece_fits_one_proposal)
{
    struct decider big;
    size_t byte_count = 0;
    decider_init(&big, 5, 0);
    cr_assert(decider_create(&big, "wide", 10000, 5));
    image_maker_fence(&big.image, 4, true);
    image_maker_fence(&big.image, 5, true);
    image_maker_fence(&big.image, 3, true);
    image_maker_fence(&big.image, 2, true);
    leader_election_decide_repairs(decider_begin(&big));
    cr_assert_eq(big.writer.record_count, LEADER_ELECTION_CHANGES_MAX);
    uint8_t *bytes = cluster_writer_command(&big.writer, NULL, 0, &byte_count);

    cr_expect_lt(byte_count, (1U << 20) - 64);
    free(bytes);
    decider_done(&big);
}

Test(leader_election, leaders_go_back_to_where_they_were_placed)
{
    cr_assert(decider_create(&decider, "orders", 30, 3));
    image_maker_fence(&decider.image, 1, true);
    leader_election_decide_repairs(decider_begin(&decider));
    decider_apply(&decider);
    image_maker_fence(&decider.image, 1, false);
    cr_expect_eq(leader_election_decide_preferred(decider_begin(&decider), 100), 0);
    for (int32_t i = 0; i < 30; i++) { /* It has caught up. */
        const struct image_partition *now = decider_partition(&decider, "orders", i);
        struct isr_decisions_member isr[] = {{1, -1}, {2, -1}, {3, -1}};
        struct isr_decisions_item item = {.topic_id = decider_topic(&decider, "orders")->id,
                                          .index = i,
                                          .leader_epoch = now->leader_epoch,
                                          .partition_epoch = now->partition_epoch,
                                          .isr = isr,
                                          .isr_count = 3};
        struct isr_decisions_request request = {.broker_id = now->leader,
                                                .broker_epoch =
                                                    decider_epoch(&decider, now->leader),
                                                .items = &item,
                                                .item_count = 1};
        isr_decisions_alter(decider_begin(&decider), &request);
        decider_apply(&decider);
    }

    cr_expect_eq(leader_election_decide_preferred(decider_begin(&decider), 4), 4);
    decider_apply(&decider);
    cr_expect_eq(leader_election_decide_preferred(decider_begin(&decider), 100), 6);
    decider_apply(&decider);
    for (int32_t i = 0; i < 30; i++) {
        const struct image_partition *now = decider_partition(&decider, "orders", i);
        cr_expect_eq(now->leader, now->replicas[0]);
    }
}

/* A model of what each broker has on disk: how many records of one partition. The leader appends,
 * followers copy, the high watermark is what the whole ISR has and stops below the minimum. */
struct model {
    int64_t flushed[6];
    int64_t high_watermark;
    bool is_lagging[6];
};

static void model_followers(struct model *model, struct prng *prng)
{
    int32_t leader = p.leader;
    if (leader == -1) {
        return;
    }
    model->flushed[leader] += (int64_t)prng_below(prng, 3);
    for (uint8_t i = 0; i < p.replica_count; i++) {
        int32_t id = p.replicas[i];
        if (id == leader || !leader_election_is_live(&view, id)) {
            continue;
        }
        if (model->flushed[id] > model->flushed[leader]) {
            model->flushed[id] = model->flushed[leader]; /* Cut where histories part. */
        } else if (prng_below(prng, 2) == 0) {
            model->flushed[id] = model->flushed[leader];
        }
    }
    int64_t least = INT64_MAX;
    for (uint8_t i = 0; i < p.isr_count; i++) {
        least = model->flushed[p.isr[i]] < least ? model->flushed[p.isr[i]] : least;
    }
    if (p.isr_count >= rules.insync_min && least > model->high_watermark) {
        model->high_watermark = least;
    }
}

/* The leader drops a follower from the ISR, or takes one in that has reached the high watermark. */
static void model_isr(const struct model *model, struct prng *prng)
{
    struct image_partition next = p;
    int32_t id = p.replicas[prng_below(prng, p.replica_count)];
    if (p.leader == -1 || id == p.leader || !leader_election_is_live(&view, id)) {
        return;
    }
    uint8_t kept = 0;
    for (uint8_t i = 0; i < p.isr_count; i++) {
        if (p.isr[i] != id) {
            next.isr[kept++] = p.isr[i];
        }
    }
    if (kept == p.isr_count) {
        if (model->flushed[id] < model->high_watermark) {
            return;
        }
        next.isr[kept++] = id;
    }
    next.isr_count = kept;
    leader_election_settle(&view, &rules, &p, &next);
    p = next;
}

static void run_model(uint64_t seed, uint8_t replica_count, int32_t insync_min)
{
    struct prng prng;
    struct model model = {.high_watermark = 0};
    prng_init(&prng, seed);
    rules.insync_min = insync_min;
    p = (struct image_partition){.leader = 1};
    for (uint8_t i = 0; i < replica_count; i++) {
        p.replicas[p.replica_count++] = i + 1;
        p.isr[p.isr_count++] = i + 1;
    }
    for (int step = 0; step < 300; step++) {
        int32_t id = 1 + (int32_t)prng_below(&prng, replica_count);
        int32_t leader_before = p.leader;
        int32_t leader_epoch_before = p.leader_epoch;
        switch (prng_below(&prng, 8)) {
        case 0:
            fence(id, true);
            break;
        case 1:
            fence(id, false);
            break;
        case 2:
        case 3:
            model_isr(&model, &prng);
            break;
        default:
            model_followers(&model, &prng);
            break;
        }
        if (p.leader != -1) {
            cr_assert_geq(model.flushed[p.leader], model.high_watermark,
                          "seed %llu step %d: broker %d leads with %lld of %lld",
                          (unsigned long long)seed, step, p.leader,
                          (long long)model.flushed[p.leader], (long long)model.high_watermark);
        }
        cr_assert(p.leader == leader_before || p.leader_epoch == leader_epoch_before + 1);
        cr_assert(p.leader != -1 || p.isr_count == 0);
        cr_assert(p.leader != -1 || p.elr_count > 0, "seed %llu: nobody can ever lead again",
                  (unsigned long long)seed);
    }
}

Test(leader_election, leader_always_has_what_was_acknowledged)
{
    decider_done(&decider);
    decider_init(&decider, 5, 0);
    leader_election_view_init(&view, decider.image);
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint8_t replica_count = (uint8_t)(1 + seed % 5);
        int32_t insync_min = 1 + (int32_t)(seed / 5) % replica_count;
        run_model(seed, replica_count, insync_min);
        for (int32_t id = 1; id <= 5; id++) {
            image_maker_fence(&decider.image, id, false);
        }
        leader_election_view_init(&view, decider.image);
    }
}
