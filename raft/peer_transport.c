#include "raft/peer_transport.h"

#include "proto/sys/check.h"
#include "raft/quorum_message.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_MAGIC 0x9ee25e1dU
#define PAUSE_MS_MIN 20
#define PAUSE_MS_MAX 1000
#define SILENCE_MS 3000 /* Of a peer that takes nothing; then its host is taken for dead. */
#define DIAL_MS                                                                                    \
    1000 /* Given up and tried anew: what answers a lost first packet comes too late.              \
          */

_Static_assert(PEER_TRANSPORT_API_KEY == QUORUM_MESSAGE_API_KEY, "one key, seen from both sides");

struct peer {
    struct quorum_peers *peers;
    int32_t node_id;
    struct address address;
    struct socket socket;
    bool is_open; /* There is a socket, which may be closing. */
    bool is_connected;
    int64_t pause_ms;     /* Before the next attempt. */
    struct timer retry;   /* For the next attempt, or the end of this one. */
    uint32_t frame_count; /* Being written. */
    size_t byte_count;
    uint8_t ignored[64]; /* Nobody answers; what comes all the same goes here. */
};

struct quorum_peers {
    uint32_t magic;
    struct peer_transport_options options;
    struct peer_transport_user user;
    bool has_user;
    struct peer peers[QUORUM_VOTERS_MAX];
    uint32_t peer_count;
    bool is_closing;
    void (*on_closed)(void *context);
    void *closed_context;
    struct mail end;
    _Atomic size_t posted_bytes; /* Of frames on their way to this loop. */
};

/* A frame on its way out. */
struct outgoing {
    struct socket_write write;
    struct socket_buffer buffer;
    struct peer *peer;
    uint8_t *bytes; /* Owned. */
};

static struct peer *find_peer(struct quorum_peers *self, int32_t node_id)
{
    for (uint32_t i = 0; i < self->peer_count; i++) {
        if (self->peers[i].node_id == node_id) {
            return &self->peers[i];
        }
    }
    return NULL;
}

/* --- Links ------------------------------------------------------------------------------------ */

static void dial_later(struct peer *peer)
{
    struct loop *loop = peer->peers->options.loop;
    int64_t spread_ns =
        (int64_t)prng_below(&loop->prng, (uint64_t)(PAUSE_MS_MIN * CLOCK_NS_PER_MS));
    timer_start_after(&peer->retry, peer->pause_ms * CLOCK_NS_PER_MS + spread_ns);
    peer->pause_ms = peer->pause_ms * 2 < PAUSE_MS_MAX ? peer->pause_ms * 2 : PAUSE_MS_MAX;
}

static void end_when_closed(struct quorum_peers *self)
{
    for (uint32_t i = 0; i < self->peer_count; i++) {
        if (self->peers[i].is_open) {
            return;
        }
    }
    loop_defer(self->options.loop, &self->end);
}

static struct peer *peer_of(struct socket *socket)
{
    return container_of(socket, struct peer, socket);
}

static void link_on_connected(struct socket *socket, enum status status)
{
    struct peer *peer = peer_of(socket);
    struct quorum_peers *self = peer->peers;
    if (status != STATUS_OK || self->is_closing) {
        return; /* on_closed follows. */
    }
    timer_stop(&peer->retry);
    peer->is_connected = true;
    peer->pause_ms = PAUSE_MS_MIN;
    socket_read_start(socket);
    socket_limit_silence(socket, SILENCE_MS);
    if (self->has_user) {
        self->user.on_connected(self->user.context, peer->node_id);
    }
}

static void link_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct peer *peer = peer_of(socket);
    *out_base = peer->ignored;
    *out_byte_count = sizeof peer->ignored;
}

static void link_on_read(struct socket *socket, size_t byte_count)
{
    (void)socket;
    (void)byte_count;
}

static void link_on_end(struct socket *socket, enum status why)
{
    struct peer *peer = peer_of(socket);
    struct quorum_peers *self = peer->peers;
    bool was_connected = peer->is_connected;
    peer->is_connected = false;
    socket_close(socket);
    if (was_connected && self->has_user) {
        trace_line(self->options.loop->trace, TRACE_INFO, "quorum", "link-lost",
                   "node=%d why=\"%s\"", peer->node_id, status_text(why));
        self->user.on_lost(self->user.context, peer->node_id);
    }
}

static void link_on_closed(struct socket *socket)
{
    struct peer *peer = peer_of(socket);
    peer->is_open = false;
    peer->is_connected = false;
    if (peer->peers->is_closing) {
        end_when_closed(peer->peers); /* The timer is done already. */
        return;
    }
    dial_later(peer); /* Moves the timer when it still guards this attempt. */
}

static const struct socket_events link_events = {
    .on_connected = link_on_connected,
    .on_room = link_on_room,
    .on_read = link_on_read,
    .on_end = link_on_end,
    .on_closed = link_on_closed,
};

static void retry_on_fire(struct timer *timer)
{
    struct peer *peer = container_of(timer, struct peer, retry);
    struct loop *loop = peer->peers->options.loop;
    if (peer->is_open) {
        socket_close(&peer->socket);
        return;
    }
    if (socket_connect(loop->sockets, &peer->socket, &peer->address, &link_events) != STATUS_OK) {
        dial_later(peer);
        return;
    }
    peer->is_open = true;
    timer_start_after(timer, DIAL_MS * CLOCK_NS_PER_MS);
}

static void send_on_done(struct socket_write *write, enum status status)
{
    (void)status; /* raft says it again. */
    struct outgoing *outgoing = container_of(write, struct outgoing, write);
    outgoing->peer->frame_count -= 1;
    outgoing->peer->byte_count -= outgoing->buffer.byte_count;
    free(outgoing->bytes);
    free(outgoing);
}

bool peer_transport_send(struct quorum_peers *self, int32_t node_id, uint8_t *frame,
                         size_t byte_count)
{
    check(self->magic == PEERS_MAGIC);
    struct peer *peer = find_peer(self, node_id);
    struct outgoing *outgoing = NULL;
    if (peer != NULL && peer->is_connected && !self->is_closing &&
        peer->frame_count < PEER_TRANSPORT_QUEUE_FRAMES_MAX &&
        peer->byte_count + byte_count <= self->options.queue_bytes_max) {
        outgoing = calloc(1, sizeof *outgoing);
    }
    if (outgoing == NULL) {
        free(frame);
        return false;
    }
    outgoing->peer = peer;
    outgoing->bytes = frame;
    outgoing->buffer = (struct socket_buffer){.base = frame, .byte_count = byte_count};
    outgoing->write.buffers = &outgoing->buffer;
    outgoing->write.buffer_count = 1;
    outgoing->write.on_done = send_on_done;
    peer->frame_count += 1;
    peer->byte_count += byte_count;
    socket_write(&peer->socket, &outgoing->write);
    return true;
}

/* --- What comes in ---------------------------------------------------------------------------- */

/* The sender is a peer, and who greets says who it is. */
static bool is_from_peer(struct quorum_peers *self, const struct quorum_message *message)
{
    int32_t node_id = quorum_meta_node_id(message->head.from);
    if (find_peer(self, node_id) == NULL) {
        return false;
    }
    const struct quorum_message_hello *hello = &message->hello;
    return !message->is_hello ||
           (hello->node_id == node_id &&
            quorum_meta_raft_id(node_id, hello->directory_id) == message->head.from);
}

void peer_transport_receive(struct quorum_peers *self, const uint8_t *bytes, size_t byte_count)
{
    check(self->magic == PEERS_MAGIC);
    struct quorum_message *message = NULL;
    if (!self->has_user || self->is_closing) {
        return;
    }
    enum status status = quorum_message_decode(bytes, byte_count, &message);
    if (status == STATUS_OK && !is_from_peer(self, message)) {
        status = STATUS_INVALID;
    }
    if (status != STATUS_OK) {
        trace_line(self->options.loop->trace, TRACE_WARN, "quorum", "message-refused",
                   "bytes=%zu why=\"%s\"", byte_count, status_text(status));
        quorum_message_free(message);
        return;
    }
    self->user.on_message(self->user.context, message);
}

struct posted {
    struct mail mail;
    struct quorum_peers *peers;
    struct frame *frame; /* One reference. */
};

static void posted_on_mail(struct mail *mail)
{
    struct posted *posted = container_of(mail, struct posted, mail);
    struct frame *frame = posted->frame;
    atomic_fetch_sub_explicit(&posted->peers->posted_bytes, frame->byte_count,
                              memory_order_relaxed);
    peer_transport_receive(posted->peers, frame->bytes, frame->byte_count);
    frame_unref(frame);
    free(posted);
}

void peer_transport_post(struct quorum_peers *self, struct frame *frame)
{
    size_t before =
        atomic_fetch_add_explicit(&self->posted_bytes, frame->byte_count, memory_order_relaxed);
    struct posted *posted = before + frame->byte_count > self->options.queue_bytes_max
                                ? NULL
                                : calloc(1, sizeof *posted);
    if (posted == NULL) {
        /* As if the network had lost it. */
        atomic_fetch_sub_explicit(&self->posted_bytes, frame->byte_count, memory_order_relaxed);
        return;
    }
    posted->mail.deliver = posted_on_mail;
    posted->peers = self;
    posted->frame = frame_ref(frame);
    mailbox_post(&self->options.loop->mailbox, &posted->mail);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void close_on_mail(struct mail *mail)
{
    struct quorum_peers *self = container_of(mail, struct quorum_peers, end);
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->closed_context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

enum status peer_transport_open(const struct peer_transport_options *options,
                                struct quorum_peers **out_peers)
{
    check(options->voter_count <= QUORUM_VOTERS_MAX);
    struct quorum_peers *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = PEERS_MAGIC;
    self->options = *options;
    self->end.deliver = close_on_mail;
    if (self->options.queue_bytes_max == 0) {
        self->options.queue_bytes_max = PEER_TRANSPORT_QUEUE_BYTES_DEFAULT;
    }
    for (uint32_t i = 0; i < options->voter_count; i++) {
        if (options->voters[i].node_id == options->node_id) {
            continue;
        }
        struct peer *peer = &self->peers[self->peer_count];
        self->peer_count += 1;
        peer->peers = self;
        peer->node_id = options->voters[i].node_id;
        peer->address = options->voters[i].address;
        peer->pause_ms = PAUSE_MS_MIN;
        timer_init(&peer->retry, &options->loop->timers, retry_on_fire);
        timer_start_after(&peer->retry, 0);
    }
    *out_peers = self;
    return STATUS_OK;
}

void peer_transport_attach(struct quorum_peers *self, const struct peer_transport_user *user)
{
    check(self->magic == PEERS_MAGIC);
    self->has_user = user != NULL;
    if (user != NULL) {
        self->user = *user;
    }
}

void peer_transport_close(struct quorum_peers *self, void (*on_closed)(void *context),
                          void *context)
{
    check(self->magic == PEERS_MAGIC);
    check(!self->has_user);
    check(!self->is_closing);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    bool is_any_open = false;
    for (uint32_t i = 0; i < self->peer_count; i++) {
        struct peer *peer = &self->peers[i];
        timer_done(&peer->retry);
        if (peer->is_open) {
            is_any_open = true;
            peer->is_connected = false;
            socket_close(&peer->socket);
        }
    }
    if (!is_any_open) {
        loop_defer(self->options.loop, &self->end);
    }
}
