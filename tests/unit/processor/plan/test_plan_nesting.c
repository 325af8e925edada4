/* Goal: nothing that would be unpacked too deep passes, and all that the parser makes does.
 * Method: packed towers of a known height; cut and changed bytes. */
#include "processor/plan/plan_nesting.h"

#include "processor/plan/plan_check.h"
#include "proto/internal/control.pb-c.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *bytes;
static size_t byte_count;

/* Puts a field of `number` with what is there as its value in front. */
static void wrap(uint32_t number)
{
    uint8_t head[16];
    size_t head_bytes = 0;
    head[head_bytes++] = (uint8_t)(number << 3 | 2U);
    for (size_t rest = byte_count;; rest >>= 7) {
        head[head_bytes++] = (uint8_t)((rest & 0x7fU) | (rest > 0x7fU ? 0x80U : 0));
        if (rest <= 0x7fU) {
            break;
        }
    }
    bytes = realloc(bytes, byte_count + head_bytes);
    cr_assert_not_null(bytes);
    memmove(bytes + head_bytes, bytes, byte_count);
    memcpy(bytes, head, head_bytes);
    byte_count += head_bytes;
}

/* An expression of NOTs: Expr.call (4), FunctionCall.arguments (2). */
static void build(uint32_t not_count)
{
    bytes = NULL;
    byte_count = 0;
    for (uint32_t i = 0; i < not_count; i++) {
        wrap(2);
        wrap(4);
    }
}

static enum status nesting_of_expr(void)
{
    return plan_nesting_check(&millrace__plan__expr__descriptor, bytes, byte_count);
}

Test(plan_nesting, towers_pass_up_to_the_bound)
{
    uint32_t highest = (PLAN_NESTING_LEVELS_MAX - 1) / 2;

    build(0);
    cr_expect_eq(nesting_of_expr(), STATUS_OK);
    build(highest);
    cr_expect_eq(nesting_of_expr(), STATUS_OK);
    Millrace__Plan__Expr *expr = millrace__plan__expr__unpack(NULL, byte_count, bytes);
    cr_assert_not_null(expr);
    millrace__plan__expr__free_unpacked(expr, NULL);
    free(bytes);
    build(highest + 1);
    cr_expect_eq(nesting_of_expr(), STATUS_FULL);
    free(bytes);
    build(20000);
    cr_expect_eq(nesting_of_expr(), STATUS_FULL);
    free(bytes);
}

Test(plan_nesting, the_deepest_expression_fits_a_request)
{
    build(PLAN_CHECK_DEPTH_MAX);
    wrap(2); /* Select.where */
    wrap(4); /* Insert.select */
    wrap(1); /* Explain.insert */
    wrap(6); /* Statement.explain */
    wrap(2); /* Script.statements */
    wrap(2); /* Run.script */
    wrap(3); /* Request.run */

    cr_expect_eq(plan_nesting_check(&millrace__control__request__descriptor, bytes, byte_count),
                 STATUS_OK);
    Millrace__Control__Request *request =
        millrace__control__request__unpack(NULL, byte_count, bytes);
    cr_assert_not_null(request);
    cr_expect_not_null(request->run->script->statements[0]->explain->insert->select->where);
    millrace__control__request__free_unpacked(request, NULL);
    free(bytes);
}

Test(plan_nesting, what_is_not_a_message_does_not_count)
{
    build(PLAN_NESTING_LEVELS_MAX);
    wrap(5); /* Literal.text: bytes that happen to look so. */

    cr_expect_eq(plan_nesting_check(&millrace__plan__literal__descriptor, bytes, byte_count),
                 STATUS_OK);
    wrap(100 & 0xf); /* A field that Literal has not. */
    cr_expect_eq(plan_nesting_check(&millrace__plan__literal__descriptor, bytes, byte_count),
                 STATUS_OK);
    free(bytes);
}

Test(plan_nesting, bytes_that_are_cut_or_wrong_are_malformed)
{
    static const uint8_t wrong[][12] = {
        {0x22, 0x05, 0x00}, /* Longer than there are bytes. */
        {0x22, 0x80},       /* A length that does not end. */
        {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}, /* Nor a tag. */
        {0x0b, 0x00},                                                             /* A group. */
        {0x09, 0x00, 0x00}, /* Half a number. */
        {0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
    };
    static const size_t counts[] = {3, 2, 12, 2, 3, 11};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        cr_expect_eq(plan_nesting_check(&millrace__plan__expr__descriptor, wrong[i], counts[i]),
                     STATUS_MALFORMED, "%zu", i);
    }
    build(10);
    for (size_t cut = 1; cut < byte_count; cut++) {
        cr_expect_eq(plan_nesting_check(&millrace__plan__expr__descriptor, bytes, cut),
                     STATUS_MALFORMED);
    }
    free(bytes);
}
