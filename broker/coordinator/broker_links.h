/* The ways from one shard to the other brokers, for what coordinators and leaders ask each other.
 *
 * One link per broker, opened when something is first sent to it and again after it broke; the
 * image names the address. Whoever sends keeps its own time and tries again.
 *
 * Owner: the broker's shard. Loop: the shard's. Limits: BROKER_LINKS_MAX brokers, the link's own
 * for the calls. */
#pragma once

#include "broker/metadata/image.h"
#include "client/link.h"

#define BROKER_LINKS_MAX 64U

struct broker_links;

struct broker_links_options {
    struct loop *loop;
    /* The newest image; NULL: none yet. */
    const struct image *(*image_of)(void *context);
    void *context;
};

MUST_USE enum status broker_links_new(const struct broker_links_options *options,
                                      struct broker_links **out_self);
/* UNREACHABLE: no address of it is known; FULL; CLOSED. Then nothing was taken. */
MUST_USE enum status broker_links_send(struct broker_links *self, int32_t broker_id,
                                       struct link_call *call);
/* Ends all calls and takes no more. Then on_closed, and the memory is gone with the shard's own
 * call of broker_links_free(). */
void broker_links_close(struct broker_links *self, void (*on_closed)(void *context), void *context);
/* Accepts NULL. */
void broker_links_free(struct broker_links *self);
