#include "proto/frame/listener.h"

#include "proto/frame/complaint.h"
#include "proto/frame/connection_link.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define LISTENER_MAGIC 0x1157e4e1U

/* What one shard has of the listener. Everything but `options` and `letter` is the shard's loop's.
 */
struct listener_shard {
    struct listener *listener; /* Borrowed for life. */
    struct connection_options options;
    struct complaint_table complaints;
    struct list connections;
    bool is_closing;
    struct mail letter; /* Goes out to close the shard and comes back when it is empty. */
};

/* An accepted stream on its way to its shard. */
struct arrival {
    struct mail mail;
    struct listener_shard *shard;
    struct socket_token token;
};

struct listener {
    uint32_t magic;
    struct loop *loop; /* Borrowed for life. */
    struct socket_listener *socket;
    uint32_t connection_count_max;
    _Atomic uint32_t connection_count; /* On their way and open. */
    uint32_t next_shard;
    uint32_t closed_shard_count;
    void (*on_closed)(void *context);
    void *context;
    uint32_t shard_count;
    struct listener_shard shards[];
};

/* ---- on the shard's loop ---- */

static void close_report_on_loop(struct mail *letter);

static void shard_report_when_empty(struct listener_shard *shard)
{
    if (shard->is_closing && list_is_empty(&shard->connections)) {
        shard->letter.deliver = close_report_on_loop;
        mailbox_post(&shard->listener->loop->mailbox, &shard->letter);
    }
}

static void shard_on_gone(struct connection *connection, void *owner)
{
    struct listener_shard *shard = owner;
    list_remove(connection_link(connection));
    atomic_fetch_sub_explicit(&shard->listener->connection_count, 1, memory_order_relaxed);
    shard_report_when_empty(shard);
}

static void shard_on_arrival(struct mail *mail)
{
    struct arrival *arrival = container_of(mail, struct arrival, mail);
    struct listener_shard *shard = arrival->shard;
    struct socket_token token = arrival->token;
    free(arrival);

    check(!shard->is_closing); /* Letters of one loop come in order, and closing is the last. */
    struct connection *connection = NULL;
    enum status status = connection_open(&shard->options, token, &connection);
    if (status != STATUS_OK) {
        atomic_fetch_sub_explicit(&shard->listener->connection_count, 1, memory_order_relaxed);
        frame_metrics_add(shard->options.metrics.connection_refused_total, 1);
        return;
    }
    list_append(&shard->connections, connection_link(connection));
}

static void shard_on_close(struct mail *letter)
{
    struct listener_shard *shard = container_of(letter, struct listener_shard, letter);
    shard->is_closing = true;
    list_for_each(link, &shard->connections)
    {
        connection_close(connection_of_link(link), NULL); /* Leaves the list in a later turn. */
    }
    shard_report_when_empty(shard);
}

/* ---- on the listener's loop ---- */

static void close_report_on_loop(struct mail *letter)
{
    struct listener *self = container_of(letter, struct listener_shard, letter)->listener;
    check(self->magic == LISTENER_MAGIC);
    self->closed_shard_count += 1;
    if (self->closed_shard_count < self->shard_count) {
        return;
    }
    check(self->connection_count == 0);
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void refuse(struct listener *self, struct listener_shard *shard, struct socket_token token,
                   const char *why)
{
    atomic_fetch_sub_explicit(&self->connection_count, 1, memory_order_relaxed);
    frame_metrics_add(shard->options.metrics.connection_refused_total, 1);
    trace_line(self->loop->trace, TRACE_DEBUG, "frame", "connection_refused",
               "port=%u reason=\"%s\"", listener_port(self), why);
    socket_token_drop(self->loop->sockets, token);
}

static void listener_on_accept(void *context, struct socket_token token)
{
    struct listener *self = context;
    check(self->magic == LISTENER_MAGIC);
    struct listener_shard *shard = &self->shards[self->next_shard];
    uint32_t before = atomic_fetch_add_explicit(&self->connection_count, 1, memory_order_relaxed);
    if (before >= self->connection_count_max) {
        refuse(self, shard, token, "too many connections");
        return;
    }
    struct arrival *arrival = malloc(sizeof *arrival);
    if (arrival == NULL) {
        refuse(self, shard, token, "out of memory");
        return;
    }
    self->next_shard = (self->next_shard + 1) % self->shard_count;
    *arrival = (struct arrival){.mail.deliver = shard_on_arrival, .shard = shard, .token = token};
    mailbox_post(&shard->options.loop->mailbox, &arrival->mail);
}

enum status listener_open(const struct listener_options *options, struct listener **out_listener)
{
    check(options->shard_count > 0);
    check(options->connection_count_max > 0);

    struct listener *self = calloc(1, sizeof *self + options->shard_count * sizeof self->shards[0]);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = LISTENER_MAGIC;
    self->loop = options->loop;
    self->connection_count_max = options->connection_count_max;
    self->shard_count = options->shard_count;
    for (uint32_t i = 0; i < options->shard_count; i++) {
        struct listener_shard *shard = &self->shards[i];
        shard->listener = self;
        shard->options = options->shards[i];
        shard->options.on_gone = shard_on_gone;
        shard->options.owner = shard;
        shard->options.complaints = &shard->complaints;
        complaint_table_init(&shard->complaints);
        list_init(&shard->connections);
    }
    enum status status = socket_listen(self->loop->sockets, &options->address, listener_on_accept,
                                       self, &self->socket);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    *out_listener = self;
    return STATUS_OK;
}

uint16_t listener_port(const struct listener *self)
{
    return socket_listener_port(self->loop->sockets, self->socket);
}

void listener_close(struct listener *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == LISTENER_MAGIC);
    check(self->on_closed == NULL);
    check(on_closed != NULL);
    self->on_closed = on_closed;
    self->context = context;
    socket_listener_close(self->loop->sockets, self->socket);
    self->socket = NULL;
    for (uint32_t i = 0; i < self->shard_count; i++) {
        struct listener_shard *shard = &self->shards[i];
        shard->letter.deliver = shard_on_close;
        mailbox_post(&shard->options.loop->mailbox, &shard->letter);
    }
}
