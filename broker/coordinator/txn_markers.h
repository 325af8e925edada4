/* Sends the end of transactions to the leaders of all their partitions, until every one has it.
 *
 * A job is one transaction's end. Its markers go to where the image says the leaders are: into
 * partitions of this broker directly, to other brokers as WriteTxnMarkers, all that one turn of the
 * loop brought together in one request. What fails is tried again; a partition that is gone needs
 * no marker. A marker may arrive twice, which its partition takes as one.
 *
 * Owner: the broker's shard. Loop: the shard's. Limits: jobs are embedded in transactions that end;
 * TXN_MARKERS_REQUEST_MAX markers a request. */
#pragma once

#include "broker/coordinator/broker_links.h"
#include "broker/coordinator/marker_write.h"

#define TXN_MARKERS_REQUEST_MAX 1000U

struct txn_markers;

struct txn_markers_options {
    struct loop *loop;
    int32_t broker_id;
    struct broker_links *links; /* Borrowed for life. */
    const struct image *(*image_of)(void *context);
    struct partition_map *(*map_of)(void *context, const struct wire_uuid *topic_id, int32_t index);
    void *context;
};

struct txn_markers_topic {
    struct wire_text name;
    const int32_t *partitions;
    uint32_t partition_count;
};

struct txn_marker;

/* One transaction's end. Embedded; stays put until on_done. */
struct txn_markers_job {
    struct ledger_marker marker;
    /* Every partition has it, or `is_fenced`: another coordinator has taken over. After
     * txn_markers_abandon() it only says that the memory is free. Never inside the start. */
    void (*on_done)(struct txn_markers_job *self, bool is_fenced);
    /* The sender's: */
    struct txn_markers *sender;
    struct txn_marker *markers; /* Owned. */
    uint32_t marker_count;
    uint32_t left_count; /* Markers that are not done. */
    uint32_t busy_count; /* Markers under way. */
    bool is_abandoned;
    bool is_fenced;
    bool is_running;
    struct list link; /* Done, to be told. */
};

MUST_USE enum status txn_markers_new(const struct txn_markers_options *options,
                                     struct txn_markers **out_self);
/* `topics` is copied. */
void txn_markers_start(struct txn_markers *self, struct txn_markers_job *job,
                       const struct txn_markers_topic *topics, uint32_t topic_count);
/* The term is over: nothing more is sent. True: on_done will still come. */
bool txn_markers_abandon(struct txn_markers_job *job);
/* All jobs are abandoned; on_closed when nothing is under way any more, and the memory is gone. */
void txn_markers_close(struct txn_markers *self, void (*on_closed)(void *context), void *context);
