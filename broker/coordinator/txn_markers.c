#include "broker/coordinator/txn_markers.h"

#include "broker/coordinator/text_table.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/write_txn_markers.h"
#include "proto/sys/arena.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define TXN_MARKERS_MAGIC 0x73a24e25U
#define RETRY_MS 20
#define VERSION 2
#define VERSION_RAISED 2 /* TransactionVersion of a marker whose epoch was raised for it. */
#define CALL_TIMEOUT_MS 5000
#define ARENA_BYTES ((size_t)16 << 20)

struct txn_marker {
    struct list link; /* Ready, waiting, or in a batch. */
    struct txn_markers_job *job;
    struct wire_text topic; /* Owned. */
    int32_t index;
    struct marker_write *local; /* Owned while under way here. */
    bool is_done;
};

struct txn_markers {
    uint32_t magic;
    struct txn_markers_options options;
    struct list ready;
    struct list waiting; /* For the next try. */
    struct list done;    /* Jobs to be told. */
    struct timer retry;
    struct mail flush;
    bool is_flush_posted;
    uint32_t busy_count; /* Markers under way, and the flush. */
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* What goes to one broker in one request. */
struct marker_batch {
    struct txn_markers *sender;
    int32_t broker_id;
    struct list markers;
    uint32_t marker_count;
    struct list in_flush; /* While it is being filled. */
    struct link_call call;
    struct wire_slice body;
    struct arena arena;
};

static void flush_deliver(struct mail *mail);

/* ---- jobs ---- */

static void post_flush(struct txn_markers *self)
{
    if (!self->is_flush_posted) {
        self->is_flush_posted = true;
        self->busy_count += 1;
        self->flush.deliver = flush_deliver;
        loop_defer(self->options.loop, &self->flush);
    }
}

static void free_markers(struct txn_markers_job *job)
{
    for (uint32_t i = 0; i < job->marker_count; i++) {
        list_remove(&job->markers[i].link);
        text_table_drop(&job->markers[i].topic);
    }
    free(job->markers);
    job->markers = NULL;
    job->marker_count = 0;
}

static bool is_over(const struct txn_markers_job *job)
{
    return job->busy_count == 0 && (job->left_count == 0 || job->is_abandoned || job->is_fenced);
}

static void tell_if_over(struct txn_markers_job *job)
{
    if (job->is_running && is_over(job)) {
        job->is_running = false;
        list_append(&job->sender->done, &job->link);
        post_flush(job->sender);
    }
}

static void close_if_idle(struct txn_markers *self)
{
    if (!self->is_closing || self->busy_count > 0) {
        return;
    }
    timer_done(&self->retry);
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void tell_done(struct txn_markers *self)
{
    struct list *link;
    while ((link = list_take_first(&self->done)) != NULL) {
        struct txn_markers_job *job = container_of(link, struct txn_markers_job, link);
        bool is_fenced = job->is_fenced;
        free_markers(job);
        job->on_done(job, is_fenced);
    }
}

/* ---- one marker's end ---- */

static void try_again(struct txn_marker *marker)
{
    struct txn_markers *self = marker->job->sender;
    list_append(&self->waiting, &marker->link);
    if (!self->retry.is_armed && !self->is_closing) {
        timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
    }
}

static void end_marker(struct txn_marker *marker)
{
    check(!marker->is_done);
    check(marker->job->left_count > 0);
    marker->is_done = true;
    marker->job->left_count -= 1;
}

/* Under way no more, with Kafka's number. */
static void take_code(struct txn_marker *marker, int16_t code)
{
    struct txn_markers_job *job = marker->job;
    struct txn_markers *self = job->sender;
    list_remove(&marker->link);
    check(job->busy_count > 0);
    check(self->busy_count > 0);
    job->busy_count -= 1;
    self->busy_count -= 1;
    if (code == ERROR_CODE_NONE) {
        end_marker(marker);
    } else if (code == ERROR_CODE_INVALID_PRODUCER_EPOCH) {
        /* Its producer is further on, so this transaction has ended there before. */
        trace_line(self->options.loop->trace, TRACE_WARN, "txn", "marker_is_late",
                   "topic=\"%.*s\" partition=%d producer=%lld epoch=%d action=skip",
                   marker->topic.byte_count, marker->topic.bytes, marker->index,
                   (long long)job->marker.producer_id, job->marker.producer_epoch);
        end_marker(marker);
    } else if (code == ERROR_CODE_TRANSACTION_COORDINATOR_FENCED) {
        job->is_fenced = true;
    } else {
        try_again(marker);
    }
    tell_if_over(job);
}

/* ---- to other brokers ---- */

static void free_batch(struct marker_batch *batch)
{
    check(list_is_empty(&batch->markers));
    link_call_done(&batch->call);
    arena_done(&batch->arena);
    free(batch);
}

static void fail_batch(struct marker_batch *batch)
{
    struct list *link;
    while ((link = list_take_first(&batch->markers)) != NULL) {
        take_code(container_of(link, struct txn_marker, link), ERROR_CODE_NETWORK_EXCEPTION);
    }
}

typedef struct kafka_write_txn_markers_response_writable_txn_marker_result marker_result;
typedef struct kafka_write_txn_markers_response_writable_txn_marker_topic_result topic_result;

/* The answer about one marker; an answer that leaves it out is taken as "try again". */
static int16_t find_code(const struct kafka_write_txn_markers_response *answer,
                         const struct txn_marker *marker)
{
    for (int32_t i = 0; i < answer->markers_count; i++) {
        const marker_result *result = &answer->markers[i];
        if (result->producer_id != marker->job->marker.producer_id) {
            continue;
        }
        for (int32_t t = 0; t < result->topics_count; t++) {
            const topic_result *topic = &result->topics[t];
            if (!wire_text_same(topic->name, marker->topic)) {
                continue;
            }
            for (int32_t p = 0; p < topic->partitions_count; p++) {
                if (topic->partitions[p].partition_index == marker->index) {
                    return topic->partitions[p].error_code;
                }
            }
        }
    }
    return ERROR_CODE_NETWORK_EXCEPTION;
}

static void call_on_done(struct link_call *call, enum status status)
{
    struct marker_batch *batch = container_of(call, struct marker_batch, call);
    struct txn_markers *self = batch->sender;
    check(self->magic == TXN_MARKERS_MAGIC);
    struct kafka_write_txn_markers_response answer;
    if (status == STATUS_OK) {
        status =
            kafka_write_txn_markers_response_decode(&call->reader, VERSION, &batch->arena, &answer);
    }
    if (status != STATUS_OK) {
        fail_batch(batch);
    } else {
        struct list *link;
        while ((link = list_take_first(&batch->markers)) != NULL) {
            struct txn_marker *marker = container_of(link, struct txn_marker, link);
            take_code(marker, find_code(&answer, marker));
        }
    }
    free_batch(batch);
    close_if_idle(self);
}

typedef struct kafka_write_txn_markers_request_writable_txn_marker request_marker;
typedef struct kafka_write_txn_markers_request_writable_txn_marker_topic request_topic;

/* Markers of one job stand behind each other, and its topics as well. */
static enum status encode_batch(struct marker_batch *batch)
{
    struct kafka_write_txn_markers_request request;
    kafka_write_txn_markers_request_defaults(&request);
    size_t count = batch->marker_count;
    request.markers = arena_take_array(&batch->arena, count, sizeof *request.markers);
    request_topic *topics = arena_take_array(&batch->arena, count, sizeof *topics);
    int32_t *indexes = arena_take_array(&batch->arena, count, sizeof *indexes);
    if (request.markers == NULL || topics == NULL || indexes == NULL) {
        return STATUS_FULL;
    }
    const struct txn_markers_job *job = NULL;
    request_marker *entry = NULL;
    request_topic *topic = NULL;
    list_for_each(link, &batch->markers)
    {
        const struct txn_marker *marker = container_of(link, struct txn_marker, link);
        if (marker->job != job) {
            job = marker->job;
            entry = &request.markers[request.markers_count];
            request.markers_count += 1;
            *entry = (request_marker){.producer_id = job->marker.producer_id,
                                      .producer_epoch = job->marker.producer_epoch,
                                      .transaction_result = job->marker.is_commit,
                                      .coordinator_epoch = job->marker.coordinator_epoch,
                                      .transaction_version =
                                          job->marker.is_epoch_raised ? VERSION_RAISED : 0};
            topic = NULL;
        }
        if (topic == NULL || !wire_text_same(topic->name, marker->topic)) {
            topic = topics;
            topics += 1;
            topic->name = marker->topic;
            topic->partition_indexes = indexes;
            entry->topics = entry->topics_count == 0 ? topic : entry->topics;
            entry->topics_count += 1;
        }
        *indexes = marker->index;
        indexes += 1;
        topic->partition_indexes_count += 1;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, &batch->arena);
    kafka_write_txn_markers_request_encode(&request, VERSION, &writer);
    batch->body.base = wire_writer_flatten(&writer, &batch->body.byte_count);
    return batch->body.base == NULL ? STATUS_FULL : STATUS_OK;
}

static void send_batch(struct marker_batch *batch)
{
    enum status status = encode_batch(batch);
    batch->call = (struct link_call){.api_key = API_KEY_WRITE_TXN_MARKERS,
                                     .api_version = VERSION,
                                     .body = &batch->body,
                                     .body_count = 1,
                                     .timeout_ms = CALL_TIMEOUT_MS,
                                     .on_done = call_on_done};
    if (status == STATUS_OK) {
        status = broker_links_send(batch->sender->options.links, batch->broker_id, &batch->call);
    }
    if (status != STATUS_OK) {
        fail_batch(batch);
        free_batch(batch);
    }
}

static struct marker_batch *find_batch(struct txn_markers *self, struct list *batches,
                                       int32_t broker_id)
{
    list_for_each(link, batches)
    {
        struct marker_batch *batch = container_of(link, struct marker_batch, in_flush);
        if (batch->broker_id == broker_id && batch->marker_count < TXN_MARKERS_REQUEST_MAX) {
            return batch;
        }
    }
    struct marker_batch *batch = calloc(1, sizeof *batch);
    check(batch != NULL);
    batch->sender = self;
    batch->broker_id = broker_id;
    list_init(&batch->markers);
    arena_init(&batch->arena, ARENA_BYTES);
    list_append(batches, &batch->in_flush);
    return batch;
}

/* ---- to this broker ---- */

static void local_on_done(struct marker_write *write, int16_t code)
{
    struct txn_marker *marker = write->context;
    struct txn_markers *self = marker->job->sender;
    check(marker->local == write);
    marker->local = NULL;
    free(write);
    take_code(marker, code);
    close_if_idle(self);
}

static void write_here(struct txn_marker *marker, const struct image_topic *topic)
{
    struct txn_markers *self = marker->job->sender;
    struct marker_write *write = calloc(1, sizeof *write);
    check(write != NULL);
    marker->local = write;
    write->context = marker;
    write->marker = marker->job->marker;
    write->map = self->options.map_of(self->options.context, &topic->id, marker->index);
    write->home = self->options.loop;
    write->topic_id = topic->id;
    write->index = marker->index;
    write->on_done = local_on_done;
    marker_write_post(write);
}

/* ---- the flush ---- */

static void send_one(struct txn_markers *self, struct txn_marker *marker, struct list *batches)
{
    struct txn_markers_job *job = marker->job;
    if (job->is_abandoned || job->is_fenced) {
        tell_if_over(job);
        return;
    }
    const struct image *image = self->options.image_of(self->options.context);
    const struct image_topic *topic =
        image == NULL ? NULL : image_topic_by_name(image, marker->topic);
    const struct image_partition *partition =
        topic == NULL ? NULL : image_topic_partition(topic, marker->index);
    if (image != NULL && partition == NULL) {
        end_marker(marker); /* Deleted: nobody waits there. */
        tell_if_over(job);
        return;
    }
    if (partition == NULL || partition->leader < 0) {
        try_again(marker);
        return;
    }
    job->busy_count += 1;
    self->busy_count += 1;
    if (partition->leader == self->options.broker_id) {
        write_here(marker, topic);
        return;
    }
    struct marker_batch *batch = find_batch(self, batches, partition->leader);
    list_append(&batch->markers, &marker->link);
    batch->marker_count += 1;
}

static void flush_deliver(struct mail *mail)
{
    struct txn_markers *self = container_of(mail, struct txn_markers, flush);
    check(self->magic == TXN_MARKERS_MAGIC);
    self->is_flush_posted = false;
    struct list batches;
    list_init(&batches);
    struct list *link;
    while ((link = list_take_first(&self->ready)) != NULL) {
        send_one(self, container_of(link, struct txn_marker, link), &batches);
    }
    while ((link = list_take_first(&batches)) != NULL) {
        send_batch(container_of(link, struct marker_batch, in_flush));
    }
    tell_done(self);
    check(self->busy_count > 0);
    self->busy_count -= 1;
    close_if_idle(self);
}

static void retry_on_timer(struct timer *timer)
{
    struct txn_markers *self = container_of(timer, struct txn_markers, retry);
    struct list *link;
    while ((link = list_take_first(&self->waiting)) != NULL) {
        list_append(&self->ready, link);
    }
    post_flush(self);
}

/* ---- life ---- */

enum status txn_markers_new(const struct txn_markers_options *options,
                            struct txn_markers **out_self)
{
    struct txn_markers *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = TXN_MARKERS_MAGIC;
    self->options = *options;
    list_init(&self->ready);
    list_init(&self->waiting);
    list_init(&self->done);
    timer_init(&self->retry, &options->loop->timers, retry_on_timer);
    *out_self = self;
    return STATUS_OK;
}

void txn_markers_start(struct txn_markers *self, struct txn_markers_job *job,
                       const struct txn_markers_topic *topics, uint32_t topic_count)
{
    check(self->magic == TXN_MARKERS_MAGIC);
    check(!job->is_running);
    job->sender = self;
    job->marker_count = 0;
    job->busy_count = 0;
    job->is_abandoned = false;
    job->is_fenced = false;
    job->is_running = true;
    list_init(&job->link);
    uint32_t count = 0;
    for (uint32_t i = 0; i < topic_count; i++) {
        count += topics[i].partition_count;
    }
    job->markers = calloc((size_t)count + 1, sizeof *job->markers);
    check(job->markers != NULL);
    for (uint32_t i = 0; i < topic_count; i++) {
        for (uint32_t k = 0; k < topics[i].partition_count; k++) {
            struct txn_marker *marker = &job->markers[job->marker_count];
            job->marker_count += 1;
            marker->job = job;
            marker->topic = text_table_copy(topics[i].name);
            marker->index = topics[i].partitions[k];
            list_append(&self->ready, &marker->link);
        }
    }
    job->left_count = count;
    tell_if_over(job); /* An end without partitions is one, too. */
    post_flush(self);
}

bool txn_markers_abandon(struct txn_markers_job *job)
{
    if (!job->is_running && (job->sender == NULL || list_is_empty(&job->link))) {
        return false;
    }
    job->is_abandoned = true;
    tell_if_over(job);
    return true;
}

void txn_markers_close(struct txn_markers *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == TXN_MARKERS_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    timer_stop(&self->retry);
    post_flush(self);
}
