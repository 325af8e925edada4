/* The door of the controller: what the cluster shall do next, decided here, agreed by the quorum.
 *
 * Every voter has one; the one whose node leads the quorum is active. A request is decided against
 * the newest image with everything in it that is on its way to be agreed, proposed with a token,
 * applied, published, and answered after that. A command that turns out not to fit when it is
 * applied (something it was decided behind did not happen) is decided again. A proposal of unknown
 * fate is answered as soon as its token is seen or a later term shows that it is lost.
 *
 * The controller is the quorum's state machine: open the quorum with controller_fsm(), then give it
 * to controller_attach(), and forward its on_leadership.
 *
 * Owner: the node. Loop: the quorum's; controller_post() from any. Limits: CONTROLLER_WAITING_MAX
 * requests wait, CONTROLLER_FLIGHTS_MAX are under way. */
#pragma once

#include "broker/controller/broker_decisions.h"
#include "broker/controller/config_decisions.h"
#include "broker/controller/isr_decisions.h"
#include "broker/controller/leader_election.h"
#include "broker/controller/producer_id_decisions.h"
#include "broker/controller/topic_decisions.h"
#include "proto/sys/list.h"
#include "proto/sys/loop.h"
#include "raft/quorum.h"

#define CONTROLLER_WAITING_MAX 1024U
#define CONTROLLER_FLIGHTS_MAX 64U
#define CONTROLLER_SESSION_MS_DEFAULT 3000

struct controller;

struct controller_options {
    struct loop *loop;
    int32_t node_id;
    struct decision_defaults defaults;
    int32_t session_timeout_ms;  /* 0: the default. */
    int32_t balance_interval_ms; /* Leadership back to first replicas; 0: 300,000; -1: never. */
    /* A newer image; a reference that the receiver may take with image_ref(). */
    void (*on_image)(void *context, struct image *image);
    /* A command or snapshot cannot be read (a newer version, or damaged): the node must stop. */
    void (*on_fatal)(void *context, enum status why);
    void *context;
};

enum controller_request_kind {
    CONTROLLER_CREATE_TOPICS,
    CONTROLLER_DELETE_TOPICS,
    CONTROLLER_CREATE_PARTITIONS,
    CONTROLLER_ALTER_CONFIGS,
    CONTROLLER_REGISTER_BROKER,
    CONTROLLER_HEARTBEAT,
    CONTROLLER_ALTER_PARTITIONS,
    CONTROLLER_ALLOCATE_PRODUCER_IDS,
    CONTROLLER_ELECT_LEADERS,
    CONTROLLER_DESCRIBE_QUORUM,
    CONTROLLER_UPKEEP /* Its own: fences, repairs, balance. */
};

/* How far a broker has got with the log of commands, by its last heartbeat. */
struct controller_quorum_follower {
    int32_t broker_id;
    int64_t applied_end; /* Result; -1: it has not told this controller yet. */
};

/* The quorum as its leader sees it; ends are those of its log of commands. */
struct controller_quorum_view {
    struct controller_quorum_follower *followers; /* Those that the asker wants to know of. */
    uint32_t follower_count;
    /* Results: */
    int32_t leader_id;
    int32_t term;
    int64_t applied_end;
    int64_t log_end;
};

/* A call. It and what it points to stay put until on_done; results are in the command's own memory
 * and valid with STATUS_OK. Other statuses: NOT_LEADER (not here, nothing happened), BUSY (try
 * again, nothing happened), FULL (larger than one command may be, nothing happened), TIMEOUT
 * (nothing happened), UNKNOWN (it may have happened), CANCELED (closing, nothing happened). */
struct controller_request {
    enum controller_request_kind kind;
    union {
        struct topic_decisions_create_request *create_topics;
        struct topic_decisions_delete_request *delete_topics;
        struct topic_decisions_grow_request *create_partitions;
        struct config_decisions_request *alter_configs;
        struct broker_decisions_register *register_broker;
        struct broker_decisions_heartbeat *heartbeat;
        struct isr_decisions_request *alter_partitions;
        struct producer_id_decisions_request *producer_ids;
        struct leader_election_requests *elect_leaders;
        struct controller_quorum_view *quorum;
    } command;
    int64_t deadline_ns; /* Of the quorum loop's clock. */
    /* Never from inside controller_submit(); with controller_post() on the loop named there. */
    void (*on_done)(struct controller_request *self, enum status status);
    uint64_t index; /* Result: the image's index that holds what was done. */
    /* The controller's: */
    struct list link; /* Of those that wait. */
    struct timer timer;
    struct controller *controller;
    struct controller_flight *flight; /* NULL while it waits. */
    struct loop *reply_loop;
    struct mail mail;
    enum status status;
    uint32_t attempt_count;
};

MUST_USE enum status controller_new(const struct controller_options *options,
                                    struct controller **out_self);
/* After the quorum is closed. Requests that wait are answered before it returns. */
void controller_free(struct controller *self);
struct quorum_fsm *controller_fsm(struct controller *self);
void controller_attach(struct controller *self, struct quorum *quorum);
/* The quorum's on_leadership. */
void controller_set_leadership(struct controller *self, bool is_ready, int64_t term);

void controller_submit(struct controller *self, struct controller_request *request);
/* From any loop; on_done runs on `reply_loop`. */
void controller_post(struct controller *self, struct controller_request *request,
                     struct loop *reply_loop);

/* A connection over which a broker registered or sent heartbeats broke: it is fenced at once when
 * this controller is active. `broker_epoch` -1: whichever is registered. */
void controller_broker_lost(struct controller *self, int32_t broker_id, int64_t broker_epoch);
/* The link to another voter broke or is there again: remembered, and a broker that is down when
 * this controller becomes active is fenced then. */
void controller_peer_changed(struct controller *self, int32_t node_id, bool is_down);

bool controller_is_active(const struct controller *self);
/* The newest image; borrowed until the loop's next turn. */
struct image *controller_image(const struct controller *self);
