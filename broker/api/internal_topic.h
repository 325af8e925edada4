/* Internal topics, made when somebody first asks for a coordinator.
 *
 * One wish per topic and shard is under way; who comes meanwhile waits with it. A wait ends when
 * the shard's image has the topic, or after INTERNAL_TOPIC_PATIENCE_MS without it: the client asks
 * again.
 *
 * Owner: the shard. Loop: the shard's. Limits: waits are embedded in requests. */
#pragma once

#include "broker/uplink/uplink.h"

#define INTERNAL_TOPIC_PATIENCE_MS 3000
#define INTERNAL_TOPIC_CONFIGS_MAX 8U

struct api_shard;

struct internal_topic {
    struct api_shard *shard;
    const char *name;
    struct list waiting;
    bool is_asking; /* A wish is under way, */
    bool is_asked;  /* and the controller knows of it. */
    int64_t deadline_ns;
    struct timer look; /* Until the image has it. */
    struct uplink_call up;
    struct topic_decisions_create_request command;
    struct topic_decisions_create item;
    struct topic_decisions_config configs[INTERNAL_TOPIC_CONFIGS_MAX];
    struct uplink_forward forward;
    struct arena arena;
};

struct internal_topic_wait {
    /* Look into the image now. Later or from inside internal_topic_want(). */
    void (*on_end)(struct internal_topic_wait *self);
    struct list link;
};

void internal_topic_init(struct internal_topic *self, struct api_shard *shard, const char *name);
void internal_topic_want(struct internal_topic *self, struct internal_topic_wait *wait);
