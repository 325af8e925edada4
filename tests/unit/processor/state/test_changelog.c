/* Goal: a group comes back from its record, and what is none of ours is refused.
 * Method: golden bytes of both formats; each cut and each changed head. */
#include "processor/state/changelog.h"
#include "processor/state/group_key.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t group_key[] = {1, 's', 'h', 'o', 'r', 't', 0, 1};
static const uint8_t golden_key[] = {1, 0, 0,    0, 9,   0x6c, 0,   0,   0,   0, 0,
                                     0, 3, 0xe8, 1, 's', 'h',  'o', 'r', 't', 0, 1};
static const uint8_t golden_value[] = {1,    1,    0,    0,    0,    0,    0,    0, 1, 0, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 3, 2, 4};

static struct state_codec codec;
static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 1 << 20);
    cr_assert_eq(state_codec_init(&codec, 2, 1), STATUS_OK);
    codec.aggregates[0] = (struct aggregate){.function = AGGREGATE_COUNT_STAR};
    codec.aggregates[1] = (struct aggregate){.function = AGGREGATE_MAX, .argument_type = VALUE_INT};
    codec.key_types[0] = VALUE_TEXT;
}

static void tear_down(void)
{
    state_codec_done(&codec);
    arena_done(&arena);
}

TestSuite(changelog, .init = set_up, .fini = tear_down);

static struct wire_bytes bytes_of(const uint8_t *bytes, size_t byte_count)
{
    return (struct wire_bytes){.bytes = bytes, .byte_count = (int32_t)byte_count};
}

static struct group *make_group(void)
{
    struct wire_bytes key = bytes_of(group_key, sizeof group_key);
    struct group *group = group_table_make_loose(2, 1000, group_key_hash(key), key, &arena);
    group->flags = GROUP_IS_EMITTED | GROUP_IS_TOUCHED;
    group->created_max_ms = 256;
    group->input_count = 3;
    group->states[0].count = 3;
    group->states[1].count = 2;
    group->states[1].value.integer = 2;
    return group;
}

Test(changelog, bytes_are_those_of_the_format)
{
    struct grow_buffer key = {0};
    struct grow_buffer value = {0};
    changelog_put_key(9, make_group(), &key);
    changelog_put_value(&codec, make_group(), &value);

    cr_assert_eq(key.byte_count, sizeof golden_key);
    cr_expect_arr_eq(key.bytes, golden_key, sizeof golden_key);
    cr_assert_eq(value.byte_count, sizeof golden_value);
    cr_expect_arr_eq(value.bytes, golden_value, sizeof golden_value);
    grow_buffer_done(&key);
    grow_buffer_done(&value);
}

Test(changelog, group_comes_back_from_its_record)
{
    struct changelog_record record;
    cr_assert_eq(changelog_read(&codec, 9, bytes_of(golden_key, sizeof golden_key),
                                bytes_of(golden_value, sizeof golden_value), &record),
                 STATUS_OK);

    cr_expect(!record.is_removed);
    cr_expect_eq(record.group->window_start, 1000);
    cr_expect_eq(record.group->flags, GROUP_IS_EMITTED);
    cr_expect_eq(record.group->created_max_ms, 256);
    cr_expect_eq(record.group->ingested_max_ms, -1);
    cr_expect_eq(record.group->input_count, 3);
    cr_expect_eq(record.group->states[1].value.integer, 2);
    cr_expect_arr_eq(record.group->key, group_key, sizeof group_key);
}

Test(changelog, no_value_says_that_the_group_is_gone)
{
    struct changelog_record record;
    cr_assert_eq(changelog_read(&codec, 9, bytes_of(golden_key, sizeof golden_key),
                                (struct wire_bytes){.byte_count = -1}, &record),
                 STATUS_OK);
    cr_expect(record.is_removed);
    cr_expect_eq(record.group->window_start, 1000);
}

Test(changelog, cut_records_are_corrupt)
{
    struct changelog_record record;
    for (size_t i = 0; i < sizeof golden_key; i++) {
        cr_expect_eq(changelog_read(&codec, 9, bytes_of(golden_key, i),
                                    bytes_of(golden_value, sizeof golden_value), &record),
                     STATUS_CORRUPT);
    }
    for (size_t i = 0; i < sizeof golden_value; i++) {
        cr_expect_eq(changelog_read(&codec, 9, bytes_of(golden_key, sizeof golden_key),
                                    bytes_of(golden_value, i), &record),
                     STATUS_CORRUPT);
    }
}

static enum status read_changed(size_t key_place, size_t value_place, uint8_t byte)
{
    uint8_t key[sizeof golden_key];
    uint8_t value[sizeof golden_value];
    memcpy(key, golden_key, sizeof key);
    memcpy(value, golden_value, sizeof value);
    if (key_place < sizeof key) {
        key[key_place] = byte;
    }
    if (value_place < sizeof value) {
        value[value_place] = byte;
    }
    struct changelog_record record;
    return changelog_read(&codec, 9, bytes_of(key, sizeof key), bytes_of(value, sizeof value),
                          &record);
}

Test(changelog, newer_ones_are_unsupported_and_strangers_corrupt)
{
    cr_expect_eq(read_changed(0, SIZE_MAX, 2), STATUS_UNSUPPORTED);
    cr_expect_eq(read_changed(SIZE_MAX, 0, 2), STATUS_UNSUPPORTED);
    cr_expect_eq(read_changed(SIZE_MAX, 1, 2), STATUS_UNSUPPORTED);
    cr_expect_eq(read_changed(0, SIZE_MAX, 0), STATUS_CORRUPT);
    cr_expect_eq(read_changed(4, SIZE_MAX, 8), STATUS_CORRUPT); /* Another operator. */
    cr_expect_eq(read_changed(5, SIZE_MAX, 0x6c ^ 1), STATUS_CORRUPT);
    cr_expect_eq(read_changed(15, SIZE_MAX, 'S'), STATUS_CORRUPT); /* The bucket is another. */
}
