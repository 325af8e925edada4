#include "tests/sim/sim_disk.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_disk_lane.h"

#include <stdlib.h>
#include <string.h>

#define DISK_STREAM UINT64_C(0x4000)
#define FILE_MAGIC 0xf11ef11eU

/* --- Faults --- */

static bool fails_by_order(struct sim_disk *self, enum sim_disk_operation kind,
                           enum status *out_status)
{
    if (self->fail_after[kind] == 0) {
        return false;
    }
    self->fail_after[kind] -= 1;
    if (self->fail_after[kind] > 0) {
        return false;
    }
    *out_status = self->fail_status[kind];
    return true;
}

enum status sim_disk_lane_fault(struct sim_disk *self, enum sim_disk_operation kind)
{
    double chance = kind == SIM_DISK_READ    ? self->faults.read_error
                    : kind == SIM_DISK_WRITE ? self->faults.write_error
                    : kind == SIM_DISK_FLUSH ? self->faults.flush_error
                                             : 0;
    enum status status = STATUS_OK;
    if (!fails_by_order(self, kind, &status)) {
        status = sim_world_chance(&self->prng, chance) ? STATUS_IO : STATUS_OK;
    }
    if (status != STATUS_OK) {
        static const char *const kinds[SIM_DISK_OPERATION_COUNT] = {"read", "write", "flush",
                                                                    "name change"};
        self->failure_count += 1;
        sim_world_note(self->node->world, "node-%u disk fails a %s: %s", self->node->id,
                       kinds[kind], status_text(status));
    }
    return status;
}

/* Before an operation that changes the disk. True: the node dies now; the caller leaves behind
 * what a death in the middle of it leaves, and calls sim_disk_lane_die(). */
bool sim_disk_lane_begin(struct sim_disk *self)
{
    self->operation_count += 1;
    if (self->death_at_operation == 0 || self->operation_count < self->death_at_operation) {
        return false;
    }
    self->death_at_operation = 0;
    self->is_death_due = prng_below(&self->prng, 2) == 0;
    return !self->is_death_due;
}

void sim_disk_lane_die(struct sim_disk *self)
{
    check(self->node->world->inside == self->node); /* Else the caller would go on after it. */
    self->is_death_due = false;
    sim_world_note(self->node->world, "node-%u disk operation %llu is its last", self->node->id,
                   (unsigned long long)self->operation_count);
    sim_node_die(self->node, self->death_kind);
}

void sim_disk_lane_end(struct sim_disk *self)
{
    if (self->is_death_due) {
        sim_disk_lane_die(self);
    }
}

void sim_disk_die_at(struct sim_disk *self, uint64_t count, enum sim_node_death death)
{
    check(count > 0);
    self->death_at_operation = self->operation_count + count;
    self->death_kind = death;
}

void sim_disk_spare(struct sim_disk *self)
{
    self->death_at_operation = 0;
}

void sim_disk_fail(struct sim_disk *self, enum sim_disk_operation kind, uint64_t count,
                   enum status status)
{
    check(kind < SIM_DISK_OPERATION_COUNT);
    check(status != STATUS_OK);
    self->fail_after[kind] = count;
    self->fail_status[kind] = status;
}

void sim_disk_calm(struct sim_disk *self)
{
    self->faults = (struct sim_disk_faults){0};
    self->death_at_operation = 0;
    self->balloon_bytes = 0;
    memset(self->fail_after, 0, sizeof self->fail_after);
}

/* --- Files --- */

bool sim_disk_lane_has_room(struct sim_disk *self, const struct sim_file *file, uint64_t position,
                            uint64_t byte_count)
{
    if (self->space_bytes == UINT64_MAX && self->balloon_bytes == 0) {
        return true;
    }
    uint64_t needed = sim_file_pages_needed(file, position, byte_count) * SIM_PAGE_BYTES;
    bool has_room = needed == 0 ||
                    sim_disk_used_bytes(self) + self->balloon_bytes + needed <= self->space_bytes;
    self->has_been_full |= !has_room;
    return has_room;
}

/* A disk that is full takes part of a write before it refuses. */
enum status sim_disk_lane_write(struct sim_disk *self, struct sim_inode *inode, uint64_t position,
                                const struct disk_buffer *buffers, uint32_t buffer_count,
                                enum sim_disk_written how)
{
    size_t byte_count = 0;
    for (uint32_t i = 0; i < buffer_count; i++) {
        byte_count += buffers[i].byte_count;
    }
    uint8_t *bytes = malloc(byte_count + 1);
    check(bytes != NULL);
    size_t place = 0;
    for (uint32_t i = 0; i < buffer_count; i++) {
        memcpy(bytes + place, buffers[i].base, buffers[i].byte_count);
        place += buffers[i].byte_count;
    }
    bool is_refused = !sim_disk_lane_has_room(self, &inode->file, position, byte_count);
    if (is_refused || how == SIM_DISK_WRITTEN_PARTLY) {
        byte_count =
            (size_t)prng_below(&self->prng, byte_count / SIM_SECTOR_BYTES + 1) * SIM_SECTOR_BYTES;
        while (!sim_disk_lane_has_room(self, &inode->file, position, byte_count)) {
            byte_count -= SIM_SECTOR_BYTES;
        }
        how = how == SIM_DISK_WRITTEN_DURABLY ? SIM_DISK_WRITTEN : how;
    }
    sim_world_hash_bytes(self->node->world, bytes, byte_count);
    sim_file_write(&inode->file, position, bytes, byte_count, how == SIM_DISK_WRITTEN_DURABLY);
    return is_refused ? STATUS_NO_SPACE : STATUS_OK;
}

void sim_disk_lane_check_trust(struct sim_disk *self, const struct sim_inode *inode)
{
    if (inode->has_failed_flush) {
        sim_world_fail(self->node->world,
                       "node-%u flushes file %llu again although a flush of it failed",
                       self->node->id, (unsigned long long)inode->id);
    }
}

enum status sim_disk_lane_flush(struct sim_disk *self, struct sim_inode *inode, uint64_t sequence)
{
    enum status status = sim_disk_lane_fault(self, SIM_DISK_FLUSH);
    if (status != STATUS_OK) {
        inode->has_failed_flush = true;
        sim_file_fail_flush(&inode->file, sequence);
        return status;
    }
    sim_disk_lane_check_trust(self, inode);
    sim_file_flush(&inode->file, sequence);
    return STATUS_OK;
}

/* --- The interface: synchronous calls --- */

static struct sim_disk *disk_of(struct disk *disk)
{
    return container_of(disk, struct sim_disk, disk);
}

/* Calls come from inside the node, whose heap is entered; what the disk keeps is the world's. */
static struct sim_disk *file_enter(struct disk_file *file, struct sim_heap **out_user)
{
    check(file->magic == FILE_MAGIC);
    *out_user = sim_heap_switch(NULL);
    return file->disk;
}

static enum status file_open(struct sim_disk *self, const char *path, unsigned flags,
                             struct sim_inode **out_inode)
{
    struct sim_inode *inode = sim_tree_find(&self->tree, path);
    if (inode != NULL) {
        if ((flags & DISK_OPEN_CREATE) != 0 && (flags & DISK_OPEN_EXCLUSIVE) != 0) {
            return STATUS_EXISTS;
        }
        *out_inode = inode;
        return inode->is_directory ? STATUS_IO : STATUS_OK;
    }
    if ((flags & DISK_OPEN_CREATE) == 0) {
        return STATUS_NOT_FOUND;
    }
    check((flags & DISK_OPEN_WRITE) != 0);
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
    }
    TRY(sim_disk_lane_fault(self, SIM_DISK_NAME));
    TRY(sim_tree_create(&self->tree, path, false, out_inode));
    sim_disk_lane_end(self);
    return STATUS_OK;
}

static enum status op_open(struct disk *disk, const char *path, unsigned flags,
                           struct disk_file **out_file)
{
    struct sim_disk *self = disk_of(disk);
    struct sim_heap *user = sim_heap_switch(NULL);
    struct sim_inode *inode = NULL;
    enum status status = self->open_file_count < SIM_DISK_OPEN_FILES_MAX
                             ? file_open(self, path, flags, &inode)
                             : STATUS_IO;
    if (status == STATUS_OK) {
        struct disk_file *file = calloc(1, sizeof *file);
        check(file != NULL);
        *file =
            (struct disk_file){.magic = FILE_MAGIC,
                               .disk = self,
                               .inode = inode,
                               .flags = flags,
                               .is_direct = (flags & DISK_OPEN_DIRECT) != 0 && self->has_direct};
        list_append(&self->files, &file->link);
        self->open_file_count += 1;
        inode->open_count += 1;
        *out_file = file;
    }
    sim_heap_switch(user);
    return status;
}

static void file_free(struct disk_file *file)
{
    struct sim_disk *self = file->disk;
    check(file->inode->open_count > 0);
    file->inode->open_count -= 1;
    self->open_file_count -= 1;
    list_remove(&file->link);
    *file = (struct disk_file){0};
    free(file);
}

static void op_close(struct disk_file *file)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    if (file->request_count > 0) {
        sim_world_fail(self->node->world, "node-%u closes a file with %u requests under way",
                       self->node->id, file->request_count);
    }
    struct sim_inode *inode = file->inode;
    file_free(file);
    if (sim_tree_is_garbage(&self->tree, inode)) {
        sim_tree_collect(&self->tree);
    }
    sim_heap_switch(user);
}

static bool op_is_direct(const struct disk_file *file)
{
    check(file->magic == FILE_MAGIC);
    return file->is_direct;
}

static enum status op_size(struct disk_file *file, uint64_t *out_bytes)
{
    check(file->magic == FILE_MAGIC);
    *out_bytes = file->inode->file.byte_count;
    return STATUS_OK;
}

static enum status op_read(struct disk_file *file, uint64_t position, void *bytes,
                           size_t byte_count, size_t *out_byte_count)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    sim_disk_lane_check_aligned(file, position, bytes, byte_count);
    enum status status = sim_disk_lane_fault(self, SIM_DISK_READ);
    if (status == STATUS_OK) {
        *out_byte_count = sim_file_read(&file->inode->file, position, bytes, byte_count);
    }
    sim_heap_switch(user);
    return status;
}

static enum status op_write(struct disk_file *file, uint64_t position, const void *bytes,
                            size_t byte_count)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    check((file->flags & DISK_OPEN_WRITE) != 0);
    sim_disk_lane_check_aligned(file, position, bytes, byte_count);
    struct disk_buffer buffer = {.base = (void *)(uintptr_t)bytes, .byte_count = byte_count};
    if (sim_disk_lane_begin(self)) {
        status_ignore(
            sim_disk_lane_write(self, file->inode, position, &buffer, 1, SIM_DISK_WRITTEN_PARTLY),
            "nobody is left to be told");
        sim_disk_lane_die(self);
    }
    enum status status = sim_disk_lane_fault(self, SIM_DISK_WRITE);
    enum status result =
        sim_disk_lane_write(self, file->inode, position, &buffer, 1,
                            status == STATUS_OK ? SIM_DISK_WRITTEN : SIM_DISK_WRITTEN_PARTLY);
    sim_disk_lane_end(self);
    sim_heap_switch(user);
    return status == STATUS_OK ? result : status;
}

static enum status op_sync(struct disk_file *file)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
    }
    enum status status = sim_disk_lane_flush(self, file->inode, file->inode->file.sequence);
    sim_disk_lane_end(self);
    sim_heap_switch(user);
    return status;
}

static bool has_failed_flushes(const struct sim_disk *self)
{
    for (struct sim_inode *inode = self->tree.inodes; inode != NULL; inode = inode->next) {
        if (inode->has_failed_flush) {
            return true;
        }
    }
    return false;
}

/* Tells of any flush that failed since the process began, as the system does. Whatever a power cut
 * in the middle would leave, one just before it can leave as well. */
static enum status op_sync_all(struct disk_file *file)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
    }
    enum status status = sim_disk_lane_fault(self, SIM_DISK_FLUSH);
    bool is_told = status == STATUS_OK && has_failed_flushes(self);
    for (struct sim_inode *inode = self->tree.inodes; inode != NULL; inode = inode->next) {
        if (status == STATUS_OK) {
            sim_file_flush(&inode->file, inode->file.sequence);
        } else if (!sim_file_is_clean(&inode->file)) {
            inode->has_failed_flush = true;
            sim_file_fail_flush(&inode->file, inode->file.sequence);
        }
    }
    if (status == STATUS_OK) {
        sim_tree_sync_all(&self->tree);
    }
    sim_disk_lane_end(self);
    sim_heap_switch(user);
    return is_told ? STATUS_IO : status;
}

static enum status op_truncate(struct disk_file *file, uint64_t byte_count)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    check((file->flags & DISK_OPEN_WRITE) != 0);
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
    }
    enum status status = sim_disk_lane_fault(self, SIM_DISK_WRITE);
    if (status == STATUS_OK) {
        sim_file_truncate(&file->inode->file, byte_count);
    }
    sim_disk_lane_end(self);
    sim_heap_switch(user);
    return status;
}

static enum status op_allocate(struct disk_file *file, uint64_t position, uint64_t byte_count)
{
    struct sim_heap *user = NULL;
    struct sim_disk *self = file_enter(file, &user);
    check((file->flags & DISK_OPEN_WRITE) != 0);
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
    }
    enum status status = sim_disk_lane_fault(self, SIM_DISK_WRITE);
    if (status == STATUS_OK &&
        !sim_disk_lane_has_room(self, &file->inode->file, position, byte_count)) {
        status = STATUS_NO_SPACE;
    }
    if (status == STATUS_OK) {
        sim_file_allocate(&file->inode->file, position, byte_count);
    }
    sim_disk_lane_end(self);
    sim_heap_switch(user);
    return status;
}

/* --- The interface: names --- */

enum name_call { NAME_RENAME, NAME_REMOVE, NAME_MAKE_DIRECTORY, NAME_SYNC };

static enum status name_change(struct sim_disk *self, enum name_call call, const char *path,
                               const char *to)
{
    struct sim_inode *inode = NULL;
    switch (call) {
    case NAME_RENAME:
        return sim_tree_rename(&self->tree, path, to);
    case NAME_REMOVE:
        return sim_tree_remove(&self->tree, path);
    case NAME_MAKE_DIRECTORY:
        inode = sim_tree_find(&self->tree, path);
        if (inode != NULL) {
            return inode->is_directory ? STATUS_OK : STATUS_EXISTS;
        }
        return sim_tree_create(&self->tree, path, true, &inode);
    case NAME_SYNC:
        return sim_tree_sync(&self->tree, path);
    }
    check_unreachable("a call outside its list");
}

static enum status name_operation(struct disk *disk, enum name_call call, const char *path,
                                  const char *to)
{
    struct sim_disk *self = disk_of(disk);
    struct sim_heap *user = sim_heap_switch(NULL);
    if (sim_disk_lane_begin(self)) {
        sim_disk_lane_die(self);
    }
    enum status status = sim_disk_lane_fault(self, SIM_DISK_NAME);
    if (status == STATUS_OK) {
        status = name_change(self, call, path, to);
    }
    sim_disk_lane_end(self);
    sim_heap_switch(user);
    return status;
}

static enum status op_rename(struct disk *disk, const char *from, const char *to)
{
    return name_operation(disk, NAME_RENAME, from, to);
}

static enum status op_remove(struct disk *disk, const char *path)
{
    return name_operation(disk, NAME_REMOVE, path, NULL);
}

static enum status op_make_directory(struct disk *disk, const char *path)
{
    return name_operation(disk, NAME_MAKE_DIRECTORY, path, NULL);
}

static enum status op_sync_directory(struct disk *disk, const char *path)
{
    return name_operation(disk, NAME_SYNC, path, NULL);
}

struct listing {
    void (*on_entry)(void *context, const char *name, bool is_directory);
    void *context;
    struct sim_heap *user;
};

static void listing_entry(void *context, const char *name, bool is_directory)
{
    const struct listing *listing = context;
    struct sim_heap *own = sim_heap_switch(listing->user);
    listing->on_entry(listing->context, name, is_directory);
    sim_heap_switch(own);
}

static enum status op_list(struct disk *disk, const char *path,
                           void (*on_entry)(void *context, const char *name, bool is_directory),
                           void *context)
{
    struct sim_disk *self = disk_of(disk);
    struct listing listing = {
        .on_entry = on_entry, .context = context, .user = sim_heap_switch(NULL)};
    enum status status = sim_disk_lane_fault(self, SIM_DISK_READ);
    if (status == STATUS_OK) {
        status = sim_tree_list(&self->tree, path, listing_entry, &listing);
    }
    sim_heap_switch(listing.user);
    return status;
}

static enum status op_space(struct disk *disk, const char *path, struct disk_space *out_space)
{
    const struct sim_disk *self = disk_of(disk);
    if (sim_tree_find(&self->tree, path) == NULL) {
        return STATUS_NOT_FOUND;
    }
    uint64_t taken = sim_disk_used_bytes(self) + self->balloon_bytes;
    uint64_t total = self->space_bytes == UINT64_MAX ? UINT64_C(1) << 50 : self->space_bytes;
    *out_space =
        (struct disk_space){.free_bytes = taken < total ? total - taken : 0, .total_bytes = total};
    return STATUS_OK;
}

static const struct disk_ops sim_disk_ops = {
    .open = op_open,
    .close = op_close,
    .is_direct = op_is_direct,
    .size = op_size,
    .read = op_read,
    .write = op_write,
    .sync = op_sync,
    .sync_all = op_sync_all,
    .truncate = op_truncate,
    .allocate = op_allocate,
    .rename = op_rename,
    .remove = op_remove,
    .make_directory = op_make_directory,
    .sync_directory = op_sync_directory,
    .list = op_list,
    .space = op_space,
    .lane_open = sim_disk_lane_open,
    .lane_close = sim_disk_lane_close,
    .submit = sim_disk_lane_submit,
};

/* --- Life --- */

struct sim_disk *sim_disk_new(struct sim_node *node)
{
    struct sim_disk *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->disk.ops = &sim_disk_ops;
    self->node = node;
    self->has_direct = true;
    self->space_bytes = UINT64_MAX;
    list_init(&self->files);
    list_init(&self->lanes);
    sim_tree_init(&self->tree);
    prng_init(&self->prng, sim_world_seed_for(node->world, node->id, DISK_STREAM));
    return self;
}

void sim_disk_free(struct sim_disk *self)
{
    check(list_is_empty(&self->files));
    sim_tree_done(&self->tree);
    free(self);
}

struct disk *sim_disk_world(struct sim_disk *self)
{
    return &self->disk;
}

struct sim_disk *sim_disk_of(struct sim_node *node)
{
    return node->disk;
}

void sim_disk_on_death(struct sim_disk *self, enum sim_node_death death)
{
    sim_disk_lane_drop_all(self);
    self->death_at_operation = 0;
    self->is_death_due = false;
    while (!list_is_empty(&self->files)) {
        file_free(container_of(self->files.next, struct disk_file, link));
    }
    if (death == SIM_NODE_POWERLESS) {
        sim_tree_cut_power(&self->tree, &self->prng);
        return;
    }
    /* The page cache lives on; the next process cannot know which flush failed. */
    sim_tree_collect(&self->tree);
    for (struct sim_inode *inode = self->tree.inodes; inode != NULL; inode = inode->next) {
        inode->has_failed_flush = false;
    }
}

bool sim_disk_flip_bit(struct sim_disk *self, const char *path, uint64_t position, unsigned bit)
{
    struct sim_inode *inode = sim_tree_find(&self->tree, path);
    return inode != NULL && sim_file_flip_bit(&inode->file, position, bit);
}

size_t sim_disk_peek(struct sim_disk *self, const char *path, uint64_t position, void *bytes,
                     size_t byte_count)
{
    const struct sim_inode *inode = sim_tree_find(&self->tree, path);
    return inode == NULL ? 0 : sim_file_read(&inode->file, position, bytes, byte_count);
}

uint64_t sim_disk_used_bytes(const struct sim_disk *self)
{
    return sim_tree_pages(&self->tree) * SIM_PAGE_BYTES;
}

void sim_disk_note_files(struct sim_disk *self)
{
    for (size_t i = 0; i < self->tree.seen.count; i++) {
        const struct sim_name *name = &self->tree.seen.names[i];
        sim_world_note(self->node->world, "node-%u disk %llu/%s inode %llu: %llu bytes, %zu dirty",
                       self->node->id, (unsigned long long)name->directory, name->text,
                       (unsigned long long)name->inode->id,
                       (unsigned long long)name->inode->file.byte_count,
                       name->inode->file.change_count);
    }
}
