/* Operations of the admin core on one topic or one partition: their questions and their answers.
 *
 * Each function gives an operation whose encode and take are set, and which lacks only its deadline
 * and its on_done. What is passed in by pointer is borrowed until on_done, and is where `take` puts
 * what was answered. Repeating one that may have been done already finds that out and succeeds.
 *
 * Owner: whoever runs them. Loop: the admin core's. Limits: none of their own. */
#pragma once

#include "client/admin_core.h"
#include "proto/kafka/metadata.h"

struct topic_calls_setting {
    struct wire_text name;
    struct wire_text value; /* Null: the default. */
};

struct topic_calls_wanted {
    int32_t partition_count;    /* 0: the cluster's default, as the next. */
    int32_t replication_factor; /* Up to INT16_MAX. */
    const struct topic_calls_setting *settings;
    uint32_t setting_count;
    bool is_dry_run;
};

/* TOPIC_ALREADY_EXISTS where somebody else has created it. */
struct admin_op topic_calls_create(struct wire_text topic, struct topic_calls_wanted *wanted);
/* Ends as NOT_FOUND where there is none. */
struct admin_op topic_calls_delete(struct wire_text topic);

/* Metadata, for a `take` of the caller's, which begins with topic_calls_read(). Null: of all
 * topics. Creates none. */
struct admin_op topic_calls_look(struct wire_text topic, enum status (*take)(struct admin_op *op));
/* The answer lives as long as the question. One topic was asked about: it is the only one in there,
 * and its code is the operation's. */
MUST_USE enum status topic_calls_read(struct admin_op *op, struct kafka_metadata_response *answer);
/* Has every partition a leader? */
bool topic_calls_has_leaders(const struct kafka_metadata_response_metadata_response_topic *topic);

#define TOPIC_CALLS_LATEST (-1)
#define TOPIC_CALLS_EARLIEST (-2)

struct topic_calls_offset {
    int64_t time; /* In ms: of the first record then or later; or one of the above. */
    bool is_committed;
    int64_t offset;       /* Out. */
    int64_t timestamp_ms; /* Out: of the record that was found by its time; else -1. */
};

struct admin_op topic_calls_offset(struct wire_text topic, int32_t partition,
                                   struct topic_calls_offset *wanted);

struct topic_calls_cut {
    int64_t offset; /* What is before it goes; -1: all that is committed. */
    int64_t start;  /* Out: the first one that is left. */
};

struct admin_op topic_calls_cut(struct wire_text topic, int32_t partition,
                                struct topic_calls_cut *wanted);
