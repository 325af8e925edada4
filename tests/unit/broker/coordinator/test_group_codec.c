/* Goal: our records of groups and offsets are Kafka's, byte for byte.
 * Method: every golden record of a version that we write is read and made again; the older ones are
 * read. */
#include "broker/coordinator/group_codec.h"
#include "broker/coordinator/group_offsets.h"
#include "tests/rig/golden_lines.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_VERSION 3

struct golden {
    struct wire_bytes key;
    struct wire_bytes value;
    int64_t version;
    const char *name;
    bool has_unknown_tags; /* Which we read over and do not write. */
};

static bool is_same(struct wire_bytes one, struct wire_bytes other)
{
    return one.byte_count == other.byte_count &&
           memcmp(one.bytes, other.bytes, (size_t)one.byte_count) == 0;
}

static void try_offset(const struct golden *golden)
{
    struct group_codec_key key;
    struct kafka_offset_commit_value value;
    cr_assert_eq(group_codec_read_key(golden->key, &key), STATUS_OK);
    cr_assert_eq(key.kind, GROUP_CODEC_OFFSET);
    cr_assert_eq(group_codec_read_offset(golden->value, &value), STATUS_OK);
    bool is_written_here =
        golden->version == 4 || (golden->version == 1 && value.expire_timestamp >= 0);
    if (!is_written_here || golden->has_unknown_tags) {
        return;
    }
    struct group_offset row = {.partition = key.partition,
                               .leader_epoch = value.leader_epoch,
                               .offset = value.offset,
                               .commit_ms = value.commit_timestamp,
                               .expire_ms = value.expire_timestamp,
                               .topic_id = value.topic_id,
                               .metadata = value.metadata};
    struct group_codec_record made;
    group_codec_init(&made);
    group_codec_offset(&made, key.group, key.topic, &row);
    cr_expect(is_same(made.key, golden->key));
    cr_expect(is_same(made.value, golden->value), "version %d", (int)golden->version);
    group_codec_offset_gone(&made, key.group, key.topic, key.partition);
    cr_expect(is_same(made.key, golden->key));
    cr_expect_eq(made.value.byte_count, -1);
    group_codec_done(&made);
}

static void try_group(const struct golden *golden)
{
    struct group_codec_key key;
    struct kafka_group_metadata_value value;
    struct arena arena;
    arena_init(&arena, 1U << 20);
    cr_assert_eq(group_codec_read_key(golden->key, &key), STATUS_OK);
    cr_assert_eq(key.kind, GROUP_CODEC_GROUP);
    cr_assert_eq(group_codec_read_group(golden->value, &arena, &value), STATUS_OK);
    if (golden->version == GROUP_VERSION) {
        struct group_codec_record made;
        group_codec_init(&made);
        group_codec_group(&made, key.group, &value);
        cr_expect(is_same(made.key, golden->key));
        cr_expect(is_same(made.value, golden->value));
        group_codec_done(&made);
    }
    arena_done(&arena);
}

Test(group_codec, records_are_kafkas)
{
    struct golden_lines lines;
    golden_lines_open(&lines, "coordinator-records.jsonl.gz");
    const json_t *json;
    int offset_count = 0;
    int group_count = 0;
    while ((json = golden_lines_next(&lines)) != NULL) {
        int64_t key_bytes;
        int64_t value_bytes;
        uint8_t *key = golden_lines_hex(golden_lines_member(json, "keyHex"), &key_bytes);
        uint8_t *value = golden_lines_hex(golden_lines_member(json, "valueHex"), &value_bytes);
        struct golden golden = {.key = {key, (int32_t)key_bytes},
                                .value = {value, (int32_t)value_bytes},
                                .version = golden_lines_number(json, "valueVersion"),
                                .name = golden_lines_text(json, "name"),
                                .has_unknown_tags =
                                    strcmp(golden_lines_text(json, "fill"), "unknown_tags") == 0};
        bool is_offsets = strcmp(golden_lines_text(json, "topic"), "__consumer_offsets") == 0;
        if (is_offsets && strcmp(golden.name, "OffsetCommit") == 0) {
            try_offset(&golden);
            offset_count += 1;
        } else if (is_offsets && strcmp(golden.name, "GroupMetadata") == 0) {
            try_group(&golden);
            group_count += 1;
        }
        free(key);
        free(value);
    }
    golden_lines_close(&lines);
    cr_expect_gt(offset_count, 10);
    cr_expect_gt(group_count, 10);
}

Test(group_codec, unknown_kinds_are_told_apart_and_newer_versions_refused)
{
    struct group_codec_key key;
    struct kafka_offset_commit_value value;
    cr_expect_eq(group_codec_read_key((struct wire_bytes){(const uint8_t *)"\0\3\0\0", 4}, &key),
                 STATUS_OK);
    cr_expect_eq(key.kind, GROUP_CODEC_OTHER);
    cr_expect_neq(group_codec_read_key((struct wire_bytes){(const uint8_t *)"\0", 1}, &key),
                  STATUS_OK);
    cr_expect_eq(
        group_codec_read_offset((struct wire_bytes){(const uint8_t *)"\0\5\0\0", 4}, &value),
        STATUS_UNSUPPORTED);
}
