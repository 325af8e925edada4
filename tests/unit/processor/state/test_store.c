/* Goal: groups are found again, windows close as a whole, memory has its limit.
 * Method: groups put together by hand with a count as their only aggregate; windows of 10. */
#include "processor/state/group_key.h"
#include "processor/state/store.h"
#include "proto/sys/prng.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct state_codec codec;
static struct store store;
static struct arena arena;

static void set_up(void)
{
    arena_init(&arena, 64 << 20);
    cr_assert_eq(state_codec_init(&codec, 1, 1), STATUS_OK);
    codec.aggregates[0] = (struct aggregate){.function = AGGREGATE_COUNT_STAR};
    codec.key_types[0] = VALUE_INT;
    cr_assert_eq(store_init(&store, &codec, 4, 4 << 20), STATUS_OK);
}

static void tear_down(void)
{
    store_done(&store);
    state_codec_done(&codec);
    arena_done(&arena);
}

TestSuite(store, .init = set_up, .fini = tear_down);

static struct group *group_of(int64_t window_start, int32_t key, int64_t count)
{
    uint8_t *bytes = arena_take(&arena, 5);
    uint32_t turned = __builtin_bswap32((uint32_t)key ^ 0x80000000U);
    bytes[0] = 1;
    memcpy(bytes + 1, &turned, 4);
    struct wire_bytes encoded = {.bytes = bytes, .byte_count = 5};
    struct group *group =
        group_table_make_loose(1, window_start, group_key_hash(encoded), encoded, &arena);
    group->input_count = count;
    group->states[0].count = count;
    group->created_max_ms = 100 * count;
    return group;
}

static uint32_t partition_of(int32_t key)
{
    return group_key_partition(group_of(0, key, 1)->hash, 4);
}

Test(store, rows_of_one_window_and_key_meet_and_are_touched_once)
{
    cr_assert_eq(store_merge(&store, group_of(0, 7, 3)), STATUS_OK);
    cr_assert_eq(store_merge(&store, group_of(0, 7, 2)), STATUS_OK);
    cr_assert_eq(store_merge(&store, group_of(10, 7, 2)), STATUS_OK);

    cr_expect_eq(store.group_count, 2);
    cr_expect_eq(store.input_count, 7);
    cr_assert_eq(store.touched_count, 2);
    cr_expect_eq(store.touched[0]->states[0].count, 5);
    cr_expect_eq(store.touched[0]->input_count, 5);
    cr_expect_eq(store.touched[0]->created_max_ms, 300);
    cr_expect_eq(store.touched[0]->ingested_max_ms, -1);
}

Test(store, window_closes_when_its_end_is_reached_not_before)
{
    uint32_t partition = partition_of(7);
    cr_assert_eq(store_merge(&store, group_of(20, 7, 1)), STATUS_OK);
    cr_assert_eq(store_merge(&store, group_of(-10, 7, 1)), STATUS_OK);
    cr_assert_eq(store_merge(&store, group_of(0, 7, 1)), STATUS_OK);

    cr_expect_eq(store_closed_count(&store, partition, 10, -1), 0);
    cr_expect_eq(store_closed_count(&store, partition, 10, 0), 1);
    cr_expect_eq(store_closed_count(&store, partition, 10, 9), 1);
    cr_expect_eq(store_closed_count(&store, partition, 10, 10), 2);
    cr_expect_eq(store_closed_count(&store, partition, 10, 100), 3);
    cr_expect_eq(store_closed_count(&store, (partition + 1) % 4, 10, 100), 0);
}

Test(store, dropped_windows_give_everything_back)
{
    size_t before = store.byte_count;
    uint32_t partition = partition_of(7);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(store_merge(&store, group_of(10 * i, 7, 2)), STATUS_OK);
    }
    store_forget_touched(&store);

    store_drop_windows(&store, partition, 3);
    cr_expect_eq(store.group_count, 2);
    cr_expect_eq(store.input_count, 4);
    cr_expect_eq(store.partitions[partition].windows[0]->start, 30);
    store_drop_windows(&store, partition, 2);

    cr_expect_eq(store.group_count, 0);
    cr_expect_eq(store.input_count, 0);
    cr_expect_eq(store.byte_count, before + store.touched_capacity * sizeof(struct group *));
}

Test(store, window_with_touched_groups_must_not_go, .signal = SIGABRT)
{
    cr_assert_eq(store_merge(&store, group_of(0, 7, 1)), STATUS_OK);
    store_drop_windows(&store, partition_of(7), 1);
}

Test(store, limit_of_memory_is_full)
{
    enum status status = STATUS_OK;
    int32_t key = 0;
    for (; status == STATUS_OK && key < 1000000; key++) {
        arena_reset(&arena);
        status = store_merge(&store, group_of(0, key, 1));
    }
    cr_expect_eq(status, STATUS_FULL);
    cr_expect_gt(key, 10000);
    cr_expect_leq(store.byte_count, (size_t)(6 << 20));
}

Test(store, restored_group_is_what_the_last_record_says)
{
    cr_assert_eq(store_restore(&store, group_of(0, 7, 3)), STATUS_OK);
    cr_assert_eq(store_restore(&store, group_of(0, 7, 5)), STATUS_OK);
    cr_assert_eq(store_restore(&store, group_of(0, 8, 1)), STATUS_OK);
    cr_expect_eq(store.group_count, 2);
    cr_expect_eq(store.input_count, 6);
    cr_expect_eq(store.touched_count, 0);

    store_remove(&store, group_of(0, 7, 0));
    store_remove(&store, group_of(0, 7, 0)); /* Of what is not there nothing is left to do. */
    cr_expect_eq(store.group_count, 1);
    cr_expect_eq(store.input_count, 1);
    store_remove(&store, group_of(0, 8, 0));
    cr_expect_eq(store.group_count, 0);
    cr_expect_eq(store.byte_count, 0);
}

/* Against a plain array: merges and removals of few keys, so that slots are freed and taken. */
Test(store, random_changes_leave_what_they_say)
{
    enum { KEYS = 300 };
    static int64_t expected[KEYS];
    struct prng prng;
    prng_init(&prng, 3);
    for (int step = 0; step < 20000; step++) {
        arena_reset(&arena);
        int32_t key = (int32_t)prng_below(&prng, KEYS);
        if (prng_below(&prng, 3) == 0) {
            store_forget_touched(&store);
            store_remove(&store, group_of(0, key, 0));
            expected[key] = 0;
        } else {
            cr_assert_eq(store_merge(&store, group_of(0, key, 1)), STATUS_OK);
            expected[key] += 1;
        }
    }
    int64_t sum = 0;
    uint64_t count = 0;
    store_forget_touched(&store);
    for (int32_t key = 0; key < KEYS; key++) {
        sum += expected[key];
        count += expected[key] > 0 ? 1 : 0;
        arena_reset(&arena);
        cr_assert_eq(store_merge(&store, group_of(0, key, 1)), STATUS_OK);
        cr_expect_eq(store.touched[key]->states[0].count, expected[key] + 1);
    }
    cr_expect_eq(store.input_count, sum + KEYS);
    cr_expect_geq(store.group_count, count);
}
