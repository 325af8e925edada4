/* libmillrace: looking at a cluster and changing it.
 *
 * Each call asks the brokers, again where that may help, until the timeout. Results are read-only
 * and freed as a whole. Lists are arrays of pointers, so that structs can grow.
 *
 * Include client.h. Owner: the application. Loop: any thread. Limits: none of its own. */
#pragma once

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct millrace_config {
    struct millrace_bytes name;
    struct millrace_bytes value; /* Null in a change: back to the default. Null when secret. */
    bool is_default;
    bool is_read_only;
};

struct millrace_new_topic {
    size_t size;
    struct millrace_bytes name;
    int32_t partition_count;               /* 0: the cluster's default. */
    int32_t replication_factor;            /* 0: the cluster's default. */
    const struct millrace_config *configs; /* Names and values. */
    size_t config_count;
    bool is_dry_run; /* Only says whether it would succeed. */
};

/* MILLRACE_TOPIC_EXISTS where it does. Returns when the topic can be used. */
MILLRACE_EXPORT int millrace_topic_create(struct millrace_client *client,
                                          const struct millrace_new_topic *topic,
                                          int64_t timeout_ms, struct millrace_error *error);
MILLRACE_EXPORT int millrace_topic_delete(struct millrace_client *client,
                                          struct millrace_bytes name, int64_t timeout_ms,
                                          struct millrace_error *error);
/* Grows it to `partition_count`. */
MILLRACE_EXPORT int millrace_topic_grow(struct millrace_client *client, struct millrace_bytes name,
                                        int32_t partition_count, int64_t timeout_ms,
                                        struct millrace_error *error);

struct millrace_topic_row {
    struct millrace_bytes name;
    uint8_t id[16];
    int32_t partition_count;
    int32_t replication_factor; /* Of the first partition. */
    bool is_internal;
};
struct millrace_topics {
    const struct millrace_topic_row *const *topics; /* Sorted by name. */
    size_t topic_count;
};
MILLRACE_EXPORT int millrace_topics_list(struct millrace_client *client, int64_t timeout_ms,
                                         struct millrace_topics **out_topics,
                                         struct millrace_error *error);
MILLRACE_EXPORT void millrace_topics_free(struct millrace_topics *topics);

struct millrace_partition {
    int32_t partition;
    int32_t leader;       /* -1: none. */
    int32_t leader_epoch; /* -1: not known. */
    const int32_t *isr;
    size_t isr_count;
    const int32_t *replicas;
    size_t replica_count;
    int64_t start; /* -1: could not be asked, as without a leader. */
    int64_t end;   /* High watermark; -1 as above. */
};
struct millrace_topic {
    struct millrace_bytes name;
    uint8_t id[16];
    bool is_internal;
    const struct millrace_partition *const *partitions; /* Sorted by number. */
    size_t partition_count;
    const struct millrace_config *const *configs; /* Sorted by name, defaults included. */
    size_t config_count;
};
/* MILLRACE_UNKNOWN_TOPIC where there is none. */
MILLRACE_EXPORT int millrace_topic_describe(struct millrace_client *client,
                                            struct millrace_bytes name, int64_t timeout_ms,
                                            struct millrace_topic **out_topic,
                                            struct millrace_error *error);
MILLRACE_EXPORT void millrace_topic_free(struct millrace_topic *topic);

enum millrace_config_of {
    MILLRACE_CONFIG_OF_TOPIC,
    MILLRACE_CONFIG_OF_BROKER, /* `name` is its number in decimal; empty: of all brokers. */
};
struct millrace_configs {
    const struct millrace_config *const *configs; /* Sorted by name. */
    size_t config_count;
};
MILLRACE_EXPORT int millrace_configs_describe(struct millrace_client *client,
                                              enum millrace_config_of of,
                                              struct millrace_bytes name, int64_t timeout_ms,
                                              struct millrace_configs **out_configs,
                                              struct millrace_error *error);
MILLRACE_EXPORT void millrace_configs_free(struct millrace_configs *configs);
/* All or nothing; other values stay. */
MILLRACE_EXPORT int millrace_configs_alter(struct millrace_client *client,
                                           enum millrace_config_of of, struct millrace_bytes name,
                                           const struct millrace_config *changes,
                                           size_t change_count, int64_t timeout_ms,
                                           struct millrace_error *error);

/* Asks for one offset: START_EARLIEST, START_LATEST (under read_committed the last stable offset)
 * or START_TIME (the first record of that time or later; -1 where there is none). */
struct millrace_offset_query {
    struct millrace_bytes topic;
    int32_t partition;
    struct millrace_start start;
    int64_t offset;       /* Out. -1 on failure. */
    int64_t timestamp_ms; /* Out: of the record found by time; else -1. */
    int code;             /* Out: of this partition. */
};
/* Fills the queries; returns the first failure. */
MILLRACE_EXPORT int millrace_offsets_list(struct millrace_client *client,
                                          struct millrace_offset_query *queries, size_t query_count,
                                          enum millrace_isolation isolation, int64_t timeout_ms,
                                          struct millrace_error *error);

/* Deletes the records before `offset` (-1: all up to the high watermark); gives the new start. */
MILLRACE_EXPORT int millrace_records_delete(struct millrace_client *client,
                                            struct millrace_bytes topic, int32_t partition,
                                            int64_t offset, int64_t timeout_ms, int64_t *out_start,
                                            struct millrace_error *error);

struct millrace_node {
    int32_t node;
    struct millrace_bytes host;
    int32_t port;
    struct millrace_bytes rack; /* Null: none. */
    bool is_fenced;
    bool is_voter;   /* Of the metadata quorum, as far as known. */
    int64_t log_end; /* Of its metadata log; -1: not known. */
};
struct millrace_cluster {
    struct millrace_bytes cluster_id;
    int32_t controller;                       /* -1: none is known. */
    int32_t controller_epoch;                 /* -1: the cluster does not tell. */
    const struct millrace_node *const *nodes; /* Sorted by number. */
    size_t node_count;
};
MILLRACE_EXPORT int millrace_cluster_describe(struct millrace_client *client, int64_t timeout_ms,
                                              struct millrace_cluster **out_cluster,
                                              struct millrace_error *error);
MILLRACE_EXPORT void millrace_cluster_free(struct millrace_cluster *cluster);

struct millrace_group_row {
    struct millrace_bytes group;
    struct millrace_bytes state;
    struct millrace_bytes protocol_type;
};
struct millrace_groups {
    const struct millrace_group_row *const *groups; /* Sorted by name. */
    size_t group_count;
};
MILLRACE_EXPORT int millrace_groups_list(struct millrace_client *client, int64_t timeout_ms,
                                         struct millrace_groups **out_groups,
                                         struct millrace_error *error);
MILLRACE_EXPORT void millrace_groups_free(struct millrace_groups *groups);

/* One partition that the group has an offset for, or that a member of it reads. */
struct millrace_group_partition {
    struct millrace_bytes topic;
    int32_t partition;
    int64_t committed;            /* -1: none. */
    int64_t end;                  /* -1: could not be asked. */
    int64_t lag;                  /* -1: not known. */
    struct millrace_bytes member; /* Null: nobody. */
    struct millrace_bytes client_id;
    struct millrace_bytes host;
};
struct millrace_group {
    struct millrace_bytes group;
    struct millrace_bytes state;
    struct millrace_bytes protocol;
    size_t member_count;
    int32_t coordinator;
    const struct millrace_group_partition *const *partitions; /* Sorted. */
    size_t partition_count;
};
MILLRACE_EXPORT int millrace_group_describe(struct millrace_client *client,
                                            struct millrace_bytes group, int64_t timeout_ms,
                                            struct millrace_group **out_group,
                                            struct millrace_error *error);
MILLRACE_EXPORT void millrace_group_free(struct millrace_group *group);
MILLRACE_EXPORT int millrace_group_delete(struct millrace_client *client,
                                          struct millrace_bytes group, int64_t timeout_ms,
                                          struct millrace_error *error);

#ifdef __cplusplus
}
#endif
