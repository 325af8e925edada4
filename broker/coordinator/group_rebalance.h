/* How a group comes to its next generation: joins, syncs, heartbeats, leaves, and time.
 * The calls themselves are in group.h (group_join and so on). Owner: the group_book. */
#pragma once

#include "broker/coordinator/group_state.h"
#include "proto/kafka/group_record.h"

/* The group's record has its place in the log, or is replayed. */
void group_rebalance_apply(struct group *group, const struct kafka_group_metadata_value *value);
/* Sessions begin anew with every term. */
void group_rebalance_on_loaded(struct group *group);
/* The term is over: calls that are kept go back. */
void group_rebalance_lose(struct group *group);

/* Kafka's number, or 0 and the member. `instance` null: a dynamic one. */
int16_t group_rebalance_find_member(const struct group *group, struct wire_text id,
                                    struct wire_text instance, struct group_member **out_member);
/* A sign of life. */
void group_rebalance_heard(struct group_member *member);
/* The member itself joins, syncs or beats: over which connection? */
void group_rebalance_note_speaker(struct group_member *member, struct group_call *call);

/* Timers; what they mean is decided in the group's tick. */
void group_rebalance_on_deadline(struct timer *timer);
void group_rebalance_on_session(struct timer *timer);
void group_rebalance_on_candidate(struct timer *timer);

/* For group_join: the group's next step when somebody came, changed or went. */
void group_rebalance_prepare(struct group *group, struct ledger_op *op);
void group_rebalance_complete_if_joined(struct group *group, struct ledger_op *op);
void group_rebalance_remove_member(struct group *group, struct group_member *member,
                                   struct ledger_op *op);
/* Fills a join's answer; NONE: of the present generation. */
void group_rebalance_answer_join(struct group_call *call, const struct group_member *member,
                                 bool with_members);
void group_rebalance_refuse_join(struct group_call *call, int16_t code, struct wire_text member_id);
void group_rebalance_refuse_sync(struct group_call *call, int16_t code);
