/* Who leads a partition, who is in its ISR and ELR after brokers came or went: pure rules.
 *
 * 1. Fenced brokers leave the ISR at once, those that shut down when somebody else is in it, and
 *    those whose data is gone leave ISR and ELR.
 * 2. The leader stays when it may; else the first replica in order of assignment that is in the ISR
 *    leads; else, the ISR being empty, the first one of the ELR, which is then the ISR alone; else,
 *    both being empty, who led last (only topics of durability=memory come here: others leave the
 *    ELR with their disk only) or, if the topic allows it, any live replica; then the partition is
 *    recovering. Else nobody.
 * 3. Who leaves an ISR that falls below min.insync.replicas joins the ELR: the high watermark stops
 *    there, so it has all that was acknowledged. An ISR that is large enough clears the ELR.
 * 4. Every change raises the partition epoch, a new or no leader the leader epoch too; a smaller
 *    ISR does not.
 *
 * Owner: the caller. Loop: the quorum's. Limits: LEADER_ELECTION_CHANGES_MAX partitions a command.
 */
#pragma once

#include "broker/controller/decision.h"

#define LEADER_ELECTION_CHANGES_MAX 8000U /* Of at most 110 bytes each: below 1 MiB. */

/* The world as the command that is being decided will leave it; -1: nobody. */
struct leader_election_view {
    const struct image *image;
    int32_t fenced_id;   /* Is going to be fenced. */
    int32_t unfenced_id; /* Is going to be unfenced. */
    int32_t leaving_id;  /* Is going to shut down. */
    int32_t wiped_id;    /* Has lost its data. */
    int32_t unclean_id;  /* Has lost what topics of durability=memory had not flushed. */
};

struct leader_election_rules {
    int32_t insync_min;
    bool is_unclean_allowed;
    bool is_memory_durable;
    bool prefers_first; /* Gives leadership back to the first replica when it is in sync. */
};

void leader_election_view_init(struct leader_election_view *self, const struct image *image);
bool leader_election_is_live(const struct leader_election_view *self, int32_t broker_id);
/* Live and staying: it may lead and join an ISR. */
bool leader_election_may_lead(const struct leader_election_view *self, int32_t broker_id);
struct leader_election_rules leader_election_rules_of(const struct image *image,
                                                      const struct image_topic *topic);

/* False when nothing changes; else `out_next` is the whole new state. */
bool leader_election_step(const struct leader_election_view *view,
                          const struct leader_election_rules *rules,
                          const struct image_partition *partition,
                          struct image_partition *out_next);
/* The rest of a change that was made to `next`'s ISR by its leader: ELR, then rules 1 to 4 against
 * `old`. */
void leader_election_settle(const struct leader_election_view *view,
                            const struct leader_election_rules *rules,
                            const struct image_partition *old, struct image_partition *next);

/* Writes a change for each partition that the view changes. False when there were more than fit;
 * the rest follows with leader_election_decide_repairs(). */
bool leader_election_decide(struct decision *decision, const struct leader_election_view *view);
/* Makes partitions fit the brokers' states as they are. False: call again when this is applied. */
bool leader_election_decide_repairs(struct decision *decision);
/* Gives leadership back to first replicas; at most `change_count_max`. Returns how many. */
uint32_t leader_election_decide_preferred(struct decision *decision, uint32_t change_count_max);

struct leader_election_request {
    struct wire_text name;
    int32_t index;
    bool is_unclean;             /* Else: the preferred one. */
    struct decision_error error; /* Result. */
};

struct leader_election_requests {
    struct leader_election_request *items;
    uint32_t item_count;
};

/* ElectLeaders. */
void leader_election_decide_asked(struct decision *decision,
                                  struct leader_election_requests *request);
