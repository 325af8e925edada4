/* Goal: an image comes back from its snapshot as it was, and the bytes never change their meaning.
 * Method: an image with one of everything, golden bytes of a small one, damaged bytes. */
#include "broker/metadata/image_snapshot.h"

#include "tests/rig/image_maker.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct image *restore(const struct image *image)
{
    size_t byte_count = 0;
    struct image *restored = NULL;
    uint8_t *bytes = image_snapshot_write(image, &byte_count);
    cr_assert_eq(image_snapshot_read(bytes, byte_count, &restored), STATUS_OK);
    free(bytes);
    return restored;
}

static struct image *image_of_everything(void)
{
    struct image *image = image_maker_cluster(5, 3);
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    image_maker_topic(&image, "orders", 3, 3);
    image_maker_topic(&image, "aardvark", 70, 2);
    image_maker_fence(&image, 4, true);
    struct cluster_writer_change change = {.broker_id = 5,
                                           .broker_epoch = image_broker_by_id(image, 5)->epoch,
                                           .is_shutting_down = true};
    cluster_writer_change_broker(&writer, &change);
    struct image_partition p = {
        .leader = -1,
        .leader_epoch = 4,
        .partition_epoch = 1,
        .is_recovering = true,
        .replica_count = 5,
        .elr_count = 2,
        .last_known_elr_count = 1,
        .adding_count = 2,
        .removing_count = 1,
        .replicas = {1, 2, 3, 4, 5},
        .elr = {2, 3},
        .last_known_elr = {2},
        .adding = {4, 5},
        .removing = {1},
    };
    const struct image_topic *orders = image_topic_by_name(image, wire_text_of("orders"));
    cluster_writer_change_partition(&writer, &orders->id, 1, &p);
    cluster_writer_config(&writer, IMAGE_CONFIG_TOPIC, "orders", "retention.ms", "1000");
    cluster_writer_config(&writer, IMAGE_CONFIG_BROKER, "2", "log.retention.ms", "2000");
    cluster_writer_config(&writer, IMAGE_CONFIG_CLUSTER, "", "log.retention.ms", "3000");
    cluster_writer_config(&writer, IMAGE_CONFIG_GROUP, "g", "consumer.session.timeout.ms", "4000");
    cluster_writer_config(&writer, IMAGE_CONFIG_CLIENT_METRICS, "m", "interval.ms", "5000");
    cluster_writer_feature(&writer, "metadata.version", 3);
    cluster_writer_producer_ids(&writer, 1, image_broker_by_id(image, 1)->epoch, 2000);
    image_maker_apply_fit(&image, &writer);
    for (uint8_t i = 0; i < 200; i++) {
        struct image_delta delta;
        size_t byte_count = 0;
        const uint8_t token[IMAGE_TOKEN_BYTES] = {1, i};
        uint8_t *bytes = cluster_writer_command(&writer, token, 0, &byte_count);
        uint64_t index = image_index(image) + 3;
        cr_assert_eq(image_delta_apply(image, index, bytes, byte_count, &delta), STATUS_OK);
        image_unref(image);
        image = delta.image;
        free(bytes);
    }
    cluster_writer_done(&writer);
    return image;
}

Test(image_snapshot, restored_image_equals_the_one_that_was_written)
{
    static const uint8_t token[IMAGE_TOKEN_BYTES] = {1, 150};
    struct image *image = image_of_everything();
    struct image *restored = restore(image);
    uint64_t index = 0;
    uint32_t count = 0;

    cr_expect(image_maker_equal(image, restored));
    cr_expect_eq(image_index(restored), image_index(image));
    cr_expect_null(image_maker_broken_invariant(restored));
    const struct image_topic *orders = image_topic_by_name(restored, wire_text_of("orders"));
    const struct image_partition *p = &orders->partitions[1];
    cr_expect_eq(p->leader, -1);
    cr_expect_eq(p->leader_epoch, 4);
    cr_expect(p->is_recovering);
    cr_expect_eq(p->elr_count, 2);
    cr_expect_eq(p->last_known_elr[0], 2);
    cr_expect_eq(p->adding[1], 5);
    cr_expect_eq(p->removing[0], 1);
    cr_expect_str_eq(orders->configs[0].value, "1000");
    cr_expect(image_broker_by_id(restored, 4)->is_fenced);
    cr_expect_not(image_broker_by_id(restored, 4)->is_shutting_down);
    cr_expect(image_broker_by_id(restored, 5)->is_shutting_down);
    cr_expect_not(image_broker_by_id(restored, 5)->is_fenced);
    cr_expect_str_eq(image_broker_by_id(restored, 3)->rack, "c");
    cr_expect_eq(image_broker_by_id(restored, 3)->endpoints[0].port, 9093);
    cr_expect_str_eq(image_broker_configs(restored, 2, &count)[0].value, "2000");
    cr_expect_str_eq(image_broker_configs(restored, -1, &count)[0].value, "3000");
    cr_expect_eq(image_feature_level(restored, "metadata.version"), 3);
    cr_expect_eq(image_next_producer_id(restored), 2000);
    cr_expect(image_knows_token(restored, token, &index));
    image_unref(image);
    image_unref(restored);
}

Test(image_snapshot, restored_image_goes_on_like_the_one_that_was_never_written)
{
    struct image *image = image_of_everything();
    struct image *restored = restore(image);
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    for (uint32_t i = 0; i < 1100; i++) { /* Past the point where old tokens are dropped. */
        struct image_delta live;
        struct image_delta replay;
        size_t byte_count = 0;
        uint8_t token[IMAGE_TOKEN_BYTES] = {2};
        memcpy(token + 4, &i, sizeof i);
        uint8_t *bytes = cluster_writer_command(&writer, token, 0, &byte_count);
        uint64_t index = image_index(image) + 1;
        cr_assert_eq(image_delta_apply(image, index, bytes, byte_count, &live), STATUS_OK);
        cr_assert_eq(image_delta_apply(restored, index, bytes, byte_count, &replay), STATUS_OK);
        image_unref(image);
        image_unref(restored);
        image = live.image;
        restored = replay.image;
        free(bytes);
        if (i % 37 == 0) {
            cr_assert(image_maker_equal(image, restored), "after %u", i);
        }
    }
    cluster_writer_done(&writer);
    image_unref(image);
    image_unref(restored);
}

Test(image_snapshot, empty_image_comes_back_empty)
{
    struct image *image = image_new();
    struct image *restored = restore(image);

    cr_expect_eq(image_topic_count(restored), 0);
    cr_expect(wire_uuid_is_zero(image_cluster_id(restored)));
    image_unref(image);
    image_unref(restored);
}

/* Snapshot {version 1, index 9, records: cluster id, one fenced voter, a topic of one partition
 * with one value}. A change of these bytes breaks every cluster that exists. */
/* clang-format off */
static const uint8_t golden[] = {
    0x08, 0x01, 0x10, 0x09,
    /* cluster */
    0x1a, 0x14, 0x0a, 0x12, 0x0a, 0x10, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    /* register_broker: id 7, incarnation, directory, epoch 5, endpoint, rack, fenced, voter */
    0x1a, 0x51, 0x12, 0x4f, 0x08, 0x07,
    0x12, 0x10, 0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
    0x1a, 0x10, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3,
    0x20, 0x05,
    0x2a, 0x1c, 0x0a, 0x06, 'C', 'L', 'I', 'E', 'N', 'T', 0x12, 0x04, 'h', 'o', 's', 't',
    0x18, 0x84, 0x47, 0x22, 0x09, 'P', 'L', 'A', 'I', 'N', 'T', 'E', 'X', 'T',
    0x32, 0x03, 'r', 'a', 'c', 0x38, 0x01, 0x40, 0x01,
    /* topic: name, id, internal */
    0x1a, 0x1b, 0x22, 0x19, 0x0a, 0x03, '_', '_', 'a',
    0x12, 0x10, 0xdd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x18, 0x01,
    /* partition: topic id, index 0 (not written), replicas, isr, elr, leader 7, epochs 2 and 3 */
    0x1a, 0x24, 0x2a, 0x22, 0x0a, 0x10, 0xdd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4,
    0x1a, 0x02, 0x07, 0x08, 0x22, 0x01, 0x07, 0x2a, 0x01, 0x08, 0x38, 0x07, 0x40, 0x02,
    0x48, 0x03,
    /* config: kind topic (not written), name, key, value */
    0x1a, 0x0f, 0x42, 0x0d, 0x12, 0x03, '_', '_', 'a', 0x1a, 0x01, 'k', 0x22, 0x03, 'v', 'a', 'l',
};
/* clang-format on */

static struct image *image_of_golden(void)
{
    struct image *image = image_new();
    struct image_delta delta;
    struct cluster_writer writer;
    size_t byte_count = 0;
    struct wire_uuid cluster_id = {.bytes = {[0] = 0xc1, [15] = 1}};
    struct image_broker broker = {
        .id = 7,
        .epoch = 5,
        .incarnation_id = {.bytes = {[0] = 0xaa, [15] = 2}},
        .directory_id = {.bytes = {[0] = 0xbb, [15] = 3}},
        .rack = "rac",
        .is_fenced = true,
        .is_voter = true,
        .endpoint_count = 1,
        .endpoints = {{"CLIENT", "host", 9092, "PLAINTEXT"}},
    };
    struct image_topic topic = {
        .id = {.bytes = {[0] = 0xdd, [15] = 4}}, .name = "__a", .is_internal = true};
    struct image_partition partition = {.leader = 7,
                                        .leader_epoch = 2,
                                        .partition_epoch = 3,
                                        .replica_count = 2,
                                        .isr_count = 1,
                                        .elr_count = 1,
                                        .replicas = {7, 8},
                                        .isr = {7},
                                        .elr = {8}};
    cluster_writer_init_command(&writer);
    cluster_writer_cluster(&writer, &cluster_id);
    cluster_writer_register(&writer, &broker);
    cluster_writer_topic(&writer, &topic);
    cluster_writer_partition(&writer, &topic.id, 0, &partition);
    cluster_writer_config(&writer, IMAGE_CONFIG_TOPIC, "__a", "k", "val");
    uint8_t *bytes = cluster_writer_command(&writer, NULL, 0, &byte_count);
    cr_assert_eq(image_delta_apply(image, 9, bytes, byte_count, &delta), STATUS_OK);
    cr_assert_not(delta.is_refused);
    image_unref(image);
    free(bytes);
    cluster_writer_done(&writer);
    return delta.image;
}

Test(image_snapshot, bytes_are_the_golden_ones)
{
    size_t byte_count = 0;
    struct image *image = image_of_golden();
    uint8_t *bytes = image_snapshot_write(image, &byte_count);

    cr_assert_eq(byte_count, sizeof golden);
    for (size_t i = 0; i < byte_count; i++) {
        cr_assert_eq(bytes[i], golden[i], "byte %zu is %02x", i, bytes[i]);
    }
    free(bytes);
    image_unref(image);
}

Test(image_snapshot, golden_bytes_give_the_image)
{
    struct image *expected = image_of_golden();
    struct image *image = NULL;
    cr_assert_eq(image_snapshot_read(golden, sizeof golden, &image), STATUS_OK);

    cr_expect(image_maker_equal(image, expected));
    cr_expect_eq(image_topic_at(image, 0)->partitions[0].elr[0], 8);
    image_unref(image);
    image_unref(expected);
}

Test(image_snapshot, newer_version_is_unsupported)
{
    static const uint8_t newer[] = {0x08, 0x02, 0x10, 0x09};
    struct image *image = NULL;

    cr_expect_eq(image_snapshot_read(newer, sizeof newer, &image), STATUS_UNSUPPORTED);
    cr_expect_null(image);
}

Test(image_snapshot, torn_bytes_never_give_an_image_that_is_broken)
{
    for (size_t i = 0; i < sizeof golden; i++) {
        struct image *image = NULL;
        if (image_snapshot_read(golden, i, &image) == STATUS_OK) {
            cr_expect_null(image_maker_broken_invariant(image));
            image_unref(image);
        }
    }
    cr_expect_neq(image_snapshot_read(golden, sizeof golden - 1, &(struct image *){NULL}),
                  STATUS_OK);
}

Test(image_snapshot, snapshot_that_contradicts_itself_is_malformed)
{
    uint8_t twice[sizeof golden * 2];
    struct image *image = NULL;
    memcpy(twice, golden, sizeof golden);
    memcpy(twice + sizeof golden, golden, sizeof golden); /* Protobuf joins the two. */

    cr_expect_eq(image_snapshot_read(twice, sizeof twice, &image), STATUS_MALFORMED);
}
