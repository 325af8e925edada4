/* Goal: the nemesis breaks what its profile names, repairs it, and leaves nothing broken behind.
 * Method: three idle nodes under each profile for a minute of virtual time. */
#include "tests/sim/sim_fault.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_socket.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sim_world *world;
static struct sim_node *nodes[3];
static struct sim_fault fault;

static void write_on(struct timer *timer)
{
    struct sim_node *node = sim_node_of(container_of(timer->queue, struct loop, timers));
    struct loop *loop = sim_node_loop(node, 0);
    struct disk_file *file = NULL;
    if (disk_open(loop->disk, "f", DISK_OPEN_WRITE | DISK_OPEN_CREATE, &file) == STATUS_OK) {
        status_ignore(disk_file_write(loop->disk, file, 0, "abc", 3), "it may fail on purpose");
        disk_file_close(loop->disk, file);
    }
    timer_start_after(timer, SIM_MS);
}

static void boot(struct sim_node *node, struct loop *loops, uint32_t loop_count)
{
    (void)loop_count;
    struct timer *timer = malloc(sizeof *timer);
    cr_assert_not_null(timer);
    timer_init(timer, &loops[0].timers, write_on);
    timer_start_after(timer, SIM_MS);
    node->state = timer;
}

static void play(uint64_t seed, const char *profile)
{
    world = sim_world_new(&(struct sim_world_options){.seed = seed});
    for (size_t i = 0; i < 3; i++) {
        nodes[i] = sim_node_add(world, &(struct sim_node_options){.boot = boot});
        cr_assert(sim_node_start(nodes[i]));
    }
    memset(&fault, 0, sizeof fault);
    sim_fault_start(&fault, world, sim_fault_profile(profile), nodes, 3);
    cr_assert(sim_world_run_for(world, 60 * SIM_S), "%s", world->failure);
    sim_fault_stop(&fault);
}

Test(sim_fault, every_kind_of_a_profile_comes_up_and_all_is_repaired)
{
    static const char *const names[] = {"crash", "disk", "network", "mixed"};
    for (size_t i = 0; i < 4; i++) {
        play(i + 1, names[i]);
        const struct sim_fault_profile *profile = sim_fault_profile(names[i]);
        for (size_t kind = 0; kind < SIM_FAULT_KIND_COUNT; kind++) {
            bool is_named = profile->weights[kind] > 0;
            cr_expect_eq(fault.counts[kind] > 0, is_named, "%s, kind %zu", names[i], kind);
        }
        for (size_t k = 0; k < 3; k++) {
            cr_expect(nodes[k]->is_up);
            cr_expect_not(nodes[k]->is_paused);
            cr_expect_eq(nodes[k]->disk->balloon_bytes, 0);
            cr_expect_not(sim_network_is_cut(nodes[k], nodes[(k + 1) % 3]));
        }
        uint64_t event_count = world->event_count;
        cr_expect(sim_world_run_for(world, SIM_S));
        cr_expect_gt(world->event_count, event_count + 2900, "three nodes write each millisecond");
        for (size_t k = 0; k < 3; k++) {
            cr_expect(nodes[k]->is_up, "nothing dies in the calm");
        }
        sim_world_free(world);
    }
}

Test(sim_fault, deaths_come_again_and_again)
{
    play(9, "crash");

    cr_expect_gt(nodes[0]->incarnation, 5);
    sim_world_free(world);
}

Test(sim_fault, unknown_profile_is_null)
{
    cr_expect_null(sim_fault_profile("nice"));
}
