/* The brokers as one client sees them: who they are, who leads what, and the links to them.
 *
 * It begins with the bootstrap addresses. Metadata is asked from any broker that can be reached,
 * for the topics that somebody wants, again when somebody says that it is stale, with growing
 * delays, and once a minute. Links are opened when they are first needed and again after a pause
 * when they broke. A broker answers in order, so what waits long (fetches) has a lane of its own.
 *
 * Owner: a core (producer, consumer, admin); each has its own. Loop: the owner's. Limits:
 * CLUSTER_NODES_MAX brokers; topics that the owner wanted. */
#pragma once

#include "client/ask.h"
#include "client/retry.h"

#define CLUSTER_NODES_MAX 1024U
#define CLUSTER_BOOTSTRAP_MAX 32U
#define CLUSTER_ANY (-1)        /* Any broker that can be reached. */
#define CLUSTER_CONTROLLER (-2) /* The active controller, or whoever stands in for it. */

enum cluster_lane { CLUSTER_LANE_SHORT, CLUSTER_LANE_LONG, CLUSTER_LANE_COUNT };

struct cluster_partition {
    int32_t leader;       /* -1: none is known. */
    int32_t leader_epoch; /* -1: not known. */
    int16_t error_code;
};

struct cluster_topic {
    struct list in_cluster;
    struct wire_uuid id;
    bool is_known;          /* Some answer named it. */
    int16_t error_code;     /* Of the last answer. */
    int64_t asked_since_ns; /* Of the first look; for deciding that it does not exist. */
    struct cluster_partition *partitions; /* Owned. */
    int32_t partition_count;              /* 0: not known. */
    int32_t name_bytes;
    char name[]; /* NUL-terminated. */
};

struct cluster_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    int64_t request_timeout_ms;
    bool may_create_topics; /* Asking for a topic may create it where the brokers allow that. */
    /* After each look at metadata. May want topics and ask, not close. NULL: nobody cares. */
    void (*on_refreshed)(void *context, enum status status);
    /* Everything has ended; the owner may free itself. */
    void (*on_closed)(void *context);
    void *context;
};

struct cluster_node;

struct cluster {
    uint32_t magic;
    struct cluster_options options;
    struct address bootstrap[CLUSTER_BOOTSTRAP_MAX];
    struct list nodes; /* struct cluster_node, the bootstrap addresses first. */
    uint32_t node_count;
    uint32_t turn;     /* For CLUSTER_ANY. */
    int32_t informant; /* Who was asked for metadata last. */
    bool is_elsewhere; /* Another one is to be asked next. */
    bool is_routine;   /* Nobody has asked for the next look. */
    struct list topics;
    uint32_t topic_count;
    int32_t controller;
    char cluster_id[64]; /* Empty: not known. */
    bool is_closing;
    bool has_closed;
    uint32_t link_count;
    bool is_refreshing;
    bool is_refresh_due; /* Somebody asked while one was under way. */
    bool has_refreshed;
    enum status refresh_status;
    struct retry refresh_retry;
    int64_t refreshed_ns;
    struct timer refresh_timer;
    struct ask metadata;
    struct mail close_mail;
};

/* In place. */
void cluster_init(struct cluster *self, const struct cluster_options *options);
/* Ends all asks (CANCELED where they were not sent), then on_closed, never from inside. */
void cluster_close(struct cluster *self);

/* Asks `node`, or CLUSTER_ANY. UNREACHABLE: no such node. On failure nothing was taken. */
MUST_USE enum status cluster_ask(struct cluster *self, int32_t node, enum cluster_lane lane,
                                 struct ask *ask);
/* Breaks the links to a node that is believed to be gone; what was sent ends as UNKNOWN. */
void cluster_drop(struct cluster *self, int32_t node);

/* From now on metadata covers it. NULL: no memory. It lives as long as the cluster. */
struct cluster_topic *cluster_want(struct cluster *self, struct wire_text name);
/* NULL: nobody wanted it. */
struct cluster_topic *cluster_topic(struct cluster *self, struct wire_text name);
/* Looks at metadata as soon as the delays allow. */
void cluster_refresh(struct cluster *self);
/* The same, at another broker than the last time, as each minute: one that the others went on
 * without tells what was. */
void cluster_refresh_elsewhere(struct cluster *self);
/* As told with an answer (KIP-951); older news than what is known is ignored. */
void cluster_learn_leader(struct cluster *self, struct cluster_topic *topic, int32_t partition,
                          int32_t leader, int32_t leader_epoch);
void cluster_learn_node(struct cluster *self, int32_t node, struct wire_text host, int32_t port);
/* Closed already? For cluster_node only. */
void cluster_end_close(struct cluster *self);
/* Can it be asked? */
bool cluster_knows_node(struct cluster *self, int32_t node);
