/* libmillrace: reading records.
 *
 * A consumer reads the partitions it was assigned, or, as a member of a group, those that the group
 * gives it. The client's thread fetches ahead; a poll hands out one batch of one partition.
 *
 * Include client.h. Owner: the application. Loop: any thread, but one poll at a time. Limits:
 * `buffer_bytes`. */
#pragma once

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct millrace_consumer;
struct millrace_batch;

enum millrace_isolation {
    MILLRACE_READ_COMMITTED, /* Open and aborted transactions are not seen. The default. */
    MILLRACE_READ_UNCOMMITTED,
};

enum millrace_start_kind {
    MILLRACE_START_LATEST,
    MILLRACE_START_EARLIEST,
    MILLRACE_START_OFFSET,    /* `value` is the offset. */
    MILLRACE_START_TIME,      /* The first record of time `value` (ms) or later; else the end. */
    MILLRACE_START_COMMITTED, /* The group's offset; else as MILLRACE_START_LATEST. For a partition
                                 that is named. */
};

struct millrace_start {
    enum millrace_start_kind kind;
    int64_t value;
};

/* When a position is not in the log: retention has passed it, or the log was cut. */
enum millrace_reset {
    MILLRACE_RESET_FAIL, /* Polls answer MILLRACE_OFFSET_OUT_OF_RANGE until a seek. The default. */
    MILLRACE_RESET_EARLIEST,
    MILLRACE_RESET_LATEST,
};

/* What the group does with the partitions. Told from within millrace_consumer_poll(), on its
 * thread; the callback may ask for positions, seek and commit. */
enum millrace_partitions_event {
    MILLRACE_PARTITIONS_ASSIGNED, /* New ones; their positions are the group's offsets. */
    MILLRACE_PARTITIONS_REVOKED,  /* About to go: the last chance to commit. */
    MILLRACE_PARTITIONS_LOST,     /* Others have them already; nothing can be committed. */
};
typedef void millrace_on_partitions(void *context, enum millrace_partitions_event event);

struct millrace_consumer_options {
    size_t size;
    enum millrace_isolation isolation;
    enum millrace_reset reset;
    struct millrace_bytes group;          /* Null: no group; no subscribe, no commit. */
    enum millrace_start_kind group_start; /* Of a group without offsets: LATEST or EARLIEST. */
    int64_t session_timeout_ms;           /* 0: 10,000. */
    size_t buffer_bytes;                  /* Fetched ahead in all. 0: 32 MiB. */
    size_t partition_bytes;               /* Of one partition in one fetch. 0: 1 MiB. */
    int64_t fetch_wait_ms;                /* A broker without news answers after it. 0: 500. */
    struct millrace_bytes instance_id;    /* Keeps its partitions over a restart. Null: none. */
    int64_t rebalance_timeout_ms; /* The others wait so long for this one's next poll. 0: 60,000. */
    int64_t
        auto_commit_ms; /* What was polled is committed so often, once the next poll shows that
                           it was worked on, before partitions go, and by the close. 0: never. */
    millrace_on_partitions *on_partitions; /* May be NULL. */
    void *context;
};

/* Does not wait. `options` may be NULL. */
MILLRACE_EXPORT int millrace_consumer_open(struct millrace_client *client,
                                           const struct millrace_consumer_options *options,
                                           struct millrace_consumer **out_consumer,
                                           struct millrace_error *error);
/* Leaves the group if it is in one. Returns by the timeout and frees in any case; batches stay
 * valid. Accepts NULL. */
MILLRACE_EXPORT int millrace_consumer_close(struct millrace_consumer *consumer, int64_t timeout_ms,
                                            struct millrace_error *error);

struct millrace_assignment {
    struct millrace_bytes topic;
    int32_t partition; /* MILLRACE_ALL_PARTITIONS: those that the topic has at the first look. */
    struct millrace_start start;
};
#define MILLRACE_ALL_PARTITIONS (-1)

/* Replaces what was assigned, and what was fetched of it. Waits until the partitions and their
 * first offsets are known. */
MILLRACE_EXPORT int millrace_consumer_assign(struct millrace_consumer *consumer,
                                             const struct millrace_assignment *assignments,
                                             size_t assignment_count, int64_t timeout_ms,
                                             struct millrace_error *error);
/* Joins the group, or changes what it reads there; partitions come with the polls. Does not wait. A
 * poll answers once with the reason when the group refuses this consumer for good. */
MILLRACE_EXPORT int millrace_consumer_subscribe(struct millrace_consumer *consumer,
                                                const struct millrace_bytes *topics,
                                                size_t topic_count, struct millrace_error *error);
/* A member's place in its group: who commits. Made by the call below only. */
struct millrace_membership {
    struct millrace_bytes group;
    int32_t generation;              /* -1: not a member, as without a subscribe. */
    struct millrace_bytes member_id; /* Empty: as above. */
    struct millrace_bytes instance_id;
};
/* As of the last poll: whose batches were polled before belong to it. Take it with the batch where
 * another thread goes on polling. ILLEGAL_GENERATION: the group has given none yet, or has taken it
 * away. */
MILLRACE_EXPORT int millrace_consumer_membership(struct millrace_consumer *consumer,
                                                 struct millrace_membership **out_membership,
                                                 struct millrace_error *error);
MILLRACE_EXPORT void millrace_membership_free(struct millrace_membership *membership);
/* Moves one assigned partition; what was fetched of it is dropped. */
MILLRACE_EXPORT int millrace_consumer_seek(struct millrace_consumer *consumer,
                                           struct millrace_bytes topic, int32_t partition,
                                           struct millrace_start start, int64_t timeout_ms,
                                           struct millrace_error *error);
/* A paused partition keeps its position and is not polled. */
MILLRACE_EXPORT int millrace_consumer_pause(struct millrace_consumer *consumer,
                                            struct millrace_bytes topic, int32_t partition,
                                            bool is_paused, struct millrace_error *error);

/* How far one assigned partition is. */
struct millrace_position {
    struct millrace_bytes topic; /* Lives as long as the list. */
    int32_t partition;
    int64_t offset;     /* Behind the last batch polled; -1: not known yet. */
    int64_t end;        /* High watermark as last heard, -1: not yet. */
    int64_t stable_end; /* Last stable offset: where read_committed ends; -1: not yet. */
    int64_t log_start;
};
struct millrace_positions {
    const struct millrace_position *const *positions;
    size_t position_count;
};
MILLRACE_EXPORT int millrace_consumer_positions(struct millrace_consumer *consumer,
                                                struct millrace_positions **out_positions,
                                                struct millrace_error *error);
MILLRACE_EXPORT void millrace_positions_free(struct millrace_positions *positions);

/* The next batch; 0 and NULL when none came by the timeout. A batch may hold no record: markers of
 * transactions and aborted records move the position, too. A failure of one partition is returned
 * once by a poll and does not stop the others. */
MILLRACE_EXPORT int millrace_consumer_poll(struct millrace_consumer *consumer, int64_t timeout_ms,
                                           struct millrace_batch **out_batch,
                                           struct millrace_error *error);

/* Everything a batch shows lives until it is freed. */
struct millrace_received {
    struct millrace_bytes topic;
    int32_t partition;
    int32_t leader_epoch; /* -1: not known. */
    int64_t offset;
    int64_t timestamp_ms; /* -1: none. */
    int64_t ingested_ms;  /* When the leader took it; -1: the broker does not tell. */
    struct millrace_bytes key;
    struct millrace_bytes value;
    size_t header_count;
    const struct millrace_header *headers;
};
MILLRACE_EXPORT size_t millrace_batch_count(const struct millrace_batch *batch);
/* `index` < millrace_batch_count(). */
MILLRACE_EXPORT const struct millrace_received *
millrace_batch_record(const struct millrace_batch *batch, size_t index);
MILLRACE_EXPORT struct millrace_bytes millrace_batch_topic(const struct millrace_batch *batch);
MILLRACE_EXPORT int32_t millrace_batch_partition(const struct millrace_batch *batch);
/* The position behind it. */
MILLRACE_EXPORT int64_t millrace_batch_next_offset(const struct millrace_batch *batch);
/* Accepts NULL. */
MILLRACE_EXPORT void millrace_batch_free(struct millrace_batch *batch);

/* Commits for the group: the given offsets, or, with none given, the positions of all batches
 * polled so far. ILLEGAL_GENERATION: since the last poll the group has given the partitions to
 * others. */
MILLRACE_EXPORT int millrace_consumer_commit(struct millrace_consumer *consumer,
                                             const struct millrace_offset *offsets,
                                             size_t offset_count, int64_t timeout_ms,
                                             struct millrace_error *error);

#ifdef __cplusplus
}
#endif
