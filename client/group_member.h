/* One member of a group: joins, hears its part, keeps its place by heartbeats, joins again.
 *
 * The classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup) for any protocol type; what
 * members tell about themselves and what they are assigned are bytes that only the owner knows. One
 * member, the leader, is given all members' bytes and answers with each one's part.
 *
 *     join: on_describe; the leader also: on_lead, group_member_assign(); all: on_assigned
 *     a rebalance begins: on_rebalance, and when the owner is ready, group_member_rejoin()
 *     the place is gone (too late, restarted coordinator): on_lost; it joins again by itself
 *
 * Heartbeats go on while the owner gets ready, up to the rebalance timeout, after which the
 * coordinator goes on without this member. Callbacks may call any function here but close.
 *
 * Owner: whoever embeds it. Loop: the options'. Limits: GROUP_MEMBER_PROTOCOLS_MAX protocols;
 * GROUP_MEMBER_PEERS_MAX members. */
#pragma once

#include "client/coordinator_core.h"

#define GROUP_MEMBER_PROTOCOLS_MAX 8U
#define GROUP_MEMBER_PEERS_MAX 10000U
#define GROUP_MEMBER_ID_BYTES_MAX 512U

struct group_member_protocol {
    struct wire_text name;
    struct wire_bytes metadata;
};

struct group_member_peer {
    struct wire_text member_id;
    struct wire_text instance_id; /* Null: none. */
    struct wire_bytes metadata;   /* For the protocol that was chosen. */
};

struct group_member_round {
    struct wire_text protocol; /* What all members have in common. */
    const struct group_member_peer *peers;
    uint32_t peer_count;
};

struct group_member_share {
    struct wire_text member_id;
    struct wire_bytes assignment;
};

struct group_member_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life, as the next three. */
    const char *group;
    const char *protocol_type;
    const char *instance_id; /* NULL: none. With one, a restart within the session keeps the
                                place, and closing does not give it up. */
    int64_t request_timeout_ms;
    int64_t session_timeout_ms;   /* Without a heartbeat for so long, the place is gone. */
    int64_t rebalance_timeout_ms; /* How long others wait for us; 0: the session timeout. */
    int64_t heartbeat_ms;         /* 0: a third of the session timeout. */
    /* Before each join. Writes up to GROUP_MEMBER_PROTOCOLS_MAX protocols, the favourite first, and
     * returns their count; the bytes stay until the next on_describe or the end. */
    uint32_t (*on_describe)(void *context, struct group_member_protocol *protocols);
    /* This member leads: group_member_assign(), now or later. `round` lives during the call. */
    void (*on_lead)(void *context, const struct group_member_round *round);
    /* A new generation has begun. The bytes live during the call. */
    void (*on_assigned)(void *context, struct wire_text protocol, struct wire_bytes assignment);
    void (*on_rebalance)(void *context);
    /* What was assigned is no longer ours; offsets of it cannot be committed any more. */
    void (*on_lost)(void *context);
    /* It will not join again: refused for good (FENCED: another uses the instance id), or the
     * brokers lack what it takes. */
    void (*on_failed)(void *context, enum status status, int16_t error_code);
    /* Metadata was looked at; may be NULL. */
    void (*on_refreshed)(void *context, enum status status);
    void (*on_closed)(void *context);
    void *context;
};

enum group_member_state {
    GROUP_MEMBER_IDLE,    /* Not joined, or failed. */
    GROUP_MEMBER_JOINING, /* JoinGroup, or a pause before it. */
    GROUP_MEMBER_LEADING, /* The owner works on the assignment. */
    GROUP_MEMBER_SYNCING,
    GROUP_MEMBER_STABLE,
    GROUP_MEMBER_CALLED, /* A rebalance has begun; the owner is getting ready. */
    GROUP_MEMBER_LEAVING,
};

struct group_member {
    uint32_t magic;
    struct group_member_options options;
    struct cluster cluster;              /* The owner may want topics and ask on it, too. */
    struct coordinator_core coordinator; /* The owner may ask it, too: commits of offsets. */
    enum group_member_state state;
    int32_t generation;                        /* -1: none. */
    char member_id[GROUP_MEMBER_ID_BYTES_MAX]; /* Empty: none yet. */
    char protocol[GROUP_MEMBER_ID_BYTES_MAX];  /* Chosen by the coordinator. */
    bool is_leader;
    bool has_assignment;   /* Told and not lost. */
    bool is_rejoin_wanted; /* As soon as the join under way has ended. */
    struct group_member_protocol protocols[GROUP_MEMBER_PROTOCOLS_MAX];
    uint32_t protocol_count;
    struct coordinator_op join;
    struct coordinator_op sync;
    struct coordinator_op heartbeat;
    struct coordinator_op leave;
    bool is_join_running; /* As the next ones: on its way or waiting to be asked again. */
    bool is_sync_running;
    bool is_heartbeat_running;
    int32_t heartbeat_generation; /* Asked about. */
    struct arena arena;           /* Holds the shares. */
    struct group_member_share *shares;
    uint32_t share_count;
    struct timer beat;  /* The next heartbeat. */
    struct timer pause; /* Before the next join. */
    struct retry retry;
    int64_t heard_ns; /* When the coordinator last acknowledged the place. */
    bool is_closing;
};

/* The protocol type, the group and the timeouts are needed. */
void group_member_init(struct group_member *self, const struct group_member_options *options);
/* Leaves the group where `is_leaving` and without an instance id, as far as `leave_ms` allows, then
 * on_closed. No other callback comes. */
void group_member_close(struct group_member *self, bool is_leaving, int64_t leave_ms);

/* Joins, or joins again: after on_rebalance, or because what on_describe tells has changed. While a
 * join is under way, another follows it. */
void group_member_rejoin(struct group_member *self);
/* The leader's answer to on_lead. All is copied; whoever is not named gets empty bytes. Ignored
 * when the round is over by now. */
MUST_USE enum status group_member_assign(struct group_member *self,
                                         const struct group_member_share *shares,
                                         uint32_t share_count);
