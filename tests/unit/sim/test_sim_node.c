/* Goal: a node runs on virtual time alone, dies anywhere, and leaves nothing behind.
 * Method: nodes with small boot functions that post mail and arm timers. */
#include "tests/sim/sim_node.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sim_world *world;

struct bell {
    struct timer timer;
    struct mail mail;
    struct loop *loop;
    struct loop *other;
    uint32_t ring_count;
    uint32_t mail_count;
};

static void ring(struct timer *timer)
{
    struct bell *bell = container_of(timer, struct bell, timer);
    bell->ring_count += 1;
    timer_start_after(timer, 10 * SIM_MS);
}

static void bounce(struct mail *mail)
{
    struct bell *bell = container_of(mail, struct bell, mail);
    bell->mail_count += 1;
    struct loop *next = bell->mail_count % 2 == 0 ? bell->loop : bell->other;
    mailbox_post(&next->mailbox, mail);
}

static void boot_bell(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    struct bell *bell = calloc(1, sizeof *bell);
    cr_assert_not_null(bell);
    bell->loop = &loops[0];
    bell->other = &loops[loop_count - 1];
    timer_init(&bell->timer, &loops[0].timers, ring);
    timer_start_after(&bell->timer, 10 * SIM_MS);
    bell->mail.deliver = bounce;
    mailbox_post(&loops[0].mailbox, &bell->mail);
    node->state = bell;
}

static struct sim_node *bell_node(void)
{
    struct sim_node *node =
        sim_node_add(world, &(struct sim_node_options){.loop_count = 2, .boot = boot_bell});
    cr_assert(sim_node_start(node));
    return node;
}

static void set_up(void)
{
    world = sim_world_new(&(struct sim_world_options){.seed = 5});
}

static void tear_down(void)
{
    sim_world_free(world);
}

TestSuite(sim_node, .init = set_up, .fini = tear_down);

Test(sim_node, timers_and_mail_run_on_virtual_time)
{
    struct sim_node *node = bell_node();

    cr_expect(sim_world_run_for(world, SIM_S));

    const struct bell *bell = node->state;
    cr_expect_eq(bell->ring_count, 100);
    cr_expect_gt(bell->mail_count, 50000);
    cr_expect_eq(world->now_ns, SIM_S);
}

Test(sim_node, death_ends_events_and_frees_memory)
{
    struct sim_node *node = bell_node();
    sim_world_run_for(world, SIM_S);
    cr_expect_gt(node->heap.block_count, 0);

    sim_node_kill(node);

    cr_expect_eq(node->heap.block_count, 0);
    cr_expect_eq(node->heap.byte_count, 0);
    uint64_t event_count = world->event_count;
    sim_world_run_for(world, SIM_S);
    cr_expect_eq(world->event_count, event_count, "the old life has no more events");
    cr_expect(sim_node_start(node));
    sim_world_run_for(world, SIM_S);
    const struct bell *bell = node->state;
    cr_expect_eq(bell->ring_count, 100);
}

Test(sim_node, paused_node_does_nothing_and_then_catches_up)
{
    struct sim_node *node = bell_node();
    sim_node_pause(node);
    sim_world_run_for(world, SIM_S);
    const struct bell *bell = node->state;
    cr_expect_eq(bell->ring_count, 0);

    sim_node_resume(node);
    sim_world_run_for(world, SIM_S);

    cr_expect_geq(bell->ring_count, 100);
    cr_expect_leq(bell->ring_count, 101);
}

Test(sim_node, monotonic_clock_begins_anew_with_each_life)
{
    struct sim_node *node = bell_node();
    int64_t first = loop_now_ns(sim_node_loop(node, 0));
    sim_world_run_for(world, SIM_S);
    cr_expect_eq(loop_now_ns(sim_node_loop(node, 0)), first + SIM_S);
    int64_t wall = clock_wall_ms(&node->clock);

    sim_node_lose_power(node);
    cr_assert(sim_node_start(node));

    cr_expect_neq(loop_now_ns(sim_node_loop(node, 0)), first + SIM_S);
    cr_expect_eq(clock_wall_ms(&node->clock), wall);
    sim_node_jump_wall(node, -5000);
    cr_expect_eq(clock_wall_ms(&node->clock), wall - 5000);
}

static void exit_now(void *context)
{
    char *text = strdup("gone with the node");
    cr_assert_not_null(text);
    sim_node_exit(context);
    cr_assert_fail("a node that stopped itself went on");
}

Test(sim_node, node_stops_itself_from_inside)
{
    struct sim_node *node = bell_node();

    cr_expect_not(sim_node_run(node, exit_now, node));

    cr_expect_not(node->is_up);
    cr_expect(node->is_host_up);
    cr_expect_eq(node->heap.block_count, 0);
}

static void grow_and_shrink(void *context)
{
    char **kept = context;
    kept[0] = realloc(realloc(malloc(10), 10000), 20);
    kept[1] = aligned_alloc(4096, 8192);
    cr_assert_eq(asprintf(&kept[2], "%d", 12345), 5);
    void *gone = NULL;
    cr_assert_eq(posix_memalign(&gone, 4096, 100), 0);
    free(gone);
    free(calloc(3, 5));
}

Test(sim_node, every_kind_of_allocation_is_owned)
{
    struct sim_node *node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(node));
    char *kept[3];

    cr_assert(sim_node_run(node, grow_and_shrink, kept));

    cr_expect_eq(node->heap.block_count, 3);
    cr_expect_eq(node->heap.byte_count, 20 + 8192 + 6);
    free(kept[0]);
    cr_expect_eq(node->heap.block_count, 2);
    sim_node_kill(node);
    cr_expect_eq(node->heap.block_count, 0);
}
