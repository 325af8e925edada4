#include "client/txn_offsets.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/txn_offset_commit.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define OFFSETS_MAGIC 0x0ff5e75aU
#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define COMMIT_VERSION_MAX 5 /* 6 names topics by id. */
#define COMMIT_VERSION_MEMBER 3
#define COMMIT_VERSION_IMPLICIT 5

/* ---- the question ---- */

static bool is_same_text(struct wire_text one, struct wire_text other)
{
    return one.byte_count == other.byte_count &&
           (one.byte_count <= 0 || memcmp(one.bytes, other.bytes, (size_t)one.byte_count) == 0);
}

/* Offsets that stand together and name the same topic share one entry. */
static void
put_topics(const struct txn_offsets *self, struct kafka_txn_offset_commit_request *out,
           struct kafka_txn_offset_commit_request_txn_offset_commit_request_partition *partitions)
{
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_topic *topic = NULL;
    for (uint32_t i = 0; i < self->offset_count; i++) {
        const struct txn_core_offset *offset = &self->offsets[i];
        if (topic == NULL || !is_same_text(topic->name, offset->topic)) {
            topic = &out->topics[out->topics_count++];
            kafka_txn_offset_commit_request_txn_offset_commit_request_topic_defaults(topic);
            topic->name = offset->topic;
            topic->partitions = &partitions[i];
        }
        topic->partitions_count += 1;
        kafka_txn_offset_commit_request_txn_offset_commit_request_partition_defaults(
            &partitions[i]);
        partitions[i].partition_index = offset->partition;
        partitions[i].committed_offset = offset->offset;
        partitions[i].committed_leader_epoch = offset->leader_epoch;
        partitions[i].committed_metadata = offset->metadata;
    }
}

static void commit_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct txn_offsets *self = container_of(op, struct txn_offsets, op);
    struct kafka_txn_offset_commit_request request;
    kafka_txn_offset_commit_request_defaults(&request);
    request.transactional_id = wire_text_of(self->identity.transactional_id);
    request.group_id = wire_text_of(self->group);
    request.producer_id = self->identity.producer_id;
    request.producer_epoch = self->identity.producer_epoch;
    if (op->ask.version >= COMMIT_VERSION_MEMBER) {
        request.generation_id_or_member_epoch = self->as.generation;
        request.member_id = self->as.member_id;
        request.group_instance_id = self->as.instance_id;
    }
    request.topics = arena_take_array(&op->ask.arena, self->offset_count, sizeof *request.topics);
    struct kafka_txn_offset_commit_request_txn_offset_commit_request_partition *partitions =
        arena_take_array(&op->ask.arena, self->offset_count, sizeof *partitions);
    if (request.topics == NULL || partitions == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    put_topics(self, &request, partitions);
    kafka_txn_offset_commit_request_encode(&request, op->ask.version, writer);
}

/* One word for all partitions: what is final weighs more than what is asked again. */
static enum status commit_take(struct coordinator_op *op)
{
    struct kafka_txn_offset_commit_response answer;
    TRY(kafka_txn_offset_commit_response_decode(&op->ask.call.reader, op->ask.version,
                                                &op->ask.arena, &answer));
    for (int32_t i = 0; i < answer.topics_count; i++) {
        for (int32_t j = 0; j < answer.topics[i].partitions_count; j++) {
            int16_t code = answer.topics[i].partitions[j].error_code;
            if (code != ERROR_CODE_NONE &&
                (op->error_code == ERROR_CODE_NONE || error_code_is_retriable(op->error_code))) {
                op->error_code = code;
            }
        }
    }
    return STATUS_OK;
}

static void commit_on_done(struct coordinator_op *op, enum status status)
{
    struct txn_offsets *self = container_of(op, struct txn_offsets, op);
    check(self->magic == OFFSETS_MAGIC);
    self->is_running = false;
    self->on_done(self->context, status, op->error_code);
}

void txn_offsets_run(struct txn_offsets *self, const struct txn_offsets_identity *identity,
                     int64_t deadline_ns)
{
    check(self->magic == OFFSETS_MAGIC);
    check(!self->is_running);
    self->identity = *identity;
    self->is_running = true;
    self->op = (struct coordinator_op){
        .api_key = API_KEY_TXN_OFFSET_COMMIT,
        .version_min = identity->is_implicit ? COMMIT_VERSION_IMPLICIT : 0,
        .version_max = identity->is_implicit ? COMMIT_VERSION_MAX : COMMIT_VERSION_IMPLICIT - 1,
        .lane = CLUSTER_LANE_SHORT,
        .deadline_ns = deadline_ns,
        .encode = commit_encode,
        .take = commit_take,
        .on_done = commit_on_done};
    coordinator_core_run(&self->coordinator, &self->op);
}

/* ---- life ---- */

static enum status copy_text(struct arena *arena, struct wire_text *text)
{
    if (text->byte_count <= 0) {
        return STATUS_OK;
    }
    text->bytes = arena_copy_text(arena, text->bytes, (size_t)text->byte_count);
    return text->bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

enum status txn_offsets_set(struct txn_offsets *self, const struct txn_core_group *as,
                            const struct txn_core_offset *offsets, uint32_t offset_count)
{
    check(self->magic == OFFSETS_MAGIC);
    check(!self->is_running);
    arena_reset(&self->arena);
    self->offset_count = 0;
    self->as = *as;
    self->as.group = wire_text_of(self->group);
    if (as->instance_id.byte_count <= 0) {
        self->as.instance_id = (struct wire_text){.byte_count = -1};
    }
    TRY(copy_text(&self->arena, &self->as.member_id));
    TRY(copy_text(&self->arena, &self->as.instance_id));
    self->offsets = arena_take_array(&self->arena, offset_count, sizeof *offsets);
    if (self->offsets == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < offset_count; i++) {
        self->offsets[i] = offsets[i];
        /* Most offsets name the topic of the one before. */
        if (i > 0 && is_same_text(offsets[i].topic, offsets[i - 1].topic)) {
            self->offsets[i].topic = self->offsets[i - 1].topic;
        } else {
            TRY(copy_text(&self->arena, &self->offsets[i].topic));
        }
        TRY(copy_text(&self->arena, &self->offsets[i].metadata));
    }
    self->offset_count = offset_count;
    return STATUS_OK;
}

struct txn_offsets *txn_offsets_new(struct cluster *cluster, int64_t timeout_ms,
                                    struct wire_text group)
{
    check(group.byte_count > 0);
    struct txn_offsets *self = calloc(1, sizeof *self + (size_t)group.byte_count + 1);
    if (self == NULL) {
        return NULL;
    }
    self->magic = OFFSETS_MAGIC;
    memcpy(self->group, group.bytes, (size_t)group.byte_count);
    list_init(&self->in_core);
    arena_init(&self->arena, ARENA_BYTES_MAX);
    struct coordinator_core_options options = {.cluster = cluster,
                                               .kind = COORDINATOR_CORE_GROUP,
                                               .key = self->group,
                                               .timeout_ms = timeout_ms};
    coordinator_core_init(&self->coordinator, &options);
    return self;
}

void txn_offsets_close(struct txn_offsets *self)
{
    check(self->magic == OFFSETS_MAGIC);
    coordinator_core_close(&self->coordinator);
}

void txn_offsets_free(struct txn_offsets *self)
{
    check(self->magic == OFFSETS_MAGIC);
    check(!self->is_running);
    arena_done(&self->arena);
    self->magic = 0;
    free(self);
}
