/* One group: its members, what they agreed on, its committed offsets.
 *
 * What the log says of a group is its `stored` record and its offsets; only group_book applies
 * those. The rest (who is joining, sessions, the state between two generations) belongs to this
 * term of leadership and is lost with it, as clients expect.
 *
 * Owner: the group_book. Loop: the ledger's. Limits: group_limits.member_count_max. */
#pragma once

#include "broker/coordinator/group.h"
#include "broker/coordinator/group_offsets.h"

enum group_phase {
    GROUP_EMPTY,
    GROUP_PREPARING,  /* Members are asked to join again. */
    GROUP_COMPLETING, /* A generation exists; its leader has not brought the assignment. */
    GROUP_STABLE,
};

struct group_protocol {
    struct wire_text name;
    struct wire_bytes metadata;
};

struct group;

struct group_member {
    struct text_entry entry; /* Its id; owned. */
    struct list link;        /* In the order of joining. */
    struct group *group;
    struct text_entry instance; /* Of a static member; owned, else null. */
    bool is_static;
    struct wire_text client_id; /* These are owned, too. */
    struct wire_text client_host;
    int32_t session_ms;
    int32_t rebalance_ms;
    struct group_protocol *protocols;
    uint32_t protocol_count;
    struct wire_bytes assignment;
    struct group_call *joining; /* Kept until the generation begins. */
    struct group_call *syncing; /* Kept until the assignment is there. */
    struct timer session;
    uint64_t connection_number; /* Over which it last spoke; 0: not known. */
    bool is_expired;
    bool has_synced; /* In this generation. */
    bool is_stored;  /* Named by the record that is being applied. */
};

/* A member id that was given out and has not come back yet. */
struct group_candidate {
    struct text_entry entry;
    struct group *group;
    struct timer session;
    bool is_expired;
};

struct group_book;

struct group {
    struct text_entry entry; /* Its id; owned. */
    struct list in_pending;  /* In the book's list. */
    struct group_book *book;
    enum group_phase phase;
    int32_t generation;
    struct wire_text protocol_type; /* Null while nobody joined. Owned. */
    struct wire_text protocol;      /* Owned. */
    struct wire_text leader;        /* A member's id; owned. */
    int64_t phase_since_ms;         /* Wall clock. */
    struct text_table members;
    struct text_table instances;
    struct text_table candidates;
    struct list in_order;
    struct group_offsets offsets;
    struct wire_bytes stored; /* Value of the newest record of the group; null: none. Owned. */
    int64_t stored_offset;

    struct timer deadline; /* Of joining or syncing. */
    bool is_due;
    bool is_stirred; /* A timer has something to say that no tick has seen. */
    bool is_delayed; /* The first generation waits for more members. */
    int64_t delay_left_ms;
    struct ledger_op tick; /* Timers come in here. */
    bool is_ticking;
    bool is_gone; /* Freed when the tick is back. */
};

struct group *group_state_new(struct group_book *book, struct wire_text id);
/* Out of its book; the memory goes when no tick is under way. */
void group_state_free(struct group *self);
/* "Empty" and so on, as Kafka's tools spell it. */
const char *group_state_name(const struct group *self);
void group_state_enter(struct group *self, enum group_phase phase);

struct group_member *group_state_member(const struct group *self, struct wire_text id);
struct group_member *group_state_instance(const struct group *self, struct wire_text instance);
uint32_t group_state_member_count(const struct group *self);
/* `instance` null: a dynamic one. */
struct group_member *group_state_add(struct group *self, struct wire_text id,
                                     struct wire_text instance);
/* Its calls must have been answered. The next one in order leads if it did. */
void group_state_remove(struct group *self, struct group_member *member);
/* A static member comes back under another id. */
void group_state_rename(struct group_member *member, struct wire_text id);
void group_state_set_protocols(struct group_member *member, const struct group_protocol *protocols,
                               uint32_t count);
bool group_state_has_protocols(const struct group_member *member,
                               const struct group_protocol *protocols, uint32_t count);
bool group_state_is_leader(const struct group_member *member);
/* Of the group's protocol; empty when the member has none of that name. */
struct wire_bytes group_state_metadata(const struct group_member *member);

struct group_candidate *group_state_candidate(const struct group *self, struct wire_text id);
void group_state_add_candidate(struct group *self, struct wire_text id, int32_t session_ms);
void group_state_remove_candidate(struct group *self, struct group_candidate *candidate);

/* Can somebody with these protocols join? */
bool group_state_accepts(const struct group *self, struct wire_text protocol_type,
                         const struct group_protocol *protocols, uint32_t count);
/* The protocol that all know and most put first. There is at least one member. */
struct wire_text group_state_choose_protocol(const struct group *self);
/* True when members of type "consumer" read that topic; true as well when they cannot be read. */
bool group_state_subscribes(const struct group *self, struct wire_text topic);
/* Asks the ledger for the group's record as its members stand. */
void group_state_store(const struct group *self, struct ledger_op *op);
