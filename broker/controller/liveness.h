/* Which brokers are heard of: what the active controller knows beside the image, and forgets when
 * it is not active any more.
 *
 * A broker lives from a registration or heartbeat for the session's time. It is lost at once when
 * the connection that carried them broke. A new controller grants every broker a fresh session,
 * except those whose link to this node is known to be down.
 *
 * Owner: the controller. Loop: the quorum's. Limits: LIVENESS_BROKERS_MAX. */
#pragma once

#include "broker/metadata/image.h"

#define LIVENESS_BROKERS_MAX 1024U

struct liveness_broker {
    int32_t broker_id;
    int64_t broker_epoch;    /* Of the session; 0: none. */
    int64_t deadline_ns;     /* End of the session. */
    uint64_t applied_index;  /* From its last heartbeat. */
    uint64_t shutdown_index; /* Where it began to shut down; 0: it did not. */
    bool is_heard;           /* It has spoken to this controller: no session on credit. */
    bool is_lost;            /* Its connection broke; until it is heard of again. */
    bool is_peer_down;       /* Its link to this node's quorum is down. */
};

struct liveness {
    int64_t session_ns;
    uint32_t broker_count;
    struct liveness_broker brokers[LIVENESS_BROKERS_MAX];
};

void liveness_init(struct liveness *self, int64_t session_ns);
/* This controller becomes active. */
void liveness_begin(struct liveness *self, const struct image *image, int64_t now_ns);
/* Heard of `broker_id`; a broker beyond the limit is not kept, and never expires. */
void liveness_touch(struct liveness *self, int32_t broker_id, int64_t broker_epoch,
                    uint64_t applied_index, int64_t now_ns);
/* `broker_epoch` -1: any. A session of another epoch goes on. */
void liveness_lose(struct liveness *self, int32_t broker_id, int64_t broker_epoch);
void liveness_set_peer(struct liveness *self, int32_t node_id, bool is_down);
void liveness_set_shutdown(struct liveness *self, int32_t broker_id, uint64_t index);

bool liveness_is_live(const struct liveness *self, int32_t broker_id, int64_t now_ns);
/* Live, and not only because a new controller takes everybody for live. */
bool liveness_is_heard(const struct liveness *self, int32_t broker_id, int64_t now_ns);
/* The next unfenced broker of the image that is not heard of any more; NULL: none. */
const struct image_broker *liveness_next_expired(const struct liveness *self,
                                                 const struct image *image, int64_t now_ns);
/* When the next session of an unfenced broker ends; INT64_MAX: never. */
int64_t liveness_next_deadline(const struct liveness *self, const struct image *image);
/* What it said last that it has applied; 0: it has not told this controller. */
uint64_t liveness_applied_index(const struct liveness *self, int32_t broker_id);
/* True when every unfenced broker has applied what began this one's shutdown. */
bool liveness_knows_shutdown(const struct liveness *self, const struct image *image,
                             int32_t broker_id);
