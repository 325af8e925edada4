/* One question about committed offsets of a group: OffsetCommit or OffsetFetch, for any number of
 * partitions, through the group's coordinator.
 *
 * Everything is copied at init. It is asked again until each partition has its answer; partitions
 * whose offset an open transaction may still change are waited for.
 *
 * Owner: whoever embeds it; stays put until on_done. Loop: the coordinator core's. Limits:
 * OFFSET_CALL_ROWS_MAX. */
#pragma once

#include "client/coordinator_core.h"

#define OFFSET_CALL_ROWS_MAX 100000U

struct offset_call_row {
    struct wire_text topic;
    int32_t partition;
    int64_t offset;       /* Fetched: -1 where there is none. */
    int32_t leader_epoch; /* -1: not known. */
    int16_t error_code;   /* Of the last answer. */
};

/* On whose behalf: a member, or anyone (generation -1 and empty texts). */
struct offset_call_member {
    const char *group; /* Borrowed until the end, as the others. */
    int32_t generation;
    const char *member_id;
    const char *instance_id; /* NULL: none. */
};

struct offset_call {
    struct coordinator_op op;
    struct arena arena;
    bool is_commit;
    struct offset_call_member member;
    struct offset_call_row *rows; /* In the arena. */
    uint32_t row_count;
    /* OK with error_code 0: each row is answered. Else the broker's word, or why there is none. */
    void (*on_done)(struct offset_call *self, enum status status, int16_t error_code);
};

/* FULL, NO_MEMORY: nothing is to be done. */
MUST_USE enum status offset_call_init(struct offset_call *self,
                                      const struct offset_call_member *member,
                                      const struct offset_call_row *rows, uint32_t row_count);
/* Frees the rows. Accepts a zeroed one, not one under way. */
void offset_call_done(struct offset_call *self);
void offset_call_commit(struct offset_call *self, struct coordinator_core *coordinator,
                        int64_t deadline_ns);
void offset_call_fetch(struct offset_call *self, struct coordinator_core *coordinator,
                       int64_t deadline_ns);
