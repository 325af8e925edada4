#include "client/txn_partitions.h"

#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <string.h>

#define ADD_VERSION_MAX 3 /* From 4 on it is the brokers' own. */

bool txn_partitions_admit(struct txn_core *core, struct producer_topic *topic, int32_t partition)
{
    check(partition >= 0);
    check(partition < topic->partition_count);
    struct producer_partition *place = topic->partitions[partition];
    if (place->wanted_by != core->number) {
        place->wanted_by = core->number;
        txn_core_step(core);
    }
    return place->added_to == core->number;
}

static bool is_missing(const struct txn_core *self, const struct producer_partition *partition)
{
    return partition->wanted_by == self->number && partition->added_to != self->number;
}

static int32_t count_missing(const struct txn_core *self, const struct producer_topic *topic)
{
    int32_t count = 0;
    for (int32_t i = 0; i < topic->partition_count; i++) {
        count += is_missing(self, topic->partitions[i]);
    }
    return count;
}

static bool has_missing(const struct txn_core *self)
{
    list_for_each(link, &self->producer.topics)
    {
        if (count_missing(self, container_of(link, struct producer_topic, in_core)) > 0) {
            return true;
        }
    }
    return false;
}

static enum status add_fill(struct txn_core *self, struct arena *arena,
                            struct kafka_add_partitions_to_txn_request *request)
{
    size_t topic_count = 0;
    list_for_each(link, &self->producer.topics)
    {
        topic_count += 1;
    }
    request->v3_and_below_topics =
        arena_take_array(arena, topic_count, sizeof *request->v3_and_below_topics);
    if (request->v3_and_below_topics == NULL) {
        return STATUS_NO_MEMORY;
    }
    list_for_each(link, &self->producer.topics)
    {
        const struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        int32_t count = count_missing(self, topic);
        if (count == 0) {
            continue;
        }
        struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic *added =
            &request->v3_and_below_topics[request->v3_and_below_topics_count++];
        added->name = (struct wire_text){topic->known->name, topic->known->name_bytes};
        added->partitions = arena_take_array(arena, (size_t)count, sizeof *added->partitions);
        if (added->partitions == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (int32_t i = 0; i < topic->partition_count; i++) {
            if (is_missing(self, topic->partitions[i])) {
                added->partitions[added->partitions_count++] = i;
            }
        }
    }
    return STATUS_OK;
}

static void add_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct txn_core *self = container_of(op, struct txn_core, add);
    struct kafka_add_partitions_to_txn_request request;
    kafka_add_partitions_to_txn_request_defaults(&request);
    request.v3_and_below_transactional_id = wire_text_of(self->outer.transactional_id);
    request.v3_and_below_producer_id = self->producer.producer_id;
    request.v3_and_below_producer_epoch = self->producer.producer_epoch;
    enum status status = add_fill(self, &op->ask.arena, &request);
    if (status != STATUS_OK) {
        wire_writer_fail(writer, status);
        return;
    }
    kafka_add_partitions_to_txn_request_encode(&request, op->ask.version, writer);
}

static struct producer_topic *topic_named(struct txn_core *self, struct wire_text name)
{
    list_for_each(link, &self->producer.topics)
    {
        struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        if (topic->known->name_bytes == name.byte_count &&
            memcmp(topic->known->name, name.bytes, (size_t)name.byte_count) == 0) {
            return topic;
        }
    }
    return NULL;
}

static enum status add_take(struct coordinator_op *op)
{
    struct txn_core *self = container_of(op, struct txn_core, add);
    struct kafka_add_partitions_to_txn_response answer;
    TRY(kafka_add_partitions_to_txn_response_decode(&op->ask.call.reader, op->ask.version,
                                                    &op->ask.arena, &answer));
    for (int32_t i = 0; i < answer.results_by_topic_v3_and_below_count; i++) {
        const struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result
            *result = &answer.results_by_topic_v3_and_below[i];
        struct producer_topic *topic = topic_named(self, result->name);
        for (int32_t j = 0; j < result->results_by_partition_count; j++) {
            int32_t index = result->results_by_partition[j].partition_index;
            int16_t code = result->results_by_partition[j].partition_error_code;
            if (topic == NULL || index < 0 || index >= topic->partition_count) {
                return STATUS_MALFORMED;
            }
            if (code == ERROR_CODE_NONE) {
                topic->partitions[index]->added_to = self->number;
                self->has_writes = true;
            } else if (op->error_code == ERROR_CODE_NONE ||
                       op->error_code == ERROR_CODE_OPERATION_NOT_ATTEMPTED) {
                op->error_code = code; /* The others were only not tried because of this one. */
            }
        }
    }
    return STATUS_OK;
}

static void add_on_done(struct coordinator_op *op, enum status status)
{
    struct txn_core *self = container_of(op, struct txn_core, add);
    self->is_adding = false;
    self->has_writes |= op->is_doubtful;
    if (status != STATUS_OK || op->error_code != ERROR_CODE_NONE) {
        txn_core_break(self, status, op->error_code);
    }
    producer_core_pump(&self->producer);
    txn_core_step(self);
}

void txn_partitions_step(struct txn_core *core)
{
    if (core->is_adding || !has_missing(core)) {
        return;
    }
    int64_t timeout_ns = core->outer.delivery_timeout_ms * CLOCK_NS_PER_MS;
    core->add = (struct coordinator_op){.api_key = API_KEY_ADD_PARTITIONS_TO_TXN,
                                        .version_max = ADD_VERSION_MAX,
                                        .lane = CLUSTER_LANE_SHORT,
                                        .deadline_ns =
                                            loop_now_ns(core->producer.options.loop) + timeout_ns,
                                        .encode = add_encode,
                                        .take = add_take,
                                        .on_done = add_on_done};
    core->is_adding = true;
    coordinator_core_run(&core->coordinator, &core->add);
}

void txn_partitions_halt(struct txn_core *core)
{
    check(core->is_adding);
    if (coordinator_core_take_back(&core->coordinator, &core->add)) {
        core->is_adding = false;
        core->has_writes |= core->add.is_doubtful;
    } else {
        core->add.deadline_ns = loop_now_ns(core->producer.options.loop);
    }
}
