/* The disk of a node: proto/sys/disk.h in memory, with virtual latencies, faults and power cuts.
 *
 * Lanes run their requests one at a time, in order; each takes a virtual while. A write is applied
 * when its request ends; a death in between leaves all, nothing or part of it. What power cuts keep
 * is told in sim_file.h (content) and sim_tree.h (names).
 * The disk also watches its user and fails the world when
 * - a file is flushed, or written durably, after a flush of it failed in the same life;
 * - the memory of a write is changed while the write is under way;
 * - a request of a file opened with DISK_OPEN_DIRECT is not aligned;
 * - a request of a closed file ends.
 *
 * Operations that change the disk are counted; a death can be ordered at the k-th.
 *
 * Owner: the node. Loop: the world's thread. Limits: SIM_DISK_OPEN_FILES_MAX. */
#pragma once

#include "tests/sim/sim_node.h"
#include "tests/sim/sim_tree.h"

#define SIM_DISK_OPEN_FILES_MAX 4096U

/* Chances are per operation; 0: never. */
struct sim_disk_faults {
    double read_error;  /* STATUS_IO. */
    double write_error; /* STATUS_IO; part of it may be there. */
    double flush_error; /* STATUS_IO of syncs and durable writes. */
    double slow_flush;  /* Takes up to slow_flush_ns_max. */
    int64_t slow_flush_ns_max;
};

enum sim_disk_operation {
    SIM_DISK_READ,
    SIM_DISK_WRITE, /* Also truncate and allocate. */
    SIM_DISK_FLUSH, /* Sync of a file, durable write. */
    SIM_DISK_NAME,  /* Create, rename, remove, sync of a directory. */
    SIM_DISK_OPERATION_COUNT,
};

struct sim_disk {
    struct disk disk;
    struct sim_node *node;
    struct sim_tree tree;
    struct prng prng;
    struct sim_disk_faults faults;
    bool has_direct;             /* Grants DISK_OPEN_DIRECT. */
    uint64_t space_bytes;        /* Of the whole disk; UINT64_MAX: no limit. */
    uint64_t balloon_bytes;      /* Taken away by the test. */
    uint64_t operation_count;    /* That changed something or flushed it. */
    uint64_t death_at_operation; /* 0: none. */
    enum sim_node_death death_kind;
    bool is_death_due;                             /* After the present operation. */
    uint64_t fail_after[SIM_DISK_OPERATION_COUNT]; /* Of sim_disk_fail(); 0: none. */
    enum status fail_status[SIM_DISK_OPERATION_COUNT];
    uint64_t failure_count; /* Injected so far. */
    bool has_been_full;     /* Something was refused for want of space. */
    struct list files;      /* Open ones. */
    struct list lanes;
    uint64_t lane_id_last;
    uint32_t open_file_count;
};

struct sim_disk *sim_disk_new(struct sim_node *node);
void sim_disk_free(struct sim_disk *self);
struct disk *sim_disk_world(struct sim_disk *self); /* For struct loop. */
struct sim_disk *sim_disk_of(struct sim_node *node);

/* Dies of `death` at the `count`-th changing operation from now on: before, in or after it. */
void sim_disk_die_at(struct sim_disk *self, uint64_t count, enum sim_node_death death);
void sim_disk_spare(struct sim_disk *self); /* Takes such an order back. */
/* The `count`-th operation of that kind from now on fails once with `status`. */
void sim_disk_fail(struct sim_disk *self, enum sim_disk_operation kind, uint64_t count,
                   enum status status);
/* Takes back every order and chance, and the balloon. */
void sim_disk_calm(struct sim_disk *self);
/* False: no such file or byte. */
bool sim_disk_flip_bit(struct sim_disk *self, const char *path, uint64_t position, unsigned bit);
/* What the disk holds, for tests: bytes read, 0 when there is no such file. */
size_t sim_disk_peek(struct sim_disk *self, const char *path, uint64_t position, void *bytes,
                     size_t byte_count);
/* A listing with sizes goes to the story. */
void sim_disk_note_files(struct sim_disk *self);
/* Pages taken. */
uint64_t sim_disk_used_bytes(const struct sim_disk *self);

/* The node's end of life: requests under way end somehow, handles are gone. */
void sim_disk_on_death(struct sim_disk *self, enum sim_node_death death);
