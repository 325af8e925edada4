/* A consumer core whose partitions a group gives: subscribe, be assigned, read on from the group's
 * offsets, give up, begin again.
 *
 * Kafka's eager protocol with its bytes, so that members of other libraries may be in the group.
 * Whoever leads deals out by what all members know: range or round robin. A rebalance takes
 * everything away first: the owner is told, stops reading, commits, and gives up; then it joins.
 * The leader also begins one when a topic has got more partitions.
 *
 * Owner: whoever embeds it, beside the consumer core. Loop: the options'. Limits: the member's;
 * CONSUMER_GROUP_TOPICS_MAX topics of this member. */
#pragma once

#include "client/assignor.h"
#include "client/consumer_core.h"
#include "client/group_member.h"
#include "client/offset_call.h"

#define CONSUMER_GROUP_TOPICS_MAX 10000U

struct consumer_group_options {
    struct consumer_core *core; /* Borrowed for life. */
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life, as the next two. */
    const char *group;
    const char *instance_id; /* NULL: none. */
    int64_t request_timeout_ms;
    int64_t session_timeout_ms;
    int64_t rebalance_timeout_ms;   /* How long the owner may take to give up. */
    enum consumer_start_kind start; /* Where the group has no offset: LATEST or EARLIEST. */
    /* Stop reading, commit, then consumer_group_give_up(). */
    void (*on_revoke)(void *context);
    /* `parts` are assigned to the core, at the group's offsets. */
    void (*on_assigned)(void *context);
    /* The partitions are others' by now: already unassigned, not to be committed. */
    void (*on_lost)(void *context);
    /* It will not join again. */
    void (*on_failed)(void *context, enum status status, int16_t error_code);
    void (*on_closed)(void *context);
    void *context;
};

struct consumer_group_topic; /* What the leader dealt out of one topic. */

struct consumer_group {
    uint32_t magic;
    struct consumer_group_options options;
    struct group_member member;
    struct arena topic_arena; /* What this member reads. */
    struct wire_text *topics;
    uint32_t topic_count;
    struct arena told_arena; /* The bytes of that, as last told. */
    struct arena part_arena; /* What it was given. */
    struct offset_call_row *parts;
    uint32_t part_count;
    bool is_assigned; /* To the core, too. */
    bool is_revoking; /* The owner was told and has not given up yet. */
    struct offset_call fetch;
    bool is_fetching;
    bool is_fetch_wanted;    /* Its answer is for what we have now. */
    struct arena lead_arena; /* The leader's: all members, and the topics that any of them reads. */
    struct assignor_member *peers;
    uint32_t peer_count;
    struct consumer_group_topic *dealt;
    uint32_t dealt_count;
    enum assignor_kind assignor;
    bool is_leading; /* Topics are not known yet. */
};

/* Joins nothing yet: commits and fetches of offsets work without. */
void consumer_group_init(struct consumer_group *self, const struct consumer_group_options *options);
/* The core is the owner's to close, afterwards. */
void consumer_group_close(struct consumer_group *self, bool is_leaving, int64_t leave_ms);

/* Replaces what is read. FULL, NO_MEMORY: it stays as it was. */
MUST_USE enum status consumer_group_subscribe(struct consumer_group *self,
                                              const struct wire_text *topics, uint32_t topic_count);
/* After on_revoke. */
void consumer_group_give_up(struct consumer_group *self);

/* Commits for the group, as its member where it is subscribed; `call` ends by its on_done, which is
 * set before. INVALID: the place is lost, so these offsets are no longer ours; FULL, NO_MEMORY. */
MUST_USE enum status consumer_group_commit(struct consumer_group *self, struct offset_call *call,
                                           const struct offset_call_row *rows, uint32_t row_count,
                                           int64_t deadline_ns);
/* What the group has committed. FULL, NO_MEMORY. */
MUST_USE enum status consumer_group_fetch(struct consumer_group *self, struct offset_call *call,
                                          const struct offset_call_row *rows, uint32_t row_count,
                                          int64_t deadline_ns);
