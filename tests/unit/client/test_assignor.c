/* Goal: partitions are dealt out as Kafka's range and round robin do, and never twice.
 * Method: small cases with literal results, among them those of Kafka's own documentation of the
 * assignors, and random ones whose shape is checked. */
#include "client/assignor.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct wire_text both[2];
static struct wire_text first[1];
static struct assignor_member members[8];
static struct assignor_topic topics[4];
static uint32_t owners[64];

static struct assignor_member member(const char *id, const struct wire_text *read, uint32_t count)
{
    return (struct assignor_member){.member_id = wire_text_of(id),
                                    .instance_id = {.byte_count = -1},
                                    .topics = read,
                                    .topic_count = count};
}

static void set_up(void)
{
    both[0] = wire_text_of("t0");
    both[1] = wire_text_of("t1");
    first[0] = wire_text_of("t0");
    topics[0] = (struct assignor_topic){wire_text_of("t0"), 3};
    topics[1] = (struct assignor_topic){wire_text_of("t1"), 3};
}

TestSuite(assignor, .init = set_up);

/* "t0: C0 C0 C1, …" as one text. */
static void expect(const char *expected, uint32_t topic_count)
{
    char text[512] = "";
    size_t byte_count = 0;
    const uint32_t *owner = owners;
    for (uint32_t i = 0; i < topic_count; i++) {
        for (int32_t j = 0; j < topics[i].partition_count; j++, owner++) {
            struct wire_text id =
                *owner == ASSIGNOR_NOBODY ? wire_text_of("-") : members[*owner].member_id;
            byte_count += (size_t)snprintf(text + byte_count, sizeof text - byte_count, "%s%.*s",
                                           byte_count == 0 ? "" : " ", id.byte_count, id.bytes);
        }
    }
    cr_expect_str_eq(text, expected);
}

Test(assignor, range_deals_out_each_topic_by_itself)
{
    members[0] = member("C0", both, 2);
    members[1] = member("C1", both, 2);

    assignor_run(ASSIGNOR_RANGE, members, 2, topics, 2, owners);

    expect("C0 C0 C1 C0 C0 C1", 2);
}

Test(assignor, round_robin_goes_on_over_the_topics)
{
    members[0] = member("C0", both, 2);
    members[1] = member("C1", both, 2);

    assignor_run(ASSIGNOR_ROUND_ROBIN, members, 2, topics, 2, owners);

    expect("C0 C1 C0 C1 C0 C1", 2);
}

Test(assignor, whoever_does_not_read_a_topic_gets_nothing_of_it)
{
    members[0] = member("C0", first, 1);
    members[1] = member("C1", both, 2);

    assignor_run(ASSIGNOR_RANGE, members, 2, topics, 2, owners);
    expect("C0 C0 C1 C1 C1 C1", 2);
    assignor_run(ASSIGNOR_ROUND_ROBIN, members, 2, topics, 2, owners);
    expect("C0 C1 C0 C1 C1 C1", 2);
    assignor_run(ASSIGNOR_RANGE, members, 1, topics, 2, owners);
    expect("C0 C0 C0 - - -", 2);
}

Test(assignor, more_members_than_partitions_leave_some_with_nothing)
{
    topics[0].partition_count = 1;
    for (int i = 0; i < 3; i++) {
        static const char *const ids[] = {"C2", "C0", "C1"};
        members[i] = member(ids[i], first, 1);
    }

    assignor_run(ASSIGNOR_RANGE, members, 3, topics, 1, owners);

    expect("C0", 1);
}

Test(assignor, instances_come_before_members_and_keep_their_order)
{
    members[0] = member("a", first, 1);
    members[1] = member("z-of-two", first, 1);
    members[1].instance_id = wire_text_of("two");
    members[2] = member("y-of-one", first, 1);
    members[2].instance_id = wire_text_of("one");

    assignor_run(ASSIGNOR_RANGE, members, 3, topics, 1, owners);

    expect("y-of-one z-of-two a", 1);
}

Test(assignor, nothing_to_deal_out_is_no_trouble)
{
    assignor_run(ASSIGNOR_RANGE, members, 0, topics, 2, owners);
    expect("- - - - - -", 2);
    members[0] = member("C0", NULL, 0);
    assignor_run(ASSIGNOR_ROUND_ROBIN, members, 1, topics, 0, owners);
}

Test(assignor, shares_of_equal_members_differ_by_one_at_most)
{
    struct prng prng;
    prng_init(&prng, 11);
    for (int round = 0; round < 200; round++) {
        uint32_t count = 1 + (uint32_t)prng_below(&prng, 8);
        topics[0].partition_count = (int32_t)prng_below(&prng, 50);
        char ids[8][16];
        for (uint32_t i = 0; i < count; i++) {
            snprintf(ids[i], sizeof ids[i], "m%u", i);
            members[i] = member(ids[i], first, 1);
        }
        enum assignor_kind kind = round % 2 == 0 ? ASSIGNOR_RANGE : ASSIGNOR_ROUND_ROBIN;
        assignor_run(kind, members, count, topics, 1, owners);
        uint32_t shares[8] = {0};
        for (int32_t i = 0; i < topics[0].partition_count; i++) {
            cr_assert_lt(owners[i], count);
            shares[owners[i]] += 1;
        }
        for (uint32_t i = 0; i < count; i++) {
            cr_expect_geq(shares[0], shares[i]);
            cr_expect_leq(shares[0] - shares[i], 1);
        }
    }
}
