/* Goal: each wrong request is refused with its own reason and leaves nothing; right ones do exactly
 * what was asked.
 * Method: one request per rule against a cluster of three with one topic. */
#include "broker/controller/topic_decisions.h"

#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct decider decider;

static void set_up(void)
{
    decider_init(&decider, 3, 0);
    cr_assert(decider_create(&decider, "orders", 4, 3));
}

static void tear_down(void)
{
    decider_done(&decider);
}

TestSuite(topic_decisions, .init = set_up, .fini = tear_down);

static enum decision_reason create(struct topic_decisions_create *item)
{
    struct topic_decisions_create_request request = {.items = item, .item_count = 1};
    topic_decisions_create_topics(decider_begin(&decider), &request);
    if (item->error.reason != DECISION_NONE) {
        cr_expect_eq(decider.writer.record_count, 0);
        cr_expect_gt(strlen(item->error.message), 5);
    } else {
        decider_apply(&decider);
    }
    return item->error.reason;
}

static enum decision_reason create_plain(const char *name, int32_t partition_count,
                                         int32_t replication_factor)
{
    struct topic_decisions_create item = {.name = wire_text_of(name),
                                          .partition_count = partition_count,
                                          .replication_factor = replication_factor};
    return create(&item);
}

Test(topic_decisions, names_that_are_not_allowed_are_refused)
{
    char long_name[251];
    memset(long_name, 'x', 250);
    long_name[250] = '\0';

    cr_expect_eq(create_plain("", 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain(NULL, 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain(".", 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain("..", 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain("a b", 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain("a/b", 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain(long_name, 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain(long_name + 1, 1, 1), DECISION_NONE);
    cr_expect_eq(create_plain("orders", 1, 1), DECISION_TOPIC_EXISTS);
}

Test(topic_decisions, names_that_metrics_cannot_tell_apart_are_refused)
{
    cr_expect_eq(create_plain("a.b_c", 1, 1), DECISION_NONE);
    cr_expect_eq(create_plain("a_b.c", 1, 1), DECISION_TOPIC_NAME);
    cr_expect_eq(create_plain("a.b", 1, 1), DECISION_NONE);
    cr_expect_eq(create_plain("a.b_c_d", 1, 1), DECISION_NONE);
    cr_expect_eq(create_plain("a-b", 1, 1), DECISION_NONE);
}

Test(topic_decisions, counts_that_are_not_possible_are_refused)
{
    cr_expect_eq(create_plain("t", 0, 1), DECISION_PARTITION_COUNT);
    cr_expect_eq(create_plain("t", -3, 1), DECISION_PARTITION_COUNT);
    cr_expect_eq(create_plain("t", 1000000000, 1), DECISION_PARTITION_COUNT);
    cr_expect_eq(create_plain("t", 10001, 1), DECISION_PARTITION_COUNT);
    cr_expect_eq(create_plain("t", 1, 0), DECISION_REPLICATION_FACTOR);
    cr_expect_eq(create_plain("t", 1, -2), DECISION_REPLICATION_FACTOR);
    cr_expect_eq(create_plain("t", 1, 4), DECISION_REPLICATION_FACTOR);
    cr_expect_eq(create_plain("t", 1, 6), DECISION_REPLICATION_FACTOR);
    cr_expect_eq(create_plain("t", 10000, 1), DECISION_NONE);
    cr_expect_eq(decider_topic(&decider, "t")->partition_count, 10000);
}

Test(topic_decisions, defaults_are_one_partition_and_three_replicas_or_as_many_as_brokers)
{
    struct decider small;
    cr_expect_eq(create_plain("t", -1, -1), DECISION_NONE);
    cr_expect_eq(decider_topic(&decider, "t")->partition_count, 1);
    cr_expect_eq(decider_partition(&decider, "t", 0)->replica_count, 3);

    decider_init(&small, 2, 0);
    cr_expect(decider_create(&small, "t", -1, -1));
    cr_expect_eq(decider_partition(&small, "t", 0)->replica_count, 2);
    decider_done(&small);

    decider_init(&small, 5, 0);
    small.decision.defaults =
        (struct decision_defaults){.partition_count = 7, .replication_factor = 4};
    cr_expect(decider_create(&small, "t", -1, -1));
    cr_expect_eq(decider_topic(&small, "t")->partition_count, 7);
    cr_expect_eq(decider_partition(&small, "t", 0)->replica_count, 4);
    decider_done(&small);
}

Test(topic_decisions, no_topic_without_a_broker_that_is_up)
{
    for (int32_t id = 1; id <= 3; id++) {
        image_maker_fence(&decider.image, id, true);
    }
    cr_expect_eq(create_plain("t", 1, 1), DECISION_NO_BROKERS);
}

Test(topic_decisions, new_topic_starts_whole)
{
    struct topic_decisions_config config = {wire_text_of("retention.ms"), wire_text_of(" 5 ")};
    struct topic_decisions_create item = {.name = wire_text_of("fresh"),
                                          .partition_count = 2,
                                          .replication_factor = 3,
                                          .configs = &config,
                                          .config_count = 1};
    cr_assert_eq(create(&item), DECISION_NONE);

    const struct image_topic *topic = decider_topic(&decider, "fresh");
    const struct image_partition *p = &topic->partitions[1];
    cr_expect(wire_uuid_equals(&topic->id, &item.id));
    cr_expect_eq(item.id.bytes[6] >> 4, 4);
    cr_expect_eq(item.made_partition_count, 2);
    cr_expect_eq(item.made_replication_factor, 3);
    cr_expect_eq(p->leader, p->replicas[0]);
    cr_expect_eq(p->leader_epoch, 0);
    cr_expect_eq(p->partition_epoch, 0);
    cr_expect_str_eq(decider_nodes(p->isr, p->isr_count),
                     decider_nodes(p->replicas, p->replica_count));
    cr_expect_str_eq(topic->configs[0].value, "5");
    cr_expect_not(topic->is_internal);
}

Test(topic_decisions, internal_topics_are_marked_and_get_what_they_need)
{
    struct topic_decisions_config config = {wire_text_of("segment.bytes"), wire_text_of("2000000")};
    struct topic_decisions_create item = {.name = wire_text_of("__consumer_offsets"),
                                          .partition_count = -1,
                                          .replication_factor = -1,
                                          .configs = &config,
                                          .config_count = 1};
    cr_assert_eq(create(&item), DECISION_NONE);
    const struct image_topic *topic = decider_topic(&decider, "__consumer_offsets");
    cr_expect(topic->is_internal);
    cr_expect_eq(topic->partition_count, 50);
    cr_assert_eq(topic->config_count, 3);
    cr_expect_str_eq(topic->configs[0].value, "compact");
    cr_expect_str_eq(topic->configs[2].value, "2000000");
    decider.decision.defaults.internal_partition_count = 16;
    cr_assert_eq(create_plain("__transaction_state", -1, -1), DECISION_NONE);
    cr_expect_eq(decider_topic(&decider, "__transaction_state")->partition_count, 16);
}

Test(topic_decisions, wrong_configurations_are_refused)
{
    static const struct {
        const char *key;
        const char *value;
    } wrong[] = {{"no.such.key", "1"},   {"retention.ms", "soon"},
                 {"retention.ms", NULL}, {"cleanup.policy", "shred"},
                 {"segment.bytes", "1"}, {"remote.storage.enable", "true"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct topic_decisions_config config = {wire_text_of(wrong[i].key),
                                                wire_text_of(wrong[i].value)};
        struct topic_decisions_create item = {.name = wire_text_of("t"),
                                              .partition_count = 1,
                                              .replication_factor = 1,
                                              .configs = &config,
                                              .config_count = 1};
        cr_expect_eq(create(&item), DECISION_CONFIG, "%s", wrong[i].key);
    }
}

Test(topic_decisions, assignment_by_hand_is_followed_in_any_order)
{
    const int32_t first[] = {3, 1};
    const int32_t second[] = {2, 3};
    const struct topic_decisions_assignment assignments[] = {{1, second, 2}, {0, first, 2}};
    struct topic_decisions_create item = {.name = wire_text_of("t"),
                                          .partition_count = -1,
                                          .replication_factor = -1,
                                          .assignments = assignments,
                                          .assignment_count = 2};
    cr_assert_eq(create(&item), DECISION_NONE);

    cr_expect_eq(item.made_partition_count, 2);
    cr_expect_str_eq(decider_nodes(decider_partition(&decider, "t", 0)->replicas, 2), "3,1");
    cr_expect_str_eq(decider_nodes(decider_partition(&decider, "t", 1)->replicas, 2), "2,3");
}

static enum decision_reason create_by_hand(int32_t partition_count, int32_t index,
                                           const int32_t *brokers, uint32_t broker_count)
{
    const int32_t good[] = {1, 2};
    const struct topic_decisions_assignment assignments[] = {{0, good, 2},
                                                             {index, brokers, broker_count}};
    struct topic_decisions_create item = {.name = wire_text_of("t"),
                                          .partition_count = partition_count,
                                          .replication_factor = -1,
                                          .assignments = assignments,
                                          .assignment_count = 2};
    return create(&item);
}

Test(topic_decisions, wrong_assignments_are_refused)
{
    const int32_t good[] = {2, 3};
    const int32_t twice[] = {2, 2};
    const int32_t unknown[] = {2, 9};
    image_maker_fence(&decider.image, 3, true);
    const int32_t down[] = {3};
    const struct topic_decisions_assignment only_down = {0, down, 1};
    struct topic_decisions_create item = {.name = wire_text_of("t"),
                                          .partition_count = -1,
                                          .replication_factor = -1,
                                          .assignments = &only_down,
                                          .assignment_count = 1};

    cr_expect_eq(create_by_hand(2, 1, good, 2), DECISION_REQUEST);
    cr_expect_eq(create_by_hand(-1, 0, good, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(create_by_hand(-1, 2, good, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(create_by_hand(-1, -1, good, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(create_by_hand(-1, 1, good, 1), DECISION_ASSIGNMENT);
    cr_expect_eq(create_by_hand(-1, 1, twice, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(create_by_hand(-1, 1, unknown, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(create(&item), DECISION_ASSIGNMENT);
    cr_expect_eq(create_by_hand(-1, 1, good, 2), DECISION_NONE);
}

Test(topic_decisions, items_of_one_request_are_refused_alone)
{
    struct topic_decisions_create items[] = {
        {.name = wire_text_of("a"), .partition_count = 1, .replication_factor = 1},
        {.name = wire_text_of("b"), .partition_count = 0, .replication_factor = 1},
        {.name = wire_text_of("twice"), .partition_count = 1, .replication_factor = 1},
        {.name = wire_text_of("c"), .partition_count = 1, .replication_factor = 1},
        {.name = wire_text_of("twice"), .partition_count = 1, .replication_factor = 1}};
    struct topic_decisions_create_request request = {.items = items, .item_count = 5};
    topic_decisions_create_topics(decider_begin(&decider), &request);
    decider_apply(&decider);

    cr_expect_eq(items[0].error.reason, DECISION_NONE);
    cr_expect_eq(items[1].error.reason, DECISION_PARTITION_COUNT);
    cr_expect_eq(items[2].error.reason, DECISION_REQUEST);
    cr_expect_eq(items[3].error.reason, DECISION_NONE);
    cr_expect_eq(items[4].error.reason, DECISION_REQUEST);
    cr_expect_not_null(decider_topic(&decider, "a"));
    cr_expect_null(decider_topic(&decider, "b"));
    cr_expect_not_null(decider_topic(&decider, "c"));
    cr_expect_null(decider_topic(&decider, "twice"));
}

Test(topic_decisions, partitions_of_one_request_are_bounded_together)
{
    struct topic_decisions_create items[] = {
        {.name = wire_text_of("a"), .partition_count = 6000, .replication_factor = 1},
        {.name = wire_text_of("b"), .partition_count = 6000, .replication_factor = 1},
        {.name = wire_text_of("c"), .partition_count = 4000, .replication_factor = 1}};
    struct topic_decisions_create_request request = {.items = items, .item_count = 3};
    topic_decisions_create_topics(decider_begin(&decider), &request);

    cr_expect_eq(items[0].error.reason, DECISION_NONE);
    cr_expect_eq(items[1].error.reason, DECISION_LIMIT);
    cr_expect_eq(items[2].error.reason, DECISION_NONE);
}

Test(topic_decisions, largest_request_fits_one_proposal)
{
    struct decider big;
    size_t byte_count = 0;
    decider_init(&big, 5, 0);
    struct topic_decisions_create item = {
        .name = wire_text_of("wide"), .partition_count = 10000, .replication_factor = 5};
    struct topic_decisions_create_request request = {.items = &item, .item_count = 1};
    topic_decisions_create_topics(decider_begin(&big), &request);
    uint8_t *bytes = cluster_writer_command(&big.writer, NULL, 0, &byte_count);

    cr_expect_lt(byte_count, (1U << 20) - 64);
    free(bytes);
    decider_done(&big);
}

Test(topic_decisions, validate_only_says_the_same_and_does_nothing)
{
    struct topic_decisions_create items[] = {
        {.name = wire_text_of("a"), .partition_count = 3, .replication_factor = -1},
        {.name = wire_text_of("orders"), .partition_count = 1, .replication_factor = 1}};
    struct topic_decisions_create_request request = {
        .items = items, .item_count = 2, .validate_only = true};
    topic_decisions_create_topics(decider_begin(&decider), &request);

    cr_expect_eq(decider.writer.record_count, 0);
    cr_expect_eq(items[0].error.reason, DECISION_NONE);
    cr_expect_eq(items[0].made_partition_count, 3);
    cr_expect_eq(items[0].made_replication_factor, 3);
    cr_expect_eq(items[1].error.reason, DECISION_TOPIC_EXISTS);
}

Test(topic_decisions, topics_are_deleted_by_name_and_by_id)
{
    cr_assert(decider_create(&decider, "gone", 1, 1));
    cr_assert(decider_create(&decider, "__transaction_state", 1, 1));
    struct wire_uuid id = decider_topic(&decider, "gone")->id;
    struct topic_decisions_delete items[] = {
        {.name = wire_text_of("orders")},
        {.name = {.byte_count = -1}, .id = id},
        {.name = wire_text_of("unknown")},
        {.name = {.byte_count = -1}, .id = image_maker_id(31337)},
        {.name = wire_text_of("__transaction_state")}};
    struct topic_decisions_delete_request request = {.items = items, .item_count = 5};
    topic_decisions_delete_topics(decider_begin(&decider), &request);
    decider_apply(&decider);

    cr_expect_eq(items[0].error.reason, DECISION_NONE);
    cr_expect_eq(items[1].error.reason, DECISION_NONE);
    cr_expect_str_eq(items[1].deleted_name, "gone");
    cr_expect_eq(items[2].error.reason, DECISION_UNKNOWN_TOPIC);
    cr_expect_eq(items[3].error.reason, DECISION_UNKNOWN_TOPIC_ID);
    cr_expect_eq(items[4].error.reason, DECISION_INTERNAL_TOPIC);
    cr_expect_eq(image_topic_count(decider.image), 1);
}

Test(topic_decisions, topic_named_by_name_and_id_in_one_request_is_refused_twice)
{
    struct topic_decisions_delete items[] = {
        {.name = wire_text_of("orders")},
        {.name = {.byte_count = -1}, .id = decider_topic(&decider, "orders")->id}};
    struct topic_decisions_delete_request request = {.items = items, .item_count = 2};
    topic_decisions_delete_topics(decider_begin(&decider), &request);

    cr_expect_eq(items[0].error.reason, DECISION_REQUEST);
    cr_expect_eq(items[1].error.reason, DECISION_REQUEST);
    cr_expect_eq(decider.writer.record_count, 0);
}

static enum decision_reason grow(const char *name, int32_t partition_count,
                                 const struct topic_decisions_assignment *assignments,
                                 uint32_t assignment_count)
{
    struct topic_decisions_grow item = {.name = wire_text_of(name),
                                        .partition_count = partition_count,
                                        .assignments = assignments,
                                        .assignment_count = assignment_count};
    struct topic_decisions_grow_request request = {.items = &item, .item_count = 1};
    topic_decisions_create_partitions(decider_begin(&decider), &request);
    if (item.error.reason == DECISION_NONE) {
        decider_apply(&decider);
    } else {
        cr_expect_eq(decider.writer.record_count, 0);
    }
    return item.error.reason;
}

Test(topic_decisions, topics_grow_and_never_shrink)
{
    cr_expect_eq(grow("orders", 4, NULL, 0), DECISION_PARTITION_COUNT);
    cr_expect_eq(grow("orders", 3, NULL, 0), DECISION_PARTITION_COUNT);
    cr_expect_eq(grow("orders", -1, NULL, 0), DECISION_PARTITION_COUNT);
    cr_expect_eq(grow("unknown", 9, NULL, 0), DECISION_UNKNOWN_TOPIC);
    cr_expect_eq(grow("orders", 20000, NULL, 0), DECISION_PARTITION_COUNT);
    cr_expect_eq(grow("orders", 9, NULL, 0), DECISION_NONE);
    cr_expect_eq(decider_topic(&decider, "orders")->partition_count, 9);
    cr_expect_eq(decider_partition(&decider, "orders", 8)->replica_count, 3);
}

Test(topic_decisions, new_partitions_are_assigned_by_hand_each_or_not_at_all)
{
    const int32_t good[] = {2, 3, 1};
    const int32_t few[] = {2, 3};
    const struct topic_decisions_assignment right[] = {{0, good, 3}, {0, good, 3}};
    const struct topic_decisions_assignment wrong[] = {{0, good, 3}, {0, few, 2}};

    cr_expect_eq(grow("orders", 7, right, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(grow("orders", 6, wrong, 2), DECISION_ASSIGNMENT);
    cr_expect_eq(grow("orders", 6, right, 2), DECISION_NONE);
    cr_expect_str_eq(decider_nodes(decider_partition(&decider, "orders", 5)->replicas, 3), "2,3,1");
}
