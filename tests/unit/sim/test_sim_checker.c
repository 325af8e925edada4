/* Goal: each anomaly is found, and its near miss is not.
 * Method: hand-made histories of two processes and two keys. */
#include "tests/sim/sim_checker.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sim_world *world;
static struct sim_checker checker;

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 1});
    sim_checker_init(&checker, world);
}

static void tear_down(void)
{
    sim_checker_done(&checker);
    sim_world_free(world);
}

static uint64_t append(uint32_t key, uint32_t process, enum sim_outcome outcome, int64_t offset)
{
    uint64_t value = sim_checker_begin(&checker, key, process);
    world->now_ns += 1;
    sim_checker_end(&checker, value, outcome, offset);
    return value;
}

static void expect_failure(const char *word)
{
    cr_expect(world->has_failed, "%s was not found", word);
    cr_expect_not_null(strstr(world->failure, word), "%s instead of %s", world->failure, word);
}

TestSuite(sim_checker, .init = set_up, .fini = tear_down);

Test(sim_checker, good_history_passes)
{
    uint64_t first = append(0, 1, SIM_OUTCOME_OK, 0);
    uint64_t unknown = append(0, 2, SIM_OUTCOME_UNKNOWN, -1);
    uint64_t failed = append(0, 2, SIM_OUTCOME_FAILED, -1);
    uint64_t second = append(0, 1, SIM_OUTCOME_OK, 2);
    uint64_t other = append(1, 1, SIM_OUTCOME_OK, 0);
    cr_expect_neq(failed, unknown);

    sim_checker_begin_final(&checker);
    sim_checker_see(&checker, 0, 0, first);
    sim_checker_see(&checker, 0, 1, unknown);
    sim_checker_see(&checker, 0, 2, second);
    sim_checker_see(&checker, 1, 0, other);
    sim_checker_finish(&checker);

    cr_expect_not(world->has_failed, "%s", world->failure);
    cr_expect_eq(sim_checker_count(&checker, SIM_OUTCOME_OK), 3);
}

Test(sim_checker, acknowledged_value_that_is_not_read_is_lost)
{
    uint64_t first = append(0, 1, SIM_OUTCOME_OK, 0);
    append(0, 1, SIM_OUTCOME_OK, 1);

    sim_checker_begin_final(&checker);
    sim_checker_see(&checker, 0, 0, first);
    sim_checker_finish(&checker);

    expect_failure("lost write");
}

Test(sim_checker, value_below_the_start_is_not_lost)
{
    append(0, 1, SIM_OUTCOME_OK, 0);
    uint64_t second = append(0, 1, SIM_OUTCOME_OK, 1);
    sim_checker_move_start(&checker, 0, 1);

    sim_checker_begin_final(&checker);
    sim_checker_see(&checker, 0, 1, second);
    sim_checker_finish(&checker);

    cr_expect_not(world->has_failed, "%s", world->failure);
}

Test(sim_checker, value_nobody_appended_is_a_phantom)
{
    sim_checker_see(&checker, 0, 0, 1);

    expect_failure("phantom");
}

Test(sim_checker, value_of_another_key_is_misrouted)
{
    uint64_t value = append(0, 1, SIM_OUTCOME_UNKNOWN, -1);
    sim_checker_see(&checker, 1, 0, value);

    expect_failure("misrouted");
}

Test(sim_checker, two_values_at_one_offset_are_inconsistent)
{
    append(0, 1, SIM_OUTCOME_OK, 5);
    uint64_t other = append(0, 2, SIM_OUTCOME_UNKNOWN, -1);
    sim_checker_see(&checker, 0, 5, other);

    expect_failure("inconsistent");
}

Test(sim_checker, value_at_two_offsets_is_a_duplicate_unless_allowed)
{
    uint64_t value = append(0, 1, SIM_OUTCOME_UNKNOWN, -1);
    checker.may_duplicate = true;
    sim_checker_see(&checker, 0, 0, value);
    sim_checker_see(&checker, 0, 1, value);
    cr_expect_not(world->has_failed);

    checker.may_duplicate = false;
    sim_checker_see(&checker, 0, 2, value);
    expect_failure("duplicate");
}

Test(sim_checker, failed_value_must_not_be_seen)
{
    uint64_t value = append(0, 1, SIM_OUTCOME_FAILED, -1);
    sim_checker_see(&checker, 0, 0, value);

    expect_failure("aborted read");
}

Test(sim_checker, seen_value_must_not_fail_later)
{
    uint64_t value = sim_checker_begin(&checker, 0, 1);
    sim_checker_see(&checker, 0, 0, value);
    sim_checker_end(&checker, value, SIM_OUTCOME_FAILED, -1);

    expect_failure("told to have failed");
}

Test(sim_checker, offsets_of_one_process_must_rise)
{
    append(0, 1, SIM_OUTCOME_OK, 5);
    append(0, 2, SIM_OUTCOME_OK, 3);
    cr_expect_not(world->has_failed, "another process");

    append(0, 1, SIM_OUTCOME_OK, 4);
    expect_failure("nonmonotonic");
}

Test(sim_checker, cut_below_an_acknowledged_offset_loses_it)
{
    append(0, 1, SIM_OUTCOME_OK, 0);
    sim_checker_begin(&checker, 0, 1);
    sim_checker_cut(&checker, 0, 1);
    cr_expect_not(world->has_failed);

    sim_checker_cut(&checker, 0, 0);
    expect_failure("lost write");
}

Test(sim_checker, final_read_with_a_gap_is_a_hole)
{
    uint64_t value = append(0, 1, SIM_OUTCOME_OK, 3);
    sim_checker_begin_final(&checker);
    sim_checker_see(&checker, 0, 3, value);
    sim_checker_finish(&checker);

    expect_failure("hole");
}
