#include "broker/api/serve_fetch.h"

#include "broker/api/dispatch.h"
#include "broker/api/fault_code.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/fetch.h"
#include "proto/sys/check.h"

#define FETCH_WAIT_MS_MAX 60000
#define VERSION_WITH_LEADER 12
#define FETCH_BYTES_MAX (55 << 20) /* fetch.max.bytes of a broker. */

struct fetch;

struct fetch_item {
    struct fetch *fetch;
    const struct kafka_fetch_request_fetch_partition *in;
    struct kafka_fetch_response_partition_data *out;
    bool is_live;  /* Has a partition to ask; else `out` has its error already. */
    bool has_read; /* `read` is to be released. */
    bool has_returned;
    struct partition_call call;   /* Read, then release; one at a time. */
    struct partition_call watch;  /* Returned when the wait ended. */
    struct partition_call cancel; /* Ends the wait early. */
    struct partition_read read;
    struct parked wait; /* Belongs to the partition's shard while `watch` is out. */
};

struct fetch {
    struct request *request;
    struct kafka_fetch_request in;
    struct kafka_fetch_response out;
    struct fetch_item *items;
    uint32_t item_count;
    uint32_t next_item;     /* Of the present round. */
    uint32_t pending_count; /* Calls out in the present step, and one for the loop that posts. */
    bool is_inside;         /* The reading loop is on the stack. */
    bool is_watching;
    bool is_cancelling;
    bool has_error;
    bool is_cut; /* A partition has more than its bounds allow: waiting would bring nothing. */
    bool is_replica;
    int64_t byte_count;
    int64_t byte_count_max;
    int64_t deadline_ns;
    struct timer deadline;
};

static void read_round(struct fetch *self);
static void watch_round(struct fetch *self);

static enum partition_isolation isolation_of(const struct fetch *self)
{
    return self->is_replica                ? PARTITION_READ_REPLICA
           : self->in.isolation_level == 1 ? PARTITION_READ_COMMITTED
                                           : PARTITION_READ_UNCOMMITTED;
}

/* ---- giving back what was read, each pin on its own shard ---- */

static void release_run(struct partition_call *call, struct partition *partition)
{
    (void)partition; /* The pin is the log's and outlives the partition. */
    struct fetch_item *item = container_of(call, struct fetch_item, call);
    partition_read_release(&item->read);
    partition_call_return(call);
}

static void end_release(struct fetch *self)
{
    check(self->pending_count > 0);
    self->pending_count -= 1;
    if (self->pending_count > 0) {
        return;
    }
    if (self->is_watching) {
        watch_round(self);
    } else {
        request_done(self->request);
    }
}

static void release_on_returned(struct partition_call *call)
{
    struct fetch_item *item = container_of(call, struct fetch_item, call);
    item->has_read = false;
    end_release(item->fetch);
}

static void release_all(struct fetch *self)
{
    check(self->pending_count == 0);
    self->pending_count = 1;
    for (uint32_t i = 0; i < self->item_count; i++) {
        struct fetch_item *item = &self->items[i];
        if (!item->has_read) {
            continue;
        }
        item->call.run = release_run;
        item->call.on_returned = release_on_returned;
        self->pending_count += 1;
        partition_call_post(&item->call);
    }
    end_release(self);
}

static void answer_on_sent(struct request *request)
{
    struct fetch *self = request->state;
    self->is_watching = false;
    release_all(self);
}

static void answer(struct fetch *self)
{
    struct request *request = self->request;
    timer_done(&self->deadline);
    request->on_sent = answer_on_sent;
    request_begin_answer(request);
    self->out.throttle_time_ms = access_charge(&request->context, (uint64_t)self->byte_count);
    kafka_fetch_response_encode(&self->out, request->context.api_version, &request->writer);
    request_send(request);
}

/* ---- one read ---- */

static void add_aborted(struct fetch_item *item)
{
    struct fetch *self = item->fetch;
    if (self->is_replica || self->in.isolation_level != 1) {
        return; /* Null: the reader did not ask. */
    }
    struct kafka_fetch_response_aborted_transaction *aborted =
        arena_take_array(&self->request->arena, item->read.aborted_count, sizeof *aborted);
    if (aborted == NULL) {
        item->out->error_code = ERROR_CODE_KAFKA_STORAGE_ERROR;
        item->out->records.byte_count = 0;
        return;
    }
    for (uint32_t i = 0; i < item->read.aborted_count; i++) {
        aborted[i].producer_id = item->read.aborted[i].producer_id;
        aborted[i].first_offset = item->read.aborted[i].first_offset;
    }
    item->out->aborted_transactions = aborted;
    item->out->aborted_transactions_count = (int32_t)item->read.aborted_count;
}

static void add_records(struct fetch_item *item)
{
    const struct log_read *log_read = &item->read.log_read;
    item->out->records = (struct wire_records){.slices = log_read->slices,
                                               .slice_count = log_read->slice_count,
                                               .byte_count = (int32_t)log_read->byte_count};
    if (log_read->slice_count == 1) {
        item->out->records.single = log_read->slices[0];
    }
    item->fetch->byte_count += (int64_t)log_read->byte_count;
    item->fetch->is_cut |= log_read->next_offset < log_read->offset_limit;
    if (item->fetch->in.wants_ingested_times) {
        item->out->ingested_times_ms = log_read->ingested_ms;
        item->out->ingested_times_ms_count = (int32_t)log_read->batch_count;
    }
}

static void take_read(struct fetch_item *item)
{
    struct fetch *self = item->fetch;
    const struct partition_read *read = &item->read;
    struct kafka_fetch_response_partition_data *out = item->out;
    int32_t index = out->partition_index;
    kafka_fetch_response_partition_data_defaults(out);
    out->partition_index = index;
    out->records.byte_count = 0;
    out->aborted_transactions_count = -1;
    out->error_code = fault_code_of_partition(read->fault);
    out->high_watermark = -1;
    if (read->fault == PARTITION_FAULT_NOT_HERE) {
        self->has_error = true;
        return;
    }
    out->high_watermark = read->marks.high_watermark;
    out->last_stable_offset = read->marks.last_stable_offset;
    out->log_start_offset = read->marks.log_start;
    if (read->fault != PARTITION_FAULT_NONE) {
        self->has_error = true;
        if (self->request->context.api_version >= VERSION_WITH_LEADER) {
            out->current_leader.leader_id = read->marks.leader;
            out->current_leader.leader_epoch = read->marks.leader_epoch;
        }
        return;
    }
    if (read->has_diverged) {
        self->has_error = true;
        out->diverging_epoch.epoch = read->diverging_epoch;
        out->diverging_epoch.end_offset = read->diverging_end_offset;
        return;
    }
    add_records(item);
    add_aborted(item);
}

static void read_on_done(struct partition_read *read)
{
    struct fetch_item *item = container_of(read, struct fetch_item, read);
    partition_call_return(&item->call);
}

static void read_run(struct partition_call *call, struct partition *partition)
{
    struct fetch_item *item = container_of(call, struct fetch_item, call);
    if (partition == NULL) {
        item->read = (struct partition_read){.fault = PARTITION_FAULT_NOT_HERE};
        partition_call_return(call);
        return;
    }
    item->read.on_done = read_on_done;
    partition_read(partition, &item->read);
}

static void read_on_returned(struct partition_call *call)
{
    struct fetch_item *item = container_of(call, struct fetch_item, call);
    struct fetch *self = item->fetch;
    item->has_read = item->read.fault != PARTITION_FAULT_NOT_HERE;
    item->has_returned = true;
    take_read(item);
    if (!self->is_inside) {
        self->next_item += 1;
        read_round(self);
    }
}

static void start_read(struct fetch_item *item)
{
    const struct kafka_fetch_request_fetch_partition *in = item->in;
    struct fetch *self = item->fetch;
    int64_t left = self->byte_count_max - self->byte_count;
    int64_t wanted = in->partition_max_bytes < left ? in->partition_max_bytes : left;
    item->has_returned = false;
    item->read = (struct partition_read){
        .offset = in->fetch_offset,
        .isolation = isolation_of(self),
        .byte_count_max = wanted > 0 ? (size_t)wanted : 0,
        .at_least_one = self->byte_count == 0,
        .current_leader_epoch = in->current_leader_epoch,
        .last_fetched_epoch = self->is_replica ? in->last_fetched_epoch : -1,
        .replica = {.broker_id = self->in.replica_id >= 0 ? self->in.replica_id
                                                          : self->in.replica_state.replica_id,
                    .broker_epoch = self->in.replica_state.replica_epoch,
                    .end = in->fetch_offset,
                    .flushed_end = in->flushed_offset,
                    .now_ns = loop_now_ns(self->request->shard->loop)}};
    item->call.run = read_run;
    item->call.on_returned = read_on_returned;
    partition_call_post(&item->call);
}

static bool has_enough(const struct fetch *self)
{
    return self->has_error || self->is_cut || self->byte_count >= self->in.min_bytes ||
           loop_now_ns(self->request->shard->loop) >= self->deadline_ns;
}

/* Reads item after item; a call that went to another shard comes back and goes on from there. */
static void read_round(struct fetch *self)
{
    self->is_inside = true;
    while (self->next_item < self->item_count) {
        struct fetch_item *item = &self->items[self->next_item];
        if (item->is_live) {
            start_read(item);
            if (!item->has_returned) {
                self->is_inside = false;
                return;
            }
        }
        self->next_item += 1;
    }
    self->is_inside = false;
    if (has_enough(self)) {
        answer(self);
        return;
    }
    self->is_watching = true;
    release_all(self); /* Then watch_round(). */
}

/* ---- waiting for more ---- */

static void end_watch(struct fetch *self)
{
    check(self->pending_count > 0);
    self->pending_count -= 1;
    if (self->pending_count > 0) {
        return;
    }
    self->is_watching = false;
    self->next_item = 0;
    self->byte_count = 0;
    self->is_cut = false;
    read_round(self);
}

static void cancel_run(struct partition_call *call, struct partition *partition)
{
    (void)partition;
    struct fetch_item *item = container_of(call, struct fetch_item, cancel);
    if (parked_is_waiting(&item->wait)) {
        parked_cancel(&item->wait);
        partition_call_return(&item->watch);
    }
    partition_call_return(call);
}

static void cancel_on_returned(struct partition_call *call)
{
    end_watch(container_of(call, struct fetch_item, cancel)->fetch);
}

static void cancel_all(struct fetch *self)
{
    if (self->is_cancelling) {
        return;
    }
    self->is_cancelling = true;
    timer_stop(&self->deadline);
    self->pending_count += 1;
    for (uint32_t i = 0; i < self->item_count; i++) {
        struct fetch_item *item = &self->items[i];
        if (item->is_live) {
            self->pending_count += 1;
            partition_call_post(&item->cancel);
        }
    }
    end_watch(self);
}

static void watch_on_end(struct parked *wait, enum parked_end end)
{
    (void)end; /* Whatever it was: reading again tells. */
    partition_call_return(&container_of(wait, struct fetch_item, wait)->watch);
}

static void watch_run(struct partition_call *call, struct partition *partition)
{
    struct fetch_item *item = container_of(call, struct fetch_item, watch);
    item->wait.on_end = watch_on_end;
    if (partition == NULL) {
        partition_call_return(call);
        return;
    }
    partition_watch(partition, item->read.isolation, &item->wait);
}

static void watch_on_returned(struct partition_call *call)
{
    struct fetch *self = container_of(call, struct fetch_item, watch)->fetch;
    cancel_all(self);
    end_watch(self);
}

static void watch_on_deadline(struct timer *timer)
{
    struct fetch *self = container_of(timer, struct fetch, deadline);
    if (self->is_watching) {
        cancel_all(self);
    }
}

static void watch_round(struct fetch *self)
{
    check(self->pending_count == 0);
    self->is_cancelling = false;
    self->pending_count = 1;
    timer_start_at(&self->deadline, self->deadline_ns);
    /* A watch may end at once, and then all are called off: none may begin behind that. */
    for (uint32_t i = 0; i < self->item_count && !self->is_cancelling; i++) {
        struct fetch_item *item = &self->items[i];
        if (!item->is_live) {
            continue;
        }
        /* Beyond what this round has seen: it was too little. */
        int64_t seen = item->read.log_read.next_offset > item->read.offset
                           ? item->read.log_read.next_offset
                           : item->read.offset;
        item->wait = (struct parked){.wanted = seen + 1};
        self->pending_count += 1;
        partition_call_post(&item->watch);
    }
    end_watch(self);
}

/* ---- the request ---- */

static void prepare_partition(struct fetch *self, const struct image_topic *topic,
                              const struct kafka_fetch_request_fetch_partition *in,
                              struct fetch_item *item)
{
    struct api_shard *shard = self->request->shard;
    item->fetch = self;
    item->in = in;
    kafka_fetch_response_partition_data_defaults(item->out);
    item->out->partition_index = in->partition;
    item->out->high_watermark = -1;
    item->out->aborted_transactions_count = -1;
    bool is_by_id = self->request->context.api_version >= 13;
    if (topic == NULL || in->partition < 0 || (uint32_t)in->partition >= topic->partition_count) {
        item->out->error_code = topic == NULL && is_by_id ? ERROR_CODE_UNKNOWN_TOPIC_ID
                                                          : ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
        self->has_error = true;
        return;
    }
    enum access_operation operation = self->is_replica ? ACCESS_CLUSTER_ACTION : ACCESS_READ;
    if (!access_authorize(&self->request->context, operation, ACCESS_TOPIC,
                          wire_text_of(topic->name))) {
        item->out->error_code = ERROR_CODE_TOPIC_AUTHORIZATION_FAILED;
        self->has_error = true;
        return;
    }
    struct partition_call call = {.map = dispatch_map_of(shard->node, &topic->id, in->partition),
                                  .home = shard->loop,
                                  .topic_id = topic->id,
                                  .index = in->partition};
    item->call = call;
    item->watch = call;
    item->watch.run = watch_run;
    item->watch.on_returned = watch_on_returned;
    item->cancel = call;
    item->cancel.run = cancel_run;
    item->cancel.on_returned = cancel_on_returned;
    item->is_live = true;
}

static bool prepare_topic(struct fetch *self, const struct kafka_fetch_request_fetch_topic *in,
                          struct kafka_fetch_response_fetchable_topic_response *out)
{
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_topic *topic = self->request->context.api_version >= 13
                                          ? image_topic_by_id(image, &in->topic_id)
                                          : image_topic_by_name(image, in->topic);
    out->topic = in->topic;
    out->topic_id = in->topic_id;
    out->partitions_count = in->partitions_count;
    out->partitions = arena_take_array(&self->request->arena, (size_t)in->partitions_count,
                                       sizeof *out->partitions);
    if (out->partitions == NULL) {
        return false;
    }
    for (int32_t i = 0; i < in->partitions_count; i++) {
        struct fetch_item *item = &self->items[self->item_count];
        self->item_count += 1;
        item->out = &out->partitions[i];
        prepare_partition(self, topic, &in->partitions[i], item);
    }
    return true;
}

static bool prepare(struct fetch *self)
{
    struct arena *arena = &self->request->arena;
    size_t count = 0;
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        count += (size_t)self->in.topics[i].partitions_count;
    }
    self->items = arena_take_array(arena, count, sizeof *self->items);
    self->out.responses_count = self->in.topics_count;
    self->out.responses =
        arena_take_array(arena, (size_t)self->in.topics_count, sizeof *self->out.responses);
    if (self->items == NULL || self->out.responses == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (!prepare_topic(self, &self->in.topics[i], &self->out.responses[i])) {
            return false;
        }
    }
    return true;
}

static int64_t clamp(int64_t value, int64_t minimum, int64_t maximum)
{
    return value < minimum ? minimum : value > maximum ? maximum : value;
}

/* An error of the request as a whole, or 0. */
static int16_t refuse(const struct fetch *self)
{
    /* A full fetch, or one that wants a session, gets session id 0: none was made. */
    if (self->in.session_epoch > 0) {
        return ERROR_CODE_FETCH_SESSION_ID_NOT_FOUND;
    }
    return self->in.isolation_level < 0 || self->in.isolation_level > 1 ? ERROR_CODE_INVALID_REQUEST
                                                                        : ERROR_CODE_NONE;
}

void serve_fetch(struct request *request)
{
    struct fetch *self = arena_take_array(&request->arena, 1, sizeof *self);
    check(self != NULL); /* The first taking of an empty arena. */
    self->request = request;
    request->state = self;
    if (!request_body_is_whole(request, kafka_fetch_request_decode(&request->body,
                                                                   request->context.api_version,
                                                                   &request->arena, &self->in))) {
        return;
    }
    struct loop *loop = request->shard->loop;
    self->is_replica = self->in.replica_id >= 0 || self->in.replica_state.replica_id >= 0;
    self->byte_count_max = clamp(self->in.max_bytes, 1, FETCH_BYTES_MAX);
    self->deadline_ns =
        request->received_ns + clamp(self->in.max_wait_ms, 0, FETCH_WAIT_MS_MAX) * CLOCK_NS_PER_MS;
    timer_init(&self->deadline, &loop->timers, watch_on_deadline);
    kafka_fetch_response_defaults(&self->out);
    self->out.error_code = refuse(self);
    if (self->out.error_code != ERROR_CODE_NONE) {
        answer(self);
        return;
    }
    if (!prepare(self)) {
        request_close(request, "a Fetch request is larger than its memory");
        return;
    }
    read_round(self);
}
