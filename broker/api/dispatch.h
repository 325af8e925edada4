/* The door of broker/api: a frame in, the right serve function called; and what is served at all.
 *
 * One table says for each API key which versions are served and by whom; ApiVersions is answered
 * from the same table, so nothing is advertised that does not work. An unknown key or version
 * closes the connection, as clients expect; ApiVersions itself answers in version 0.
 *
 * Owner: the node. Loop: each shard's own. */
#pragma once

#include "broker/api/internal_topic.h"
#include "broker/api/producer_ids.h"
#include "broker/api/request.h"
#include "broker/api/txn_gate.h"
#include "broker/coordinator/broker_links.h"
#include "broker/metadata/config_key.h"
#include "broker/partition/partition_map.h"
#include "proto/record/decompressor.h"

#define API_SHARDS_MAX 64U
/* Where groups and transactional ids live. */
#define DISPATCH_GROUP_TOPIC "__consumer_offsets"
#define DISPATCH_TRANSACTION_TOPIC "__transaction_state"

struct api_node;

/* What handlers of one shard work with. */
struct api_shard {
    struct loop *loop;
    uint32_t index;
    struct api_node *node;     /* Shared by the shards; constant after start unless atomic. */
    struct partition_map *map; /* This shard's. */
    struct decompressor decompressor; /* For batches that must be opened to be checked. */
    struct producer_ids producer_ids;
    struct internal_topic group_topic;
    struct internal_topic transaction_topic;
    struct broker_links *links; /* To the other brokers; the broker_shard's. */
    struct txn_gate txn_gate;
    struct list free_requests;
    uint32_t free_request_count;
    uint32_t active_request_count;
    uint64_t speaker_count; /* Connections that got a number of `speaker`. */
    /* Set while the node stops: called when the last request has ended. */
    void (*on_idle)(struct api_shard *self);
    void *owner; /* Whoever set on_idle. */
};

struct api_node {
    int32_t broker_id;
    struct wire_uuid incarnation_id; /* Of this process. */
    const char *listener_name;
    struct config_key_view config_view; /* Of this broker; the image is each request's own. */
    struct address advertised;          /* Of this broker, as clients reach it. */
    struct budget *budget;
    struct controller *controller; /* This node's. */
    struct uplink *uplink;         /* The way to the active one. */
    struct loop *quorum_loop;
    struct quorum_peers *peers; /* NULL with one voter. */
    /* The quorum's part is there: controller, uplink and peers may be used. */
    _Atomic bool is_open;
    _Atomic bool is_stopping;
    uint32_t shard_count;
    struct api_shard shards[API_SHARDS_MAX];
    bool is_auto_create;              /* auto.create.topics.enable */
    uint32_t default_partition_count; /* num.partitions */
    int32_t internal_partition_count; /* internal.topic.partitions */
    uint32_t voter_count;             /* Brokers that there will be at least. */
};

/* For connection_options.on_frame; the connection's context is its api_shard. */
void dispatch_on_frame(struct connection *connection, struct frame *frame, struct ticket *ticket);
/* The map of the shard that owns a partition. */
struct partition_map *dispatch_map_of(const struct api_node *node, const struct wire_uuid *topic_id,
                                      int32_t index);

struct api_shard *dispatch_shard_of(struct api_node *node, const struct wire_uuid *topic_id,
                                    int32_t index);

struct dispatch_range {
    int16_t api_key;
    int16_t version_min;
    int16_t version_max;
};
#define DISPATCH_RANGES_MAX 64U
/* What clients are served, ascending by key; returns how many. */
uint32_t dispatch_ranges(struct dispatch_range out_ranges[DISPATCH_RANGES_MAX]);
