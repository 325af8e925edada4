/* Goal: leave that was given before a marker does not hold behind it.
 * Method: two passes of one producer and one of another in a partition's list. */
#include "broker/partition/txn_pass.h"

#include <criterion/criterion.h>

static struct list passes;
static struct txn_pass one;
static struct txn_pass two;
static struct txn_pass other;

static void set_up(void)
{
    list_init(&passes);
    one = (struct txn_pass){.producer_id = 7, .producer_epoch = 3};
    two = one;
    other = (struct txn_pass){.producer_id = 8, .producer_epoch = 3};
    txn_pass_begin(&one, &passes);
    txn_pass_begin(&two, &passes);
    txn_pass_begin(&other, &passes);
}

TestSuite(txn_pass, .init = set_up);

Test(txn_pass, it_holds_for_its_producer_and_epoch_only)
{
    cr_expect(txn_pass_holds(&one, 7, 3));
    cr_expect_not(txn_pass_holds(&one, 7, 4));
    cr_expect_not(txn_pass_holds(&one, 8, 3));
    cr_expect_not(txn_pass_holds(NULL, 7, 3));
    struct txn_pass never_begun = {.producer_id = 7, .producer_epoch = 3};
    cr_expect_not(txn_pass_holds(&never_begun, 7, 3));
}

Test(txn_pass, a_marker_spoils_those_of_its_producer)
{
    txn_pass_spoil(&passes, 7);
    cr_expect_not(txn_pass_holds(&one, 7, 3));
    cr_expect_not(txn_pass_holds(&two, 7, 3));
    cr_expect(txn_pass_holds(&other, 8, 3));
}

Test(txn_pass, the_end_of_a_term_spoils_all_and_lets_them_go)
{
    txn_pass_spoil_all(&passes);
    cr_expect(list_is_empty(&passes));
    cr_expect_not(txn_pass_holds(&one, 7, 3));
    cr_expect_not(txn_pass_holds(&other, 8, 3));
    txn_pass_end(&one); /* Whoever had it may still end it. */
}

Test(txn_pass, one_that_ended_holds_no_more)
{
    txn_pass_end(&one);
    txn_pass_end(&one);
    txn_pass_end(NULL);
    cr_expect_not(txn_pass_holds(&one, 7, 3));
    cr_expect(txn_pass_holds(&two, 7, 3));
}
