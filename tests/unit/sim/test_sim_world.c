/* Goal: the same seed gives the same run, another seed another one; time and failures behave.
 * Method: a small busy world, run several times. */
#include "tests/sim/sim_node.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static uint32_t order[10];
static uint32_t order_count;

static void note_order(void *context, uint64_t value)
{
    (void)context;
    order[order_count] = (uint32_t)value;
    order_count += 1;
}

Test(sim_world, events_run_by_time_and_then_in_order_of_adding)
{
    struct sim_world *world = sim_world_new(&(struct sim_world_options){.seed = 1});
    sim_world_after(world, 20, SIM_EVENT_WORKLOAD, note_order, NULL, 3);
    sim_world_after(world, 10, SIM_EVENT_WORKLOAD, note_order, NULL, 1);
    sim_world_after(world, 20, SIM_EVENT_WORKLOAD, note_order, NULL, 4);
    sim_world_after(world, 10, SIM_EVENT_WORKLOAD, note_order, NULL, 2);
    sim_world_after(world, 21, SIM_EVENT_WORKLOAD, note_order, NULL, 5);

    cr_expect(sim_world_run_for(world, 20));

    cr_expect_eq(order_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        cr_expect_eq(order[i], i + 1);
    }
    cr_expect_eq(world->now_ns, 20);
    sim_world_free(world);
}

struct walker {
    struct timer timer;
    struct loop *loop;
};

static void walk(struct timer *timer)
{
    struct walker *walker = container_of(timer, struct walker, timer);
    timer_start_after(timer, (int64_t)prng_below(&walker->loop->prng, 1000000) + 1);
}

static void boot_walkers(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    for (uint32_t i = 0; i < loop_count; i++) {
        struct walker *walker = calloc(1, sizeof *walker);
        cr_assert_not_null(walker);
        walker->loop = &loops[i];
        timer_init(&walker->timer, &loops[i].timers, walk);
        timer_start_after(&walker->timer, 1);
    }
    trace_line(loops[0].trace, TRACE_INFO, "test", "booted", "node=%u", node->id);
}

static uint64_t hash_of(uint64_t seed)
{
    struct sim_world *world = sim_world_new(&(struct sim_world_options){.seed = seed});
    for (int i = 0; i < 3; i++) {
        struct sim_node *node =
            sim_node_add(world, &(struct sim_node_options){.loop_count = 3, .boot = boot_walkers});
        cr_assert(sim_node_start(node));
    }
    cr_assert(sim_world_run_for(world, SIM_S));
    uint64_t hash = world->trace_hash;
    cr_expect_gt(world->event_count, 15000);
    sim_world_free(world);
    return hash;
}

Test(sim_world, equal_seeds_give_equal_hashes_and_others_do_not)
{
    cr_expect_eq(hash_of(7), hash_of(7));
    cr_expect_neq(hash_of(7), hash_of(8));
}

static void spin(void *context, uint64_t value)
{
    sim_world_after(context, 0, SIM_EVENT_WORKLOAD, spin, context, value);
}

Test(sim_world, spinning_is_a_failure_and_the_story_is_told)
{
    struct sim_world *world =
        sim_world_new(&(struct sim_world_options){.seed = 1, .event_count_max = 1000});
    sim_world_note(world, "once upon a time");
    sim_world_after(world, 1, SIM_EVENT_WORKLOAD, spin, world, 0);

    cr_expect_not(sim_world_run_for(world, SIM_S));

    cr_expect(world->has_failed);
    char *text = NULL;
    size_t byte_count = 0;
    FILE *out = open_memstream(&text, &byte_count);
    sim_world_tell(world, out);
    fclose(out);
    cr_expect_not_null(strstr(text, "once upon a time"));
    cr_expect_not_null(strstr(text, "seed 1: more than 1000 events"));
    free(text);
    sim_world_free(world);
}

static bool has_two(void *context)
{
    (void)context;
    return order_count >= 2;
}

Test(sim_world, run_until_stops_at_once_or_at_its_limit)
{
    struct sim_world *world = sim_world_new(&(struct sim_world_options){.seed = 1});
    for (int64_t i = 1; i <= 3; i++) {
        sim_world_after(world, i * SIM_MS, SIM_EVENT_WORKLOAD, note_order, NULL, (uint64_t)i);
    }

    cr_expect(sim_world_run_until(world, has_two, NULL, SIM_S));
    cr_expect_eq(world->now_ns, 2 * SIM_MS);
    order_count = 0;
    cr_expect_not(sim_world_run_until(world, has_two, NULL, SIM_S));
    cr_expect_eq(world->now_ns, 2 * SIM_MS + SIM_S);
    sim_world_free(world);
}
