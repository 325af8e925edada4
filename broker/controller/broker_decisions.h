/* Brokers come, live, go: registration, heartbeat, fencing, controlled shutdown.
 *
 * A broker registers fenced and is unfenced by a heartbeat that says it has applied its own
 * registration. Its epoch is the index of the registration's entry. Fencing, unfencing and going
 * change partitions at once; what does not fit one command is left to
 * leader_election_decide_repairs(), which is called until nothing is left.
 *
 * Owner: the caller. Loop: the quorum's. Limits: IMAGE_ENDPOINTS_MAX endpoints, texts of
 * BROKER_DECISIONS_TEXT_BYTES_MAX. */
#pragma once

#include "broker/controller/decision.h"

#define BROKER_DECISIONS_TEXT_BYTES_MAX 255U

struct broker_decisions_endpoint {
    struct wire_text listener;
    struct wire_text host;
    uint16_t port;
    struct wire_text security; /* "PLAINTEXT" and so on. */
};

struct broker_decisions_register {
    int32_t broker_id;
    struct wire_uuid cluster_id; /* Zero: it does not know. */
    struct wire_uuid incarnation_id;
    struct wire_uuid directory_id;
    int64_t previous_epoch; /* Before a clean stop; -1: it was not clean, or is not known. */
    struct wire_text rack;  /* Null or empty: none. */
    const struct broker_decisions_endpoint *endpoints;
    uint32_t endpoint_count;
    bool is_voter;
    /* The controller's: the earlier incarnation may still live, or speaks still. */
    bool is_session_live;
    bool is_session_heard;
    /* Results: */
    struct decision_error error;
    int64_t epoch;   /* 0: the index of the entry that was just decided. */
    bool is_partial; /* Not registered yet: decide again when these records are applied. */
};

void broker_decisions_register(struct decision *decision,
                               struct broker_decisions_register *request);

struct broker_decisions_heartbeat {
    int32_t broker_id;
    int64_t broker_epoch;
    uint64_t applied_index; /* Of the newest image that it has. */
    bool wants_fence;
    bool wants_shut_down;
    /* The controller's: all unfenced brokers know that this one is shutting down. */
    bool is_shutdown_known;
    /* Results: */
    struct decision_error error;
    bool is_caught_up;
    bool is_fenced;
    bool should_shut_down;
    bool is_partial; /* leader_election_decide_repairs() has more to do. */
};

void broker_decisions_heartbeat(struct decision *decision,
                                struct broker_decisions_heartbeat *request);

/* The broker is gone: fences it and changes the partitions it was part of. No records when it is
 * fenced already, not registered, or of another epoch (`broker_epoch` -1: any). False:
 * leader_election_decide_repairs() has more to do. */
bool broker_decisions_fence(struct decision *decision, int32_t broker_id, int64_t broker_epoch);
