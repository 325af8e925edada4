/* Whether the replicas of a partition agree, looked at after every event.
 *
 * The linker puts taps (log_taps.c) between the partitions and their logs, so that each replica's
 * batches are known here as (offsets, leader epoch, checksum) the moment they are appended, cut, or
 * found again by recovery. After an event the partitions of the node that it ran in are looked at.
 * The world fails when
 *   two brokers lead in one epoch, or a leader's high watermark moves back
 *   a replica's log below its high watermark is not what was committed there   (log matching)
 *   what becomes committed is not flushed on every member of the ISR, or on fewer replicas than
 *   min.insync.replicas asks for
 *   a follower's high watermark is above that of every leader so far
 *   a leader does not hold all that is committed, or recovery has lost flushed batches
 *   a member of the newest ISR that any broker was told of has not flushed all that is committed
 *   a reader gets, or a producer is told, what is not committed
 * "Committed" is what any leader's high watermark has passed; it never shrinks.
 *
 * Owner: the workload. Loop: the world's thread. Limits: LOG_MATCH_PARTITIONS_MAX; logs that begin
 * at 0 (no retention). */
#pragma once

#include "broker/log/log.h"
#include "broker/partition/partition.h"
#include "proto/record/batch.h"
#include "tests/sim/sim_node.h"

#define LOG_MATCH_PARTITIONS_MAX 32U
#define LOG_MATCH_BROKERS_MAX 5U
#define LOG_MATCH_TOPIC_BYTES 64U

struct log_match_batch {
    int64_t base_offset;
    int64_t next_offset;
    int32_t leader_epoch;
    uint32_t checksum;
};

struct log_match_row {
    struct log_match_batch *batches; /* Owned. Without a hole. */
    size_t count;
    size_t room;
};

/* One replica; it outlives the broker's process. */
struct log_match_replica {
    const struct log *log; /* NULL: the process is down, or has no such log (any more). */
    const struct partition *partition; /* NULL: not opened yet, or gone. */
    uint32_t incarnation;              /* Of the process that both belong to. */
    struct log_match_row row;
    size_t verified_count; /* Batches that were compared with the committed ones. */
    int64_t flushed_end;   /* Known to be durable. */
    int32_t led_epoch;     /* The newest; -1: none. */
    int64_t led_mark;      /* High watermark in it. */
};

struct log_match_partition {
    char topic[LOG_MATCH_TOPIC_BYTES];
    int32_t index;
    struct log_match_replica replicas[LOG_MATCH_BROKERS_MAX]; /* By node id - 1. */
    struct log_match_row committed;
    int32_t partition_epoch; /* Of the newest assignment that anybody got; -1: none. */
    uint8_t isr_count;
    int32_t isr[LOG_MATCH_BROKERS_MAX];
    int32_t *leaders; /* Owned; by epoch: node id, 0: nobody seen. */
    size_t leaders_room;
};

struct log_match {
    struct sim_world *world;
    struct log_match_partition partitions[LOG_MATCH_PARTITIONS_MAX];
    uint32_t partition_count;
    uint64_t compared_count; /* Batches, over all replicas. */
};

/* One at a time: the taps know it. */
void log_match_begin(struct log_match *self, struct sim_world *world);
void log_match_end(struct log_match *self);
/* The one that was begun; NULL: none. */
struct log_match *log_match_present(void);

/* After an event that ran in `node`. */
void log_match_look(struct log_match *self, const struct sim_node *node);
/* A reader got this batch; a producer was told that everything below `end` is safe. */
void log_match_read(struct log_match *self, const char *topic, int32_t index,
                    const struct batch_view *batch);
void log_match_acknowledge(struct log_match *self, const char *topic, int32_t index, int64_t end);

/* From the taps, inside a node. */
void log_match_opened(struct log_match *self, const struct log_options *options, struct log *log);
void log_match_partition_opened(struct log_match *self, const struct partition *partition);
void log_match_assigned(struct log_match *self, const struct partition *partition,
                        const struct partition_assignment *assignment);
/* It is leaving, or being freed. */
void log_match_partition_gone(struct log_match *self, const struct partition *partition);
void log_match_appended(struct log_match *self, const struct log *log,
                        const struct log_append *append);
void log_match_cut(struct log_match *self, const struct log *log, int64_t offset);
void log_match_forgotten(struct log_match *self, const struct log *log, bool is_deleted);
