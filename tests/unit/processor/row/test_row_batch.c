/* Goal: rows that are selected keep everything that belongs to them.
 * Method: a batch with columns, origin, keys and times; selections of all, none and some. */
#include "processor/row/row_batch.h"

#include <criterion/criterion.h>
#include <signal.h>

#define ROWS 10U

static struct arena arena;
static struct row_batch batch;

static void *array(size_t count, size_t size)
{
    void *taken = arena_take_array(&arena, count, size);
    cr_assert_not_null(taken);
    return taken;
}

static void set_up(void)
{
    arena_init(&arena, (size_t)1 << 20);
    batch = (struct row_batch){.arena = &arena, .row_count = ROWS, .column_count = 1};
    batch.columns = array(1, sizeof *batch.columns);
    cr_assert_eq(column_init(&batch.columns[0], VALUE_INT, ROWS, &arena), STATUS_OK);
    batch.key_column_count = 1;
    batch.key_columns = array(1, sizeof *batch.key_columns);
    cr_assert_eq(column_init(&batch.key_columns[0], VALUE_BIGINT, ROWS, &arena), STATUS_OK);
    batch.origin = array(1, sizeof *batch.origin);
    batch.origin->partition = 3;
    batch.origin->offsets = array(ROWS, sizeof(int64_t));
    batch.origin->values = array(ROWS, sizeof(struct wire_bytes));
    batch.record_time_ms = array(ROWS, sizeof(int64_t));
    batch.kinds = array(ROWS, 1);
    for (uint32_t i = 0; i < ROWS; i++) {
        batch.columns[0].values.ints[i] = (int32_t)i;
        batch.key_columns[0].values.bigints[i] = 100 + i;
        batch.origin->offsets[i] = 1000 + i;
        batch.origin->values[i].byte_count = (int32_t)i;
        batch.record_time_ms[i] = 5000 + i;
    }
    batch.kinds[9] = ROW_DELETE;
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(row_batch, .init = set_up, .fini = tear_down);

Test(row_batch, selected_rows_keep_columns_keys_origin_and_times)
{
    struct row_batch out;

    cr_assert_eq(row_batch_select(&batch, (const uint8_t[]){0x21, 0x02}, &arena, &out), STATUS_OK);

    cr_assert_eq(out.row_count, 3);
    cr_expect_eq(out.columns[0].values.ints[1], 5);
    cr_expect_eq(out.key_columns[0].values.bigints[2], 109);
    cr_expect_eq(out.origin->partition, 3);
    cr_expect_eq(out.origin->offsets[2], 1009);
    cr_expect_eq(out.origin->values[1].byte_count, 5);
    cr_expect_null(out.origin->keys);
    cr_expect_null(out.created_max_ms);
    cr_expect_eq(out.record_time_ms[0], 5000);
    cr_expect_eq(out.kinds[2], ROW_DELETE);
}

Test(row_batch, selecting_all_rows_shares_their_arrays)
{
    struct row_batch out;

    cr_assert_eq(row_batch_select(&batch, (const uint8_t[]){0xff, 0x03}, &arena, &out), STATUS_OK);

    cr_expect_eq(out.row_count, ROWS);
    cr_expect_eq(out.columns, batch.columns);
}

Test(row_batch, bits_behind_the_last_row_select_nothing)
{
    struct row_batch out;

    cr_assert_eq(row_batch_select(&batch, (const uint8_t[]){0x00, 0xfc}, &arena, &out), STATUS_OK);

    cr_expect_eq(out.row_count, 0);
    cr_expect_eq(out.column_count, 1);
}

Test(row_batch, a_gathered_batch_is_in_the_order_asked_for)
{
    struct row_batch out;

    cr_assert_eq(row_batch_gather(&batch, (const uint32_t[]){9, 0}, 2, &arena, &out), STATUS_OK);

    cr_expect_eq(out.columns[0].values.ints[0], 9);
    cr_expect_eq(out.origin->offsets[1], 1000);
}

Test(row_batch, more_rows_than_a_batch_holds_abort, .signal = SIGABRT)
{
    struct row_batch out;
    batch.row_count = ROW_BATCH_ROWS_MAX + 1;

    status_ignore(row_batch_select(&batch, NULL, &arena, &out), "never returns");
}

Test(row_batch, room_shrinks_with_the_columns_and_holds_a_row_at_least)
{
    const struct row_batch_room most = {16384, 2 << 20};
    static const uint64_t counts[] = {0, 1, 64, 128};
    for (int i = 0; i < 4; i++) {
        struct row_batch_room room = row_batch_room_of(counts[i], most);
        cr_expect_eq(room.row_count, 16384, "%lu", (unsigned long)counts[i]);
        cr_expect_eq(room.byte_count, i < 3 ? 2 << 20 : 1 << 20);
    }
    cr_expect_eq(row_batch_room_of(1024, most).row_count, 2048);
    cr_expect_eq(row_batch_room_of(1024, most).byte_count, 128 << 10);
    cr_expect_eq(row_batch_room_of(UINT64_MAX, most).row_count, 1);
    cr_expect_eq(row_batch_room_of(UINT64_MAX, most).byte_count, 1);
}
