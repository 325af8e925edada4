/* The user of one partition's log in workload_log: does things to it, and checks every answer
 * against the model.
 *
 * The part belongs to the world and outlives the node; the log, its reads and its changes live in
 * the node's memory and are forgotten when it dies.
 *
 * Owner: the workload. Loop: the shard's. Limits: LOG_USER_READS_MAX reads at a time per part. */
#pragma once

#include "broker/log/log.h"
#include "tests/sim/log_model.h"
#include "tests/sim/sim_node.h"

#define LOG_USER_PARTS_MAX 8U
#define LOG_USER_READS_MAX 4U

struct log_user;
struct log_user_read;

/* The world's side of one node with its logs. */
struct log_user {
    struct sim_world *world;
    struct sim_node *node;
    struct log_part *parts; /* Owned by the workload. */
    uint32_t part_count;
    uint64_t sequence;               /* Of changes, over all logs. */
    uint32_t failed_shards;          /* Bits; on_failed came: they acknowledge nothing any more. */
    uint64_t failure_count_at_start; /* Of the disk, when this life began. */
    bool may_be_damaged; /* Bits were flipped: errors are allowed, wrong bytes are not. */
    uint64_t append_count;
    uint64_t flush_count;
    uint64_t read_count;
    uint64_t cold_read_count;
    uint64_t refused_count;
};

struct log_part {
    struct log_user *user;
    uint32_t index;
    char topic_name[16];
    struct wire_uuid topic_id;
    struct log_config config;
    struct log_model model;
    uint32_t version;     /* Rises when bytes are taken back. */
    int64_t flushed_told; /* Since it was opened. */
    /* In this life: */
    struct log *log; /* NULL: deleted, or the node is down. */
    struct loop *loop;
    uint32_t shard;
    struct log_user_read *reads[LOG_USER_READS_MAX];
    bool waits_for_room;
    bool must_recover;  /* A read failed before it could be compared after a start. */
    bool is_unreadable; /* Damaged: what it holds is not known any more. */
    int64_t moving_to;  /* Our own move of the start; -1: none. */
};

/* A new name's first life, or a new life of an old name. */
void log_user_name_part(struct log_part *part, struct prng *prng);
/* Opens the log and compares what it holds with the model: after a start of the node any state that
 * a death may leave, otherwise the present one. */
void log_user_open(struct log_part *part, struct log_store *store, struct loop *loop,
                   bool is_recovered);
/* One random thing. */
void log_user_act(struct log_part *part, struct log_store *store);
/* NO_SPACE and BUSY are told; all else that is not OK is a failure of the world. */
enum status log_user_append(struct log_part *part);
/* An answer was wrong: fails the world. */
void log_user_fail(const struct log_part *part, const char *what, enum status status);
/* A disk that fails explains it. */
bool log_user_is_excused(const struct log_part *part, enum status status);
bool log_user_has_failed(const struct log_part *part);
/* The node is gone. */
void log_user_forget(struct log_part *part);
