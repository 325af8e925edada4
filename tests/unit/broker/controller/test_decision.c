/* Goal: no sequence of requests, sensible or not, breaks what the cluster agreed on.
 * Method: seeded random requests of every kind, each decided, packed, applied live and to a second
 * image that only sees the bytes; invariants and rising epochs after every step, snapshots in
 * between. Then the helpers of decisions. */
#include "broker/controller/decision.h"

#include "broker/controller/broker_decisions.h"
#include "broker/controller/config_decisions.h"
#include "broker/controller/isr_decisions.h"
#include "broker/controller/leader_election.h"
#include "broker/controller/producer_id_decisions.h"
#include "broker/controller/topic_decisions.h"
#include "broker/metadata/image_snapshot.h"
#include "tests/rig/decider.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS 6

static struct decider decider;
static struct prng dice;
static char name[16];

static struct wire_text random_name(void)
{
    static const char *const odd[] = {"", ".", "no/such", "__consumer_offsets"};
    if (prng_below(&dice, 20) == 0) {
        return wire_text_of(odd[prng_below(&dice, 4)]);
    }
    snprintf(name, sizeof name, "topic-%u", (uint32_t)prng_below(&dice, 12));
    return wire_text_of(name);
}

static void random_create(struct decision *decision)
{
    struct topic_decisions_config config = {wire_text_of("unclean.leader.election.enable"),
                                            wire_text_of("true")};
    struct topic_decisions_create item = {
        .name = random_name(),
        .partition_count = (int32_t)prng_below(&dice, 8) - 1,
        .replication_factor = (int32_t)prng_below(&dice, 7) - 1,
        .configs = &config,
        .config_count = prng_below(&dice, 8) == 0,
    };
    struct topic_decisions_create_request request = {
        .items = &item, .item_count = 1, .validate_only = prng_below(&dice, 20) == 0};
    topic_decisions_create_topics(decision, &request);
}

static void random_delete_or_grow(struct decision *decision)
{
    if (prng_below(&dice, 2) == 0) {
        struct topic_decisions_delete item = {.name = random_name()};
        struct topic_decisions_delete_request request = {.items = &item, .item_count = 1};
        topic_decisions_delete_topics(decision, &request);
        return;
    }
    struct topic_decisions_grow item = {.name = random_name(),
                                        .partition_count = (int32_t)prng_below(&dice, 12)};
    struct topic_decisions_grow_request request = {.items = &item, .item_count = 1};
    topic_decisions_create_partitions(decision, &request);
}

static void random_config(struct decision *decision)
{
    static const char *const keys[] = {"min.insync.replicas", "unclean.leader.election.enable",
                                       "durability", "cleanup.policy", "no.such.key"};
    static const char *const values[] = {"1", "2", "true", "false", "memory", "disk", "compact"};
    struct config_decisions_entry entry = {
        .key = wire_text_of(keys[prng_below(&dice, 5)]),
        .value = wire_text_of(values[prng_below(&dice, 7)]),
        .operation = (int8_t)prng_below(&dice, 5),
    };
    bool is_cluster = prng_below(&dice, 5) == 0;
    struct config_decisions_resource item = {.kind = is_cluster ? IMAGE_CONFIG_CLUSTER
                                                                : IMAGE_CONFIG_TOPIC,
                                             .name = is_cluster ? wire_text_of("") : random_name(),
                                             .entries = &entry,
                                             .entry_count = 1};
    struct config_decisions_request request = {
        .items = &item, .item_count = 1, .is_replacing = prng_below(&dice, 10) == 0};
    config_decisions_alter(decision, &request);
}

static const struct broker_decisions_endpoint endpoint = {
    .listener = {"CLIENT", 6}, .host = {"host", 4}, .port = 9092, .security = {"PLAINTEXT", 9}};

static void random_broker(struct decision *decision)
{
    int32_t id = 1 + (int32_t)prng_below(&dice, BROKERS);
    const struct image_broker *broker = image_broker_by_id(decision->image, id);
    if (broker == NULL || prng_below(&dice, 4) == 0) {
        bool is_wiped = prng_below(&dice, 10) == 0;
        struct broker_decisions_register request = {
            .broker_id = id,
            .incarnation_id = image_maker_id((uint32_t)prng_below(&dice, 100000)),
            .directory_id = image_maker_id(2000 + (uint32_t)id + (is_wiped ? 100000U : 0U)),
            .previous_epoch = broker == NULL || prng_below(&dice, 2) == 0 ? -1 : broker->epoch,
            .endpoints = &endpoint,
            .endpoint_count = 1,
        };
        broker_decisions_register(decision, &request);
        return;
    }
    if (prng_below(&dice, 4) == 0) {
        broker_decisions_fence(decision, id, -1);
        return;
    }
    struct broker_decisions_heartbeat request = {.broker_id = id,
                                                 .broker_epoch = broker->epoch,
                                                 .applied_index = image_index(decision->image),
                                                 .wants_fence = prng_below(&dice, 20) == 0,
                                                 .wants_shut_down = prng_below(&dice, 20) == 0,
                                                 .is_shutdown_known = true};
    broker_decisions_heartbeat(decision, &request);
}

static void random_isr(struct decision *decision)
{
    if (image_topic_count(decision->image) == 0) {
        return;
    }
    uint32_t place = (uint32_t)prng_below(&dice, image_topic_count(decision->image));
    const struct image_topic *topic = image_topic_at(decision->image, place);
    int32_t index = (int32_t)prng_below(&dice, topic->partition_count);
    const struct image_partition *p = &topic->partitions[index];
    struct isr_decisions_member members[IMAGE_REPLICAS_MAX];
    uint32_t count = 0;
    for (uint8_t i = 0; i < p->replica_count; i++) {
        if (p->replicas[i] == p->leader || prng_below(&dice, 2) == 0) {
            members[count++] = (struct isr_decisions_member){p->replicas[i], -1};
        }
    }
    const struct image_broker *leader = image_broker_by_id(decision->image, p->leader);
    struct isr_decisions_item item = {.topic_id = topic->id,
                                      .index = index,
                                      .leader_epoch = p->leader_epoch,
                                      .partition_epoch =
                                          p->partition_epoch - (prng_below(&dice, 10) == 0),
                                      .isr = members,
                                      .isr_count = count};
    struct isr_decisions_request request = {.broker_id = p->leader,
                                            .broker_epoch = leader == NULL ? 0 : leader->epoch,
                                            .items = &item,
                                            .item_count = 1};
    isr_decisions_alter(decision, &request);
}

static void random_rest(struct decision *decision)
{
    if (prng_below(&dice, 2) == 0) {
        const struct image_broker *broker = image_broker_at(decision->image, 0);
        struct producer_id_decisions_request request = {.broker_id = broker->id,
                                                        .broker_epoch = broker->epoch};
        producer_id_decisions_allocate(decision, &request);
        return;
    }
    struct leader_election_request item = {.name = random_name(),
                                           .index = (int32_t)prng_below(&dice, 3),
                                           .is_unclean = prng_below(&dice, 4) == 0};
    struct leader_election_requests request = {.items = &item, .item_count = 1};
    leader_election_decide_asked(decision, &request);
}

static void random_request(struct decision *decision)
{
    static void (*const kinds[])(struct decision *) = {
        random_create, random_delete_or_grow, random_config, random_broker,
        random_broker, random_broker,         random_isr,    random_isr,
        random_rest};
    kinds[prng_below(&dice, sizeof kinds / sizeof kinds[0])](decision);
}

static void expect_rising(void *context, const struct image_topic *before,
                          const struct image_topic *after)
{
    uint32_t *change_count = context;
    *change_count += 1;
    if (before == NULL || after == NULL) {
        return;
    }
    cr_assert_leq(before->partition_count, after->partition_count);
    for (uint32_t i = 0; i < before->partition_count; i++) {
        const struct image_partition *old = &before->partitions[i];
        const struct image_partition *new = &after->partitions[i];
        bool is_same = memcmp(old, new, sizeof *old) == 0;
        cr_assert_eq(new->partition_epoch, old->partition_epoch + !is_same);
        cr_assert(new->leader_epoch == old->leader_epoch ||
                  new->leader_epoch == old->leader_epoch + 1);
        cr_assert(new->leader == old->leader || new->leader_epoch > old->leader_epoch);
    }
}

/* Fenced brokers lead nothing and are in no ISR, after every single command. */
static void expect_live(void)
{
    for (uint32_t i = 0; i < image_topic_count(decider.image); i++) {
        const struct image_topic *topic = image_topic_at(decider.image, i);
        for (uint32_t k = 0; k < topic->partition_count; k++) {
            const struct image_partition *p = &topic->partitions[k];
            cr_assert(p->leader != -1 || p->isr_count == 0);
            for (uint8_t n = 0; n < p->isr_count; n++) {
                cr_assert_not(image_broker_by_id(decider.image, p->isr[n])->is_fenced);
            }
        }
    }
}

static void run(uint64_t seed, int step_count, uint32_t *out_change_count)
{
    prng_init(&dice, seed);
    decider_init(&decider, 3, 2);
    struct image *replayed = image_ref(decider.image);
    for (int step = 0; step < step_count; step++) {
        struct image_delta replay;
        size_t byte_count = 0;
        struct image *before = image_ref(decider.image);
        random_request(decider_begin(&decider));
        uint8_t *bytes = cluster_writer_command(&decider.writer, NULL, 0, &byte_count);
        cr_assert_eq(
            image_delta_apply(replayed, image_index(replayed) + 1, bytes, byte_count, &replay),
            STATUS_OK);
        free(bytes);
        image_unref(replayed);
        replayed = replay.image;
        decider_apply(&decider); /* Checks that it fits and the invariants. */
        image_topic_differences(before, decider.image, expect_rising, out_change_count);
        expect_live();
        image_unref(before);
        if (step % 100 == 99) { /* The second one goes on from a snapshot. */
            uint8_t *snapshot = image_snapshot_write(replayed, &byte_count);
            image_unref(replayed);
            cr_assert_eq(image_snapshot_read(snapshot, byte_count, &replayed), STATUS_OK);
            free(snapshot);
            cr_assert(image_maker_equal(decider.image, replayed), "seed %llu step %d",
                      (unsigned long long)seed, step);
        }
    }
    image_unref(replayed);
    decider_done(&decider);
}

Test(decision, random_requests_keep_the_invariants_and_replay_to_the_same_image)
{
    uint32_t change_count = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run(seed, 1000, &change_count);
    }
    cr_expect_gt(change_count, 5000, "%u changes", change_count);
}

Test(decision, refusal_carries_reason_and_text_cut_to_its_room)
{
    char text[400];
    struct decision_error error = {.reason = DECISION_NONE};
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    decision_refuse(&error, DECISION_CONFIG, "%s", text);

    cr_expect_eq(error.reason, DECISION_CONFIG);
    cr_expect_eq(strlen(error.message), DECISION_MESSAGE_BYTES - 1);
    cr_expect_eq(decision_text_length((struct wire_text){.bytes = text, .byte_count = 399}), 80);
    cr_expect_eq(decision_text_length((struct wire_text){.byte_count = -1}), 0);
}

Test(decision, repeated_keys_are_all_flagged_and_no_other)
{
    const struct wire_text keys[] = {{"b", 1}, {"a", 1}, {"b", 1}, {NULL, -1}, {"", 0}, {"bb", 2}};
    struct arena arena;
    arena_init(&arena, 4096);
    const bool *is_repeated = decision_find_repeated(&arena, keys, 6);
    cr_assert_not_null(is_repeated);
    const bool expected[] = {true, false, true, false, false, false};
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(is_repeated[i], expected[i], "%zu", i);
    }
    arena_done(&arena);
}
