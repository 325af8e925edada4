/* The way to the active controller, wherever it is: in this process or on another voter's broker.
 *
 * A call runs on the local controller when that is active, else it goes as Kafka's own request
 * (BrokerRegistration, BrokerHeartbeat, AlterPartition, AllocateProducerIds) over one link per
 * voter. Where no controller is active the call is tried again until its deadline. Requests of
 * clients that change something are forwarded as they came (uplink_forward), and their answers
 * handed back as they come.
 *
 * Owner: the node. Loop: the quorum's; uplink_post() and uplink_forward_post() from any.
 * Limits: calls are embedded in requests or parts that have one each. */
#pragma once

#include "broker/controller/controller.h"
#include "client/link.h"

struct uplink;

struct uplink_options {
    struct loop *loop;             /* The quorum's. */
    struct controller *controller; /* NULL together with `quorum` on a node that does not vote. */
    struct quorum *quorum;
    int32_t broker_id;
    const struct quorum_voter *voters; /* Copied. */
    uint32_t voter_count;
};

/* A call to the controller. Stays put until on_done, which runs on `home`, never inside the post.
 */
struct uplink_call {
    struct controller_request request; /* Kind, command, deadline_ns: the caller's. */
    /* As controller_request says. NOT_LEADER: no controller was found in time, or (for kinds that
     * are not sent on) it is not here: nothing happened. */
    void (*on_done)(struct uplink_call *self, enum status status);
    /* The uplink's: */
    struct uplink *uplink;
    struct loop *home;
    struct mail mail;
    struct timer retry;
    enum status status;
    struct link_call remote;
    struct wire_slice body;
    struct arena arena;
};

/* A client's request, sent on whole: header and body behind the length prefix. */
struct uplink_forward {
    const void *frame; /* Borrowed until on_done. */
    size_t frame_bytes;
    int64_t deadline_ns;
    /* OK: `answer` is the answer's header and body, owned by the forward until
     * uplink_forward_done(). */
    void (*on_done)(struct uplink_forward *self, enum status status);
    const uint8_t *answer;
    size_t answer_bytes;
    /* The uplink's: */
    struct uplink *uplink;
    struct loop *home;
    struct mail mail;
    struct timer retry;
    enum status status;
    struct link_call remote;
    struct wire_slice body;
};

MUST_USE enum status uplink_new(const struct uplink_options *options, struct uplink **out_self);
/* Closes the links; no call is under way any more. Then on_closed, and the memory is gone. */
void uplink_close(struct uplink *self, void (*on_closed)(void *context), void *context);

void uplink_post(struct uplink *self, struct uplink_call *call, struct loop *home);
void uplink_forward_post(struct uplink *self, struct uplink_forward *forward, struct loop *home);
void uplink_forward_done(struct uplink_forward *forward); /* Accepts a zeroed one. */
