/* This broker as a member of the cluster: registers with the active controller, then tells it by
 * heartbeats that it lives and how far it has followed.
 *
 * A registration that is refused or lost is tried again; an answer that says "not registered" or
 * "of another epoch" starts anew. Live means: the cluster's image shows this incarnation unfenced.
 * Whoever finds at its start that another process is this broker, for longer than a dead one could
 * be taken for alive, gives up.
 *
 * Owner: the broker. Loop: the first shard's. */
#pragma once

#include "broker/uplink/uplink.h"

/* Sessions to wait for a dead process of the same id to be missed: one on credit of a new
 * controller may follow its own. */
#define BROKER_MEMBER_PATIENCE_SESSIONS 2

struct broker_member_options {
    struct loop *loop;
    struct uplink *uplink;
    int32_t broker_id;
    struct wire_uuid directory_id;
    struct wire_uuid incarnation_id; /* Of this process. */
    const char *listener_name;
    struct address advertised; /* Copied. */
    const char *rack;          /* NULL: none. Borrowed for life. */
    bool is_voter;
    int64_t heartbeat_interval_ms;
    int64_t session_timeout_ms;
    /* How far every shard has applied images. */
    uint64_t (*applied_index)(void *context);
    /* Another process is this broker; nothing is asked any more. */
    void (*on_duplicate)(void *context);
    void *context;
};

struct broker_member {
    uint32_t magic;
    struct broker_member_options options;
    int64_t epoch; /* -1: not registered. */
    bool was_registered;
    int64_t duplicate_since_ns; /* Refused since then because of another process; 0: it is not. */
    bool is_asking;
    bool is_stopping;
    bool is_leaving;
    int64_t leave_deadline_ns;
    void (*on_left)(void *context);
    struct timer timer;
    struct broker_decisions_endpoint endpoint;
    struct broker_decisions_register registration;
    struct broker_decisions_heartbeat heartbeat;
    struct uplink_call asked;
    void (*on_stopped)(void *context);
};

void broker_member_init(struct broker_member *self, const struct broker_member_options *options);
/* Registers until it is done. */
void broker_member_start(struct broker_member *self);
/* Hands over what this broker leads: asks until the controller lets it go, or `timeout_ms` is over.
 * Then on_left, with the options' context. The broker serves meanwhile. */
void broker_member_leave(struct broker_member *self, int64_t timeout_ms,
                         void (*on_left)(void *context));
/* No call of it is under way when `on_stopped` (with the options' context) runs. */
void broker_member_stop(struct broker_member *self, void (*on_stopped)(void *context));
/* Does the image show this incarnation as live? */
bool broker_member_is_live(const struct broker_member *self, const struct image *image);
