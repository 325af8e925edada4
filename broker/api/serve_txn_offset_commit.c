#include "broker/api/serve_txn_offset_commit.h"

#include "broker/api/commit_topic.h"
#include "broker/api/coordinator_call.h"
#include "broker/api/partition_ask.h"
#include "broker/api/txn_gate.h"
#include "broker/coordinator/ledger_key.h"
#include "broker/coordinator/ledger_set.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/txn_offset_commit.h"
#include "proto/sys/check.h"

#define VERSION_OF_IMPLICIT_ADDING 5
#define VERSION_WITH_TOPIC_IDS 6

typedef struct kafka_txn_offset_commit_request_txn_offset_commit_request_topic topic_in;
typedef struct kafka_txn_offset_commit_response_txn_offset_commit_response_topic topic_out;
typedef struct kafka_offset_commit_request_offset_commit_request_topic commit_in;
typedef struct kafka_offset_commit_response_offset_commit_response_topic commit_out;

/* A commit of the group like any other, but in a transaction: on the shard of the group's partition
 * the transaction's coordinator is asked first. */
struct txn_offset_commit {
    struct group_ask ask;
    struct kafka_txn_offset_commit_request in;
    struct kafka_offset_commit_request commit;
    struct kafka_offset_commit_response committed;
    struct partition_call call;
    struct txn_gate_entry gate;
    enum ledger_fault fault;
    int16_t code; /* Of the transaction; or 0. */
};

static void send(struct txn_offset_commit *self, int16_t code)
{
    struct request *request = self->ask.request;
    int16_t version = request->context.api_version;
    struct kafka_txn_offset_commit_response out;
    kafka_txn_offset_commit_response_defaults(&out);
    out.throttle_time_ms = access_charge(&request->context, 0);
    out.topics =
        arena_take_array(&request->arena, (size_t)self->committed.topics_count, sizeof *out.topics);
    for (int32_t i = 0; out.topics != NULL && i < self->committed.topics_count; i++) {
        const commit_out *from = &self->committed.topics[i];
        topic_out *to = &out.topics[i];
        to->name = from->name;
        to->topic_id = from->topic_id;
        to->partitions = arena_take_array(&request->arena, (size_t)from->partitions_count,
                                          sizeof *to->partitions);
        if (to->partitions == NULL) {
            break;
        }
        to->partitions_count = from->partitions_count;
        for (int32_t k = 0; k < from->partitions_count; k++) {
            int16_t own = from->partitions[k].error_code;
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            to->partitions[k].error_code = own != ERROR_CODE_NONE ? own : code;
        }
        out.topics_count = i + 1;
    }
    request_begin_answer(request);
    kafka_txn_offset_commit_response_encode(&out, version, &request->writer);
    coordinator_call_send(&self->ask);
}

/* ---- on the shard of the group's partition ---- */

static void op_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct txn_offset_commit *self = container_of(op, struct txn_offset_commit, ask.group.op);
    txn_pass_end(&self->gate.pass);
    self->fault = fault;
    if (fault == LEDGER_FAULT_PRODUCER && op->append.fault == PARTITION_FAULT_TXN_STATE) {
        self->code = ERROR_CODE_TRANSACTION_ABORTABLE;
    }
    if (fault == LEDGER_FAULT_UNAVAILABLE && op->append.fault == PARTITION_FAULT_TXN_STALE) {
        self->code = ERROR_CODE_COORDINATOR_LOAD_IN_PROGRESS; /* Retriable; nothing was written. */
    }
    partition_call_return(&self->call);
}

static void submit(struct txn_offset_commit *self, struct partition *partition)
{
    self->ask.group.op.decide = group_commit_offsets;
    self->ask.group.op.on_done = op_on_done;
    ledger_submit(ledger_set_of(partition), &self->ask.group.op);
}

static void gate_on_answered(struct txn_gate_entry *entry, int16_t code)
{
    struct txn_offset_commit *self = container_of(entry, struct txn_offset_commit, gate);
    if (code != ERROR_CODE_NONE) {
        txn_pass_end(&entry->pass);
        self->code = code;
        partition_call_return(&self->call);
        return;
    }
    submit(self, partition_map_find(self->call.map, &self->call.topic_id, self->call.index));
}

static void call_run(struct partition_call *call, struct partition *partition)
{
    struct txn_offset_commit *self = container_of(call, struct txn_offset_commit, call);
    struct api_node *node = self->ask.request->shard->node;
    if (ledger_set_of(partition) == NULL ||
        partition_txn_is_open(partition, self->in.producer_id, self->in.producer_epoch)) {
        submit(self, partition);
        return;
    }
    self->gate.pass = (struct txn_pass){.producer_id = self->in.producer_id,
                                        .producer_epoch = self->in.producer_epoch};
    self->gate.transactional_id = self->in.transactional_id;
    self->gate.topic = wire_text_of(DISPATCH_GROUP_TOPIC);
    self->gate.index = call->index;
    self->gate.is_adding = self->ask.request->context.api_version >= VERSION_OF_IMPLICIT_ADDING;
    self->gate.on_answered = gate_on_answered;
    self->ask.group.pass = &self->gate.pass;
    txn_gate_ask(&dispatch_shard_of(node, &call->topic_id, call->index)->txn_gate, partition,
                 &self->gate);
}

/* ---- on the connection's shard ---- */

static void call_on_returned(struct partition_call *call)
{
    struct txn_offset_commit *self = container_of(call, struct txn_offset_commit, call);
    if (self->code != ERROR_CODE_NONE) {
        send(self, txn_gate_commit_code(self->code, self->ask.request->context.api_version));
    } else {
        send(self, group_code_of_fault(self->fault));
    }
}

static void post(struct txn_offset_commit *self)
{
    struct api_shard *shard = self->ask.request->shard;
    const struct image_topic *topic =
        image_topic_by_name(partition_map_image(shard->map), wire_text_of(DISPATCH_GROUP_TOPIC));
    if (topic == NULL) {
        send(self, ERROR_CODE_NOT_COORDINATOR);
        return;
    }
    int32_t index = ledger_key_partition(self->in.group_id, topic->partition_count);
    self->call = (struct partition_call){.run = call_run, .on_returned = call_on_returned};
    partition_ask_post(&self->call, shard, topic, index);
}

static bool prepare_topic(struct txn_offset_commit *self, const topic_in *in, commit_in *topic,
                          commit_out *out)
{
    struct request *request = self->ask.request;
    size_t count = (size_t)in->partitions_count;
    topic->partitions = arena_take_array(&request->arena, count, sizeof *topic->partitions);
    out->partitions = arena_take_array(&request->arena, count, sizeof *out->partitions);
    if (topic->partitions == NULL || out->partitions == NULL) {
        return false;
    }
    struct commit_topic found = {.name = in->name, .topic_id = in->topic_id};
    commit_topic_find(&found, request, request->context.api_version >= VERSION_WITH_TOPIC_IDS);
    out->name = topic->name = found.name;
    out->topic_id = topic->topic_id = found.topic_id;
    topic->partitions_count = in->partitions_count;
    out->partitions_count = in->partitions_count;
    for (size_t k = 0; k < count; k++) {
        int32_t index = in->partitions[k].partition_index;
        topic->partitions[k].partition_index = index;
        topic->partitions[k].committed_offset = in->partitions[k].committed_offset;
        topic->partitions[k].committed_leader_epoch = in->partitions[k].committed_leader_epoch;
        topic->partitions[k].committed_metadata = in->partitions[k].committed_metadata;
        out->partitions[k].partition_index = index;
        out->partitions[k].error_code = commit_topic_check(&found, request, index);
    }
    return true;
}

static bool prepare(struct txn_offset_commit *self)
{
    struct request *request = self->ask.request;
    size_t count = (size_t)self->in.topics_count;
    kafka_offset_commit_request_defaults(&self->commit);
    self->commit.group_id = self->in.group_id;
    self->commit.generation_id_or_member_epoch = self->in.generation_id_or_member_epoch;
    self->commit.member_id = self->in.member_id;
    self->commit.group_instance_id = self->in.group_instance_id;
    self->commit.topics = arena_take_array(&request->arena, count, sizeof *self->commit.topics);
    self->committed.topics =
        arena_take_array(&request->arena, count, sizeof *self->committed.topics);
    if (self->commit.topics == NULL || self->committed.topics == NULL) {
        return false;
    }
    self->commit.topics_count = self->in.topics_count;
    self->committed.topics_count = self->in.topics_count;
    for (size_t i = 0; i < count; i++) {
        if (!prepare_topic(self, &self->in.topics[i], &self->commit.topics[i],
                           &self->committed.topics[i])) {
            return false;
        }
    }
    self->ask.group.in.commit = &self->commit;
    self->ask.group.out.commit = &self->committed;
    self->ask.group.producer_id = self->in.producer_id;
    self->ask.group.producer_epoch = self->in.producer_epoch;
    return true;
}

void serve_txn_offset_commit(struct request *request)
{
    struct txn_offset_commit *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    if (!request_body_is_whole(request, kafka_txn_offset_commit_request_decode(
                                            &request->body, request->context.api_version,
                                            &request->arena, &self->in))) {
        return;
    }
    if (!coordinator_call_init_ask(&self->ask, request) || !prepare(self)) {
        request_close(request, "a TxnOffsetCommit request is larger than its memory");
        return;
    }
    if (!access_authorize(&request->context, ACCESS_WRITE, ACCESS_TRANSACTIONAL_ID,
                          self->in.transactional_id)) {
        send(self, ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    } else if (!access_authorize(&request->context, ACCESS_READ, ACCESS_GROUP, self->in.group_id)) {
        send(self, ERROR_CODE_GROUP_AUTHORIZATION_FAILED);
    } else if (self->in.producer_id < 0 || self->in.producer_epoch < 0) {
        send(self, ERROR_CODE_INVALID_PRODUCER_ID_MAPPING);
    } else {
        post(self);
    }
}
