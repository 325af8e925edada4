#include "client/shell/dev_control.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_entropy.h"
#include "proto/sys/list.h"

#include <stdio.h>
#include <string.h>

static void answer(struct dev_caller *caller, const char *text);

static const char *const verb_words[] = {"", "ping", "start", "stop", "kill"};

static enum dev_verb verb_of(const char *word)
{
    for (size_t i = 1; i < sizeof verb_words / sizeof verb_words[0]; i++) {
        if (strcmp(word, verb_words[i]) == 0) {
            return (enum dev_verb)i;
        }
    }
    return DEV_VERB_NONE;
}

/* Takes as long for a wrong secret as for the right one. */
static bool is_secret(const char *given, const char *secret)
{
    size_t byte_count = strlen(secret);
    if (strlen(given) != byte_count) {
        return false;
    }
    unsigned char difference = 0;
    for (size_t i = 0; i < byte_count; i++) {
        difference |= (unsigned char)(given[i] ^ secret[i]);
    }
    return difference == 0;
}

static void start(struct dev_caller *caller)
{
    struct dev_node *node = caller->node;
    if (node->state == DEV_NODE_SERVING) {
        answer(caller, "ok\n");
    } else if (node->state == DEV_NODE_STOPPING || node->state == DEV_NODE_KILLED) {
        answer(caller, "error BUSY: the node is about to end; it was told to stop; try again when "
                       "it has\n");
    } else if (node->state == DEV_NODE_DOWN &&
               dev_cluster_start_node(caller->control->cluster, node) != STATUS_OK) {
        answer(caller, "error NODE_FAILED: the node cannot be started; its program or its folder "
                       "is out of reach; see what `millrace dev` printed\n");
    }
}

static void end(struct dev_caller *caller)
{
    struct dev_node *node = caller->node;
    bool is_down = node->state == DEV_NODE_DOWN;
    if (is_down && caller->verb == DEV_VERB_KILL) {
        answer(caller, "error NOT_RUNNING: there is nothing to kill; the node is down; start it "
                       "with millrace dev start\n");
    } else if (is_down) {
        answer(caller, "ok\n");
    } else if (caller->verb == DEV_VERB_KILL) {
        dev_node_kill(node);
    } else {
        dev_node_stop(node);
    }
}

static void obey(struct dev_caller *caller)
{
    char secret[64];
    char verb[16];
    char name[32];
    struct dev_control *self = caller->control;
    if (sscanf(caller->line, "%63s %15s %31s", secret, verb, name) != 3 ||
        !is_secret(secret, self->point.secret)) {
        answer(caller, "error DENIED: the call is not for this cluster; dev.control is of another "
                       "run; try again\n");
        return;
    }
    caller->verb = verb_of(verb);
    caller->node = dev_cluster_find(self->cluster, name);
    if (caller->verb == DEV_VERB_PING) {
        answer(caller, "ok\n");
    } else if (caller->verb == DEV_VERB_NONE) {
        answer(caller, "error DENIED: the call is not understood; another version made it; use "
                       "the millrace that runs the cluster\n");
    } else if (self->cluster->phase == DEV_PHASE_STOPPING) {
        answer(caller, "error STOPPING: the cluster is about to end; it was told to stop; start "
                       "it again with millrace dev\n");
    } else if (caller->node == NULL) {
        char text[192];
        (void)snprintf(text, sizeof text,
                       "error NO_SUCH_NODE: '%s' is not a node; there are %u brokers and %u "
                       "processors; name one, as broker-1 or processor-1\n",
                       name, self->cluster->plan->broker_count,
                       self->cluster->plan->processor_count);
        answer(caller, text);
    } else if (caller->verb == DEV_VERB_START) {
        start(caller);
    } else {
        end(caller);
    }
}

static void caller_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct dev_caller *caller = container_of(socket, struct dev_caller, socket);
    *out_base = (uint8_t *)caller->line + caller->line_bytes;
    *out_byte_count = sizeof caller->line - 1 - caller->line_bytes;
}

static void caller_on_read(struct socket *socket, size_t byte_count)
{
    struct dev_caller *caller = container_of(socket, struct dev_caller, socket);
    caller->line_bytes += byte_count;
    caller->line[caller->line_bytes] = '\0';
    char *newline = strchr(caller->line, '\n');
    if (newline == NULL && caller->line_bytes + 1 < sizeof caller->line) {
        return;
    }
    if (newline != NULL) {
        *newline = '\0';
    }
    timer_stop(&caller->deadline);
    socket_read_stop(socket);
    obey(caller);
}

static void caller_on_end(struct socket *socket, enum status why)
{
    (void)why; /* It does not wait any more; what it asked for goes on. */
    socket_close(socket);
}

static void close_when_nobody_is_left(struct dev_control *self)
{
    for (size_t i = 0; i < DEV_CALLERS_MAX; i++) {
        if (self->callers[i].is_used) {
            return;
        }
    }
    self->on_closed(self);
}

static void caller_on_closed(struct socket *socket)
{
    struct dev_caller *caller = container_of(socket, struct dev_caller, socket);
    timer_done(&caller->deadline);
    caller->is_used = false;
    if (caller->control->is_closing) {
        close_when_nobody_is_left(caller->control);
    }
}

static const struct socket_events caller_events = {
    .on_room = caller_on_room,
    .on_read = caller_on_read,
    .on_end = caller_on_end,
    .on_closed = caller_on_closed,
};

static void answer_on_written(struct socket_write *write, enum status status)
{
    (void)status; /* A caller that is gone misses nothing. */
    socket_close(&container_of(write, struct dev_caller, write)->socket);
}

static void answer(struct dev_caller *caller, const char *text)
{
    size_t byte_count = strlen(text);
    check(byte_count < sizeof caller->line);
    check(!caller->is_answered);
    memcpy(caller->line, text, byte_count);
    caller->buffer = (struct socket_buffer){caller->line, byte_count};
    caller->write = (struct socket_write){
        .buffers = &caller->buffer, .buffer_count = 1, .on_done = answer_on_written};
    caller->is_answered = true;
    socket_write(&caller->socket, &caller->write);
}

static void caller_on_deadline(struct timer *timer)
{
    socket_close(&container_of(timer, struct dev_caller, deadline)->socket);
}

static void control_on_accept(void *context, struct socket_token token)
{
    struct dev_control *self = context;
    struct loop *loop = &self->cluster->loop->loop;
    for (size_t i = 0; i < DEV_CALLERS_MAX; i++) {
        struct dev_caller *caller = &self->callers[i];
        if (caller->is_used) {
            continue;
        }
        *caller = (struct dev_caller){.control = self};
        if (socket_adopt(loop->sockets, &caller->socket, token, &caller_events) == STATUS_OK) {
            caller->is_used = true;
            timer_init(&caller->deadline, &loop->timers, caller_on_deadline);
            timer_start_after(&caller->deadline, DEV_CALLER_MS_MAX * CLOCK_NS_PER_MS);
            socket_read_start(&caller->socket);
        }
        return;
    }
    socket_token_drop(loop->sockets, token);
}

static void watcher_on_change(struct dev_watcher *watcher, struct dev_node *node)
{
    struct dev_control *self = container_of(watcher, struct dev_control, watcher);
    bool serves = node->state == DEV_NODE_SERVING;
    for (size_t i = 0; i < DEV_CALLERS_MAX; i++) {
        struct dev_caller *caller = &self->callers[i];
        if (!caller->is_used || caller->is_answered || caller->node != node) {
            continue;
        }
        if (caller->verb == DEV_VERB_START && !serves) {
            char text[192];
            (void)snprintf(text, sizeof text,
                           "error NODE_FAILED: %s ended before it served; its trace says why; "
                           "see %s/trace.log\n",
                           node->name, node->name);
            answer(caller, text);
        } else if ((caller->verb == DEV_VERB_START) == serves) {
            answer(caller, "ok\n");
        }
    }
}

static void make_secret(char *secret)
{
    uint8_t bytes[(DEV_SECRET_BYTES - 1) / 2];
    host_entropy_fill(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        (void)snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    }
}

enum status dev_control_open(struct dev_control *self, struct dev_cluster *cluster)
{
    *self = (struct dev_control){.watcher = {.on_change = watcher_on_change}, .cluster = cluster};
    struct loop *loop = &cluster->loop->loop;
    const struct address address = {.host = DEV_HOST, .port = 0};
    make_secret(self->point.secret);
    TRY(socket_listen(loop->sockets, &address, control_on_accept, self, &self->listener));
    self->point.port = socket_listener_port(loop->sockets, self->listener);
    enum status status = dev_plan_save_control(loop->disk, cluster->directory, &self->point);
    if (status != STATUS_OK) {
        socket_listener_close(loop->sockets, self->listener);
        return status;
    }
    cluster->watcher = &self->watcher;
    return STATUS_OK;
}

void dev_control_close(struct dev_control *self, void (*on_closed)(struct dev_control *self))
{
    check(!self->is_closing);

    struct loop *loop = &self->cluster->loop->loop;
    self->is_closing = true;
    self->on_closed = on_closed;
    self->cluster->watcher = NULL;
    socket_listener_close(loop->sockets, self->listener);
    dev_plan_remove_control(loop->disk, self->cluster->directory);
    for (size_t i = 0; i < DEV_CALLERS_MAX; i++) {
        if (self->callers[i].is_used && !self->callers[i].is_answered) {
            timer_stop(&self->callers[i].deadline);
            socket_close(&self->callers[i].socket);
        }
    }
    close_when_nobody_is_left(self);
}
