/* What a partition's log may hold: the changes in order, and how many of them are surely durable.
 *
 * Every call that changes a log becomes a change. After a death the log must be in the state after
 * some prefix of the changes that has at least the durable ones: everything acknowledged is there,
 * nothing else appears, nothing is half done.
 *
 * Owner: the workload; memory is the world's. Loop: the world's thread. Limits: none of its own. */
#pragma once

#include "tests/sim/sim_world.h"

struct log_model_batch {
    int64_t base_offset;
    int64_t last_offset;
    uint64_t content_hash;     /* Of all its bytes, as appended. */
    int64_t ingested_ms;       /* As given; the log may raise it. */
    int64_t base_timestamp_ms; /* Record i has this plus i. */
    uint32_t byte_count;
};

struct log_model_aborted {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;
    int64_t last_stable_offset;
};

struct log_model_epoch {
    int64_t start_offset;
    int32_t epoch;
};

/* Arrays are owned; in order. */
struct log_model_state {
    bool is_there; /* False: deleted, or never made. */
    int64_t start;
    int64_t end;
    struct log_model_batch *batches;
    size_t batch_count;
    size_t batch_room;
    struct log_model_aborted *aborted;
    size_t aborted_count;
    size_t aborted_room;
    struct log_model_epoch *epochs;
    size_t epoch_count;
    size_t epoch_room;
};

enum log_model_change_kind {
    LOG_MODEL_CREATE,
    LOG_MODEL_APPEND,
    LOG_MODEL_TRUNCATE,
    LOG_MODEL_RESET,
    LOG_MODEL_MOVE_START,
    LOG_MODEL_EPOCH,
    LOG_MODEL_ABORTED,
    LOG_MODEL_DELETE,
};

struct log_model_change {
    enum log_model_change_kind kind;
    uint64_t sequence; /* In the store's journal: the order over all its logs. */
    int64_t offset;
    int32_t epoch;
    struct log_model_batch batch;
    struct log_model_aborted aborted;
};

struct log_model {
    struct log_model_state base;      /* Surely durable. */
    struct log_model_state now;       /* After all changes. */
    struct log_model_change *changes; /* Owned; since `base`. */
    size_t change_count;
    size_t change_room;
    size_t durable_count;        /* Of the changes. */
    bool is_damaged;             /* What the batches do not tell by themselves may be lost. */
    int64_t retention_limit_max; /* Retention may move the start by itself up to here; -1: not. */
};

void log_model_init(struct log_model *self);
void log_model_done(struct log_model *self);
void log_model_apply(struct log_model *self, const struct log_model_change *change);
/* The log said that everything below `flushed_end` is durable. */
void log_model_flush(struct log_model *self, int64_t flushed_end);
/* The journal's order: changes up to `sequence` are durable. */
void log_model_flush_sequence(struct log_model *self, uint64_t sequence);
void log_model_flush_all(struct log_model *self);
/* Sequence of the last durable change; 0: none since the base. */
uint64_t log_model_durable_sequence(const struct log_model *self);

/* A log as it was found. */
struct log_model_found {
    struct log_model_state state;
    int64_t *ingested_ms; /* One per batch. */
};
/* The log was found so after a death: from here on that is durable. False: no prefix that has all
 * durable changes looks like this; `out_why` tells what is wrong with the nearest one. */
bool log_model_recover(struct log_model *self, const struct log_model_found *found, char *out_why,
                       size_t why_byte_count);
/* The log is as all changes left it; changes nothing in the model. */
bool log_model_is_now(const struct log_model *self, const struct log_model_found *found,
                      char *out_why, size_t why_byte_count);
/* NULL: nothing was ever appended there that is there now. */
const struct log_model_batch *log_model_batch_at(const struct log_model_state *state,
                                                 int64_t offset);
