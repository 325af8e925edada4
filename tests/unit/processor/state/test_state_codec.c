/* Goal: partial results come back from their bytes, the bytes never change, and what is none is
 * refused before anything is made of it.
 * Method: golden bytes of a group with every kind of state; each cut and each changed byte; borders
 * of what may be told. */
#include "processor/state/group_key.h"
#include "processor/state/state_codec.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { COUNT, SUM, SUM_REAL, AVG, MIN_TEXT, MAX_REAL, MIN_INTERVAL, MAX_BOOL, MIN_INT, NOTHING };
#define AGGREGATES 10U

static const struct aggregate aggregates[AGGREGATES] = {
    [COUNT] = {.function = AGGREGATE_COUNT_STAR},
    [SUM] = {.function = AGGREGATE_SUM, .argument_type = VALUE_BIGINT},
    [SUM_REAL] = {.function = AGGREGATE_SUM, .argument_type = VALUE_DOUBLE},
    [AVG] = {.function = AGGREGATE_AVG, .argument_type = VALUE_INT},
    [MIN_TEXT] = {.function = AGGREGATE_MIN, .argument_type = VALUE_TEXT},
    [MAX_REAL] = {.function = AGGREGATE_MAX, .argument_type = VALUE_DOUBLE},
    [MIN_INTERVAL] = {.function = AGGREGATE_MIN, .argument_type = VALUE_INTERVAL},
    [MAX_BOOL] = {.function = AGGREGATE_MAX, .argument_type = VALUE_BOOL},
    [MIN_INT] = {.function = AGGREGATE_MIN, .argument_type = VALUE_INT},
    [NOTHING] = {.function = AGGREGATE_MAX, .argument_type = VALUE_TIMESTAMPTZ}};

static const uint8_t key_bytes[] = {1, 'k', 0, 1};
static const uint8_t golden[] = {
    0,    0,    0,    0,    0,    0,    1,    2,    /* Created. */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* Ingested: not told. */
    0xac, 0x02,                                     /* 300 rows. */
    0xac, 0x02,                                     /* count(*) */
    2,    0,    0,    0,    0,    0,    0,    0,    0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,    /* 2^64 - 2 */
    1,    0x7f, 0xf8, 0,    0,    0,    0,    0,    0, /* NaN */
    3,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf9,    /* -7 of 3 */
    1,    2,    'x',  0,                               /* A text of two bytes. */
    1,    0x80, 0,    0,    0,    0,    0,    0,    0, /* -0 */
    1,    0,    0,    0,    1,    0xff, 0xff, 0xff, 0xfe,
    0,    0,    0,    0,    0,    0,    0,    3, /* 1 month, -2 days, 3 us */
    1,    1,                                     /* true */
    1,    0xff, 0xff, 0xff, 0xff, 0x0f,          /* -2^31 */
    0};                                          /* No value. */

static struct state_codec codec;
static struct arena arena;
static struct grow_buffer buffer;

static void set_up(void)
{
    arena_init(&arena, 1 << 20);
    cr_assert_eq(state_codec_init(&codec, AGGREGATES, 1), STATUS_OK);
    memcpy(codec.aggregates, aggregates, sizeof aggregates);
    codec.key_types[0] = VALUE_TEXT;
}

static void tear_down(void)
{
    grow_buffer_done(&buffer);
    state_codec_done(&codec);
    arena_done(&arena);
}

TestSuite(state_codec, .init = set_up, .fini = tear_down);

static struct wire_bytes key_of(const void *bytes, size_t byte_count)
{
    return (struct wire_bytes){.bytes = bytes, .byte_count = (int32_t)byte_count};
}

static struct group *make_group(void)
{
    struct wire_bytes key = key_of(key_bytes, sizeof key_bytes);
    struct group *group =
        group_table_make_loose(AGGREGATES, 1000, group_key_hash(key), key, &arena);
    group->created_max_ms = 258;
    group->input_count = 300;
    struct aggregate_state *states = group->states;
    states[COUNT].count = 300;
    states[SUM] = (struct aggregate_state){.count = 2, .value.sum = {.low = UINT64_MAX - 1}};
    states[SUM_REAL] = (struct aggregate_state){.count = 1, .value.real = (double)NAN};
    states[AVG] =
        (struct aggregate_state){.count = 3, .value.sum = {.low = (uint64_t)-7, .high = -1}};
    states[MIN_TEXT] = (struct aggregate_state){
        .count = 1, .value.text = {.bytes = (const uint8_t *)"x", .byte_count = 2}};
    states[MAX_REAL] = (struct aggregate_state){.count = 1, .value.real = -0.0};
    states[MIN_INTERVAL] = (struct aggregate_state){
        .count = 1, .value.interval = {.months = 1, .days = -2, .micros = 3}};
    states[MAX_BOOL] = (struct aggregate_state){.count = 1, .value.integer = 1};
    states[MIN_INT] = (struct aggregate_state){.count = 1, .value.integer = INT32_MIN};
    return group;
}

static struct group *read_from(struct wire_reader *reader, const void *bytes, size_t byte_count)
{
    wire_reader_init(reader, bytes, byte_count);
    return state_codec_read(&codec, 1000, key_of(key_bytes, sizeof key_bytes), reader);
}

static void put(const struct group *group)
{
    grow_buffer_clear(&buffer);
    state_codec_put(&codec, group, &buffer);
    cr_assert_eq(buffer.status, STATUS_OK);
}

Test(state_codec, bytes_are_those_of_the_format)
{
    put(make_group());

    cr_assert_eq(buffer.byte_count, sizeof golden, "%zu bytes", buffer.byte_count);
    cr_expect_arr_eq(buffer.bytes, golden, sizeof golden);
}

Test(state_codec, group_comes_back_with_its_window_key_and_hash)
{
    struct wire_reader reader;
    struct group *group = read_from(&reader, golden, sizeof golden);

    cr_assert_not_null(group);
    cr_expect_eq(wire_reader_left(&reader), 0);
    cr_expect_eq(group->window_start, 1000);
    cr_expect_eq(group->hash, make_group()->hash);
    cr_expect_arr_eq(group->key, key_bytes, sizeof key_bytes);
    cr_expect_eq(group->flags, 0);
    cr_expect_eq(group->created_max_ms, 258);
    cr_expect_eq(group->ingested_max_ms, -1);
    cr_expect_eq(group->input_count, 300);
    cr_expect_eq(group->states[SUM].value.sum.low, UINT64_MAX - 1);
    cr_expect_eq(group->states[SUM].value.sum.high, 0);
    cr_expect(isnan(group->states[SUM_REAL].value.real));
    cr_expect_eq(group->states[AVG].value.sum.high, -1);
    cr_expect(signbit(group->states[MAX_REAL].value.real));
    cr_expect_eq(group->states[MIN_INTERVAL].value.interval.days, -2);
    cr_expect_eq(group->states[MIN_INT].value.integer, INT32_MIN);
    cr_expect_eq(group->states[NOTHING].count, 0);
}

Test(state_codec, texts_are_borrowed_from_the_input)
{
    struct wire_reader reader;
    const struct group *group = read_from(&reader, golden, sizeof golden);

    cr_assert_not_null(group);
    struct aggregate_text text = group->states[MIN_TEXT].value.text;
    cr_expect_eq(text.byte_count, 2);
    cr_expect_eq(text.capacity, 0);
    cr_expect(text.bytes > golden && text.bytes + 2 < golden + sizeof golden);
}

Test(state_codec, what_was_read_before_leaves_no_trace)
{
    struct wire_reader reader;
    cr_assert_not_null(read_from(&reader, golden, sizeof golden));
    struct wire_bytes key = key_of(key_bytes, sizeof key_bytes);
    put(group_table_make_loose(AGGREGATES, 1000, group_key_hash(key), key, &arena));
    cr_expect_eq(buffer.byte_count, 8 + 8 + 1 + AGGREGATES);

    const struct group *group = read_from(&reader, buffer.bytes, buffer.byte_count);
    cr_assert_not_null(group);
    cr_expect_eq(group->input_count, 0);
    for (uint32_t i = 0; i < AGGREGATES; i++) {
        cr_expect_eq(group->states[i].count, 0);
    }
}

Test(state_codec, states_end_where_the_next_entry_begins)
{
    uint8_t bytes[sizeof golden + 3];
    memcpy(bytes, golden, sizeof golden);
    memset(bytes + sizeof golden, 0xff, 3);
    struct wire_reader reader;

    cr_expect_not_null(read_from(&reader, bytes, sizeof bytes));
    cr_expect_eq(wire_reader_left(&reader), 3);
}

Test(state_codec, each_cut_is_refused)
{
    for (size_t i = 0; i < sizeof golden; i++) {
        struct wire_reader reader;
        cr_expect_null(read_from(&reader, golden, i), "%zu", i);
        cr_expect_neq(wire_reader_status(&reader), STATUS_OK, "%zu", i);
    }
}

/* Written and read once more it is the same. */
static void expect_stable(const struct group *group, size_t byte_count)
{
    static uint8_t once[sizeof golden];
    put(group);
    cr_assert_leq(buffer.byte_count, byte_count);
    size_t once_bytes = buffer.byte_count;
    memcpy(once, buffer.bytes, once_bytes);
    struct wire_reader reader;
    group = read_from(&reader, once, once_bytes);
    cr_assert_not_null(group);
    cr_assert_eq(wire_reader_left(&reader), 0);
    put(group);
    cr_assert_eq(buffer.byte_count, once_bytes);
    cr_assert_arr_eq(buffer.bytes, once, once_bytes);
}

Test(state_codec, changed_bytes_are_refused_or_another_group)
{
    uint32_t refused_count = 0;
    for (size_t i = 0; i < sizeof golden; i++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t bytes[sizeof golden];
            memcpy(bytes, golden, sizeof golden);
            bytes[i] = (uint8_t)value;
            struct wire_reader reader;
            const struct group *group = read_from(&reader, bytes, sizeof bytes);
            if (group == NULL) {
                refused_count += 1;
            } else {
                expect_stable(group, sizeof bytes - wire_reader_left(&reader));
            }
        }
    }
    cr_expect_gt(refused_count, 500);
}

static void refuse(size_t place, const void *bytes, size_t byte_count)
{
    uint8_t changed[sizeof golden + 16];
    memcpy(changed, golden, sizeof golden);
    memcpy(changed + place, bytes, byte_count);
    struct wire_reader reader;
    cr_expect_null(read_from(&reader, changed, sizeof golden), "at %zu", place);
    cr_expect_eq(wire_reader_status(&reader), STATUS_MALFORMED, "at %zu", place);
}

Test(state_codec, times_before_not_told_and_counts_beyond_their_bound_are_malformed)
{
    static const uint8_t minus_two[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe};
    refuse(0, minus_two, sizeof minus_two);
    refuse(8, minus_two, sizeof minus_two);
    static const uint8_t beyond[] = {0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40}; /* 2^48 + 1 */
    refuse(16, beyond, sizeof beyond);                                          /* Of rows. */
    refuse(18, beyond, sizeof beyond);                                          /* Of values. */
}

Test(state_codec, value_beyond_int_and_a_text_beyond_the_input_are_refused)
{
    static const uint8_t below[] = {0x81, 0x80, 0x80, 0x80, 0x10}; /* -2^31 - 1 */
    refuse(sizeof golden - 6, below, sizeof below);

    uint8_t changed[sizeof golden];
    memcpy(changed, golden, sizeof golden);
    struct wire_reader reader;
    uint8_t *text = memchr(changed, 'x', sizeof changed);
    text[-1] = 0x7f;
    cr_expect_null(read_from(&reader, changed, sizeof changed));
}

Test(state_codec, key_of_other_columns_is_refused)
{
    static const uint8_t number[] = {1, 0x80, 0, 0, 1};
    static const uint8_t open[] = {1, 'k'};
    static const uint8_t two[] = {1, 'k', 0, 1, 2};
    const struct wire_bytes keys[] = {key_of(number, sizeof number), key_of(open, sizeof open),
                                      key_of(two, sizeof two), key_of(NULL, 0)};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct wire_reader reader;
        wire_reader_init(&reader, golden, sizeof golden);
        cr_expect_null(state_codec_read(&codec, 0, keys[i], &reader), "%zu", i);
        cr_expect_eq(wire_reader_status(&reader), STATUS_MALFORMED, "%zu", i);
    }
}

Test(state_codec, columns_have_their_bound)
{
    state_codec_done(&codec);
    cr_expect_eq(state_codec_init(&codec, STATE_CODEC_COLUMNS_MAX, STATE_CODEC_COLUMNS_MAX),
                 STATUS_OK);
    state_codec_done(&codec);
    cr_expect_eq(state_codec_init(&codec, STATE_CODEC_COLUMNS_MAX + 1, 0), STATUS_INVALID);
    state_codec_done(&codec);
    cr_expect_eq(state_codec_init(&codec, 0, STATE_CODEC_COLUMNS_MAX + 1), STATUS_INVALID);
    state_codec_done(&codec);
    cr_expect_eq(state_codec_init(&codec, 0, 0), STATUS_OK);
}
