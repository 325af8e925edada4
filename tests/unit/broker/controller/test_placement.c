/* Goal: replicas are spread evenly and over racks, whatever the cluster looks like.
 * Method: topics of many shapes on clusters of many shapes, counted. */
#include "broker/controller/placement.h"

#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct decider decider;

static void count_load(const struct image_topic *topic, uint32_t leaders[32], uint32_t replicas[32])
{
    memset(leaders, 0, 32 * sizeof *leaders);
    memset(replicas, 0, 32 * sizeof *replicas);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        leaders[topic->partitions[i].leader] += 1;
        for (uint8_t k = 0; k < topic->partitions[i].replica_count; k++) {
            replicas[topic->partitions[i].replicas[k]] += 1;
        }
    }
}

static void expect_even(const uint32_t *counts, int32_t broker_count, uint32_t slack)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    for (int32_t id = 1; id <= broker_count; id++) {
        least = counts[id] < least ? counts[id] : least;
        most = counts[id] > most ? counts[id] : most;
    }
    cr_expect_leq(most - least, slack, "from %u to %u", least, most);
}

Test(placement, leaders_and_replicas_of_a_topic_are_even)
{
    for (int32_t broker_count = 1; broker_count <= 9; broker_count++) {
        for (int32_t factor = 1; factor <= 5 && factor <= broker_count; factor++) {
            uint32_t leaders[32];
            uint32_t replicas[32];
            decider_init(&decider, broker_count, 0);
            cr_assert(decider_create(&decider, "orders", 60, factor));
            count_load(decider_topic(&decider, "orders"), leaders, replicas);
            expect_even(leaders, broker_count, 1);
            expect_even(replicas, broker_count, 2);
            decider_done(&decider);
        }
    }
}

Test(placement, replicas_of_a_partition_are_on_different_racks)
{
    decider_init(&decider, 9, 3);
    cr_assert(decider_create(&decider, "orders", 100, 3));
    const struct image_topic *topic = decider_topic(&decider, "orders");
    uint32_t leaders[32];
    uint32_t replicas[32];

    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const int32_t *r = topic->partitions[i].replicas;
        cr_expect(r[0] % 3 != r[1] % 3 && r[1] % 3 != r[2] % 3 && r[0] % 3 != r[2] % 3,
                  "partition %u on %s", i, decider_nodes(r, 3));
    }
    count_load(topic, leaders, replicas);
    expect_even(leaders, 9, 1);
    expect_even(replicas, 9, 3);
    decider_done(&decider);
}

Test(placement, many_small_topics_spread_over_the_cluster)
{
    uint32_t leaders[32] = {0};
    decider_init(&decider, 5, 0);
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        cr_assert(decider_create(&decider, name, 1, 3));
        leaders[decider_partition(&decider, name, 0)->leader] += 1;
    }

    expect_even(leaders, 5, 1);
    decider_done(&decider);
}

Test(placement, fenced_brokers_come_last_and_are_not_in_sync)
{
    decider_init(&decider, 3, 0);
    image_maker_fence(&decider.image, 1, true);
    cr_assert(decider_create(&decider, "two", 20, 2));
    cr_assert(decider_create(&decider, "three", 20, 3));

    for (int32_t i = 0; i < 20; i++) {
        const struct image_partition *two = decider_partition(&decider, "two", i);
        const struct image_partition *three = decider_partition(&decider, "three", i);
        cr_expect(two->replicas[0] != 1 && two->replicas[1] != 1);
        cr_expect_eq(three->replicas[2], 1);
        cr_expect_eq(three->isr_count, 2);
    }
    decider_done(&decider);
}

Test(placement, pairs_of_leader_and_follower_vary)
{
    bool is_seen[8][8] = {{false}};
    uint32_t pair_count = 0;
    decider_init(&decider, 5, 0);
    cr_assert(decider_create(&decider, "orders", 100, 2));
    for (int32_t i = 0; i < 100; i++) {
        const int32_t *r = decider_partition(&decider, "orders", i)->replicas;
        pair_count += !is_seen[r[0]][r[1]];
        is_seen[r[0]][r[1]] = true;
    }

    cr_expect_gt(pair_count, 12); /* Of 20. */
    decider_done(&decider);
}

Test(placement, same_seed_gives_the_same_placement)
{
    struct decider other;
    decider_init(&decider, 7, 3);
    decider_init(&other, 7, 3);
    cr_assert(decider_create(&decider, "orders", 30, 3));
    cr_assert(decider_create(&other, "orders", 30, 3));

    cr_expect(image_maker_equal(decider.image, other.image));
    decider_done(&decider);
    decider_done(&other);
}
