/* Sees to it that a topic is there: creates it where it is missing, waits for its leaders.
 *
 * The controller is asked, and its node for what is there: a broker that lags behind still shows
 * what was deleted a moment ago, and a table over that would have no topic.
 *
 * Owner: whoever embeds the wish. Loop: the admin core's. Limits: TOPIC_MAKER_SETTINGS_MAX. */
#pragma once

#include "client/topic_calls.h"

#define TOPIC_MAKER_SETTINGS_MAX 8U
#define TOPIC_MAKER_NAME_BYTES_MAX 256U

struct topic_setting {
    const char *name;
    const char *value;
};

struct topic_wish {
    char name[TOPIC_MAKER_NAME_BYTES_MAX];
    int32_t partition_count; /* 0: the cluster's default. Only where it is created. */
    struct topic_setting settings[TOPIC_MAKER_SETTINGS_MAX]; /* As above; borrowed. */
    uint32_t setting_count;
    bool must_exist; /* NOT_FOUND instead of creating it. */
    /* What any broker shows is there, so that nobody waits for a controller. */
    bool is_never_deleted;
    int64_t deadline_ns;
    /* Once, never from inside topic_maker_run(). OK, or the status; `op.error_code` and
     * `op.message` say what a broker said. */
    void (*on_done)(struct topic_wish *self, enum status status);
    /* With OK: */
    int32_t found_partition_count;
    struct wire_uuid topic_id;
    /* The maker's: */
    struct admin_core *core;
    struct admin_op op;
    struct topic_calls_wanted wanted;
    struct topic_calls_setting texts[TOPIC_MAKER_SETTINGS_MAX];
    bool is_missing;
    bool is_there; /* Some broker has said so. */
};

void topic_maker_run(struct admin_core *core, struct topic_wish *wish);
/* Deletes a topic; one that is not there is no error. Uses name, deadline_ns and on_done. */
void topic_maker_delete(struct admin_core *core, struct topic_wish *wish);
