/* One broker of a cluster: its address, and up to one link per lane with what waits for it.
 *
 * A link is opened when the first ask comes. While it connects, asks wait; when it cannot connect
 * they end as UNREACHABLE, and the next try comes after a pause that grows. Bootstrap addresses are
 * nodes, too, with numbers below CLUSTER_CONTROLLER.
 *
 * Owner: the cluster. Loop: its. Limits: the link's. */
#pragma once

#include "client/cluster.h"

struct cluster_node_lane {
    struct cluster_node *node;
    struct link *link; /* NULL: none. */
    bool was_open;
    struct list waiting;
    struct retry retry;
    int64_t not_before_ns; /* No new link before. */
    struct timer pause;
};

struct cluster_node {
    uint32_t magic;
    struct list in_cluster;
    struct cluster *cluster;
    int32_t id;
    bool is_listed; /* In the last metadata. */
    struct address address;
    struct cluster_node_lane lanes[CLUSTER_LANE_COUNT];
};

struct cluster_node *cluster_node_find(struct cluster *cluster, int32_t id);
/* The best one to ask when anyone will do. */
struct cluster_node *cluster_node_pick(struct cluster *cluster);
void cluster_node_learn(struct cluster *cluster, int32_t id, const struct address *address);
/* Before new metadata lists them again. */
void cluster_node_unlist(struct cluster *cluster);
MUST_USE enum status cluster_node_ask(struct cluster_node *self, enum cluster_lane lane,
                                      struct ask *ask);
void cluster_node_hang_up(struct cluster_node *self);
void cluster_node_close_all(struct cluster *cluster);
/* When no link is left. */
void cluster_node_free_all(struct cluster *cluster);
