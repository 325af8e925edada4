#include "tests/sim/sim_disk_lane.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define LANE_MAGIC 0x1a7e1a7eU

struct disk_lane {
    uint32_t magic;
    struct sim_disk *disk;
    uint64_t id;          /* An event of a lane that is gone finds no lane of its id. */
    struct list requests; /* The first is under way while `is_running`. */
    bool is_running;
    uint64_t sequence;     /* Of the file, when the running flush began. */
    uint64_t content_hash; /* Of the running write, when it began. */
    struct list link;
};

void sim_disk_lane_check_aligned(const struct disk_file *file, uint64_t position, const void *bytes,
                                 size_t byte_count)
{
    bool is_aligned = position % DISK_BLOCK_BYTES == 0 && byte_count % DISK_BLOCK_BYTES == 0 &&
                      (uintptr_t)bytes % DISK_BLOCK_BYTES == 0;
    if (file->is_direct && !is_aligned) {
        sim_world_fail(file->disk->node->world,
                       "node-%u: direct file, but %zu bytes at %llu from %p are not aligned",
                       file->disk->node->id, byte_count, (unsigned long long)position, bytes);
    }
}

static uint64_t request_hash(const struct disk_request *request)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < request->buffer_count; i++) {
        hash = XXH3_64bits_withSeed(request->buffers[i].base, request->buffers[i].byte_count, hash);
    }
    return hash;
}

static size_t request_byte_count(const struct disk_request *request)
{
    size_t total = 0;
    for (uint32_t i = 0; i < request->buffer_count; i++) {
        total += request->buffers[i].byte_count;
    }
    return total;
}

static bool is_write(const struct disk_request *request)
{
    return request->kind == DISK_WRITE || request->kind == DISK_WRITE_DURABLE;
}

static bool is_flush(const struct disk_request *request)
{
    return request->kind == DISK_SYNC || request->kind == DISK_WRITE_DURABLE;
}

static int64_t latency_ns(struct sim_disk *self, const struct disk_request *request)
{
    int64_t total = sim_world_between(&self->prng, 10 * SIM_US, 80 * SIM_US);
    if (request->kind != DISK_SYNC) {
        total += (int64_t)request_byte_count(request); /* A gigabyte per second. */
    }
    if (is_flush(request)) {
        total += sim_world_between(&self->prng, 50 * SIM_US, 2 * SIM_MS);
        if (sim_world_chance(&self->prng, self->faults.slow_flush)) {
            total +=
                sim_world_between(&self->prng, SIM_MS, SIM_MS + self->faults.slow_flush_ns_max);
        }
    }
    return total;
}

/* --- Requests --- */

static enum status request_read(struct sim_disk *self, struct disk_request *request)
{
    enum status status = sim_disk_lane_fault(self, SIM_DISK_READ);
    request->byte_count = 0;
    for (uint32_t i = 0; i < request->buffer_count && status == STATUS_OK; i++) {
        const struct disk_buffer *buffer = &request->buffers[i];
        sim_disk_lane_check_aligned(request->file, request->position + request->byte_count,
                                    buffer->base, buffer->byte_count);
        request->byte_count +=
            sim_file_read(&request->file->inode->file, request->position + request->byte_count,
                          buffer->base, buffer->byte_count);
    }
    return status;
}

static enum status request_write(struct sim_disk *self, struct disk_request *request)
{
    struct sim_inode *inode = request->file->inode;
    bool is_durable = request->kind == DISK_WRITE_DURABLE;
    enum status status = sim_disk_lane_fault(self, is_durable ? SIM_DISK_FLUSH : SIM_DISK_WRITE);
    enum sim_disk_written how = status != STATUS_OK ? SIM_DISK_WRITTEN_PARTLY
                                : is_durable        ? SIM_DISK_WRITTEN_DURABLY
                                                    : SIM_DISK_WRITTEN;
    if (is_durable) {
        sim_disk_lane_check_trust(self, inode);
        inode->has_failed_flush |= status != STATUS_OK;
    }
    enum status result = sim_disk_lane_write(self, inode, request->position, request->buffers,
                                             request->buffer_count, how);
    return status == STATUS_OK ? result : status;
}

/* The effect of the running request. False: the node died of it. */
static bool request_perform(struct disk_lane *lane, struct disk_request *request)
{
    struct sim_disk *self = lane->disk;
    if (request->kind == DISK_READ) {
        request->status = request_read(self, request);
        return true;
    }
    if (is_write(request) && request_hash(request) != lane->content_hash) {
        sim_world_fail(self->node->world, "node-%u changed the memory of a write under way",
                       self->node->id);
    }
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
        return false;
    }
    request->status = request->kind == DISK_SYNC
                          ? sim_disk_lane_flush(self, request->file->inode, lane->sequence)
                          : request_write(self, request);
    if (self->is_death_due) {
        lane->is_running = false; /* It ended, but nobody is told. */
        list_remove(&request->link);
        sim_disk_lane_die(self);
        return false;
    }
    return true;
}

/* --- Lanes --- */

static struct disk_request *lane_first(const struct disk_lane *lane)
{
    check(!list_is_empty(&lane->requests));
    return container_of(lane->requests.next, struct disk_request, link);
}

static struct disk_lane *lane_find(const struct sim_disk *self, uint64_t id)
{
    list_for_each(link, &self->lanes)
    {
        struct disk_lane *lane = container_of(link, struct disk_lane, link);
        if (lane->id == id) {
            return lane;
        }
    }
    return NULL;
}

static void lane_event(void *context, uint64_t value);

static void lane_run_next(struct disk_lane *lane)
{
    if (lane->is_running || list_is_empty(&lane->requests)) {
        return;
    }
    struct disk_request *request = lane_first(lane);
    lane->is_running = true;
    lane->content_hash = is_write(request) ? request_hash(request) : 0;
    lane->sequence = request->kind == DISK_CALL ? 0 : request->file->inode->file.sequence;
    struct sim_node *node = lane->disk->node;
    sim_world_after_in(node->world, node, latency_ns(lane->disk, request), SIM_EVENT_DISK,
                       lane_event, lane->disk, lane->id);
}

/* The first request ends; the user hears of it in its own heap. The lane may be gone after. */
static void lane_finish_first(struct disk_lane *lane, struct sim_heap *user)
{
    struct disk_request *request = lane_first(lane);
    if (request->kind == DISK_CALL) {
        sim_heap_switch(user); /* Its own calls of the disk count, fail and die by themselves. */
        request->status = request->call(request);
        sim_heap_switch(NULL);
    } else if (!request_perform(lane, request)) {
        return;
    }
    list_remove(&request->link);
    if (request->kind != DISK_CALL) {
        request->file->request_count -= 1;
    }
    lane->is_running = false;
    lane_run_next(lane);
    sim_heap_switch(user);
    request->on_done(request);
    sim_heap_switch(NULL);
}

/* Inside the node: its death in here leaves by longjmp, and a paused process hears later. */
static void lane_event(void *context, uint64_t value)
{
    struct sim_disk *self = context;
    struct disk_lane *lane = lane_find(self, value);
    if (lane == NULL || !lane->is_running) {
        return;
    }
    struct sim_heap *user = sim_heap_switch(NULL);
    lane_finish_first(lane, user);
    sim_heap_switch(user);
}

enum status sim_disk_lane_open(struct disk *disk, struct loop *loop, const char *name,
                               struct disk_lane **out_lane)
{
    struct sim_disk *self = container_of(disk, struct sim_disk, disk);
    (void)name;
    check(sim_node_of(loop) == self->node);
    struct sim_heap *user = sim_heap_switch(NULL);
    struct disk_lane *lane = calloc(1, sizeof *lane);
    check(lane != NULL);
    self->lane_id_last += 1;
    *lane = (struct disk_lane){.magic = LANE_MAGIC, .disk = self, .id = self->lane_id_last};
    list_init(&lane->requests);
    list_append(&self->lanes, &lane->link);
    sim_heap_switch(user);
    *out_lane = lane;
    return STATUS_OK;
}

static void lane_free(struct disk_lane *lane)
{
    list_remove(&lane->link);
    *lane = (struct disk_lane){0};
    free(lane);
}

void sim_disk_lane_close(struct disk_lane *lane)
{
    check(lane->magic == LANE_MAGIC);
    struct sim_heap *user = sim_heap_switch(NULL);
    while (!list_is_empty(&lane->requests)) {
        if (!lane->is_running) {
            lane_run_next(lane); /* Its event will find nothing. */
        }
        lane_finish_first(lane, user);
    }
    lane_free(lane);
    sim_heap_switch(user);
}

void sim_disk_lane_submit(struct disk_lane *lane, struct disk_request *request)
{
    check(lane->magic == LANE_MAGIC);
    check(request->on_done != NULL);
    check(request->kind == DISK_READ || request->kind == DISK_CALL ||
          (request->file->flags & DISK_OPEN_WRITE) != 0);
    struct sim_heap *user = sim_heap_switch(NULL);
    if (is_write(request)) {
        uint64_t position = request->position;
        for (uint32_t i = 0; i < request->buffer_count; i++) {
            sim_disk_lane_check_aligned(request->file, position, request->buffers[i].base,
                                        request->buffers[i].byte_count);
            position += request->buffers[i].byte_count;
        }
    }
    if (request->kind != DISK_CALL) {
        request->file->request_count += 1;
    }
    list_append(&lane->requests, &request->link);
    lane_run_next(lane);
    sim_heap_switch(user);
}

/* --- Death --- */

/* The kernel ends, or does not end, what it had begun. The memory is still there. */
static void request_abandon(struct disk_lane *lane, struct disk_request *request)
{
    struct sim_disk *self = lane->disk;
    if (request->kind == DISK_CALL) {
        return; /* It had not begun, or died in the middle. */
    }
    struct sim_inode *inode = request->file->inode;
    uint64_t fate = prng_below(&self->prng, 3);
    if (request->kind == DISK_SYNC && fate == 0) {
        sim_file_flush(&inode->file, lane->sequence);
    } else if (is_write(request) && fate > 0) {
        status_ignore(sim_disk_lane_write(self, inode, request->position, request->buffers,
                                          request->buffer_count,
                                          fate == 1 ? SIM_DISK_WRITTEN : SIM_DISK_WRITTEN_PARTLY),
                      "nobody is left to be told");
    }
}

void sim_disk_lane_drop_all(struct sim_disk *self)
{
    while (!list_is_empty(&self->lanes)) {
        struct disk_lane *lane = container_of(self->lanes.next, struct disk_lane, link);
        if (lane->is_running) {
            request_abandon(lane, lane_first(lane));
        }
        lane_free(lane);
    }
}
