/* Goal: what goes into a route comes out of it, in order and within its bounds, and nothing else is
 * taken.
 * Method: golden bytes of each kind of entry; each cut; heads and kinds of other versions; rows too
 * large for one record. */
#include "processor/operator/route_record.h"
#include "processor/state/group_key.h"

#include <criterion/criterion.h>
#include <string.h>

#define ACTIVE MILLRACE__PROCESSOR__MARK_STATE__MARK_ACTIVE

static const uint8_t key_bytes[] = {1, 's', 'h', 'o', 'r', 't', 0, 1};
static const uint8_t golden[] = {
    1, /* Version. */
    1, /* A group: window start, key, greatest times, input rows, count and maximum. */
    0, 0, 0,   0,   0, 0,    3,    0xe8, 8,    1,    's',  'h',  'o',  'r',  't', 0, 1, 0, 0,
    0, 0, 0,   0,   1, 0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3,   3, 2, 4, /* */
    2, /* A row: the same, then partition, offset, timestamp, no key, value, one header. */
    0, 0, 0,   0,   0, 0,    3,    0xe8, 8,    1,    's',  'h',  'o',  'r',  't', 0, 1, 0, 0,
    0, 0, 0,   0,   1, 0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3,   3, 2, 4, 0,
    0, 0, 5,   0,   0, 0,    0,    0,    0,    0,    9,    0,    0,    0,    0,   0, 0, 0, 0xff,
    0, 3, '{', '}', 1, 3,    2,    'h',  1, /* */
    3,                                      /* A mark. */
    0, 0, 0,   5,   1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};

#define MARK_BYTES 14U

static struct state_codec codec;
static struct route_record_writer writer;
static struct arena arena;
static struct grow_buffer records[4];
static size_t record_count;
static size_t record_bytes_max;

static enum status on_record(void *context, uint32_t partition, struct wire_bytes value)
{
    (void)context;
    record_count += 1;
    record_bytes_max =
        (size_t)value.byte_count > record_bytes_max ? (size_t)value.byte_count : record_bytes_max;
    grow_buffer_clear(&records[partition]);
    grow_buffer_put_raw(&records[partition], value.bytes, (size_t)value.byte_count);
    return STATUS_OK;
}

static void set_up(void)
{
    arena_init(&arena, 8 << 20);
    cr_assert_eq(state_codec_init(&codec, 2, 1), STATUS_OK);
    codec.aggregates[0] = (struct aggregate){.function = AGGREGATE_COUNT_STAR};
    codec.aggregates[1] = (struct aggregate){.function = AGGREGATE_MAX, .argument_type = VALUE_INT};
    codec.key_types[0] = VALUE_TEXT;
    cr_assert_eq(route_record_writer_init(&writer, &codec, 1), STATUS_OK);
    writer.on_record = on_record;
}

static void tear_down(void)
{
    route_record_writer_done(&writer);
    state_codec_done(&codec);
    arena_done(&arena);
    for (int i = 0; i < 4; i++) {
        grow_buffer_done(&records[i]);
    }
}

TestSuite(route_record, .init = set_up, .fini = tear_down);

static struct group *make_group(void)
{
    struct wire_bytes key = {.bytes = key_bytes, .byte_count = sizeof key_bytes};
    struct group *group = group_table_make_loose(2, 1000, group_key_hash(key), key, &arena);
    group->created_max_ms = 256;
    group->input_count = 3;
    group->states[0].count = 3;
    group->states[1].count = 2;
    group->states[1].value.integer = 2;
    return group;
}

static const uint8_t headers[] = {2, 'h', 1};

static struct late_row make_origin(void)
{
    return (struct late_row){.key = {.byte_count = -1},
                             .value = {.bytes = (const uint8_t *)"{}", .byte_count = 2},
                             .timestamp_ms = 255,
                             .partition = 5,
                             .offset = 9,
                             .headers = headers,
                             .headers_end = headers + sizeof headers,
                             .header_count = 1};
}

static void write_one_of_each(void)
{
    struct late_row origin = make_origin();
    struct watermark_mark mark = {.state = ACTIVE, .us = -2};
    cr_assert_eq(route_record_put_group(&writer, make_group()), STATUS_OK);
    cr_assert_eq(route_record_put_row(&writer, make_group(), &origin), STATUS_OK);
    cr_assert_eq(route_record_put_mark(&writer, 5, mark), STATUS_OK);
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
}

static struct wire_bytes bytes_of(const uint8_t *bytes, size_t byte_count)
{
    return (struct wire_bytes){.bytes = bytes, .byte_count = (int32_t)byte_count};
}

/* How many entries come before the end or a failure. */
static enum status read_all(struct wire_bytes record, uint32_t *out_count)
{
    struct wire_reader reader;
    enum status status = route_record_open(&reader, record);
    *out_count = 0;
    while (status == STATUS_OK) {
        struct route_record_entry entry;
        status = route_record_next(&reader, &codec, &entry);
        *out_count += status == STATUS_OK ? 1 : 0;
    }
    return status;
}

Test(route_record, bytes_are_those_of_the_format)
{
    write_one_of_each();
    cr_assert_eq(record_count, 1);
    cr_assert_eq(records[0].byte_count, sizeof golden);
    cr_expect_arr_eq(records[0].bytes, golden, sizeof golden);
}

Test(route_record, entries_come_back_in_order)
{
    struct wire_reader reader;
    struct route_record_entry entry;
    cr_assert_eq(route_record_open(&reader, bytes_of(golden, sizeof golden)), STATUS_OK);

    cr_assert_eq(route_record_next(&reader, &codec, &entry), STATUS_OK);
    cr_expect_eq(entry.kind, ROUTE_RECORD_GROUP);
    cr_expect_eq(entry.group->window_start, 1000);
    cr_expect_eq(entry.group->input_count, 3);
    cr_expect_eq(entry.group->hash, make_group()->hash);
    cr_assert_eq(route_record_next(&reader, &codec, &entry), STATUS_OK);
    cr_expect_eq(entry.kind, ROUTE_RECORD_ROW);
    cr_expect_eq(entry.group->states[1].value.integer, 2);
    cr_expect_eq(entry.origin.partition, 5);
    cr_expect_eq(entry.origin.offset, 9);
    cr_expect_eq(entry.origin.timestamp_ms, 255);
    cr_expect_eq(entry.origin.key.byte_count, -1);
    cr_expect_arr_eq(entry.origin.value.bytes, "{}", 2);
    cr_expect_eq(entry.origin.header_count, 1);
    cr_expect_arr_eq(entry.origin.headers, headers, 3);
    cr_expect_eq(entry.origin.headers_end - entry.origin.headers, 3);
    cr_assert_eq(route_record_next(&reader, &codec, &entry), STATUS_OK);
    cr_expect_eq(entry.kind, ROUTE_RECORD_MARK);
    cr_expect_eq(entry.mark_partition, 5);
    cr_expect_eq(entry.mark.state, ACTIVE);
    cr_expect_eq(entry.mark.us, -2);
    cr_expect_eq(route_record_next(&reader, &codec, &entry), STATUS_NOT_FOUND);
}

Test(route_record, cut_record_ends_between_entries_or_is_corrupt)
{
    uint32_t whole_count = 0;
    for (size_t i = 0; i < sizeof golden; i++) {
        uint32_t count = 0;
        enum status status = read_all(bytes_of(golden, i), &count);
        whole_count += status == STATUS_NOT_FOUND ? 1 : 0;
        cr_expect(status == STATUS_CORRUPT || status == STATUS_NOT_FOUND, "at %zu", i);
    }
    cr_expect_eq(whole_count, 3); /* The head alone, and behind two entries. */
}

Test(route_record, headers_that_are_none_are_corrupt)
{
    static const uint8_t broken[][4] = {
        {3, 4, 'h', 1},   /* The key reaches beyond the end. */
        {3, 1, 'h', 1},   /* No key. */
        {3, 2, 'h', 2},   /* So does the value. */
        {3, 2, 'h', 128}, /* A length that is cut. */
        {3, 0, 0, 0},     /* A byte behind the last one. */
    };
    const size_t at = sizeof golden - MARK_BYTES - 4; /* Their length, before the mark. */
    uint8_t changed[sizeof golden];
    uint32_t count = 0;
    memcpy(changed, golden, sizeof golden);
    cr_assert_arr_eq(changed + at, ((uint8_t[]){3, 2, 'h', 1}), 4);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        memcpy(changed + at, broken[i], sizeof broken[i]);
        cr_expect_eq(read_all(bytes_of(changed, sizeof changed), &count), STATUS_CORRUPT, "%zu", i);
        cr_expect_eq(count, 1);
    }
    memcpy(changed, golden, sizeof golden);
    changed[at - 1] = 0; /* None, and yet three bytes of them. */
    cr_expect_eq(read_all(bytes_of(changed, sizeof changed), &count), STATUS_CORRUPT);
    memcpy(changed, golden, sizeof golden);
    changed[at + 3] = 3; /* A length of -2 is null, as in any record. */
    cr_expect_eq(read_all(bytes_of(changed, sizeof changed), &count), STATUS_NOT_FOUND);
}

Test(route_record, what_is_newer_is_unsupported)
{
    uint8_t changed[sizeof golden];
    uint32_t count = 0;
    memcpy(changed, golden, sizeof golden);
    changed[0] = 2;
    cr_expect_eq(read_all(bytes_of(changed, sizeof changed), &count), STATUS_UNSUPPORTED);
    changed[0] = 1;
    changed[1] = 4;
    cr_expect_eq(read_all(bytes_of(changed, sizeof changed), &count), STATUS_UNSUPPORTED);
    changed[0] = 0;
    cr_expect_eq(read_all(bytes_of(changed, sizeof changed), &count), STATUS_CORRUPT);
    cr_expect_eq(read_all((struct wire_bytes){.byte_count = -1}, &count), STATUS_CORRUPT);
}

Test(route_record, marks_go_to_every_partition_and_groups_to_theirs)
{
    route_record_writer_done(&writer);
    cr_assert_eq(route_record_writer_init(&writer, &codec, 4), STATUS_OK);
    writer.on_record = on_record;
    write_one_of_each();

    cr_expect_eq(record_count, 4);
    uint32_t owner = group_key_partition(make_group()->hash, 4);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t count = 0;
        cr_expect_eq(read_all(grow_buffer_bytes(&records[i]), &count), STATUS_NOT_FOUND);
        cr_expect_eq(count, i == owner ? 3 : 1);
    }
}

Test(route_record, entry_that_does_not_fit_opens_the_next_record)
{
    for (int i = 0; i < 5000; i++) {
        cr_assert_eq(route_record_put_group(&writer, make_group()), STATUS_OK);
    }
    cr_assert_eq(route_record_flush(&writer), STATUS_OK);
    cr_expect_eq(record_count, 3);
    cr_expect_leq(record_bytes_max, ROUTE_RECORD_BYTES);
    cr_expect_gt(record_bytes_max, ROUTE_RECORD_BYTES - 100);
}

Test(route_record, row_that_is_larger_than_a_record_travels_alone)
{
    struct late_row origin = make_origin();
    uint8_t *value = arena_take(&arena, 200000);
    memset(value, 'x', 200000);
    origin.value = bytes_of(value, 200000);
    cr_assert_eq(route_record_put_group(&writer, make_group()), STATUS_OK);
    cr_assert_eq(route_record_put_row(&writer, make_group(), &origin), STATUS_OK);
    cr_expect_eq(record_count, 1);
    cr_assert_eq(route_record_put_group(&writer, make_group()), STATUS_OK);
    cr_expect_eq(record_count, 2);
    uint32_t count = 0;
    cr_expect_eq(read_all(grow_buffer_bytes(&records[0]), &count), STATUS_NOT_FOUND);
    cr_expect_eq(count, 1);
    cr_expect_gt(record_bytes_max, 200000);
}
