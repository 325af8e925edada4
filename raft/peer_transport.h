/* How messages of the quorum travel: a link to each other voter, and frames that come in.
 *
 * This side dials; what is sent goes out on our own link, what the peer says comes over a
 * connection that it opened to our listener. The listener is the broker's: it gives frames with the
 * API key PEER_TRANSPORT_API_KEY to peer_transport_post() (any loop) or peer_transport_receive()
 * (the quorum's), and forgets the ticket: nothing is answered. A link is dialled again after a
 * growing pause; what does not fit its queue, or finds no link, is dropped without a word, since
 * raft says it again. A link that breaks after it was up says that the peer's process died: an
 * election need not wait. So does one whose peer takes no byte for some seconds: a host without
 * power says nothing, not even when it is back.
 *
 * Owner: the node; it outlives the quorum that uses it. Loop: the quorum's.
 * Limits: queue_bytes_max per peer and for frames posted; PEER_TRANSPORT_QUEUE_FRAMES_MAX. */
#pragma once

#include "proto/frame/connection.h"
#include "raft/quorum.h"

#define PEER_TRANSPORT_API_KEY 30000
#define PEER_TRANSPORT_QUEUE_FRAMES_MAX 4096U
#define PEER_TRANSPORT_QUEUE_BYTES_DEFAULT ((size_t)128 << 20)

struct quorum_message;

struct peer_transport_options {
    struct loop *loop;
    int32_t node_id;
    struct quorum_voter voters[QUORUM_VOTERS_MAX]; /* This node's own entry is passed over. */
    uint32_t voter_count;
    size_t queue_bytes_max; /* 0: the default. */
};

MUST_USE enum status peer_transport_open(const struct peer_transport_options *options,
                                         struct quorum_peers **out_peers);
/* Behind the quorum's on_closed. on_closed comes from the loop; the memory is freed behind it. */
void peer_transport_close(struct quorum_peers *self, void (*on_closed)(void *context),
                          void *context);

/* A whole frame behind its length, from a peer. Any loop; takes a reference of its own. Not after
 * peer_transport_close() was called. */
void peer_transport_post(struct quorum_peers *self, struct frame *frame);
/* The same on the quorum's loop; `bytes` are borrowed. */
void peer_transport_receive(struct quorum_peers *self, const uint8_t *bytes, size_t byte_count);

/* The rest is the quorum's. */
struct peer_transport_user {
    void (*on_message)(void *context, struct quorum_message *message); /* Takes it. */
    void (*on_connected)(void *context, int32_t node_id);
    void (*on_lost)(void *context, int32_t node_id);
    void *context;
};
/* NULL: nobody; what comes in is dropped. */
void peer_transport_attach(struct quorum_peers *self, const struct peer_transport_user *user);
/* Takes `frame`, malloc'ed. False: it was dropped. */
bool peer_transport_send(struct quorum_peers *self, int32_t node_id, uint8_t *frame,
                         size_t byte_count);
