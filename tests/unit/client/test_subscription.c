/* Goal: members of other libraries understand our bytes, and we theirs, older and newer.
 * Method: literal bytes of Kafka's consumer protocol; cut and garbled ones are refused. */
#include "client/subscription.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 1 << 20);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(subscription, .init = set_up, .fini = tear_down);

Test(subscription, our_topics_are_written_as_version_1)
{
    struct wire_text topics[] = {wire_text_of("a"), wire_text_of("bc")};
    struct wire_bytes bytes;
    static const uint8_t expected[] = {0,    1,                             /* Version. */
                                       0,    0,    0,    2,                 /* Topics. */
                                       0,    1,    'a',  0,    2, 'b', 'c', /* */
                                       0xff, 0xff, 0xff, 0xff,              /* No user data. */
                                       0,    0,    0,    0};                /* Nothing owned. */

    cr_assert_eq(subscription_encode(&arena, topics, 2, &bytes), STATUS_OK);

    cr_assert_eq(bytes.byte_count, sizeof expected);
    cr_expect_arr_eq(bytes.bytes, expected, sizeof expected);
}

Test(subscription, old_and_future_subscriptions_are_read)
{
    static const uint8_t oldest[] = {0, 0, 0, 0, 0, 1, 0, 1, 'a', 0xff, 0xff, 0xff, 0xff};
    /* Version 9: as 3, with something behind that nobody knows yet. */
    static const uint8_t future[] = {0, 9, 0, 0, 0, 1, 0, 1,    'a',  0xff, 0xff, 0xff, 0xff, 0,
                                     0, 0, 0, 0, 0, 0, 7, 0xff, 0xff, 1,    2,    3,    4};
    struct kafka_consumer_protocol_subscription got;

    cr_assert_eq(subscription_decode(&arena, (struct wire_bytes){oldest, sizeof oldest}, &got),
                 STATUS_OK);
    cr_assert_eq(got.topics_count, 1);
    cr_expect(wire_text_equals(got.topics[0], "a"));
    cr_assert_eq(subscription_decode(&arena, (struct wire_bytes){future, sizeof future}, &got),
                 STATUS_OK);
    cr_expect(wire_text_equals(got.topics[0], "a"));
    cr_expect_eq(got.generation_id, 7);
}

Test(subscription, what_is_cut_short_is_refused)
{
    struct wire_text topics[] = {wire_text_of("events")};
    struct wire_bytes bytes;
    struct kafka_consumer_protocol_subscription got;
    cr_assert_eq(subscription_encode(&arena, topics, 1, &bytes), STATUS_OK);
    for (int32_t i = 0; i < bytes.byte_count; i++) {
        struct wire_bytes cut = {bytes.bytes, i};
        cr_expect_eq(subscription_decode(&arena, cut, &got), STATUS_MALFORMED, "%d", i);
    }
}

Test(subscription, assignments_come_back_as_they_were)
{
    int32_t partitions[] = {0, 5};
    struct kafka_consumer_protocol_assignment_topic_partition topic = {
        .topic = wire_text_of("events"), .partitions = partitions, .partitions_count = 2};
    struct kafka_consumer_protocol_assignment assignment = {.assigned_partitions = &topic,
                                                            .assigned_partitions_count = 1,
                                                            .user_data = {.byte_count = -1}};
    struct wire_bytes bytes;
    cr_assert_eq(subscription_encode_assignment(&arena, &assignment, &bytes), STATUS_OK);

    struct kafka_consumer_protocol_assignment got;
    cr_assert_eq(subscription_decode_assignment(&arena, bytes, &got), STATUS_OK);

    cr_assert_eq(got.assigned_partitions_count, 1);
    cr_expect(wire_text_equals(got.assigned_partitions[0].topic, "events"));
    cr_assert_eq(got.assigned_partitions[0].partitions_count, 2);
    cr_expect_eq(got.assigned_partitions[0].partitions[1], 5);
    cr_assert_eq(subscription_decode_assignment(&arena, (struct wire_bytes){NULL, 0}, &got),
                 STATUS_OK);
    cr_expect_eq(got.assigned_partitions_count, 0);
}
