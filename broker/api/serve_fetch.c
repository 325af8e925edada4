#include "broker/api/serve_fetch.h"

#include "broker/api/dispatch.h"
#include "broker/api/fault_code.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/fetch.h"
#include "proto/sys/check.h"

#define FETCH_WAIT_MS_MAX 60000
#define VERSION_WITH_ANY_REPLICA 11 /* Consumers may ask followers (KIP-392). */
#define VERSION_WITH_LEADER 12
#define FETCH_BYTES_MAX (55 << 20) /* fetch.max.bytes of a broker. */

struct fetch;
struct fetch_group;

struct fetch_item {
    struct fetch_group *group; /* NULL: no partition to ask; `out` has its error already. */
    struct fetch_item *next;   /* In the group. */
    const struct kafka_fetch_request_fetch_partition *in;
    struct kafka_fetch_response_partition_data *out;
    struct wire_uuid topic_id;
    bool has_read; /* `read` is to be released. */
    bool has_returned;
    struct partition_read read;
    struct parked wait;
};

/* All items of one shard: what is done to them is one message there and one back. While `call` is
 * out, the group and its items belong to that shard. */
struct fetch_group {
    struct fetch *fetch;
    struct loop *loop; /* That shard's. */
    struct fetch_item *first;
    struct fetch_item *last;
    struct fetch_item *reading; /* Of the present round. */
    bool is_inside;             /* The reading loop is on the stack. */
    bool is_watching;
    bool is_woken;
    bool has_ended; /* The fetch's: the wait is back. */
    int64_t byte_count;
    struct partition_call call;   /* Read, wait, release; one at a time. */
    struct partition_call cancel; /* Ends the wait early. */
    struct mail wake;
};

struct fetch {
    struct request *request;
    struct kafka_fetch_request in;
    struct kafka_fetch_response out;
    struct fetch_item *items;
    uint32_t item_count;
    struct fetch_group *groups; /* In the order in which the request names them. */
    uint32_t group_count;
    uint32_t next_group;    /* Of the present round. */
    uint32_t pending_count; /* Calls out in the present step, and one for the loop that posts. */
    bool is_watching;
    bool is_cancelling;
    bool has_error;
    bool is_cut;  /* A partition has more than its bounds allow: waiting would bring nothing. */
    bool is_full; /* What the present group has read does not fit any more. */
    bool is_replica;
    bool is_of_former_life; /* The follower has registered again since. */
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
    (void)partition; /* The pins are the logs' and outlive the partitions. */
    struct fetch_group *group = container_of(call, struct fetch_group, call);
    for (struct fetch_item *item = group->first; item != NULL; item = item->next) {
        if (item->has_read) {
            partition_read_release(&item->read);
            item->has_read = false;
        }
    }
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
    end_release(container_of(call, struct fetch_group, call)->fetch);
}

static void release_all(struct fetch *self)
{
    check(self->pending_count == 0);
    self->pending_count = 1;
    for (uint32_t i = 0; i < self->group_count; i++) {
        struct fetch_group *group = &self->groups[i];
        group->call.run = release_run;
        group->call.on_returned = release_on_returned;
        self->pending_count += 1;
        partition_call_post(&group->call);
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
    struct fetch *self = item->group->fetch;
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
    struct fetch *self = item->group->fetch;
    if (self->is_full) {
        self->is_cut |= log_read->byte_count > 0;
        return;
    }
    item->out->records = (struct wire_records){.slices = log_read->slices,
                                               .slice_count = log_read->slice_count,
                                               .byte_count = (int32_t)log_read->byte_count};
    if (log_read->slice_count == 1) {
        item->out->records.single = log_read->slices[0];
    }
    self->byte_count += (int64_t)log_read->byte_count;
    self->is_cut |= log_read->next_offset < log_read->offset_limit;
    if (self->in.wants_ingested_times) {
        item->out->ingested_times_ms = log_read->ingested_ms;
        item->out->ingested_times_ms_count = (int32_t)log_read->batch_count;
    }
}

static void take_read(struct fetch_item *item)
{
    struct fetch *self = item->group->fetch;
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

static void take_group(struct fetch_group *group)
{
    for (struct fetch_item *item = group->first; item != NULL; item = item->next) {
        take_read(item);
    }
}

static void read_on(struct fetch_group *group);

static void read_on_done(struct partition_read *read)
{
    struct fetch_item *item = container_of(read, struct fetch_item, read);
    struct fetch_group *group = item->group;
    item->has_read = true;
    item->has_returned = true;
    if (read->fault == PARTITION_FAULT_NONE && !read->has_diverged) {
        group->byte_count += (int64_t)read->log_read.byte_count;
    }
    if (!group->is_inside) {
        group->reading = item->next;
        read_on(group);
    }
}

static void start_read(struct fetch_item *item, struct partition *partition)
{
    const struct kafka_fetch_request_fetch_partition *in = item->in;
    const struct fetch_group *group = item->group;
    const struct fetch *self = group->fetch;
    int64_t left = self->byte_count_max - group->byte_count;
    int64_t wanted = in->partition_max_bytes < left ? in->partition_max_bytes : left;
    item->has_returned = false;
    item->read = (struct partition_read){
        .offset = in->fetch_offset,
        .isolation = isolation_of(self),
        .byte_count_max = wanted > 0 ? (size_t)wanted : 0,
        .at_least_one = group->byte_count == 0,
        .any_replica =
            !self->is_replica && self->request->context.api_version >= VERSION_WITH_ANY_REPLICA,
        .current_leader_epoch = in->current_leader_epoch,
        .last_fetched_epoch = self->is_replica ? in->last_fetched_epoch : -1,
        .replica = {.broker_id = self->in.replica_id >= 0 ? self->in.replica_id
                                                          : self->in.replica_state.replica_id,
                    .broker_epoch = self->in.replica_state.replica_epoch,
                    .end = in->fetch_offset,
                    .flushed_end = in->flushed_offset,
                    .now_ns = loop_now_ns(group->loop)},
        .on_done = read_on_done};
    partition_read(partition, &item->read);
}

/* Item after item; a read that must wait for the disk comes back and goes on from there. */
static void read_on(struct fetch_group *group)
{
    group->is_inside = true;
    while (group->reading != NULL) {
        struct fetch_item *item = group->reading;
        struct partition *partition =
            partition_map_find(group->call.map, &item->topic_id, item->in->partition);
        if (partition == NULL) {
            item->read = (struct partition_read){.fault = PARTITION_FAULT_NOT_HERE};
        } else {
            start_read(item, partition);
            if (!item->has_returned) {
                group->is_inside = false;
                return;
            }
        }
        group->reading = item->next;
    }
    group->is_inside = false;
    partition_call_return(&group->call);
}

static void read_run(struct partition_call *call, struct partition *partition)
{
    (void)partition; /* Each item has its own. */
    read_on(container_of(call, struct fetch_group, call));
}

static void read_on_returned(struct partition_call *call)
{
    struct fetch_group *group = container_of(call, struct fetch_group, call);
    take_group(group);
    read_round(group->fetch);
}

static bool has_enough(const struct fetch *self)
{
    return self->has_error || self->is_cut || self->byte_count >= self->in.min_bytes ||
           loop_now_ns(self->request->shard->loop) >= self->deadline_ns;
}

static void end_round(struct fetch *self)
{
    if (has_enough(self)) {
        answer(self);
        return;
    }
    self->is_watching = true;
    release_all(self); /* Then watch_round(). */
}

/* Group after group, each with what the ones before it have left of the bounds. */
static void read_round(struct fetch *self)
{
    if (self->next_group < self->group_count) {
        struct fetch_group *group = &self->groups[self->next_group];
        self->next_group += 1;
        group->byte_count = self->byte_count;
        group->reading = group->first;
        group->call.run = read_run;
        group->call.on_returned = read_on_returned;
        partition_call_post(&group->call);
        return;
    }
    end_round(self);
}

/* ---- waiting for more ---- */

/* Every group has read what it has now; none knew what the others took, so what is too much in the
 * order of the request waits for the next Fetch. */
static void end_watch(struct fetch *self)
{
    check(self->pending_count > 0);
    self->pending_count -= 1;
    if (self->pending_count > 0) {
        return;
    }
    self->is_watching = false;
    self->byte_count = 0;
    self->is_cut = false;
    for (uint32_t i = 0; i < self->group_count; i++) {
        struct fetch_group *group = &self->groups[i];
        self->is_full =
            self->byte_count > 0 && self->byte_count + group->byte_count > self->byte_count_max;
        take_group(group);
    }
    self->is_full = false;
    end_round(self);
}

/* Where the group is, so that nothing needs to go there again for what woke it. */
static void stop_watching(struct fetch_group *group)
{
    group->is_watching = false;
    for (struct fetch_item *item = group->first; item != NULL; item = item->next) {
        parked_cancel(&item->wait);
    }
    group->byte_count = 0;
    group->reading = group->first;
    read_on(group);
}

static void wake_deliver(struct mail *mail)
{
    stop_watching(container_of(mail, struct fetch_group, wake));
}

/* What this turn of the loop appends besides shall be in the same answer: followers would flush and
 * ask for each of them alone. */
static void wake_soon(struct fetch_group *group)
{
    if (!group->is_woken) {
        group->is_woken = true;
        group->wake.deliver = wake_deliver;
        loop_defer(group->loop, &group->wake);
    }
}

static void cancel_run(struct partition_call *call, struct partition *partition)
{
    (void)partition;
    struct fetch_group *group = container_of(call, struct fetch_group, cancel);
    if (group->is_watching && !group->is_woken) {
        stop_watching(group);
    }
    partition_call_return(call);
}

static void cancel_on_returned(struct partition_call *call)
{
    end_watch(container_of(call, struct fetch_group, cancel)->fetch);
}

static void cancel_all(struct fetch *self)
{
    if (self->is_cancelling) {
        return;
    }
    self->is_cancelling = true;
    timer_stop(&self->deadline);
    self->pending_count += 1;
    for (uint32_t i = 0; i < self->group_count; i++) {
        struct fetch_group *group = &self->groups[i];
        if (!group->has_ended) {
            self->pending_count += 1;
            partition_call_post(&group->cancel);
        }
    }
    end_watch(self);
}

static void watch_on_end(struct parked *wait, enum parked_end end)
{
    (void)end; /* Whatever it was: reading again tells. */
    wake_soon(container_of(wait, struct fetch_item, wait)->group);
}

static void watch_run(struct partition_call *call, struct partition *partition)
{
    (void)partition;
    struct fetch_group *group = container_of(call, struct fetch_group, call);
    group->is_watching = true;
    group->is_woken = false;
    for (struct fetch_item *item = group->first; item != NULL && !group->is_woken;
         item = item->next) {
        /* Beyond what this round has seen: it was too little. */
        int64_t seen = item->read.log_read.next_offset > item->read.offset
                           ? item->read.log_read.next_offset
                           : item->read.offset;
        item->wait = (struct parked){.wanted = seen + 1, .on_end = watch_on_end};
        struct partition *watched =
            partition_map_find(call->map, &item->topic_id, item->in->partition);
        if (watched == NULL) {
            wake_soon(group);
        } else {
            partition_watch_read(watched, &item->read, &item->wait);
        }
    }
}

static void watch_on_returned(struct partition_call *call)
{
    struct fetch_group *group = container_of(call, struct fetch_group, call);
    struct fetch *self = group->fetch;
    group->has_ended = true;
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
    for (uint32_t i = 0; i < self->group_count; i++) {
        struct fetch_group *group = &self->groups[i];
        group->has_ended = false;
        group->call.run = watch_run;
        group->call.on_returned = watch_on_returned;
        self->pending_count += 1;
        partition_call_post(&group->call);
    }
    end_watch(self);
}

/* ---- the request ---- */

/* The group of the item's shard. */
static void join_group(struct fetch *self, struct fetch_item *item)
{
    struct api_node *node = self->request->shard->node;
    const struct api_shard *shard = dispatch_shard_of(node, &item->topic_id, item->in->partition);
    uint32_t place = 0;
    while (place < self->group_count && self->groups[place].call.map != shard->map) {
        place += 1;
    }
    struct fetch_group *group = &self->groups[place];
    if (place == self->group_count) {
        self->group_count += 1;
        *group = (struct fetch_group){.fetch = self, .loop = shard->loop};
        group->call = (struct partition_call){.map = shard->map,
                                              .home = self->request->shard->loop,
                                              .topic_id = item->topic_id,
                                              .index = item->in->partition};
        group->cancel = group->call;
        group->cancel.run = cancel_run;
        group->cancel.on_returned = cancel_on_returned;
        group->first = item;
    } else {
        group->last->next = item;
    }
    group->last = item;
    item->group = group;
}

static void prepare_partition(struct fetch *self, const struct image_topic *topic,
                              const struct kafka_fetch_request_fetch_partition *in,
                              struct fetch_item *item)
{
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
    if (self->is_of_former_life) {
        item->out->error_code = ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
        self->has_error = true;
        return;
    }
    item->topic_id = topic->id;
    join_group(self, item);
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
    self->groups =
        arena_take_array(arena, self->request->shard->node->shard_count, sizeof *self->groups);
    self->out.responses_count = self->in.topics_count;
    self->out.responses =
        arena_take_array(arena, (size_t)self->in.topics_count, sizeof *self->out.responses);
    if (self->items == NULL || self->groups == NULL || self->out.responses == NULL) {
        return false;
    }
    for (int32_t i = 0; i < self->in.topics_count; i++) {
        if (!prepare_topic(self, &self->in.topics[i], &self->out.responses[i])) {
            return false;
        }
    }
    return true;
}

/* What it has and has flushed may be gone with that life (KIP-903). A follower that registered
 * later than our image knows is believed: the controller compares again before it joins the ISR. */
static bool is_of_former_life(const struct fetch *self)
{
    const struct kafka_fetch_request_replica_state *replica = &self->in.replica_state;
    if (!self->is_replica || replica->replica_epoch < 0) {
        return false;
    }
    const struct image *image = partition_map_image(self->request->shard->map);
    const struct image_broker *broker = image_broker_by_id(image, replica->replica_id);
    return broker != NULL && replica->replica_epoch < broker->epoch;
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
    self->is_of_former_life = is_of_former_life(self);
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
