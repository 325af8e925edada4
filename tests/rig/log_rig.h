/* One store of logs on a simulated disk, with batches whose content says where they belong.
 *
 * A test opens the store (which recovers first), appends, lets the world run, kills or powers off
 * the node, opens again and compares: the model remembers for each offset the mark of the batch
 * that was appended there last.
 *
 * Owner: the test. Loop: the simulated node's. Limits: LOG_RIG_LOGS_MAX, LOG_RIG_OFFSETS_MAX. */
#pragma once

#include "broker/log/log.h"
#include "tests/sim/sim_disk.h"

#define LOG_RIG_LOGS_MAX 8U
#define LOG_RIG_OFFSETS_MAX 20000U
#define LOG_RIG_DIRECTORY "data"

struct log_rig;

struct log_rig_log {
    struct log_rig *rig;
    struct log *log; /* NULL: not open. */
    struct log_options options;
    int64_t flushed_end;  /* As told. */
    int64_t acknowledged; /* The same, over all lives, but for what was truncated. */
    int64_t start_told;
    uint32_t marks[LOG_RIG_OFFSETS_MAX]; /* By offset: of the newest append there. */
    int64_t end;                         /* Of what was appended last. */
    const uint8_t *snapshot;             /* What the log gets when it wants one. */
    size_t snapshot_byte_count;
    uint32_t snapshot_count;
};

struct log_rig {
    struct sim_world *world;
    struct sim_node *node;
    struct budget budget;
    struct log_store *store; /* NULL: not open. */
    struct log_store_options options;
    uint32_t mark; /* Of the next append. */
    enum status failure;
    uint32_t room_count;
    bool is_closed;
    struct log_rig_log logs[LOG_RIG_LOGS_MAX];
    uint32_t log_count;
};

/* A journal of 512 KiB, a budget of 64 MiB, segments of 64 KiB. */
void log_rig_init(struct log_rig *self, uint64_t seed);
void log_rig_done(struct log_rig *self);

/* Starts the node if need be, recovers, opens the store. False: it died on the way. */
bool log_rig_open(struct log_rig *self, enum status *out_status);
bool log_rig_close(struct log_rig *self); /* Clean. */
void log_rig_kill(struct log_rig *self);
void log_rig_lose_power(struct log_rig *self);
/* Until everything that was appended is flushed, or the store failed. */
bool log_rig_flush(struct log_rig *self);

struct log_rig_log *log_rig_add(struct log_rig *self, const char *topic_name, uint8_t id,
                                int32_t partition);
bool log_rig_open_log(struct log_rig_log *self, enum status *out_status);
/* One batch of `record_count` records at the end, each with `value_bytes` bytes. */
enum status log_rig_append(struct log_rig_log *self, uint32_t record_count, uint32_t value_bytes);
enum status log_rig_append_at(struct log_rig_log *self, uint32_t record_count, uint32_t value_bytes,
                              int32_t leader_epoch, int64_t timestamp_ms);
enum status log_rig_truncate(struct log_rig_log *self, int64_t offset);
/* Reads the whole log from its start and holds it against the model. Returns the end of what was
 * right, or -1 when a batch is not what was appended at its offset. */
int64_t log_rig_verify(struct log_rig_log *self);

struct log_rig_read {
    struct log_read read;
    enum status status;
    bool is_done;
};
/* A read to its end, waiting for it. */
enum status log_rig_read(struct log_rig_log *self, struct log_rig_read *read, int64_t offset,
                         size_t byte_count_max);
