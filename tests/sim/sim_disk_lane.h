/* The inside of sim_disk: open files, lanes, and the steps that calls and lanes share.
 *
 * Owner: the disk. Loop: the world's thread. Limits: none of its own. */
#pragma once

#include "tests/sim/sim_disk.h"

struct disk_file {
    uint32_t magic;
    struct sim_disk *disk;
    struct sim_inode *inode;
    unsigned flags;
    bool is_direct;
    uint32_t request_count; /* On lanes. */
    struct list link;
};

enum sim_disk_written { SIM_DISK_WRITTEN, SIM_DISK_WRITTEN_DURABLY, SIM_DISK_WRITTEN_PARTLY };

enum status sim_disk_lane_fault(struct sim_disk *self, enum sim_disk_operation kind);
bool sim_disk_lane_begin(struct sim_disk *self);
void sim_disk_lane_end(struct sim_disk *self);
void sim_disk_lane_die(struct sim_disk *self); /* Does not return from inside the node. */
bool sim_disk_lane_has_room(struct sim_disk *self, const struct sim_file *file, uint64_t position,
                            uint64_t byte_count);
enum status sim_disk_lane_write(struct sim_disk *self, struct sim_inode *inode, uint64_t position,
                                const struct disk_buffer *buffers, uint32_t buffer_count,
                                enum sim_disk_written how);
enum status sim_disk_lane_flush(struct sim_disk *self, struct sim_inode *inode, uint64_t sequence);
/* Fails the world when a flush of this file failed before. */
void sim_disk_lane_check_trust(struct sim_disk *self, const struct sim_inode *inode);
void sim_disk_lane_check_aligned(const struct disk_file *file, uint64_t position, const void *bytes,
                                 size_t byte_count);

enum status sim_disk_lane_open(struct disk *disk, struct loop *loop, const char *name,
                               struct disk_lane **out_lane);
void sim_disk_lane_close(struct disk_lane *lane);
void sim_disk_lane_submit(struct disk_lane *lane, struct disk_request *request);
/* The process is gone: what was under way ends somehow, the rest is forgotten. */
void sim_disk_lane_drop_all(struct sim_disk *self);
