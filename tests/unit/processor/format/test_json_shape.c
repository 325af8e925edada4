/* Goal: what was learnt is guessed again, members may be missing or new, and no guess takes bytes
 * that mean something else.
 * Method: members taught one by one, then asked for; lengths around the strides of comparison. */
#include "processor/format/json_shape.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct json_shape shape;

/* `lead` is `{"k":` or `,"k":`. */
static struct json_shape_met met(const char *lead, int32_t column)
{
    const uint8_t *bytes = (const uint8_t *)lead;
    const char *key = strchr(lead, '"') + 1;
    return (struct json_shape_met){.lead = bytes,
                                   .lead_end = bytes + strlen(lead),
                                   .key = (const uint8_t *)key,
                                   .key_end = (const uint8_t *)strchr(key, '"'),
                                   .is_first = strchr(lead, '{') != NULL,
                                   .column = column};
}

static uint32_t learn(uint32_t index, const char *lead, int32_t column)
{
    struct json_shape_met member = met(lead, column);
    return json_shape_learn(&shape, index, &member);
}

static bool holds(uint32_t index, bool is_first, const char *record)
{
    return json_shape_holds(&shape.members[index], is_first, (const uint8_t *)record,
                            strlen(record));
}

static void teach_three(void)
{
    cr_assert_eq(learn(0, "{\"a\":", 5), 1);
    cr_assert_eq(learn(1, ", \"b\" : ", -1), 2);
    cr_assert_eq(learn(2, ",\"a_key_of_many_more_bytes\":", 7), 3);
}

TestSuite(json_shape, .init = teach_three);

Test(json_shape, learnt_members_are_guessed_with_their_columns)
{
    cr_expect(holds(0, true, "{\"a\":1"));
    cr_expect(holds(1, false, ", \"b\" : 1"));
    cr_expect(holds(2, false, ",\"a_key_of_many_more_bytes\":1"));
    cr_expect_eq(shape.members[2].column, 7);
    cr_expect_not(holds(0, true, "{\"b\":1"));
    cr_expect_not(holds(1, false, ",\"b\":1"));
    cr_expect_not(holds(2, false, ",\"a_key_of_many_more_bytez\":1"));
    cr_expect_not(holds(2, false, ",\"a_key_of_many_more_byt"));
}

Test(json_shape, a_member_that_opens_is_never_one_that_follows)
{
    cr_expect_not(holds(0, false, "{\"a\":1"));
    cr_expect_not(holds(1, true, ", \"b\" : 1"));
}

Test(json_shape, members_left_out_are_jumped_over)
{
    cr_expect_eq(learn(1, ",\"a_key_of_many_more_bytes\":", 7), 3);
    cr_expect_eq(shape.member_count, 3);
}

Test(json_shape, a_new_member_is_put_in_where_it_was_met)
{
    cr_expect_eq(learn(1, ",\"new\":", 9), 2);

    cr_assert_eq(shape.member_count, 4);
    cr_expect_eq(shape.members[1].column, 9);
    cr_expect(holds(2, false, ", \"b\" : 1"));
}

Test(json_shape, another_spacing_replaces_the_one_before)
{
    cr_expect_eq(learn(1, ",\"b\":", -1), 2);

    cr_expect_eq(shape.member_count, 3);
    cr_expect(holds(1, false, ",\"b\":1"));
}

Test(json_shape, a_member_too_long_to_keep_changes_nothing)
{
    char lead[JSON_SHAPE_LEAD_MAX + 20] = ",\"";
    memset(lead + 2, 'k', JSON_SHAPE_LEAD_MAX);
    memcpy(lead + 2 + JSON_SHAPE_LEAD_MAX, "\":", 3);

    cr_expect_eq(learn(1, lead, 3), 1);
    cr_expect_eq(shape.member_count, 3);
}

Test(json_shape, a_full_shape_is_begun_anew)
{
    char lead[32];
    for (uint32_t i = 3; i < JSON_SHAPE_MEMBERS_MAX; i++) {
        snprintf(lead, sizeof lead, ",\"k%u\":", i);
        cr_assert_eq(learn(i, lead, 0), i + 1);
    }

    cr_expect_eq(learn(2, ",\"one_more\":", 4), 1);

    cr_assert_eq(shape.member_count, 1);
    cr_expect(holds(0, false, ",\"one_more\":1"));
    cr_expect_eq(shape.members[0].column, 4);
}

Test(json_shape, bytes_are_equal_only_if_all_are)
{
    for (size_t byte_count = 0; byte_count <= JSON_SHAPE_LEAD_MAX; byte_count++) {
        uint8_t *left = calloc(1, byte_count + 1);
        uint8_t *right = calloc(1, byte_count + 1);
        uint8_t *exact = realloc(right, byte_count == 0 ? 1 : byte_count);
        cr_expect(json_shape_equals(left, exact, byte_count), "%zu", byte_count);
        for (size_t i = 0; i < byte_count; i++) {
            exact[i] = 1;
            cr_expect_not(json_shape_equals(left, exact, byte_count), "%zu of %zu", i, byte_count);
            exact[i] = 0;
        }
        free(left);
        free(exact);
    }
}
