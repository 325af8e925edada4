/* One shard of a broker: its loop, its logs, its requests.
 *
 * Owner: the broker. Loop: the shard's, where not said otherwise. */
#pragma once

#include "broker/api/dispatch.h"
#include "broker/coordinator/group.h"
#include "broker/coordinator/ledger_set.h"
#include "broker/coordinator/txn.h"
#include "broker/follower/follower.h"

struct broker_shard {
    struct api_shard *api; /* Borrowed: in the broker's api_node. */
    struct partition_map_options map_options;
    struct follower_options follower_options;
    struct follower *follower; /* Owned; the shard's. */
    struct ledger_set_options ledger_options;
    struct ledger_set *ledgers; /* Owned; the shard's. */
    struct txn_context txn_context;
    struct broker_links *links;        /* Owned; the shard's, as the next two. */
    struct broker_links *marker_links; /* Of their own: a slow marker holds up no question. */
    struct txn_markers *markers;
    struct mail start_mail;
    struct mail open_mail;
    struct mail close_mail;
    enum status open_status;
    void (*on_opened)(struct broker_shard *self);                  /* On the home loop. */
    void (*on_idle)(struct broker_shard *self);                    /* On the home loop. */
    void (*on_closed)(struct broker_shard *self);                  /* On the home loop. */
    void (*on_applied)(struct broker_shard *self, uint64_t index); /* On the home loop. */
    struct loop *home;                                             /* The first shard's. */
    void *context;
};

/* Opens the shard's logs on its own loop. */
void broker_shard_open(struct broker_shard *self);
/* The way to the controller is there: followers pull from now on. */
void broker_shard_start(struct broker_shard *self);
/* Ends all waits and lets the requests end; on_idle on the home loop. The listener is closed. */
void broker_shard_drain(struct broker_shard *self);
/* Closes the logs, when every shard is idle. */
void broker_shard_close(struct broker_shard *self);
/* From any loop: takes a reference and applies the image on the shard's loop, in order of posting.
 */
void broker_shard_apply(struct broker_shard *self, struct image *image);
