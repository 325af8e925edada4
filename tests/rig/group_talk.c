#include "tests/rig/group_talk.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/heartbeat.h"
#include "proto/kafka/leave_group.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <string.h>

#define ANSWERED(call)                                                                             \
    do {                                                                                           \
        bool is_answered_ = (call);                                                                \
        check(is_answered_);                                                                       \
    } while (0)

void group_talk_find(struct wire_client *client, const char *group)
{
    struct kafka_find_coordinator_response answer;
    do {
        struct kafka_find_coordinator_request request = {.key = wire_text_of(group)};
        ANSWERED(wire_client_call(client, API_KEY_FIND_COORDINATOR, 3, &request, &answer));
        broker_world_run_ms(client->owner, 100);
    } while (answer.error_code == ERROR_CODE_COORDINATOR_NOT_AVAILABLE);
    check(answer.error_code == ERROR_CODE_NONE);
}

void group_talk_open(struct group_talk_member *self, struct broker_world *world, const char *group)
{
    *self = (struct group_talk_member){.group = group, .generation = -1};
    wire_client_open(&self->client, world, 0);
}

void group_talk_ask_join(struct group_talk_member *self)
{
    struct kafka_join_group_request_join_group_request_protocol protocol = {
        .name = wire_text_of(self->protocol == NULL ? "range" : self->protocol)};
    const char *metadata = self->metadata == NULL ? "m" : self->metadata;
    protocol.metadata = (struct wire_bytes){(const uint8_t *)metadata, (int32_t)strlen(metadata)};
    struct kafka_join_group_request request = {
        .group_id = wire_text_of(self->group),
        .session_timeout_ms = self->session_ms == 0 ? 10000 : self->session_ms,
        .rebalance_timeout_ms = self->rebalance_ms == 0 ? 20000 : self->rebalance_ms,
        .member_id = wire_text_of(self->id),
        .group_instance_id = wire_text_of(self->instance),
        .protocol_type = wire_text_of(self->type == NULL ? "consumer" : self->type),
        .protocols = &protocol,
        .protocols_count = 1,
        .reason = wire_text_of(NULL)};
    wire_client_ask(&self->client, API_KEY_JOIN_GROUP, GROUP_TALK_JOIN_VERSION, &request);
}

int16_t group_talk_take_join(struct group_talk_member *self)
{
    ANSWERED(wire_client_answer(&self->client, API_KEY_JOIN_GROUP, GROUP_TALK_JOIN_VERSION,
                                self->client.correlation_id, &self->joined));
    int16_t code = self->joined.error_code;
    if (code == ERROR_CODE_NONE || code == ERROR_CODE_MEMBER_ID_REQUIRED) {
        snprintf(self->id, sizeof self->id, "%.*s", self->joined.member_id.byte_count,
                 self->joined.member_id.bytes);
        self->generation = self->joined.generation_id;
    }
    return code;
}

void group_talk_begin_join(struct group_talk_member *self)
{
    group_talk_ask_join(self);
    int16_t code = group_talk_take_join(self);
    check(code == ERROR_CODE_MEMBER_ID_REQUIRED);
    group_talk_ask_join(self);
}

void group_talk_ask_sync(struct group_talk_member *self, const char *const *assignments)
{
    struct kafka_sync_group_request_sync_group_request_assignment rows[8];
    int32_t count = 0;
    for (; assignments != NULL && assignments[2 * count] != NULL; count++) {
        const char *text = assignments[2 * count + 1];
        rows[count].member_id = wire_text_of(assignments[2 * count]);
        rows[count].assignment = (struct wire_bytes){(const uint8_t *)text, (int32_t)strlen(text)};
    }
    struct kafka_sync_group_request request = {.group_id = wire_text_of(self->group),
                                               .generation_id = self->generation,
                                               .member_id = wire_text_of(self->id),
                                               .group_instance_id = wire_text_of(self->instance),
                                               .protocol_type = wire_text_of(NULL),
                                               .protocol_name = wire_text_of(NULL),
                                               .assignments = rows,
                                               .assignments_count = count};
    wire_client_ask(&self->client, API_KEY_SYNC_GROUP, GROUP_TALK_SYNC_VERSION, &request);
}

int16_t group_talk_take_sync(struct group_talk_member *self)
{
    ANSWERED(wire_client_answer(&self->client, API_KEY_SYNC_GROUP, GROUP_TALK_SYNC_VERSION,
                                self->client.correlation_id, &self->synced));
    return self->synced.error_code;
}

int16_t group_talk_heartbeat(struct group_talk_member *self)
{
    struct kafka_heartbeat_request request = {.group_id = wire_text_of(self->group),
                                              .generation_id = self->generation,
                                              .member_id = wire_text_of(self->id),
                                              .group_instance_id = wire_text_of(self->instance)};
    struct kafka_heartbeat_response answer;
    ANSWERED(wire_client_call(&self->client, API_KEY_HEARTBEAT, 4, &request, &answer));
    return answer.error_code;
}

int16_t group_talk_leave(struct group_talk_member *self)
{
    struct kafka_leave_group_request_member_identity member = {.member_id = wire_text_of(self->id),
                                                               .group_instance_id =
                                                                   wire_text_of(self->instance),
                                                               .reason = wire_text_of(NULL)};
    struct kafka_leave_group_request request = {
        .group_id = wire_text_of(self->group), .members = &member, .members_count = 1};
    struct kafka_leave_group_response answer;
    ANSWERED(wire_client_call(&self->client, API_KEY_LEAVE_GROUP, 5, &request, &answer));
    return answer.error_code != ERROR_CODE_NONE ? answer.error_code : answer.members[0].error_code;
}

static void ask_commit(struct wire_client *client, const char *group, int32_t generation,
                       const char *member_id, int64_t offset)
{
    struct kafka_offset_commit_request_offset_commit_request_partition partition;
    kafka_offset_commit_request_offset_commit_request_partition_defaults(&partition);
    partition.committed_offset = offset;
    partition.committed_metadata = wire_text_of("note");
    struct kafka_offset_commit_request_offset_commit_request_topic topic = {
        .name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_offset_commit_request request;
    kafka_offset_commit_request_defaults(&request);
    request.group_id = wire_text_of(group);
    request.generation_id_or_member_epoch = generation;
    request.member_id = wire_text_of(member_id == NULL ? "" : member_id);
    request.group_instance_id = wire_text_of(NULL);
    request.topics = &topic;
    request.topics_count = 1;
    wire_client_ask(client, API_KEY_OFFSET_COMMIT, 9, &request);
}

void group_talk_ask_commit(struct wire_client *client, const char *group, int64_t offset)
{
    ask_commit(client, group, -1, NULL, offset);
}

int16_t group_talk_commit(struct wire_client *client, const char *group, int32_t generation,
                          const char *member_id, int64_t offset)
{
    struct kafka_offset_commit_response answer;
    ask_commit(client, group, generation, member_id, offset);
    ANSWERED(wire_client_answer(client, API_KEY_OFFSET_COMMIT, 9, client->correlation_id, &answer));
    return answer.topics[0].partitions[0].error_code;
}

int64_t group_talk_committed(struct wire_client *client, const char *group)
{
    int32_t index = 0;
    struct kafka_offset_fetch_request_offset_fetch_request_topics topic = {
        .name = wire_text_of("t"), .partition_indexes = &index, .partition_indexes_count = 1};
    struct kafka_offset_fetch_request_offset_fetch_request_group one = {
        .group_id = wire_text_of(group), .member_epoch = -1, .topics = &topic, .topics_count = 1};
    one.member_id = wire_text_of(NULL);
    struct kafka_offset_fetch_request request = {.groups = &one, .groups_count = 1};
    struct kafka_offset_fetch_response answer;
    ANSWERED(wire_client_call(client, API_KEY_OFFSET_FETCH, 9, &request, &answer));
    return answer.groups[0].error_code != ERROR_CODE_NONE
               ? -answer.groups[0].error_code
               : answer.groups[0].topics[0].partitions[0].committed_offset;
}

const char *group_talk_state(struct wire_client *client, const char *group)
{
    static const char *const states[] = {"Empty", "PreparingRebalance", "CompletingRebalance",
                                         "Stable", "Dead"};
    struct wire_text name = wire_text_of(group);
    struct kafka_describe_groups_request request = {.groups = &name, .groups_count = 1};
    struct kafka_describe_groups_response answer;
    ANSWERED(wire_client_call(client, API_KEY_DESCRIBE_GROUPS, 5, &request, &answer));
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (wire_text_equals(answer.groups[0].group_state, states[i])) {
            return states[i];
        }
    }
    return "?";
}
