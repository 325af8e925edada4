#include "broker/follower/leader_feed.h"

#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define LEADER_FEED_MAGIC 0x1eade4feU
#define FETCH_VERSION 17
#define FETCH_WAIT_MS 250
#define FETCH_TIMEOUT_MS 10000
#define FETCH_BYTES (8 << 20)
#define PARTITION_BYTES (1 << 20)
#define RETRY_MS 50
#define ROUND_ARENA_BYTES (64U << 20)

struct feed_entry {
    struct list in_feed;
    struct leader_feed *feed;
    struct partition *partition; /* Borrowed until leader_feed_move(). */
    int64_t wanted_flush;        /* -1: nothing is being flushed. */
    int64_t aside_until_ns;      /* Met an error: not fetched before. */
};

static void next_round(struct leader_feed *self);

static void retry_later(struct leader_feed *self)
{
    if (!self->is_closing) {
        timer_start_after(&self->retry, RETRY_MS * CLOCK_NS_PER_MS);
    }
}

/* ---- link ---- */

static void finish(struct leader_feed *self)
{
    timer_done(&self->retry);
    arena_done(&self->arena);
    self->magic = 0;
    self->options.on_closed(self); /* Frees it. */
}

static void link_on_open(struct link *link, void *context)
{
    struct leader_feed *self = context;
    (void)link;
    self->is_link_open = true;
    next_round(self);
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct leader_feed *self = context;
    (void)link;
    (void)why; /* A leader that is gone is told by the image; until then it is tried again. */
    self->link = NULL;
    self->is_link_open = false;
    if (self->is_closing) {
        finish(self);
        return;
    }
    retry_later(self);
}

static void open_link(struct leader_feed *self)
{
    struct link_options options = {.loop = self->options.loop,
                                   .address = self->address,
                                   .client_id = "follower",
                                   .on_open = link_on_open,
                                   .on_closed = link_on_closed,
                                   .context = self};
    if (link_open(&options, &self->link) != STATUS_OK) {
        self->link = NULL;
        retry_later(self);
    }
}

/* ---- one round: what is asked ---- */

static void fill_partition(struct feed_entry *entry,
                           struct kafka_fetch_request_fetch_partition *out)
{
    struct partition_marks marks;
    partition_marks_of(entry->partition, &marks);
    kafka_fetch_request_fetch_partition_defaults(out);
    out->partition = partition_index(entry->partition);
    out->current_leader_epoch = marks.leader_epoch;
    out->fetch_offset = marks.log_end;
    out->flushed_offset = marks.flushed_end;
    out->last_fetched_epoch = partition_latest_epoch(entry->partition);
    out->log_start_offset = marks.log_start;
    out->partition_max_bytes = PARTITION_BYTES;
}

/* One topic entry per partition; 0 when none can be asked for now. */
static int32_t fill_topics(struct leader_feed *self, struct kafka_fetch_request *request)
{
    struct kafka_fetch_request_fetch_topic *topics =
        arena_take_array(&self->arena, self->entry_count, sizeof *topics);
    struct kafka_fetch_request_fetch_partition *partitions =
        arena_take_array(&self->arena, self->entry_count, sizeof *partitions);
    if (topics == NULL || partitions == NULL) {
        return 0;
    }
    int64_t now_ns = loop_now_ns(self->options.loop);
    int32_t count = 0;
    list_for_each(link, &self->entries)
    {
        struct feed_entry *entry = container_of(link, struct feed_entry, in_feed);
        if (entry->aside_until_ns > now_ns) {
            continue;
        }
        topics[count].topic_id = *partition_topic_id(entry->partition);
        topics[count].topic = wire_text_of("");
        topics[count].partitions = &partitions[count];
        topics[count].partitions_count = 1;
        fill_partition(entry, &partitions[count]);
        count += 1;
    }
    request->topics = topics;
    request->topics_count = count;
    return count;
}

static void call_on_done(struct link_call *call, enum status status);

static void send_fetch(struct leader_feed *self)
{
    arena_reset(&self->arena);
    struct kafka_fetch_request request;
    kafka_fetch_request_defaults(&request);
    request.replica_state.replica_id = self->options.broker_id;
    request.replica_state.replica_epoch = self->broker_epoch;
    request.max_wait_ms = FETCH_WAIT_MS;
    request.min_bytes = 1;
    request.max_bytes = FETCH_BYTES;
    request.rack_id = wire_text_of("");
    request.wants_ingested_times = true;
    if (fill_topics(self, &request) == 0) {
        retry_later(self);
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    kafka_fetch_request_encode(&request, FETCH_VERSION, &writer);
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(&writer, &byte_count);
    check(bytes != NULL); /* Bounded by the partitions that a shard can have. */
    self->body = (struct wire_slice){bytes, byte_count};
    self->call = (struct link_call){.api_key = API_KEY_FETCH,
                                    .api_version = FETCH_VERSION,
                                    .body = &self->body,
                                    .body_count = 1,
                                    .timeout_ms = FETCH_TIMEOUT_MS,
                                    .on_done = call_on_done};
    if (link_send(self->link, &self->call) != STATUS_OK) {
        retry_later(self);
        return;
    }
    self->is_fetching = true;
}

static void next_round(struct leader_feed *self)
{
    check(self->magic == LEADER_FEED_MAGIC);
    if (self->is_closing || self->is_fetching || self->flushing_count > 0 ||
        self->entry_count == 0) {
        return;
    }
    if (!self->has_address || self->broker_epoch < 0) {
        return; /* leader_feed_update() goes on. */
    }
    if (self->link == NULL) {
        open_link(self);
    } else if (self->is_link_open) {
        send_fetch(self);
    }
}

static void retry_on_timer(struct timer *timer)
{
    next_round(container_of(timer, struct leader_feed, retry));
}

/* ---- one round: what came ---- */

/* NULL: moved away while the Fetch was under way. */
static struct feed_entry *find_entry(struct leader_feed *self, const struct wire_uuid *topic_id,
                                     int32_t index)
{
    struct partition *partition = partition_map_find(self->map, topic_id, index);
    struct feed_entry *entry = partition == NULL ? NULL : partition_follower(partition);
    return entry != NULL && entry->feed == self ? entry : NULL;
}

static void put_aside(struct feed_entry *entry)
{
    entry->aside_until_ns = loop_now_ns(entry->feed->options.loop) + RETRY_MS * CLOCK_NS_PER_MS;
}

/* The leader keeps less than we miss, or more than it has: cut or begin anew there. */
static enum status take_out_of_range(struct feed_entry *entry, int64_t leader_start)
{
    struct partition_marks marks;
    partition_marks_of(entry->partition, &marks);
    if (leader_start > marks.log_end) {
        return partition_restart_at(entry->partition, leader_start);
    }
    put_aside(entry);
    return STATUS_OK;
}

static enum status take_records(struct feed_entry *entry,
                                const struct kafka_fetch_response_partition_data *in)
{
    if (in->records.byte_count <= 0) {
        return STATUS_OK;
    }
    struct partition_replica_append append = {.bytes = in->records.single.base,
                                              .byte_count = in->records.single.byte_count,
                                              .ingested_ms = in->ingested_times_ms,
                                              .ingested_count =
                                                  (uint32_t)in->ingested_times_ms_count};
    enum status status = partition_append_replica(entry->partition, &append);
    if (status == STATUS_BUSY || status == STATUS_NO_SPACE || status == STATUS_MALFORMED ||
        status == STATUS_FULL) {
        /* Asked for again; a peer's bytes, malformed or too large, must not end this node. */
        put_aside(entry);
        return STATUS_OK;
    }
    TRY(status);
    struct partition_marks marks;
    partition_marks_of(entry->partition, &marks);
    if (marks.flushed_end < marks.log_end) {
        entry->wanted_flush = marks.log_end;
        entry->feed->flushing_count += 1;
    }
    return STATUS_OK;
}

static enum status cut(struct feed_entry *entry, int64_t offset)
{
    struct partition_marks marks;
    partition_marks_of(entry->partition, &marks);
    if (offset >= marks.log_end) {
        put_aside(entry); /* Nothing to cut here: asking again at once would only spin. */
        return STATUS_OK;
    }
    return partition_truncate(entry->partition, offset);
}

static enum status take_partition(struct feed_entry *entry,
                                  const struct kafka_fetch_response_partition_data *in)
{
    if (in->error_code == ERROR_CODE_OFFSET_OUT_OF_RANGE) {
        return take_out_of_range(entry, in->log_start_offset);
    }
    if (in->error_code != ERROR_CODE_NONE) {
        put_aside(entry);
        return STATUS_OK;
    }
    if (in->diverging_epoch.epoch >= 0 || in->diverging_epoch.end_offset >= 0) {
        return cut(entry, partition_divergence(entry->partition, in->diverging_epoch.epoch,
                                               in->diverging_epoch.end_offset));
    }
    TRY(take_records(entry, in));
    partition_note_high_watermark(entry->partition, in->high_watermark);
    partition_note_log_start(entry->partition, in->log_start_offset);
    return STATUS_OK;
}

static enum status take_answer(struct leader_feed *self, const struct kafka_fetch_response *answer)
{
    for (int32_t t = 0; t < answer->responses_count; t++) {
        const struct kafka_fetch_response_fetchable_topic_response *topic = &answer->responses[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct feed_entry *entry =
                find_entry(self, &topic->topic_id, topic->partitions[p].partition_index);
            /* An entry that is being flushed was moved here by a later assignment. */
            if (entry != NULL && entry->wanted_flush < 0) {
                TRY(take_partition(entry, &topic->partitions[p]));
            }
        }
    }
    return STATUS_OK;
}

static void call_on_done(struct link_call *call, enum status status)
{
    struct leader_feed *self = container_of(call, struct leader_feed, call);
    check(self->magic == LEADER_FEED_MAGIC);
    self->is_fetching = false;
    struct kafka_fetch_response answer;
    if (status == STATUS_OK) {
        status = kafka_fetch_response_decode(&call->reader, FETCH_VERSION, &self->arena, &answer);
        bool is_whole = status == STATUS_OK && answer.error_code == ERROR_CODE_NONE;
        enum status taken = is_whole && !self->is_closing ? take_answer(self, &answer) : STATUS_OK;
        link_call_done(call);
        if (taken != STATUS_OK) {
            self->options.on_failed(self, taken);
            return;
        }
        if (is_whole) {
            next_round(self);
            return;
        }
    }
    link_call_done(call);
    retry_later(self);
}

/* ---- entries ---- */

static void remove_entry(struct feed_entry *entry)
{
    struct leader_feed *feed = entry->feed;
    list_remove(&entry->in_feed);
    feed->entry_count -= 1;
    if (entry->wanted_flush >= 0) {
        check(feed->flushing_count > 0);
        feed->flushing_count -= 1;
    }
    partition_set_follower(entry->partition, NULL);
    free(entry);
    next_round(feed);
}

void leader_feed_move(struct partition *partition, struct leader_feed *wanted)
{
    struct feed_entry *entry = partition_follower(partition);
    if (entry != NULL && entry->feed == wanted) {
        entry->aside_until_ns = 0; /* A new epoch: what was refused may be right now. */
        next_round(wanted);
        return;
    }
    if (entry != NULL) {
        remove_entry(entry);
    }
    if (wanted == NULL) {
        return;
    }
    entry = calloc(1, sizeof *entry);
    check(entry != NULL); /* Less than the partition itself takes. */
    *entry = (struct feed_entry){.feed = wanted, .partition = partition, .wanted_flush = -1};
    list_append(&wanted->entries, &entry->in_feed);
    wanted->entry_count += 1;
    partition_set_follower(partition, entry);
    next_round(wanted);
}

void leader_feed_flushed(struct partition *partition, int64_t flushed_end)
{
    struct feed_entry *entry = partition_follower(partition);
    if (entry == NULL || entry->wanted_flush < 0 || flushed_end < entry->wanted_flush) {
        return;
    }
    struct leader_feed *self = entry->feed;
    entry->wanted_flush = -1;
    check(self->flushing_count > 0);
    self->flushing_count -= 1;
    next_round(self);
}

/* ---- life ---- */

void leader_feed_init(struct leader_feed *self, const struct leader_feed_options *options)
{
    *self = (struct leader_feed){.magic = LEADER_FEED_MAGIC,
                                 .options = *options,
                                 .leader_id = options->leader_id,
                                 .context = options->context,
                                 .broker_epoch = -1};
    list_init(&self->in_follower);
    list_init(&self->entries);
    arena_init(&self->arena, ROUND_ARENA_BYTES);
    timer_init(&self->retry, &options->loop->timers, retry_on_timer);
}

void leader_feed_update(struct leader_feed *self, struct partition_map *map,
                        const struct image_broker *leader, int64_t broker_epoch)
{
    check(self->magic == LEADER_FEED_MAGIC);
    self->map = map;
    self->broker_epoch = broker_epoch;
    if (leader != NULL && leader->endpoint_count > 0) {
        struct address address = {.port = leader->endpoints[0].port};
        size_t byte_count = strnlen(leader->endpoints[0].host, sizeof address.host - 1);
        memcpy(address.host, leader->endpoints[0].host, byte_count);
        bool is_other = !self->has_address || address.port != self->address.port ||
                        strcmp(address.host, self->address.host) != 0;
        self->address = address;
        self->has_address = true;
        if (is_other && self->link != NULL) {
            link_close(self->link); /* It serves elsewhere now. */
        }
    }
    next_round(self);
}

void leader_feed_close(struct leader_feed *self)
{
    check(self->magic == LEADER_FEED_MAGIC);
    self->is_closing = true;
    timer_stop(&self->retry);
    while (!list_is_empty(&self->entries)) {
        remove_entry(container_of(self->entries.next, struct feed_entry, in_feed));
    }
    if (self->link != NULL) {
        link_close(self->link);
    } else {
        finish(self);
    }
}
