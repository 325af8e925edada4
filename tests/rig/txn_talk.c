#include "tests/rig/txn_talk.h"

#include "proto/kafka/add_offsets_to_txn.h"
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/describe_producers.h"
#include "proto/kafka/describe_transactions.h"
#include "proto/kafka/end_txn.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/kafka/list_transactions.h"
#include "proto/kafka/txn_offset_commit.h"
#include "proto/kafka/write_txn_markers.h"
#include "proto/sys/check.h"
#include "tests/rig/kafka_talk.h"

#include <string.h>

#define INIT_VERSION 5
#define ADD_VERSION 3
#define OFFSETS_VERSION 3
#define KEY_TRANSACTION 1

static void must(bool is_answered)
{
    check(is_answered);
}

void txn_talk_find(struct wire_client *client, const char *id)
{
    struct kafka_find_coordinator_response answer;
    do {
        struct kafka_find_coordinator_request request = {.key = wire_text_of(id),
                                                         .key_type = KEY_TRANSACTION};
        must(wire_client_call(client, API_KEY_FIND_COORDINATOR, 3, &request, &answer));
        broker_world_run_ms(client->owner, 100);
    } while (answer.error_code == ERROR_CODE_COORDINATOR_NOT_AVAILABLE);
    check(answer.error_code == ERROR_CODE_NONE);
}

static int16_t identify(struct txn_talk *self, int64_t producer_id, int16_t producer_epoch)
{
    struct kafka_init_producer_id_request request = {
        .transactional_id = wire_text_of(self->id),
        .transaction_timeout_ms = self->timeout_ms == 0 ? 60000 : self->timeout_ms,
        .producer_id = producer_id,
        .producer_epoch = producer_epoch};
    struct kafka_init_producer_id_response answer;
    must(wire_client_call(self->client, API_KEY_INIT_PRODUCER_ID, INIT_VERSION, &request, &answer));
    if (answer.error_code == ERROR_CODE_NONE) {
        self->producer_id = answer.producer_id;
        self->producer_epoch = answer.producer_epoch;
        memset(self->sequences, 0, sizeof self->sequences);
    }
    return answer.error_code;
}

int16_t txn_talk_begin(struct txn_talk *self)
{
    return identify(self, -1, -1);
}

int16_t txn_talk_claim(struct txn_talk *self)
{
    return identify(self, self->producer_id, self->producer_epoch);
}

int16_t txn_talk_add(struct txn_talk *self, int32_t partition)
{
    struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic topic = {
        .name = wire_text_of("t"), .partitions = &partition, .partitions_count = 1};
    struct kafka_add_partitions_to_txn_request request = {
        .v3_and_below_transactional_id = wire_text_of(self->id),
        .v3_and_below_producer_id = self->producer_id,
        .v3_and_below_producer_epoch = self->producer_epoch,
        .v3_and_below_topics = &topic,
        .v3_and_below_topics_count = 1};
    struct kafka_add_partitions_to_txn_response answer;
    must(wire_client_call(self->client, API_KEY_ADD_PARTITIONS_TO_TXN, ADD_VERSION, &request,
                          &answer));
    return answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
}

int16_t txn_talk_add_offsets(struct txn_talk *self, const char *group)
{
    struct kafka_add_offsets_to_txn_request request = {.transactional_id = wire_text_of(self->id),
                                                       .producer_id = self->producer_id,
                                                       .producer_epoch = self->producer_epoch,
                                                       .group_id = wire_text_of(group)};
    struct kafka_add_offsets_to_txn_response answer;
    must(wire_client_call(self->client, API_KEY_ADD_OFFSETS_TO_TXN, OFFSETS_VERSION, &request,
                          &answer));
    return answer.error_code;
}

int16_t txn_talk_write(struct txn_talk *self, int32_t partition)
{
    struct kafka_talk_produce produce = {.topic = "t",
                                         .partition = partition,
                                         .acks = -1,
                                         .version = self->is_new ? 12 : 11,
                                         .transactional_id = self->id};
    struct kafka_talk_batch batch = {.producer_id = self->producer_id,
                                     .producer_epoch = self->producer_epoch,
                                     .base_sequence = self->sequences[partition],
                                     .is_transactional = true};
    produce.bytes = kafka_talk_batch(self->client, &batch, &produce.byte_count);
    int16_t code = kafka_talk_produce(self->client, &produce).error_code;
    self->sequences[partition] += code == ERROR_CODE_NONE ? 1 : 0;
    return code;
}

int16_t txn_talk_commit_offset(struct txn_talk *self, const char *group, int64_t offset)
{
    return txn_talk_commit_offset_of(self, group, NULL, offset);
}

int16_t txn_talk_commit_offset_of(struct txn_talk *self, const char *group,
                                  const struct wire_uuid *topic_id, int64_t offset)
{
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_partition partition = {
        .committed_offset = offset, .committed_leader_epoch = -1};
    partition.committed_metadata = wire_text_of("");
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_topic topic = {
        .name = wire_text_of(topic_id == NULL ? "t" : ""),
        .topic_id = topic_id == NULL ? (struct wire_uuid){{0}} : *topic_id,
        .partitions = &partition,
        .partitions_count = 1};
    struct kafka_txn_offset_commit_request request = {.transactional_id = wire_text_of(self->id),
                                                      .group_id = wire_text_of(group),
                                                      .producer_id = self->producer_id,
                                                      .producer_epoch = self->producer_epoch,
                                                      .generation_id_or_member_epoch = -1,
                                                      .member_id = wire_text_of(""),
                                                      .group_instance_id = wire_text_of(NULL),
                                                      .topics = &topic,
                                                      .topics_count = 1};
    struct kafka_txn_offset_commit_response answer;
    int16_t named_version = self->is_new ? 5 : 3;
    must(wire_client_call(self->client, API_KEY_TXN_OFFSET_COMMIT,
                          topic_id == NULL ? named_version : 6, &request, &answer));
    check(topic_id == NULL || memcmp(&answer.topics[0].topic_id, topic_id, sizeof *topic_id) == 0);
    return answer.topics[0].partitions[0].error_code;
}

int16_t txn_talk_end(struct txn_talk *self, bool is_commit)
{
    struct kafka_end_txn_request request = {.transactional_id = wire_text_of(self->id),
                                            .producer_id = self->producer_id,
                                            .producer_epoch = self->producer_epoch,
                                            .committed = is_commit};
    struct kafka_end_txn_response answer;
    must(wire_client_call(self->client, API_KEY_END_TXN, self->is_new ? 5 : 4, &request, &answer));
    if (self->is_new && answer.error_code == ERROR_CODE_NONE) {
        self->producer_id = answer.producer_id;
        self->producer_epoch = answer.producer_epoch;
        memset(self->sequences, 0, sizeof self->sequences);
    }
    return answer.error_code;
}

int16_t txn_talk_mark(struct txn_talk *self, int32_t partition, bool is_commit,
                      int32_t coordinator_epoch, int8_t transaction_version)
{
    struct kafka_write_txn_markers_request_writable_txn_marker_topic topic = {
        .name = wire_text_of("t"), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct kafka_write_txn_markers_request_writable_txn_marker marker = {
        .producer_id = self->producer_id,
        .producer_epoch = self->producer_epoch,
        .transaction_result = is_commit,
        .topics = &topic,
        .topics_count = 1,
        .coordinator_epoch = coordinator_epoch,
        .transaction_version = transaction_version};
    struct kafka_write_txn_markers_request request = {.markers = &marker, .markers_count = 1};
    struct kafka_write_txn_markers_response answer;
    must(wire_client_call(self->client, API_KEY_WRITE_TXN_MARKERS, 2, &request, &answer));
    return answer.markers[0].topics[0].partitions[0].error_code;
}

const char *txn_talk_state(struct wire_client *client, const char *id)
{
    static const char *const states[] = {"Empty",        "Ongoing",        "PrepareCommit",
                                         "PrepareAbort", "CompleteCommit", "CompleteAbort"};
    struct wire_text name = wire_text_of(id);
    struct kafka_describe_transactions_request request = {.transactional_ids = &name,
                                                          .transactional_ids_count = 1};
    struct kafka_describe_transactions_response answer;
    must(wire_client_call(client, API_KEY_DESCRIBE_TRANSACTIONS, 0, &request, &answer));
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (wire_text_equals(answer.transaction_states[0].transaction_state, states[i])) {
            return states[i];
        }
    }
    return "?";
}

int32_t txn_talk_count(struct wire_client *client, const char *state)
{
    struct wire_text filter = wire_text_of(state);
    struct kafka_list_transactions_request request = {.state_filters = &filter,
                                                      .state_filters_count = state == NULL ? 0 : 1,
                                                      .duration_filter = -1};
    request.transactional_id_pattern = wire_text_of(NULL);
    struct kafka_list_transactions_response answer;
    must(wire_client_call(client, API_KEY_LIST_TRANSACTIONS, 1, &request, &answer));
    return answer.transaction_states_count;
}

int64_t txn_talk_stable_offset(struct wire_client *client, int32_t partition,
                               int32_t *out_aborted_count)
{
    struct kafka_talk_fetch fetch = {.topic = "t", .partition = partition, .isolation = 1};
    struct kafka_fetch_response answer = kafka_talk_fetch(client, &fetch);
    const struct kafka_fetch_response_partition_data *data = kafka_talk_fetched(&answer, 0);
    *out_aborted_count = data->aborted_transactions_count;
    return data->error_code == 0 ? data->last_stable_offset : -data->error_code;
}

int64_t txn_talk_open_offset(struct txn_talk *self, int32_t partition)
{
    struct kafka_describe_producers_request_topic_request topic = {
        .name = wire_text_of("t"), .partition_indexes = &partition, .partition_indexes_count = 1};
    struct kafka_describe_producers_request request = {.topics = &topic, .topics_count = 1};
    struct kafka_describe_producers_response answer;
    must(wire_client_call(self->client, API_KEY_DESCRIBE_PRODUCERS, 0, &request, &answer));
    const struct kafka_describe_producers_response_partition_response *out =
        &answer.topics[0].partitions[0];
    check(out->error_code == ERROR_CODE_NONE);
    for (int32_t i = 0; i < out->active_producers_count; i++) {
        if (out->active_producers[i].producer_id == self->producer_id) {
            return out->active_producers[i].current_txn_start_offset;
        }
    }
    return -1;
}
