/* One child process of the local cluster: its folder, its start, its `ready`, its end.
 *
 * Its folder holds `config.properties` and `pid`, both written at each start, `trace.log` and
 * `data/`. The child says `ready port=N` on its standard output when it serves; its standard error
 * is appended to the trace. A child that does not serve in time is killed, so that each start has
 * exactly one outcome: on_serving or on_ended.
 *
 * Owner: dev_cluster. Loop: the main one. Limits: DEV_START_MS_MAX. */
#pragma once

#include "proto/sys/disk.h"
#include "proto/sys/host/host_process.h"
#include "proto/sys/loop.h"

#include <stdbool.h>
#include <stdint.h>

#define DEV_START_MS_MAX 60000
#define DEV_NODE_LINE_BYTES_MAX 128U
#define DEV_NODE_NAME_BYTES_MAX 24U

enum dev_node_state {
    DEV_NODE_DOWN,
    DEV_NODE_STARTING,
    DEV_NODE_SERVING,
    DEV_NODE_STOPPING, /* SIGTERM was sent. */
    DEV_NODE_KILLED,   /* SIGKILL was sent. */
};

struct dev_node;

struct dev_node_events {
    void (*on_serving)(struct dev_node *self);
    /* It is down; `end` is how. */
    void (*on_ended)(struct dev_node *self, const struct host_process_end *end);
};

struct dev_node {
    uint32_t magic;
    char name[DEV_NODE_NAME_BYTES_MAX]; /* As "broker-1". */
    uint32_t number;
    const char *program; /* Borrowed for life. */
    char directory[DISK_PATH_BYTES_MAX];
    struct host_loop *loop;               /* Borrowed for life. */
    const struct dev_node_events *events; /* Borrowed for life. */
    enum dev_node_state state;
    struct host_process *process; /* NULL: no child. */
    struct host_process_end end;
    struct socket output; /* The child's standard output. */
    bool has_output;
    enum dev_node_state state_before; /* Valid in on_ended. */
    char line[DEV_NODE_LINE_BYTES_MAX];
    size_t line_bytes;
    struct timer deadline;
};

struct dev_node_options {
    const char *kind; /* As "broker". */
    uint32_t number;
    const char *program;
    const char *directory; /* Of the cluster. */
    struct host_loop *loop;
    const struct dev_node_events *events;
};

/* INVALID: the path is too long. */
MUST_USE enum status dev_node_init(struct dev_node *self, const struct dev_node_options *options);
void dev_node_done(struct dev_node *self);

/* Writes the settings and starts the child. On failure no event follows. */
MUST_USE enum status dev_node_start(struct dev_node *self, const char *config);
/* In order, by SIGTERM; on_ended follows. */
void dev_node_stop(struct dev_node *self);
/* By SIGKILL; on_ended follows. */
void dev_node_kill(struct dev_node *self);

/* The last lines of its trace, for people; "" where there is none. The caller frees; or NULL. */
char *dev_node_trace_tail(struct dev_node *self);
