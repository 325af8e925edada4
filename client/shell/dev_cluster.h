/* The local cluster of `millrace dev`: all nodes from start to end.
 *
 * It starts every node at once, since voters wait for each other, and says `ready` when all serve.
 * From then on a node that dies is told and left; dev_control starts, stops and kills single ones.
 * The end is in order: the last node first, each with DEV_STOP_MS_MAX, then SIGKILL.
 *
 * Owner: shell_dev. Loop: the main one. Limits: DEV_NODES_MAX. */
#pragma once

#include "client/shell/dev_node.h"
#include "client/shell/dev_plan.h"
#include "proto/sys/host/host_signal.h"

#define DEV_NODES_MAX (DEV_BROKERS_MAX + DEV_PROCESSORS_MAX)
#define DEV_STOP_MS_MAX 15000
#define DEV_SETTINGS_MAX 64U

enum dev_phase { DEV_PHASE_STARTING, DEV_PHASE_RUNNING, DEV_PHASE_STOPPING };

struct dev_cluster;

/* What dev_control hears about single nodes; may be NULL. */
struct dev_watcher {
    void (*on_change)(struct dev_watcher *self, struct dev_node *node);
};

struct dev_cluster {
    uint32_t magic;
    struct host_loop *loop;
    const struct dev_plan *plan;
    const char *directory;
    const char *const *broker_settings; /* Borrowed for life. */
    uint32_t broker_setting_count;
    const char *const *processor_settings; /* Borrowed for life. */
    uint32_t processor_setting_count;
    enum dev_phase phase;
    struct dev_node nodes[DEV_NODES_MAX];
    uint32_t node_count;
    struct dev_watcher *watcher;
    struct timer stop_deadline;
    struct host_signal signals[3];
    bool has_failed;
    void (*on_over)(struct dev_cluster *self);
};

struct dev_cluster_options {
    struct host_loop *loop;
    const struct dev_plan *plan;        /* Borrowed for life. */
    const char *directory;              /* Borrowed for life. */
    const char *program;                /* Of a broker. Borrowed for life. */
    const char *processor_program;      /* Borrowed for life. */
    const char *const *broker_settings; /* Borrowed for life. */
    uint32_t broker_setting_count;
    const char *const *processor_settings; /* Borrowed for life. */
    uint32_t processor_setting_count;
    void (*on_over)(struct dev_cluster *self); /* Once: it was told to end, and all have ended. */
};

/* Also hears SIGTERM, SIGINT and SIGHUP. On failure `self` may still be passed to done. */
MUST_USE enum status dev_cluster_init(struct dev_cluster *self,
                                      const struct dev_cluster_options *options);
void dev_cluster_done(struct dev_cluster *self);

/* Starts all. */
void dev_cluster_start(struct dev_cluster *self);
/* One node that is down. */
MUST_USE enum status dev_cluster_start_node(struct dev_cluster *self, struct dev_node *node);
/* NULL: no node of this name. */
struct dev_node *dev_cluster_find(struct dev_cluster *self, const char *name);
