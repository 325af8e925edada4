/* The door of a running `millrace dev` for `dev start|stop|kill`: one line in, one line out.
 *
 * A caller connects to the loopback port of `dev.control` and sends `SECRET VERB NODE`. The answer
 * is `ok`, or `error CODE: what; why; fix`, and comes when the thing is done: start when the node
 * serves, stop and kill when it has ended. Then the connection closes.
 *
 * Owner: shell_dev. Loop: the main one. Limits: DEV_CALLERS_MAX at once, lines of
 * DEV_CONTROL_LINE_BYTES_MAX, DEV_CALLER_MS_MAX to send one. */
#pragma once

#include "client/shell/dev_cluster.h"

#define DEV_CALLERS_MAX 16U
#define DEV_CONTROL_LINE_BYTES_MAX 512U
#define DEV_CALLER_MS_MAX 5000

enum dev_verb { DEV_VERB_NONE, DEV_VERB_PING, DEV_VERB_START, DEV_VERB_STOP, DEV_VERB_KILL };

struct dev_control;

struct dev_caller {
    struct dev_control *control;
    struct socket socket;
    bool is_used;
    bool is_answered;
    enum dev_verb verb;    /* NONE: its line is not there yet. */
    struct dev_node *node; /* What it waits for. */
    struct timer deadline; /* For its line. */
    char line[DEV_CONTROL_LINE_BYTES_MAX];
    size_t line_bytes;
    struct socket_buffer buffer;
    struct socket_write write;
};

struct dev_control {
    struct dev_watcher watcher;
    struct dev_cluster *cluster; /* Borrowed for life. */
    struct socket_listener *listener;
    struct dev_control_point point;
    struct dev_caller callers[DEV_CALLERS_MAX];
    bool is_closing;
    void (*on_closed)(struct dev_control *self);
};

/* Listens and writes `dev.control`. On failure nothing is left open. */
MUST_USE enum status dev_control_open(struct dev_control *self, struct dev_cluster *cluster);
/* Removes the file, lets the last answers leave, then on_closed, perhaps from inside. */
void dev_control_close(struct dev_control *self, void (*on_closed)(struct dev_control *self));
