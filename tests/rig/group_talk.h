/* What members of a group say, each one call: the wire's own messages through a wire_client.
 *
 * Owner: the test. Loop: none. */
#pragma once

#include "proto/kafka/describe_groups.h"
#include "proto/kafka/join_group.h"
#include "proto/kafka/offset_commit.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/kafka/sync_group.h"
#include "tests/rig/broker_world.h"

#define GROUP_TALK_JOIN_VERSION 9
#define GROUP_TALK_SYNC_VERSION 5

struct group_talk_member {
    struct wire_client client;
    const char *group;
    const char *instance; /* NULL: dynamic. */
    const char *protocol; /* NULL: "range". */
    const char *metadata; /* NULL: "m". */
    const char *type;     /* NULL: "consumer". */
    int32_t session_ms;   /* 0: 10,000. */
    int32_t rebalance_ms; /* 0: 20,000. */
    char id[128];         /* Empty: none yet. */
    int32_t generation;
    struct kafka_join_group_response joined; /* The newest answers. */
    struct kafka_sync_group_response synced;
};

/* Asks for the coordinator until there is one. */
void group_talk_find(struct wire_client *client, const char *group);
void group_talk_open(struct group_talk_member *self, struct broker_world *world, const char *group);
void group_talk_ask_join(struct group_talk_member *self);
/* The answer to it; keeps id and generation. Returns the error code. */
int16_t group_talk_take_join(struct group_talk_member *self);
/* Asks, takes the id that it is told to come back with, and asks again; the answer is not taken. */
void group_talk_begin_join(struct group_talk_member *self);
/* `assignments`: pairs of member id and assignment, ended by NULL; NULL: a follower's. */
void group_talk_ask_sync(struct group_talk_member *self, const char *const *assignments);
int16_t group_talk_take_sync(struct group_talk_member *self);
int16_t group_talk_heartbeat(struct group_talk_member *self);
int16_t group_talk_leave(struct group_talk_member *self);
/* `generation` -1 and `member_id` NULL: from outside any group. Returns the partition's error. */
int16_t group_talk_commit(struct wire_client *client, const char *group, int32_t generation,
                          const char *member_id, int64_t offset);
/* From outside any group, without waiting for the answer. */
void group_talk_ask_commit(struct wire_client *client, const char *group, int64_t offset);
/* Of partition 0 of topic "t"; minus the error code, -1 when there is none. */
int64_t group_talk_committed(struct wire_client *client, const char *group);
/* The state that tools see; a literal. */
const char *group_talk_state(struct wire_client *client, const char *group);
