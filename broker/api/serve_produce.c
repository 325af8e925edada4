#include "broker/api/serve_produce.h"

#include "broker/api/fault_code.h"
#include "broker/api/gather.h"
#include "broker/api/partition_ask.h"
#include "broker/api/seen_set.h"
#include "broker/api/topic_rules.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/produce.h"
#include "proto/sys/check.h"

#define PRODUCE_VERSION_MIN 3 /* Advertised from 0 on, so that old librdkafka compresses. */
#define PRODUCE_TIMEOUT_MS_MAX 900000
#define VERSION_WITH_RECORD_ERRORS 8
#define VERSION_WITH_LEADER 10
#define VERSION_OF_IMPLICIT_ADDING 12
/* From here on a request gives its memory back as soon as the logs have its batches, not when they
 * are safe: the next one is then received into memory that the cache still knows. */
#define RELEASED_BYTES_MIN ((size_t)64 << 10)

struct produce {
    struct request *request;
    struct kafka_produce_request in;
    struct kafka_produce_response out;
    struct gather calls;
    uint32_t failed_count;
    int16_t repeat_code;    /* Not 0: a partition is named twice; nothing is written. */
    bool is_released_early; /* The items hold the frame, the request does not. */
    bool has_moved_leader;  /* Some partition's leader is elsewhere: tell where (KIP-951). */
};

struct produce_item {
    struct produce *produce;
    struct kafka_produce_response_partition_produce_response *out;
    struct partition_call call;
    struct frame *frame; /* One reference until the log has the batch; NULL: the request's. */
    struct partition_append append;
    struct txn_gate_entry gate; /* While the transaction's coordinator is asked. */
    int16_t gate_code;          /* It refused. */
};

static void fail(struct produce *self,
                 struct kafka_produce_response_partition_produce_response *out, int16_t code,
                 const char *text)
{
    out->error_code = code;
    out->base_offset = -1;
    out->error_message = wire_text_of(text);
    self->failed_count += 1;
}

/* The endpoints of the leaders that were named, so that clients can move without a Metadata call.
 */
static void add_endpoints(struct produce *self)
{
    struct api_shard *shard = self->request->shard;
    const struct image *image = partition_map_image(shard->map);
    uint32_t count = image_broker_count(image);
    struct kafka_produce_response_node_endpoint *endpoints =
        arena_take_array(&self->request->arena, count, sizeof *endpoints);
    if (endpoints == NULL) {
        return;
    }
    int32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct image_broker *broker = image_broker_at(image, i);
        if (broker->is_fenced || broker->endpoint_count == 0) {
            continue;
        }
        endpoints[used] = (struct kafka_produce_response_node_endpoint){
            .node_id = broker->id,
            .host = wire_text_of(broker->endpoints[0].host),
            .port = broker->endpoints[0].port,
            .rack = wire_text_of(broker->rack)};
        used += 1;
    }
    self->out.node_endpoints = endpoints;
    self->out.node_endpoints_count = used;
}

static void answer(struct gather *calls)
{
    struct produce *self = container_of(calls, struct produce, calls);
    struct request *request = self->request;
    if (self->in.acks == 0) {
        if (self->failed_count > 0) {
            request_close(request, "a write with acks=0 failed");
        } else {
            request_drop(request);
        }
        return;
    }
    if (self->has_moved_leader) {
        add_endpoints(self);
    }
    request_begin_answer(request);
    kafka_produce_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

static void release_frame(struct produce_item *item)
{
    if (item->frame != NULL) {
        frame_unref(item->frame);
        item->frame = NULL;
    }
}

static void run_on_taken(struct partition_append *append)
{
    release_frame(container_of(append, struct produce_item, append));
}

static void run_on_appended(struct partition_append *append)
{
    struct produce_item *item = container_of(append, struct produce_item, append);
    partition_call_return(&item->call);
}

static void run_append(struct produce_item *item, struct partition *partition)
{
    if (partition == NULL) {
        txn_pass_end(item->append.txn_pass);
        item->append.fault = PARTITION_FAULT_NOT_HERE;
        partition_call_return(&item->call);
        return;
    }
    item->append.on_taken = run_on_taken;
    item->append.on_done = run_on_appended;
    partition_append(partition, &item->append);
}

static void gate_on_answered(struct txn_gate_entry *entry, int16_t code)
{
    struct produce_item *item = container_of(entry, struct produce_item, gate);
    if (code != ERROR_CODE_NONE) {
        txn_pass_end(&entry->pass);
        item->gate_code = code;
        partition_call_return(&item->call);
        return;
    }
    item->append.txn_pass = &entry->pass;
    run_append(item, partition_map_find(item->call.map, &item->call.topic_id, item->call.index));
}

/* The batch begins a transaction here, as far as the partition knows. */
static void ask_gate(struct produce_item *item, struct partition *partition)
{
    struct produce *self = item->produce;
    struct batch_view batch;
    enum status status = batch_view_init(&batch, item->append.batch, item->append.byte_count);
    check(status == STATUS_OK); /* It was checked. */
    item->gate.pass = (struct txn_pass){.producer_id = batch_producer_id(&batch),
                                        .producer_epoch = batch_producer_epoch(&batch)};
    item->gate.transactional_id = self->in.transactional_id;
    item->gate.index = item->call.index;
    item->gate.is_adding = self->request->context.api_version >= VERSION_OF_IMPLICIT_ADDING;
    item->gate.on_answered = gate_on_answered;
    struct api_shard *shard =
        dispatch_shard_of(self->request->shard->node, &item->call.topic_id, item->call.index);
    txn_gate_ask(&shard->txn_gate, partition, &item->gate);
}

static void item_run(struct partition_call *call, struct partition *partition)
{
    struct produce_item *item = container_of(call, struct produce_item, call);
    if (partition != NULL && item->produce->in.transactional_id.byte_count >= 0 &&
        partition_txn_needs_pass(partition, item->append.batch, item->append.byte_count)) {
        ask_gate(item, partition);
        return;
    }
    run_append(item, partition);
}

static void item_on_returned(struct partition_call *call)
{
    struct produce_item *item = container_of(call, struct produce_item, call);
    struct produce *self = item->produce;
    const struct partition_append *append = &item->append;
    release_frame(item);
    struct kafka_produce_response_partition_produce_response *out = item->out;
    if (item->gate_code != ERROR_CODE_NONE) {
        fail(self, out, txn_gate_produce_code(item->gate_code, self->request->context.api_version),
             "the transaction's coordinator did not allow it");
    } else if (append->fault != PARTITION_FAULT_NONE) {
        fail(self, out,
             txn_gate_produce_code(fault_code_of_partition(append->fault),
                                   self->request->context.api_version),
             partition_fault_text(append->fault));
        if (append->fault == PARTITION_FAULT_NOT_LEADER &&
            self->request->context.api_version >= VERSION_WITH_LEADER) {
            out->current_leader.leader_id = append->current_leader;
            out->current_leader.leader_epoch = append->current_leader_epoch;
            self->has_moved_leader = true;
        }
    } else {
        out->base_offset = append->base_offset;
        out->log_append_time_ms = append->log_append_time_ms;
        out->log_start_offset = append->log_start;
    }
    gather_end(&self->calls);
}

static void fail_batch(struct produce *self,
                       struct kafka_produce_response_partition_produce_response *out,
                       const struct batch_verdict *verdict)
{
    struct arena *arena = &self->request->arena;
    fail(self, out, batch_fault_code(verdict->fault), batch_fault_text(verdict->fault));
    if (verdict->record_index < 0 ||
        self->request->context.api_version < VERSION_WITH_RECORD_ERRORS) {
        return;
    }
    struct kafka_produce_response_batch_index_and_error_message *error =
        arena_take_array(arena, 1, sizeof *error);
    if (error != NULL) {
        error->batch_index = verdict->record_index;
        error->batch_index_error_message = wire_text_of(batch_fault_text(verdict->fault));
        out->record_errors = error;
        out->record_errors_count = 1;
    }
}

/* False: answered with an error. The batch is checked here, so that the work is spread over the
 * shards of the connections. */
static bool check_batch(struct produce *self, const struct image_topic *topic,
                        const struct kafka_produce_request_partition_produce_data *in,
                        struct kafka_produce_response_partition_produce_response *out)
{
    struct api_shard *shard = self->request->shard;
    if (in->records.byte_count <= 0) {
        struct batch_verdict empty = {.fault = BATCH_FAULT_EMPTY_SET, .record_index = -1};
        fail_batch(self, out, &empty);
        return false;
    }
    struct batch_rules rules;
    topic_rules_of_batches(shard, partition_map_image(shard->map), topic, &rules);
    rules.is_zstd_refused = self->request->context.api_version < 7;
    rules.has_transactional_id = self->in.transactional_id.byte_count >= 0;
    struct batch_verdict verdict = {.record_index = -1};
    if (batch_check_produce(in->records.single.base, in->records.single.byte_count, &rules,
                            &verdict) != STATUS_OK) {
        fail_batch(self, out, &verdict);
        return false;
    }
    if (!rules.is_append_time) {
        /* The time index believes the header, and readers the flag: both must be true. */
        batch_stamp_create_time(request_bytes_at(self->request, in->records.single.base),
                                verdict.max_timestamp_ms);
    }
    return true;
}

/* For the gate: the topic may be gone, here and in the image, before it answers. */
static bool keep_topic(struct produce *self, const struct image_topic *topic,
                       struct produce_item *item)
{
    item->gate.topic = wire_text_of(topic->name);
    return self->in.transactional_id.byte_count < 0 ||
           request_keep_text(self->request, &item->gate.topic);
}

static void start_partition(struct produce *self, const struct image_topic *topic,
                            const struct kafka_produce_request_partition_produce_data *in,
                            struct kafka_produce_response_partition_produce_response *out)
{
    if (in->index < 0 || (uint32_t)in->index >= topic->partition_count) {
        fail(self, out, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION, "the topic has no such partition");
        return;
    }
    if (!check_batch(self, topic, in, out)) {
        return;
    }
    struct produce_item *item = arena_take_array(&self->request->arena, 1, sizeof *item);
    if (item == NULL || !keep_topic(self, topic, item)) {
        fail(self, out, ERROR_CODE_KAFKA_STORAGE_ERROR, "the request is larger than its memory");
        return;
    }
    int64_t timeout_ms = self->in.timeout_ms < 0                        ? 0
                         : self->in.timeout_ms > PRODUCE_TIMEOUT_MS_MAX ? PRODUCE_TIMEOUT_MS_MAX
                                                                        : self->in.timeout_ms;
    item->produce = self;
    item->out = out;
    item->frame = self->is_released_early ? frame_ref(self->request->frame) : NULL;
    item->append = (struct partition_append){
        .batch = request_bytes_at(self->request, in->records.single.base),
        .byte_count = in->records.single.byte_count,
        .acks = self->in.acks,
        .leader_epoch = -1,
        .deadline_ns = self->request->received_ns + timeout_ms * CLOCK_NS_PER_MS};
    item->call = (struct partition_call){.run = item_run, .on_returned = item_on_returned};
    gather_add(&self->calls);
    partition_ask_post(&item->call, self->request->shard, topic, in->index);
}

/* An error for every partition of the topic, or 0. */
static int16_t refuse_topic(struct produce *self, const struct image_topic *topic,
                            const char **out_text)
{
    const struct access_context *context = &self->request->context;
    bool is_by_id = context->api_version >= 13;
    if (topic == NULL) {
        *out_text = "there is no such topic; create it first";
        return is_by_id ? ERROR_CODE_UNKNOWN_TOPIC_ID : ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (!access_authorize(context, ACCESS_WRITE, ACCESS_TOPIC, wire_text_of(topic->name))) {
        *out_text = "the principal may not write to the topic";
        return ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
    }
    if (topic->is_internal) {
        *out_text = "internal topics are written by the brokers only";
        return ERROR_CODE_INVALID_TOPIC_EXCEPTION;
    }
    if (self->repeat_code != 0) {
        *out_text = "the request names a partition twice; send one batch per partition";
        return self->repeat_code;
    }
    if (self->in.acks < -1 || self->in.acks > 1) {
        *out_text = "acks must be -1 (all), 0 or 1";
        return ERROR_CODE_INVALID_REQUIRED_ACKS;
    }
    return 0;
}

static bool start_topic(struct produce *self,
                        const struct kafka_produce_request_topic_produce_data *in,
                        struct kafka_produce_response_topic_produce_response *out)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *topic = self->request->context.api_version >= 13
                                          ? image_topic_by_id(image, &in->topic_id)
                                          : image_topic_by_name(image, in->name);
    out->name = in->name;
    out->topic_id = in->topic_id;
    out->partition_responses_count = in->partition_data_count;
    out->partition_responses = arena_take_array(
        &self->request->arena, (size_t)in->partition_data_count, sizeof *out->partition_responses);
    if (out->partition_responses == NULL) {
        return false;
    }
    const char *text = NULL;
    int16_t refusal = refuse_topic(self, topic, &text);
    for (int32_t i = 0; i < in->partition_data_count; i++) {
        struct kafka_produce_response_partition_produce_response *partition =
            &out->partition_responses[i];
        kafka_produce_response_partition_produce_response_defaults(partition);
        partition->index = in->partition_data[i].index;
        partition->error_message = wire_text_of(NULL);
        if (refusal != 0) {
            fail(self, partition, refusal, text);
        } else {
            start_partition(self, topic, &in->partition_data[i], partition);
        }
    }
    return true;
}

/* The same partition twice would make the order of its two batches a matter of luck. FULL: no
 * memory to tell. */
static enum status look_for_repeats(struct produce *self)
{
    uint32_t count = 0;
    for (int32_t t = 0; t < self->in.topic_data_count; t++) {
        count += (uint32_t)self->in.topic_data[t].partition_data_count;
    }
    struct seen_set seen;
    TRY(seen_set_init(&seen, &self->request->arena, count));
    for (int32_t t = 0; t < self->in.topic_data_count; t++) {
        const struct kafka_produce_request_topic_produce_data *topic = &self->in.topic_data[t];
        for (int32_t p = 0; p < topic->partition_data_count; p++) {
            TRY(seen_set_add_partition(&seen, topic->name, &topic->topic_id,
                                       topic->partition_data[p].index));
        }
    }
    return STATUS_OK;
}

/* What the answer says is moved out of the frame first. */
static bool keep_names(struct produce *self)
{
    for (int32_t i = 0; i < self->in.topic_data_count; i++) {
        if (!request_keep_text(self->request, &self->in.topic_data[i].name)) {
            return false;
        }
    }
    return true;
}

void serve_produce(struct request *request)
{
    if (request->context.api_version < PRODUCE_VERSION_MIN) {
        request_close(request, "Produce below version 3 is advertised for old clients' sake only");
        return;
    }
    struct produce *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    if (!request_body_is_whole(request, kafka_produce_request_decode(&request->body,
                                                                     request->context.api_version,
                                                                     &request->arena, &self->in))) {
        return;
    }
    self->repeat_code = look_for_repeats(self) == STATUS_OK ? 0 : ERROR_CODE_INVALID_REQUEST;
    kafka_produce_response_defaults(&self->out);
    self->out.throttle_time_ms = access_charge(&request->context, request->frame->byte_count);
    self->out.responses_count = self->in.topic_data_count;
    self->out.responses = arena_take_array(&request->arena, (size_t)self->in.topic_data_count,
                                           sizeof *self->out.responses);
    self->is_released_early = request->frame->byte_count >= RELEASED_BYTES_MIN && keep_names(self);
    gather_begin(&self->calls, answer);
    for (int32_t i = 0; i < self->in.topic_data_count; i++) {
        if (self->out.responses == NULL ||
            !start_topic(self, &self->in.topic_data[i], &self->out.responses[i])) {
            self->out.responses_count = i;
            break;
        }
    }
    if (self->is_released_early) {
        request_release_frame(request);
    }
    gather_end(&self->calls);
}
