#include "client/offset_call.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/offset_commit.h"
#include "proto/kafka/offset_fetch.h"
#include "proto/sys/check.h"

#include <string.h>

#define ARENA_BYTES_MAX ((size_t)128 << 20)
#define COMMIT_VERSION_MIN 2
#define COMMIT_VERSION_MAX 9 /* 10 names topics by id. */
#define COMMIT_VERSION_INSTANCE 7
#define FETCH_VERSION_MIN 2
#define FETCH_VERSION_MAX 7 /* Later ones only ask for several groups at once. */
#define FETCH_VERSION_STABLE 7

static bool is_same_text(struct wire_text one, struct wire_text other)
{
    return one.byte_count == other.byte_count &&
           memcmp(one.bytes, other.bytes, (size_t)one.byte_count) == 0;
}

/* Rows that stand together and name the same topic share one entry of a message. */
static bool begins_topic(const struct offset_call *self, uint32_t row)
{
    return row == 0 || !is_same_text(self->rows[row].topic, self->rows[row - 1].topic);
}

/* What is final weighs more than what is asked again. */
static void note_code(struct offset_call *self, int16_t code)
{
    int16_t *worst = &self->op.error_code;
    if (code != ERROR_CODE_NONE && (*worst == ERROR_CODE_NONE || error_code_is_retriable(*worst))) {
        *worst = code;
    }
}

static struct offset_call_row *row_find(struct offset_call *self, struct wire_text topic,
                                        int32_t partition, uint32_t *hint)
{
    for (uint32_t i = 0; i < self->row_count; i++) {
        /* Brokers answer in the order of the question. */
        struct offset_call_row *row = &self->rows[(*hint + i) % self->row_count];
        if (row->partition == partition && is_same_text(row->topic, topic)) {
            *hint = (*hint + i + 1) % self->row_count;
            return row;
        }
    }
    return NULL;
}

/* ---- OffsetCommit ---- */

static void commit_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct offset_call *self = container_of(op, struct offset_call, op);
    struct kafka_offset_commit_request request;
    kafka_offset_commit_request_defaults(&request);
    request.group_id = wire_text_of(self->member.group);
    request.generation_id_or_member_epoch = self->member.generation;
    request.member_id = wire_text_of(self->member.member_id);
    if (op->ask.version >= COMMIT_VERSION_INSTANCE) {
        request.group_instance_id = wire_text_of(self->member.instance_id);
    }
    request.topics = arena_take_array(&op->ask.arena, self->row_count, sizeof *request.topics);
    struct kafka_offset_commit_request_offset_commit_request_partition *partitions =
        arena_take_array(&op->ask.arena, self->row_count, sizeof *partitions);
    if (request.topics == NULL || partitions == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < self->row_count; i++) {
        if (begins_topic(self, i)) {
            struct kafka_offset_commit_request_offset_commit_request_topic *topic =
                &request.topics[request.topics_count++];
            kafka_offset_commit_request_offset_commit_request_topic_defaults(topic);
            topic->name = self->rows[i].topic;
            topic->partitions = &partitions[i];
        }
        request.topics[request.topics_count - 1].partitions_count += 1;
        kafka_offset_commit_request_offset_commit_request_partition_defaults(&partitions[i]);
        partitions[i].partition_index = self->rows[i].partition;
        partitions[i].committed_offset = self->rows[i].offset;
        partitions[i].committed_leader_epoch = self->rows[i].leader_epoch;
        partitions[i].committed_metadata = (struct wire_text){"", 0};
    }
    kafka_offset_commit_request_encode(&request, op->ask.version, writer);
}

static enum status commit_take(struct coordinator_op *op)
{
    struct offset_call *self = container_of(op, struct offset_call, op);
    struct kafka_offset_commit_response answer;
    TRY(kafka_offset_commit_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                            &answer));
    uint32_t hint = 0;
    for (int32_t i = 0; i < answer.topics_count; i++) {
        for (int32_t j = 0; j < answer.topics[i].partitions_count; j++) {
            int16_t code = answer.topics[i].partitions[j].error_code;
            struct offset_call_row *row = row_find(
                self, answer.topics[i].name, answer.topics[i].partitions[j].partition_index, &hint);
            if (row == NULL) {
                return STATUS_MALFORMED;
            }
            row->error_code = code;
            note_code(self, code);
        }
    }
    return STATUS_OK;
}

/* ---- OffsetFetch ---- */

static void fetch_encode(struct coordinator_op *op, struct wire_writer *writer)
{
    struct offset_call *self = container_of(op, struct offset_call, op);
    struct kafka_offset_fetch_request request;
    kafka_offset_fetch_request_defaults(&request);
    request.group_id = wire_text_of(self->member.group);
    if (op->ask.version >= FETCH_VERSION_STABLE) {
        request.require_stable = true;
    }
    request.topics = arena_take_array(&op->ask.arena, self->row_count, sizeof *request.topics);
    int32_t *indexes = arena_take_array(&op->ask.arena, self->row_count, sizeof *indexes);
    if (request.topics == NULL || indexes == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < self->row_count; i++) {
        if (begins_topic(self, i)) {
            struct kafka_offset_fetch_request_offset_fetch_request_topic *topic =
                &request.topics[request.topics_count++];
            kafka_offset_fetch_request_offset_fetch_request_topic_defaults(topic);
            topic->name = self->rows[i].topic;
            topic->partition_indexes = &indexes[i];
        }
        request.topics[request.topics_count - 1].partition_indexes_count += 1;
        indexes[i] = self->rows[i].partition;
    }
    kafka_offset_fetch_request_encode(&request, op->ask.version, writer);
}

static enum status fetch_take(struct coordinator_op *op)
{
    struct offset_call *self = container_of(op, struct offset_call, op);
    struct kafka_offset_fetch_response answer;
    TRY(kafka_offset_fetch_response_decode(&op->ask.call.reader, op->ask.version, &op->ask.arena,
                                           &answer));
    note_code(self, answer.error_code);
    uint32_t hint = 0;
    for (int32_t i = 0; i < answer.topics_count; i++) {
        for (int32_t j = 0; j < answer.topics[i].partitions_count; j++) {
            const struct kafka_offset_fetch_response_offset_fetch_response_partition *told =
                &answer.topics[i].partitions[j];
            struct offset_call_row *row =
                row_find(self, answer.topics[i].name, told->partition_index, &hint);
            if (row == NULL) {
                return STATUS_MALFORMED;
            }
            row->offset = told->committed_offset < 0 ? -1 : told->committed_offset;
            row->leader_epoch = told->committed_leader_epoch;
            row->error_code = told->error_code;
            note_code(self, told->error_code);
        }
    }
    return STATUS_OK;
}

/* ---- asking ---- */

static void op_on_done(struct coordinator_op *op, enum status status)
{
    struct offset_call *self = container_of(op, struct offset_call, op);
    self->on_done(self, status, op->error_code);
}

static void run(struct offset_call *self, struct coordinator_core *coordinator, int64_t deadline_ns)
{
    check(self->row_count > 0);
    check(self->on_done != NULL);
    self->op = (struct coordinator_op){
        .api_key = self->is_commit ? API_KEY_OFFSET_COMMIT : API_KEY_OFFSET_FETCH,
        .version_min = self->is_commit ? COMMIT_VERSION_MIN : FETCH_VERSION_MIN,
        .version_max = self->is_commit ? COMMIT_VERSION_MAX : FETCH_VERSION_MAX,
        .lane = CLUSTER_LANE_SHORT,
        .deadline_ns = deadline_ns,
        .encode = self->is_commit ? commit_encode : fetch_encode,
        .take = self->is_commit ? commit_take : fetch_take,
        .on_done = op_on_done};
    coordinator_core_run(coordinator, &self->op);
}

void offset_call_commit(struct offset_call *self, struct coordinator_core *coordinator,
                        int64_t deadline_ns)
{
    self->is_commit = true;
    run(self, coordinator, deadline_ns);
}

void offset_call_fetch(struct offset_call *self, struct coordinator_core *coordinator,
                       int64_t deadline_ns)
{
    self->is_commit = false;
    run(self, coordinator, deadline_ns);
}

enum status offset_call_init(struct offset_call *self, const struct offset_call_member *member,
                             const struct offset_call_row *rows, uint32_t row_count)
{
    if (row_count > OFFSET_CALL_ROWS_MAX) {
        return STATUS_FULL;
    }
    self->member = *member;
    self->row_count = 0;
    arena_init(&self->arena, ARENA_BYTES_MAX);
    self->rows = arena_take_array(&self->arena, row_count, sizeof *rows);
    if (self->rows == NULL) {
        offset_call_done(self);
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < row_count; i++) {
        check(rows[i].topic.byte_count > 0);
        self->rows[i] = rows[i];
        if (i > 0 && is_same_text(rows[i].topic, rows[i - 1].topic)) {
            self->rows[i].topic = self->rows[i - 1].topic;
            continue;
        }
        self->rows[i].topic.bytes =
            arena_copy_text(&self->arena, rows[i].topic.bytes, (size_t)rows[i].topic.byte_count);
        if (self->rows[i].topic.bytes == NULL) {
            offset_call_done(self);
            return STATUS_NO_MEMORY;
        }
    }
    self->row_count = row_count;
    return STATUS_OK;
}

void offset_call_done(struct offset_call *self)
{
    arena_done(&self->arena);
    self->rows = NULL;
    self->row_count = 0;
}
