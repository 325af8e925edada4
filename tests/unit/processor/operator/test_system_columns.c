/* Goal: every table's own columns say where a record came from.
 * Method: two rows, one without key and ingested time. */
#include "processor/operator/system_columns.h"

#include <criterion/criterion.h>

Test(system_columns, each_says_what_the_origin_knows)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    int64_t offsets[2] = {7, 8};
    int64_t created_ms[2] = {1000, -1};
    int64_t ingested_ms[2] = {2000, -1};
    struct wire_bytes keys[2] = {{.bytes = (const uint8_t *)"k1", .byte_count = 2},
                                 {.byte_count = -1}};
    struct row_origin origin = {.partition = 3,
                                .offsets = offsets,
                                .created_ms = created_ms,
                                .ingested_ms = ingested_ms,
                                .keys = keys};
    struct row_batch rows = {.arena = &arena, .row_count = 2, .origin = &origin};
    struct system_columns_of of = {.topic = "flights", .processed_ms = 5};
    struct column found[7];
    for (uint32_t i = 0; i < 7; i++) {
        enum value_type type = VALUE_BOOL;
        cr_assert_eq(system_columns_type(i, &type), STATUS_OK);
        cr_assert_eq(system_columns_make(i, &rows, &of, &arena, &found[i]), STATUS_OK);
        cr_expect_eq(found[i].type, type);
    }

    cr_expect_eq(found[0].values.bigints[0], 1000000);
    cr_expect(column_is_null(&found[0], 1));
    cr_expect_eq(found[1].values.bigints[0], 2000000);
    cr_expect(column_is_null(&found[1], 1));
    cr_expect_eq(found[2].values.bigints[1], 5000);
    cr_expect_arr_eq(column_text(&found[3], 1).bytes, "flights", 7);
    cr_expect_eq(found[4].values.ints[1], 3);
    cr_expect_eq(found[5].values.bigints[1], 8);
    cr_expect_arr_eq(column_text(&found[6], 0).bytes, "k1", 2);
    cr_expect(column_is_null(&found[6], 1));
    enum value_type type = VALUE_BOOL;
    cr_expect_eq(system_columns_type(7, &type), STATUS_INVALID);
    arena_done(&arena);
}
