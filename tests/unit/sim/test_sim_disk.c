/* Goal: the simulated disk keeps the contract of proto/sys/disk.h, and no more than it.
 * Method: one node without a boot function; calls inside it; lanes on virtual time; deaths. */
#include "tests/sim/sim_disk.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct sim_world *world;
static struct sim_node *node;
static struct loop *loop;

static void begin(uint64_t seed)
{
    world = sim_world_new(&(struct sim_world_options){.seed = seed});
    node = sim_node_add(world, &(struct sim_node_options){.loop_count = 1});
    cr_assert(sim_node_start(node));
    loop = sim_node_loop(node, 0);
}

static void end(void)
{
    sim_world_free(world);
}

static void set_up(void)
{
    begin(1);
}

static struct disk_file *open_file(const char *path, unsigned flags)
{
    struct disk_file *file = NULL;
    cr_assert_eq(disk_open(loop->disk, path, DISK_OPEN_WRITE | DISK_OPEN_CREATE | flags, &file),
                 STATUS_OK);
    return file;
}

struct lane_note {
    struct disk_request request;
    struct disk_buffer buffer;
    char bytes[16];
    int64_t done_ns;
    uint32_t order;
};

static uint32_t done_count;

static void note_done(struct disk_request *request)
{
    struct lane_note *note = container_of(request, struct lane_note, request);
    note->done_ns = world->now_ns;
    note->order = done_count;
    done_count += 1;
}

static void submit(struct disk_lane *lane, struct lane_note *note, enum disk_request_kind kind,
                   struct disk_file *file, uint64_t position)
{
    note->buffer = (struct disk_buffer){.base = note->bytes, .byte_count = sizeof note->bytes};
    note->request = (struct disk_request){.kind = kind,
                                          .file = file,
                                          .position = position,
                                          .buffers = &note->buffer,
                                          .buffer_count = 1,
                                          .on_done = note_done};
    disk_submit(loop->disk, lane, &note->request);
}

TestSuite(sim_disk, .init = set_up, .fini = end);

Test(sim_disk, lane_runs_its_requests_in_order_and_takes_time)
{
    struct disk_file *file = open_file("a", 0);
    struct disk_lane *lane = NULL;
    cr_assert_eq(disk_lane_open(loop->disk, loop, "test", &lane), STATUS_OK);
    static struct lane_note notes[3];
    memset(notes[0].bytes, 'x', sizeof notes[0].bytes);

    submit(lane, &notes[0], DISK_WRITE, file, 0);
    submit(lane, &notes[1], DISK_SYNC, file, 0);
    submit(lane, &notes[2], DISK_READ, file, 8);
    cr_expect_eq(done_count, 0, "never from inside the call");
    sim_world_run_for(world, SIM_S);

    cr_expect_eq(done_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(notes[i].order, i);
        cr_expect_eq(notes[i].request.status, STATUS_OK);
        cr_expect_gt(notes[i].done_ns, i == 0 ? 0 : notes[i - 1].done_ns);
    }
    cr_expect_eq(notes[2].request.byte_count, 8, "the end of the file");
    cr_expect(sim_file_is_clean(&sim_tree_find(&node->disk->tree, "a")->file));
    disk_lane_close(loop->disk, lane);
    disk_file_close(loop->disk, file);
}

Test(sim_disk, closing_a_lane_runs_what_is_queued)
{
    struct disk_file *file = open_file("a", 0);
    struct disk_lane *lane = NULL;
    cr_assert_eq(disk_lane_open(loop->disk, loop, "test", &lane), STATUS_OK);
    static struct lane_note notes[2];

    submit(lane, &notes[0], DISK_WRITE, file, 0);
    submit(lane, &notes[1], DISK_SYNC, file, 0);
    disk_lane_close(loop->disk, lane);

    cr_expect_eq(done_count, 2);
    disk_file_close(loop->disk, file);
    cr_expect(sim_world_run_for(world, SIM_S));
}

static void replace_with_young(void *context)
{
    (void)context;
    status_ignore(disk_replace_file(loop->disk, "d", "f", "young", 5), "it dies in there");
}

Test(sim_disk, replaced_file_is_old_or_new_after_every_death)
{
    uint32_t new_count = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        end();
        begin(seed);
        cr_assert_eq(disk_make_directory(loop->disk, "d"), STATUS_OK);
        cr_assert_eq(disk_replace_file(loop->disk, "d", "f", "old", 3), STATUS_OK);
        cr_assert_eq(disk_sync_directory(loop->disk, "/"), STATUS_OK);
        uint64_t before = node->disk->operation_count;
        cr_assert_eq(disk_replace_file(loop->disk, "d", "f", "young", 5), STATUS_OK);
        uint64_t step_count = node->disk->operation_count - before;
        cr_assert_gt(step_count, 3);
        cr_assert_eq(disk_replace_file(loop->disk, "d", "f", "old", 3), STATUS_OK);
        sim_disk_die_at(node->disk, seed % step_count + 1, SIM_NODE_POWERLESS);
        cr_assert_not(sim_node_run(node, replace_with_young, NULL));

        cr_assert(sim_node_start(node));

        uint8_t *bytes = NULL;
        size_t byte_count = 0;
        cr_assert_eq(disk_read_file(loop->disk, "d/f", 100, &bytes, &byte_count), STATUS_OK);
        bool is_new = byte_count == 5 && memcmp(bytes, "young", 5) == 0;
        cr_assert(is_new || (byte_count == 3 && memcmp(bytes, "old", 3) == 0));
        new_count += is_new;
        free(bytes);
    }
    cr_expect(new_count > 20 && new_count < 380, "%u", new_count);
}

Test(sim_disk, kill_keeps_the_page_cache_and_a_power_cut_does_not)
{
    struct disk_file *file = open_file("a", 0);
    cr_assert_eq(disk_sync_directory(loop->disk, "/"), STATUS_OK);
    cr_assert_eq(disk_file_write(loop->disk, file, 0, "abc", 3), STATUS_OK);

    sim_node_kill(node);
    char bytes[3] = "";
    cr_expect_eq(sim_disk_peek(node->disk, "a", 0, bytes, 3), 3);
    bool was_lost = false;
    for (uint64_t seed = 2; seed < 40 && !was_lost; seed++) {
        end();
        begin(seed);
        file = open_file("a", 0);
        cr_assert_eq(disk_sync_directory(loop->disk, "/"), STATUS_OK);
        cr_assert_eq(disk_file_write(loop->disk, file, 0, "abc", 3), STATUS_OK);
        sim_node_kill(node);
        sim_node_lose_power(node);
        was_lost = sim_disk_peek(node->disk, "a", 0, bytes, 3) == 0;
    }
    cr_expect(was_lost);
}

Test(sim_disk, flushing_after_a_failed_flush_fails_the_world)
{
    struct disk_file *file = open_file("a", 0);
    sim_disk_fail(node->disk, SIM_DISK_FLUSH, 1, STATUS_IO);
    cr_expect_eq(disk_file_sync(loop->disk, file), STATUS_IO);
    cr_expect_not(world->has_failed);

    cr_expect_eq(disk_file_sync(loop->disk, file), STATUS_OK, "as a kernel would");

    cr_expect(world->has_failed);
    disk_file_close(loop->disk, file);
}

Test(sim_disk, changing_the_memory_of_a_write_under_way_fails_the_world)
{
    struct disk_file *file = open_file("a", 0);
    struct disk_lane *lane = NULL;
    cr_assert_eq(disk_lane_open(loop->disk, loop, "test", &lane), STATUS_OK);
    static struct lane_note note;

    submit(lane, &note, DISK_WRITE, file, 0);
    note.bytes[3] = 1;
    sim_world_run_for(world, SIM_S);

    cr_expect(world->has_failed);
}

Test(sim_disk, direct_file_wants_alignment)
{
    struct disk_file *file = open_file("a", DISK_OPEN_DIRECT);
    cr_assert(disk_file_is_direct(loop->disk, file));
    static _Alignas(4096) uint8_t block[8192];

    cr_expect_eq(disk_file_write(loop->disk, file, 4096, block, 4096), STATUS_OK);
    cr_expect_not(world->has_failed);
    cr_expect_eq(disk_file_write(loop->disk, file, 4096, block + 1, 4096), STATUS_OK);
    cr_expect(world->has_failed);
}

Test(sim_disk, full_disk_refuses_what_needs_room_and_nothing_else)
{
    node->disk->space_bytes = 10 * 4096;
    struct disk_file *file = open_file("a", 0);
    static uint8_t bytes[4096 * 8];
    cr_expect_eq(disk_file_allocate(loop->disk, file, 0, sizeof bytes), STATUS_OK);
    node->disk->balloon_bytes = 4096;

    cr_expect_eq(disk_file_write(loop->disk, file, 0, bytes, sizeof bytes), STATUS_OK);
    cr_expect_eq(disk_file_write(loop->disk, file, sizeof bytes, bytes, 4096), STATUS_OK);
    cr_expect_eq(disk_file_write(loop->disk, file, sizeof bytes + 4096, bytes, 1), STATUS_NO_SPACE);
    node->disk->balloon_bytes = 0;
    cr_expect_eq(disk_file_write(loop->disk, file, sizeof bytes + 4096, bytes, 1), STATUS_OK);
    struct disk_space space;
    cr_expect_eq(disk_space_of(loop->disk, "/", &space), STATUS_OK);
    cr_expect_eq(space.free_bytes, 0);
    cr_expect_eq(disk_file_truncate(loop->disk, file, 0), STATUS_OK);
    cr_expect_eq(disk_space_of(loop->disk, "/", &space), STATUS_OK);
    cr_expect_eq(space.free_bytes, 10 * 4096);
    disk_file_close(loop->disk, file);
}

Test(sim_disk, ordered_failures_hit_the_operation_they_name)
{
    struct disk_file *file = open_file("a", 0);
    char byte = 0;
    size_t byte_count = 0;
    sim_disk_fail(node->disk, SIM_DISK_WRITE, 2, STATUS_IO);
    sim_disk_fail(node->disk, SIM_DISK_READ, 1, STATUS_IO);
    sim_disk_fail(node->disk, SIM_DISK_NAME, 1, STATUS_NO_SPACE);

    cr_expect_eq(disk_file_write(loop->disk, file, 0, "a", 1), STATUS_OK);
    cr_expect_eq(disk_file_write(loop->disk, file, 0, "b", 1), STATUS_IO);
    cr_expect_eq(disk_file_write(loop->disk, file, 0, "c", 1), STATUS_OK);
    cr_expect_eq(disk_file_read(loop->disk, file, 0, &byte, 1, &byte_count), STATUS_IO);
    cr_expect_eq(disk_file_read(loop->disk, file, 0, &byte, 1, &byte_count), STATUS_OK);
    cr_expect_eq(disk_make_directory(loop->disk, "d"), STATUS_NO_SPACE);
    cr_expect_eq(disk_make_directory(loop->disk, "d"), STATUS_OK);
    disk_file_close(loop->disk, file);
}

/* A death inside a call takes the node's memory along and leaves handles and lanes clean. */
struct doomed {
    uint64_t die_at;
    bool has_returned;
};

static void write_until_death(void *context)
{
    struct doomed *doomed = context;
    char *bytes = calloc(1, 5000);
    cr_assert_not_null(bytes);
    sim_disk_die_at(node->disk, doomed->die_at, SIM_NODE_POWERLESS);
    struct disk_file *file = open_file("a", 0);
    for (int i = 0; i < 20; i++) {
        status_ignore(disk_file_write(loop->disk, file, (uint64_t)i * 100, bytes, 5000), "dies");
    }
    doomed->has_returned = true;
}

Test(sim_disk, death_inside_a_call_never_returns_and_frees_all)
{
    for (uint64_t k = 1; k <= 20; k++) {
        struct doomed doomed = {.die_at = k};

        cr_assert_not(sim_node_run(node, write_until_death, &doomed));

        cr_assert_not(doomed.has_returned);
        cr_assert_eq(node->heap.block_count, 0);
        cr_assert_eq(node->disk->open_file_count, 0);
        cr_assert(sim_node_start(node));
    }
}
