/* Partitions in, fetched bytes out: finds positions, fetches ahead of the reader, follows leaders.
 *
 * Each assigned partition first gets a position (from its start), then is fetched: one request per
 * broker at a time, with all its partitions that have room. What comes is handed over as it is, one
 * partition's part of an answer at a time; fetch_walk.h reads it, on whatever thread.
 *
 * Owner: whoever embeds it. Loop: the options'. Limits: `buffer_bytes_max` handed over and not
 * given back; one request per broker. */
#pragma once

#include "client/cluster.h"
#include "client/fetch_walk.h"

#include <stdatomic.h>

enum consumer_start_kind {
    CONSUMER_START_OFFSET,
    CONSUMER_START_EARLIEST,
    CONSUMER_START_LATEST,
    CONSUMER_START_TIME,
};

struct consumer_start {
    enum consumer_start_kind kind;
    int64_t value;
};

enum consumer_reset { CONSUMER_RESET_FAIL, CONSUMER_RESET_EARLIEST, CONSUMER_RESET_LATEST };

struct consumer_partition;

/* The memory of one answer, shared by its parts. */
struct fetch_memory {
    _Atomic uint32_t user_count;
    uint8_t *frame;     /* Owned. */
    struct arena arena; /* Owned. */
};

/* One partition's part of an answer. Read on any thread, given back on the loop. */
struct consumer_fetched {
    struct list in_line; /* The receiver's. */
    struct fetch_memory *memory;
    struct consumer_partition *partition; /* Of the core; not to be touched elsewhere. */
    uint32_t generation;
    struct fetch_walk_source source;
    int64_t next_offset;
    int64_t high_watermark;
    int64_t stable_end;
    int64_t log_start;
    size_t room_bytes;
    enum status fault; /* The reader's: what broke the walk, at next_offset; else OK. */
    int32_t index;
    int32_t topic_bytes;
    char topic[]; /* NUL-terminated. */
};

struct consumer_fault {
    struct wire_text topic;
    int32_t partition;
    enum status status;
    int16_t error_code; /* The broker's; 0: none. */
};

struct consumer_core_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    bool is_committed;
    bool is_end_uncommitted; /* The latest is the high watermark, for a committed reader too. */
    enum consumer_reset reset;
    size_t buffer_bytes_max;
    int32_t partition_bytes_max;
    int32_t fetch_bytes_max;
    int64_t fetch_wait_ms;
    int64_t request_timeout_ms;
    /* The receiver owns it. */
    void (*on_fetched)(void *context, struct consumer_fetched *fetched);
    /* An answer told a partition's ends, with or without bytes (those have been handed over). May
     * be NULL. */
    void (*on_heard)(void *context, const struct consumer_partition *partition);
    /* The partition is not read until it is moved or assigned again. */
    void (*on_fault)(void *context, const struct consumer_fault *fault);
    /* All that is assigned has a position, or has failed. */
    void (*on_placed)(void *context);
    void (*on_closed)(void *context);
    void *context;
};

enum consumer_state {
    CONSUMER_IDLE,    /* Not assigned. */
    CONSUMER_PLACING, /* Its start is not an offset yet. */
    CONSUMER_FETCHING,
    CONSUMER_FAILED,
};

struct consumer_partition {
    struct list in_core;
    struct consumer_core *core;
    struct cluster_topic *topic;
    int32_t index;
    enum consumer_state state;
    uint32_t generation; /* Rises when it is moved; what was asked before is dropped. */
    struct consumer_start start;
    int64_t position;       /* The next to fetch. */
    int64_t read_position;  /* Behind what was given back; -1: no position yet. */
    int64_t high_watermark; /* -1: not heard yet, as the next two. */
    int64_t stable_end;
    int64_t log_start;
    bool is_asked; /* In a request that is on the wire. */
    bool is_paused;
    size_t ready_bytes; /* Handed over, not given back. */
    struct retry retry;
    int64_t not_before_ns;
};

struct consumer_core {
    uint32_t magic;
    struct consumer_core_options options;
    struct cluster cluster;
    struct list partitions; /* Never freed before the end, so that what was handed over may name
                               them. */
    struct list wishes;     /* Whole topics whose partitions are not known yet. */
    struct list calls;
    uint32_t assigned_count;
    uint32_t unplaced_count;
    bool is_placed_told;
    size_t ready_bytes;
    struct timer wake;
    struct mail pump_mail;
    bool is_pumping;
    bool is_closing;
};

void consumer_core_init(struct consumer_core *self, const struct consumer_core_options *options);
void consumer_core_close(struct consumer_core *self);

/* Nothing is assigned any more. */
void consumer_core_unassign(struct consumer_core *self);
/* `partition` -1: all that the topic has when it is known. Assigning again moves it. */
MUST_USE enum status consumer_core_assign(struct consumer_core *self, struct wire_text topic,
                                          int32_t partition, struct consumer_start start);
/* NOT_FOUND: not assigned, as in the next. */
MUST_USE enum status consumer_core_seek(struct consumer_core *self, struct wire_text topic,
                                        int32_t partition, struct consumer_start start);
MUST_USE enum status consumer_core_pause(struct consumer_core *self, struct wire_text topic,
                                         int32_t partition, bool is_paused);
/* NULL: never assigned. */
struct consumer_partition *consumer_core_find(struct consumer_core *self, struct wire_text topic,
                                              int32_t partition);
/* The reader is done with it: makes room, notes how far the reader is, and frees it. The memory
 * goes with it unless the reader has taken that (set it to NULL then). */
void consumer_core_give_back(struct consumer_core *self, struct consumer_fetched *fetched);
/* Any thread. */
void fetch_answer_unref(struct fetch_memory *memory);

/* For the calls: sends what can be sent, in a later turn; moves a partition to a position; takes it
 * out with a fault; and lets it rest after a failure. */
void consumer_core_pump(struct consumer_core *self);
void consumer_core_place(struct consumer_partition *partition, int64_t position);
void consumer_core_fail(struct consumer_partition *partition, enum status status,
                        int16_t error_code);
/* A refused or lost question: looks for the leader where that helps. */
void consumer_core_again(struct consumer_partition *partition, int16_t error_code);
void consumer_core_reset(struct consumer_partition *partition);
