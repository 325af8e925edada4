/* Goal: a command is applied as a whole or not at all, the same way each time, and no sequence of
 * commands breaks what an image promises.
 * Method: single commands around each rule, then seeded random records, right and wrong ones mixed,
 * applied twice. */
#include "broker/metadata/image_delta.h"

#include "proto/internal/cluster_record.pb-c.h"
#include "proto/sys/prng.h"
#include "tests/rig/image_maker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct image *image;
static struct cluster_writer writer;

static void set_up(void)
{
    image = image_maker_cluster(3, 0);
    image_maker_topic(&image, "orders", 4, 3);
    cluster_writer_init_command(&writer);
}

static void tear_down(void)
{
    image_unref(image);
    cluster_writer_done(&writer);
}

TestSuite(image_delta, .init = set_up, .fini = tear_down);

static const struct image_topic *topic(const char *name)
{
    return image_topic_by_name(image, wire_text_of(name));
}

static void expect_refused(const char *refusal)
{
    struct image *before = image_ref(image);
    struct image_delta delta = image_maker_apply(&image, &writer);

    cr_expect(delta.is_refused);
    cr_expect_str_eq(delta.refusal, refusal);
    cr_expect_eq(image_index(image), image_index(before) + 1);
    cr_expect_eq(image_topic_count(image), image_topic_count(before));
    image_unref(before);
}

Test(image_delta, created_topic_is_found_by_name_and_id)
{
    struct wire_uuid id = image_maker_id(7);
    struct image_topic created = {.id = id, .name = "alpha"};
    struct image_partition partition = {
        .leader = 2, .replica_count = 1, .isr_count = 1, .replicas = {2}, .isr = {2}};
    cluster_writer_topic(&writer, &created);
    cluster_writer_partition(&writer, &id, 0, &partition);
    cluster_writer_config(&writer, IMAGE_CONFIG_TOPIC, "alpha", "retention.ms", "5");

    image_maker_apply_fit(&image, &writer);

    cr_assert_eq(image_topic_count(image), 2);
    cr_expect_str_eq(image_topic_at(image, 0)->name, "alpha");
    cr_expect_eq(image_topic_by_id(image, &id), topic("alpha"));
    cr_expect_eq(topic("alpha")->partitions[0].leader, 2);
    cr_expect_str_eq(topic("alpha")->configs[0].value, "5");
    cr_expect_eq(image_partition_count(image), 5);
}

Test(image_delta, old_image_stays_as_it_was_and_shares_what_did_not_change)
{
    struct image *before = image_ref(image);
    image_maker_topic(&image, "payments", 1, 1);
    struct image_partition next = topic("orders")->partitions[1];
    next.partition_epoch += 1;
    next.isr_count = 2;
    cluster_writer_change_partition(&writer, &topic("orders")->id, 1, &next);
    struct image *middle = image_ref(image);
    image_maker_apply_fit(&image, &writer);

    cr_expect_eq(image_topic_count(before), 1);
    cr_expect_eq(image_topic_at(before, 0)->partitions[1].isr_count, 3);
    cr_expect_eq(topic("orders")->partitions[1].isr_count, 2);
    cr_expect_eq(topic("payments"), image_topic_by_name(middle, wire_text_of("payments")));
    image_unref(middle);
    image_unref(before);
}

Test(image_delta, second_topic_of_a_name_is_refused_with_everything_in_its_command)
{
    struct image_topic first = {.id = image_maker_id(8), .name = "fresh"};
    struct image_topic second = {.id = image_maker_id(9), .name = "orders"};
    cluster_writer_topic(&writer, &first);
    cluster_writer_topic(&writer, &second);

    expect_refused("a topic of this name is there");
    cr_expect_null(topic("fresh"));
}

Test(image_delta, two_new_topics_of_one_name_in_one_command_are_refused)
{
    struct image_topic first = {.id = image_maker_id(8), .name = "fresh"};
    struct image_topic second = {.id = image_maker_id(9), .name = "fresh"};
    cluster_writer_topic(&writer, &first);
    cluster_writer_topic(&writer, &second);

    expect_refused("a topic of this name is there");
}

Test(image_delta, topic_is_removed_and_made_again_in_one_command)
{
    struct wire_uuid old_id = topic("orders")->id;
    struct image_topic again = {.id = image_maker_id(9), .name = "orders"};
    cluster_writer_remove_topic(&writer, &old_id);
    cluster_writer_topic(&writer, &again);

    image_maker_apply_fit(&image, &writer);

    cr_expect_null(image_topic_by_id(image, &old_id));
    cr_expect_eq(topic("orders")->partition_count, 0);
    cr_expect_eq(image_partition_count(image), 0);
}

Test(image_delta, change_that_is_not_the_successor_is_refused)
{
    struct image_partition next = topic("orders")->partitions[0];
    cluster_writer_change_partition(&writer, &topic("orders")->id, 0, &next);
    expect_refused("the partition has changed since");

    next.partition_epoch += 2;
    cluster_writer_change_partition(&writer, &topic("orders")->id, 0, &next);
    expect_refused("the partition has changed since");
}

Test(image_delta, new_leader_without_a_new_leader_epoch_is_refused)
{
    struct image_partition next = topic("orders")->partitions[0];
    next.partition_epoch += 1;
    next.leader = next.replicas[1];
    cluster_writer_change_partition(&writer, &topic("orders")->id, 0, &next);

    expect_refused("a new leader has a new leader epoch");
}

Test(image_delta, leader_outside_the_isr_is_refused)
{
    struct image_partition next = topic("orders")->partitions[0];
    next.partition_epoch += 1;
    next.isr_count = 1;
    next.isr[0] = next.replicas[1];
    cluster_writer_change_partition(&writer, &topic("orders")->id, 0, &next);

    expect_refused("the leader is in the ISR");
}

Test(image_delta, broker_epoch_is_the_index_of_its_registration)
{
    struct image_broker again = *image_broker_by_id(image, 2);
    again.epoch = 0;
    again.incarnation_id = image_maker_id(77);
    again.is_fenced = true;
    cluster_writer_register(&writer, &again);
    image_maker_apply_fit(&image, &writer);

    cr_expect_eq(image_broker_by_id(image, 2)->epoch, (int64_t)image_index(image));
    cr_expect(image_broker_by_id(image, 2)->is_fenced);
    cr_expect_str_eq(image_broker_by_id(image, 2)->endpoints[0].host, "127.0.0.1");
}

Test(image_delta, change_of_an_earlier_incarnation_is_refused)
{
    struct cluster_writer_change change = {.broker_id = 2,
                                           .broker_epoch = image_broker_by_id(image, 2)->epoch - 1};
    cluster_writer_change_broker(&writer, &change);

    expect_refused("the broker has registered again since");
}

Test(image_delta, repeated_token_changes_nothing)
{
    static const uint8_t token[IMAGE_TOKEN_BYTES] = {1, 2, 3};
    struct image_delta delta;
    uint64_t found = 0;
    size_t byte_count = 0;
    cluster_writer_config(&writer, IMAGE_CONFIG_CLUSTER, "", "message.max.bytes", "5");
    uint8_t *bytes = cluster_writer_command(&writer, token, 0, &byte_count);
    uint64_t index = image_index(image) + 10;
    cr_assert_eq(image_delta_apply(image, index, bytes, byte_count, &delta), STATUS_OK);
    cr_expect_not(delta.is_repeated);
    cr_expect(image_knows_token(delta.image, token, &found));
    cr_expect_eq(found, index);
    struct image_delta second;
    cr_assert_eq(image_delta_apply(delta.image, index + 1, bytes, byte_count, &second), STATUS_OK);

    cr_expect(second.is_repeated);
    cr_expect_not(second.is_refused);
    cr_expect_eq(image_index(second.image), index + 1);
    image_unref(delta.image);
    image_unref(second.image);
    free(bytes);
}

Test(image_delta, tokens_are_forgotten_oldest_first_and_stay_bounded)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < 1100; i++) {
        uint8_t token[IMAGE_TOKEN_BYTES] = {9};
        struct image_delta delta;
        size_t byte_count = 0;
        memcpy(token + 4, &i, sizeof i);
        uint8_t *bytes = cluster_writer_command(&writer, token, 0, &byte_count);
        cr_assert_eq(image_delta_apply(image, image_index(image) + 1, bytes, byte_count, &delta),
                     STATUS_OK);
        image_unref(image);
        image = delta.image;
        free(bytes);
    }

    for (uint32_t i = 0; i < 1100; i++) {
        uint8_t token[IMAGE_TOKEN_BYTES] = {9};
        memcpy(token + 4, &i, sizeof i);
        cr_expect_eq(image_knows_token(image, token, &found), i >= 128, "token %u", i);
    }
}

Test(image_delta, command_of_a_newer_version_is_unsupported)
{
    uint8_t bytes[64];
    struct image_delta delta;
    Millrace__Cluster__Command command;
    millrace__cluster__command__init(&command);
    command.version = IMAGE_DELTA_VERSION + 1;
    size_t byte_count = millrace__cluster__command__pack(&command, bytes);

    cr_expect_eq(image_delta_apply(image, 100, bytes, byte_count, &delta), STATUS_UNSUPPORTED);
}

Test(image_delta, record_of_an_unknown_kind_is_unsupported)
{
    /* Version 1, then one record whose only field has number 99. */
    static const uint8_t bytes[] = {0x08, 0x01, 0x22, 0x03, 0x9a, 0x06, 0x00};
    struct image_delta delta;

    cr_expect_eq(image_delta_apply(image, 100, bytes, sizeof bytes, &delta), STATUS_UNSUPPORTED);
}

Test(image_delta, bytes_that_are_no_command_are_malformed)
{
    static const uint8_t torn[] = {0x08, 0x01, 0x22, 0x7f, 0x00};
    struct image_delta delta;

    cr_expect_eq(image_delta_apply(image, 100, torn, sizeof torn, &delta), STATUS_MALFORMED);
    cr_expect_eq(image_delta_apply(image, 100, "", 0, &delta), STATUS_MALFORMED);
}

Test(image_delta, emptied_configuration_is_gone)
{
    uint32_t count = 0;
    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "2", "a", "1");
    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "2", "b", "2");
    image_maker_apply_fit(&image, &writer);
    const struct image_config_value *values = image_broker_configs(image, 2, &count);
    cr_assert_eq(count, 2);
    cr_expect_str_eq(values[1].value, "2");

    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "2", "a", NULL);
    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "2", "b", NULL);
    image_maker_apply_fit(&image, &writer);

    cr_expect_eq(image_config_resource_count(image), 0);
}

Test(image_delta, producer_ids_never_go_back)
{
    int64_t epoch = image_broker_by_id(image, 1)->epoch;
    cluster_writer_producer_ids(&writer, 1, epoch, 1000);
    image_maker_apply_fit(&image, &writer);
    cluster_writer_producer_ids(&writer, 1, epoch, 1000);

    expect_refused("producer ids only rise");
    cr_expect_eq(image_next_producer_id(image), 1000);
}

struct seen {
    uint32_t gone;
    uint32_t new;
    uint32_t changed;
};

static void see(void *context, const struct image_topic *before, const struct image_topic *after)
{
    struct seen *seen = context;
    seen->gone += after == NULL;
    seen->new += before == NULL;
    seen->changed += before != NULL && after != NULL;
}

Test(image_delta, differences_of_two_images_name_the_topics_that_changed)
{
    for (uint32_t i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        image_maker_topic(&image, name, 1, 1);
    }
    struct image *before = image_ref(image);
    struct seen seen = {0};
    image_maker_set(&image, "t7", "retention.ms", "1");
    cluster_writer_remove_topic(&writer, &topic("t8")->id);
    cluster_writer_remove_topic(&writer, &topic("t9")->id);
    struct image_topic again = {.id = image_maker_id(5), .name = "t9"};
    cluster_writer_topic(&writer, &again);
    image_maker_apply_fit(&image, &writer);

    image_topic_differences(before, image, see, &seen);

    cr_expect_eq(seen.changed, 1);
    cr_expect_eq(seen.gone, 2);
    cr_expect_eq(seen.new, 1);
    image_unref(before);
}

/* One record, more often right than wrong. */
static void write_random_record(struct prng *prng, const struct image *now)
{
    char name[16];
    uint32_t number = (uint32_t)prng_below(prng, 60);
    snprintf(name, sizeof name, "topic-%u", number);
    struct image_topic fresh = {.id = image_maker_id(1 + (uint32_t)prng_next(prng)), .name = name};
    const struct image_topic *old = image_topic_by_name(now, wire_text_of(name));
    struct image_partition p = {
        .leader = 1, .replica_count = 3, .isr_count = 3, .replicas = {1, 2, 3}, .isr = {1, 2, 3}};
    switch (prng_below(prng, 6)) {
    case 0:
        cluster_writer_topic(&writer, &fresh);
        cluster_writer_partition(&writer, &fresh.id, 0, &p);
        break;
    case 1:
        cluster_writer_config(&writer, IMAGE_CONFIG_TOPIC, name, "retention.ms",
                              prng_below(prng, 3) == 0 ? NULL : "7");
        break;
    case 2:
        cluster_writer_remove_topic(&writer, old == NULL ? &fresh.id : &old->id);
        break;
    case 3:
        if (old != NULL) {
            cluster_writer_partition(&writer, &old->id, (int32_t)old->partition_count, &p);
        }
        break;
    case 4:
        cluster_writer_feature(&writer, name, (int32_t)prng_below(prng, 3));
        break;
    default:
        if (old != NULL && old->partition_count > 0) {
            uint32_t index = (uint32_t)prng_below(prng, old->partition_count);
            p = old->partitions[index];
            p.partition_epoch += prng_below(prng, 10) > 0;
            p.leader = (int32_t)prng_below(prng, 5) - 1;
            p.leader_epoch += prng_below(prng, 3) > 0;
            p.isr_count = (uint8_t)prng_below(prng, 4);
            cluster_writer_change_partition(&writer, &old->id, (int32_t)index, &p);
        }
        break;
    }
}

static void expect_epochs_rise(void *context, const struct image_topic *before,
                               const struct image_topic *after)
{
    uint32_t *changes = context;
    *changes += 1;
    if (before == NULL || after == NULL) {
        return;
    }
    cr_assert_leq(before->partition_count, after->partition_count);
    for (uint32_t i = 0; i < before->partition_count; i++) {
        const struct image_partition *old = &before->partitions[i];
        const struct image_partition *new = &after->partitions[i];
        cr_assert(new->partition_epoch == old->partition_epoch ||
                  new->partition_epoch > old->partition_epoch);
        cr_assert_geq(new->leader_epoch, old->leader_epoch);
        cr_assert(new->leader == old->leader || new->leader_epoch > old->leader_epoch);
    }
}

Test(image_delta, random_commands_keep_the_invariants_and_replay_to_the_same_image)
{
    uint32_t refused_count = 0;
    uint32_t changes = 0;
    struct prng prng;
    prng_init(&prng, 20260807);
    struct image *replayed = image_ref(image);
    for (int round = 0; round < 3000; round++) {
        struct image_delta live;
        struct image_delta replay;
        size_t byte_count = 0;
        uint64_t record_count = 1 + prng_below(&prng, 3);
        for (uint64_t i = 0; i < record_count; i++) {
            write_random_record(&prng, image);
        }
        uint8_t *bytes = cluster_writer_command(&writer, NULL, round, &byte_count);
        uint64_t index = image_index(image) + 1;
        cr_assert_eq(image_delta_apply(image, index, bytes, byte_count, &live), STATUS_OK);
        cr_assert_eq(image_delta_apply(replayed, index, bytes, byte_count, &replay), STATUS_OK);
        const char *broken = image_maker_broken_invariant(live.image);
        cr_assert_null(broken, "round %d: %s", round, broken);
        image_topic_differences(image, live.image, expect_epochs_rise, &changes);
        refused_count += live.is_refused;
        image_unref(image);
        image_unref(replayed);
        image = live.image;
        replayed = replay.image;
        cluster_writer_done(&writer);
        cluster_writer_init_command(&writer);
        free(bytes);
    }

    cr_expect(image_maker_equal(image, replayed));
    cr_expect_gt(refused_count, 100);
    cr_expect_gt(changes, 500);
    image_unref(replayed);
}
