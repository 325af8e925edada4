/* Goal: a broker id belongs to one living process, a broker serves only while it is known to live,
 * and it comes and goes without losing what was acknowledged.
 * Method: one request per rule against three brokers, applied, with a topic on all of them. */
#include "broker/controller/broker_decisions.h"

#include "broker/controller/leader_election.h"
#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <string.h>

static struct decider decider;

static void set_up(void)
{
    decider_init(&decider, 3, 0);
    cr_assert(decider_create(&decider, "orders", 6, 3));
}

static void tear_down(void)
{
    decider_done(&decider);
}

TestSuite(broker_decisions, .init = set_up, .fini = tear_down);

static const struct broker_decisions_endpoint endpoint = {
    .listener = {"CLIENT", 6}, .host = {"host", 4}, .port = 9092, .security = {"PLAINTEXT", 9}};

static struct broker_decisions_register registration(int32_t broker_id, uint32_t incarnation)
{
    return (struct broker_decisions_register){
        .broker_id = broker_id,
        .incarnation_id = image_maker_id(incarnation),
        .directory_id = image_maker_id(2000 + (uint32_t)broker_id), /* As image_maker gave. */
        .previous_epoch = -1,
        .rack = wire_text_of("north"),
        .endpoints = &endpoint,
        .endpoint_count = 1};
}

static enum decision_reason put(struct broker_decisions_register *request)
{
    broker_decisions_register(decider_begin(&decider), request);
    if (request->error.reason != DECISION_NONE) {
        cr_expect_eq(decider.writer.record_count, 0);
        return request->error.reason;
    }
    if (decider_apply(&decider) > 0 && !request->is_partial) {
        cr_expect_eq(decider_epoch(&decider, request->broker_id),
                     (int64_t)image_index(decider.image));
    }
    return DECISION_NONE;
}

static struct broker_decisions_heartbeat beat(struct broker_decisions_heartbeat request)
{
    broker_decisions_heartbeat(decider_begin(&decider), &request);
    if (decider.writer.record_count > 0) {
        decider_apply(&decider);
    }
    return request;
}

Test(broker_decisions, new_broker_is_fenced_until_it_has_seen_its_registration)
{
    struct broker_decisions_register request = registration(4, 1);
    cr_assert_eq(put(&request), DECISION_NONE);
    cr_expect(image_broker_by_id(decider.image, 4)->is_fenced);
    cr_expect_str_eq(image_broker_by_id(decider.image, 4)->rack, "north");
    int64_t epoch = decider_epoch(&decider, 4);

    struct broker_decisions_heartbeat reply = beat((struct broker_decisions_heartbeat){
        .broker_id = 4, .broker_epoch = epoch, .applied_index = (uint64_t)epoch - 1});
    cr_expect(reply.is_fenced);
    cr_expect_not(reply.is_caught_up);
    cr_expect(image_broker_by_id(decider.image, 4)->is_fenced);

    reply = beat((struct broker_decisions_heartbeat){
        .broker_id = 4, .broker_epoch = epoch, .applied_index = (uint64_t)epoch});
    cr_expect_not(reply.is_fenced);
    cr_expect(reply.is_caught_up);
    cr_expect_not(image_broker_by_id(decider.image, 4)->is_fenced);
}

Test(broker_decisions, living_process_keeps_its_broker_id)
{
    struct broker_decisions_register request = registration(2, 1);
    request.directory_id = image_maker_id(8888);
    request.is_session_live = true;
    cr_expect_eq(put(&request), DECISION_DUPLICATE_BROKER);
    request.is_session_live = false;
    cr_expect_eq(put(&request), DECISION_NONE);
}

Test(broker_decisions, restarted_broker_on_its_own_directory_need_not_wait_for_its_session)
{
    struct broker_decisions_register request = registration(2, 1);
    request.is_session_live = true;
    cr_expect_eq(put(&request), DECISION_NONE);
}

Test(broker_decisions, copied_directory_does_not_displace_who_speaks_still)
{
    struct broker_decisions_register request = registration(2, 1);
    request.is_session_live = true;
    request.is_session_heard = true;
    cr_expect_eq(put(&request), DECISION_DUPLICATE_BROKER);
    request.is_session_heard = false;
    cr_expect_eq(put(&request), DECISION_NONE);
}

Test(broker_decisions, process_that_asks_twice_is_registered_once)
{
    struct broker_decisions_register request = registration(2, 1);
    cr_assert_eq(put(&request), DECISION_NONE);
    int64_t epoch = decider_epoch(&decider, 2);
    request.is_session_live = true;
    broker_decisions_register(decider_begin(&decider), &request);

    cr_expect_eq(request.error.reason, DECISION_NONE);
    cr_expect_eq(request.epoch, epoch);
    cr_expect_eq(decider.writer.record_count, 0);
}

Test(broker_decisions, registrations_that_are_not_whole_are_refused)
{
    struct broker_decisions_endpoint endpoints[5] = {endpoint, endpoint, endpoint, endpoint,
                                                     endpoint};
    struct broker_decisions_register request = registration(4, 1);
    request.cluster_id = image_maker_id(99);
    cr_expect_eq(put(&request), DECISION_OTHER_CLUSTER);
    request = registration(-1, 1);
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    request = registration(4, 1);
    request.incarnation_id = (struct wire_uuid){{0}};
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    request = registration(4, 1);
    request.directory_id = (struct wire_uuid){{0}};
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    request = registration(4, 1);
    request.endpoint_count = 0;
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    request.endpoints = endpoints;
    request.endpoint_count = 5;
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    request.endpoint_count = 1;
    endpoints[0].host = (struct wire_text){.byte_count = -1};
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    endpoints[0].host = (struct wire_text){"a\0b", 3};
    cr_expect_eq(put(&request), DECISION_REGISTRATION);
    request = registration(4, 1);
    request.cluster_id = image_maker_id(1); /* The right one. */
    cr_expect_eq(put(&request), DECISION_NONE);
}

Test(broker_decisions, new_incarnation_takes_over_nothing_of_the_old_one)
{
    struct broker_decisions_register request = registration(1, 1);
    cr_assert_eq(put(&request), DECISION_NONE);
    for (int32_t i = 0; i < 6; i++) {
        const struct image_partition *p = decider_partition(&decider, "orders", i);
        cr_expect_neq(p->leader, 1);
        cr_expect_eq(p->isr_count, 2);
    }
}

Test(broker_decisions, wiped_disk_is_never_eligible_again)
{
    cr_assert(decider_create(&decider, "single", 1, 1));
    int32_t id = decider_partition(&decider, "single", 0)->leader;
    struct broker_decisions_register request = registration(id, 1);
    request.directory_id = image_maker_id(8888);
    cr_assert_eq(put(&request), DECISION_NONE);
    const struct image_partition *p = decider_partition(&decider, "single", 0);
    cr_expect_eq(p->leader, -1);
    cr_expect_eq(p->elr_count, 0);

    int64_t epoch = decider_epoch(&decider, id);
    beat((struct broker_decisions_heartbeat){
        .broker_id = id, .broker_epoch = epoch, .applied_index = (uint64_t)epoch});
    cr_expect_eq(decider_partition(&decider, "single", 0)->leader, -1);
}

Test(broker_decisions, same_disk_leads_its_only_partition_again)
{
    cr_assert(decider_create(&decider, "single", 1, 1));
    int32_t id = decider_partition(&decider, "single", 0)->leader;
    struct broker_decisions_register request = registration(id, 1);
    cr_assert_eq(put(&request), DECISION_NONE);
    cr_expect_eq(decider_partition(&decider, "single", 0)->leader, -1);
    int64_t epoch = decider_epoch(&decider, id);
    beat((struct broker_decisions_heartbeat){
        .broker_id = id, .broker_epoch = epoch, .applied_index = (uint64_t)epoch});

    cr_expect_eq(decider_partition(&decider, "single", 0)->leader, id);
    cr_expect_not(decider_partition(&decider, "single", 0)->is_recovering);
}

Test(broker_decisions, memory_topic_trusts_only_a_clean_stop)
{
    cr_assert(decider_create(&decider, "single", 1, 1));
    image_maker_set(&decider.image, "single", "durability", "memory");
    int32_t id = decider_partition(&decider, "single", 0)->leader;
    struct broker_decisions_register request = registration(id, 1);
    request.previous_epoch = decider_epoch(&decider, id);
    cr_assert_eq(put(&request), DECISION_NONE);
    cr_expect_eq(decider_partition(&decider, "single", 0)->elr_count, 1);

    request = registration(id, 2);
    request.previous_epoch = decider_epoch(&decider, id) - 1;
    cr_assert_eq(put(&request), DECISION_NONE);
    cr_expect_eq(decider_partition(&decider, "single", 0)->elr_count, 0);
}

Test(broker_decisions, wipe_that_does_not_fit_one_command_comes_before_the_registration)
{
    cr_assert(decider_create(&decider, "a", 10000, 1));
    cr_assert(decider_create(&decider, "b", 10000, 1));
    cr_assert(decider_create(&decider, "c", 10000, 1));
    uint32_t round_count = 0;
    struct wire_uuid before = image_broker_by_id(decider.image, 2)->incarnation_id;
    struct broker_decisions_register request = registration(2, 1);
    request.directory_id = image_maker_id(8888);
    do {
        cr_expect(wire_uuid_equals(&image_broker_by_id(decider.image, 2)->incarnation_id, &before));
        cr_assert_eq(put(&request), DECISION_NONE);
        cr_expect(image_broker_by_id(decider.image, 2)->is_fenced);
        round_count += 1;
    } while (request.is_partial);

    cr_expect_eq(round_count, 2);
    cr_expect_not(wire_uuid_equals(&image_broker_by_id(decider.image, 2)->incarnation_id, &before));
    for (uint32_t i = 0; i < image_topic_count(decider.image); i++) {
        const struct image_topic *topic = image_topic_at(decider.image, i);
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            const struct image_partition *p = &topic->partitions[k];
            cr_assert_neq(p->leader, 2);
            for (uint8_t n = 0; n < p->elr_count; n++) {
                cr_assert_neq(p->elr[n], 2);
            }
        }
    }
}

Test(broker_decisions, heartbeats_of_somebody_else_are_refused)
{
    struct broker_decisions_heartbeat reply =
        beat((struct broker_decisions_heartbeat){.broker_id = 9, .broker_epoch = 1});
    cr_expect_eq(reply.error.reason, DECISION_UNKNOWN_BROKER);
    reply = beat((struct broker_decisions_heartbeat){
        .broker_id = 1, .broker_epoch = decider_epoch(&decider, 1) - 1});
    cr_expect_eq(reply.error.reason, DECISION_STALE_BROKER);
    cr_expect(reply.is_fenced);
}

Test(broker_decisions, fencing_moves_leaders_in_the_same_command)
{
    cr_expect(broker_decisions_fence(decider_begin(&decider), 1, -1));
    decider_apply(&decider);
    cr_expect(image_broker_by_id(decider.image, 1)->is_fenced);
    for (int32_t i = 0; i < 6; i++) {
        const struct image_partition *p = decider_partition(&decider, "orders", i);
        cr_expect_neq(p->leader, 1);
        cr_expect_neq(p->leader, -1);
        cr_expect_eq(p->isr_count, 2);
    }
    broker_decisions_fence(decider_begin(&decider), 1, -1);
    cr_expect_eq(decider.writer.record_count, 0);
    broker_decisions_fence(decider_begin(&decider), 2, decider_epoch(&decider, 2) - 1);
    cr_expect_eq(decider.writer.record_count, 0);
}

Test(broker_decisions, broker_that_wants_a_fence_gets_one_and_comes_back)
{
    int64_t epoch = decider_epoch(&decider, 1);
    struct broker_decisions_heartbeat wish = {
        .broker_id = 1, .broker_epoch = epoch, .applied_index = 100, .wants_fence = true};
    cr_expect(beat(wish).is_fenced);
    cr_expect(image_broker_by_id(decider.image, 1)->is_fenced);
    cr_expect(beat(wish).is_fenced);
    wish.wants_fence = false;
    cr_expect_not(beat(wish).is_fenced);
}

Test(broker_decisions, controlled_shutdown_hands_over_then_leaves)
{
    int64_t epoch = decider_epoch(&decider, 1);
    struct broker_decisions_heartbeat wish = {
        .broker_id = 1, .broker_epoch = epoch, .applied_index = 100, .wants_shut_down = true};
    struct broker_decisions_heartbeat reply = beat(wish);
    cr_expect_not(reply.should_shut_down);
    cr_expect_not(reply.is_fenced);
    cr_expect(image_broker_by_id(decider.image, 1)->is_shutting_down);
    for (int32_t i = 0; i < 6; i++) {
        cr_expect_neq(decider_partition(&decider, "orders", i)->leader, 1);
        cr_expect_eq(decider_partition(&decider, "orders", i)->isr_count, 2);
    }

    reply = beat(wish);
    cr_expect_not(reply.should_shut_down); /* Others may still send to it. */
    wish.is_shutdown_known = true;
    reply = beat(wish);
    cr_expect(reply.should_shut_down);
    cr_expect(image_broker_by_id(decider.image, 1)->is_fenced);
    reply = beat(wish);
    cr_expect(reply.should_shut_down);

    wish.wants_shut_down = false; /* What has left does not come back as the same process. */
    reply = beat(wish);
    cr_expect(reply.is_fenced);
}

/* Everything that can happen, in any order, on one image. */
static void random_event(struct prng *prng)
{
    int32_t id = 1 + (int32_t)prng_below(prng, 5);
    const struct image_broker *broker = image_broker_by_id(decider.image, id);
    switch (prng_below(prng, 5)) {
    case 0: {
        struct broker_decisions_register request =
            registration(id, 1 + (uint32_t)prng_below(prng, 1000000));
        request.directory_id =
            image_maker_id(2000 + (uint32_t)id + (prng_below(prng, 20) == 0 ? 100000U : 0U));
        put(&request);
        break;
    }
    case 1:
        broker_decisions_fence(decider_begin(&decider), id, -1);
        decider_apply(&decider);
        break;
    default:
        if (broker != NULL) {
            beat(
                (struct broker_decisions_heartbeat){.broker_id = id,
                                                    .broker_epoch = broker->epoch,
                                                    .applied_index = image_index(decider.image),
                                                    .wants_shut_down = prng_below(prng, 10) == 0,
                                                    .is_shutdown_known = prng_below(prng, 2) == 0});
        }
        break;
    }
}

static void expect_fit(void)
{
    struct leader_election_view view;
    leader_election_view_init(&view, decider.image);
    for (uint32_t i = 0; i < image_topic_count(decider.image); i++) {
        const struct image_topic *topic = image_topic_at(decider.image, i);
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            const struct image_partition *p = &topic->partitions[k];
            cr_assert(p->leader == -1 || leader_election_is_live(&view, p->leader));
            for (uint8_t n = 0; n < p->isr_count; n++) {
                cr_assert(leader_election_is_live(&view, p->isr[n]));
            }
        }
    }
}

Test(broker_decisions, no_order_of_events_leaves_a_leader_that_is_not_live)
{
    struct prng prng;
    prng_init(&prng, 77);
    for (int step = 0; step < 3000; step++) {
        random_event(&prng);
        expect_fit();
        bool is_whole = leader_election_decide_repairs(decider_begin(&decider));
        cr_assert(is_whole);
        cr_assert_eq(decider.writer.record_count, 0, "step %d left something to repair", step);
    }
}
