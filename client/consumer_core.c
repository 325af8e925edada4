#include "client/consumer_core.h"

#include "client/consumer_call.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define CORE_MAGIC 0xc0c0de01U
#define RETRY_FLOOR_MS 20
#define RETRY_CEILING_MS 1000
/* A topic that was just made may be unknown to some brokers for a moment. */
#define ABSENT_AFTER_MS 3000
#define NODES_PER_PUMP_MAX 256U

struct consumer_wish {
    struct list in_core;
    struct cluster_topic *topic;
    struct consumer_start start;
};

static struct wire_text name_of(const struct cluster_topic *topic)
{
    return (struct wire_text){topic->name, topic->name_bytes};
}

/* ---- states ---- */

static void tell_placed(struct consumer_core *self)
{
    if (self->unplaced_count == 0 && list_is_empty(&self->wishes) && !self->is_placed_told &&
        !self->is_closing) {
        self->is_placed_told = true;
        self->options.on_placed(self->options.context);
    }
}

static void set_state(struct consumer_partition *partition, enum consumer_state state)
{
    struct consumer_core *core = partition->core;
    bool was_placing = partition->state == CONSUMER_PLACING;
    partition->state = state;
    if (state == CONSUMER_PLACING && !was_placing) {
        core->unplaced_count += 1;
        core->is_placed_told = false;
    } else if (state != CONSUMER_PLACING && was_placing) {
        core->unplaced_count -= 1;
    }
}

void consumer_core_place(struct consumer_partition *partition, int64_t position)
{
    partition->position = position;
    partition->read_position = position;
    partition->not_before_ns = 0;
    retry_reset(&partition->retry);
    set_state(partition, CONSUMER_FETCHING);
    tell_placed(partition->core);
}

static void tell_fault(struct consumer_core *self, const struct cluster_topic *topic,
                       int32_t partition, enum status status, int16_t error_code)
{
    struct consumer_fault fault = {.topic = name_of(topic),
                                   .partition = partition,
                                   .status = status,
                                   .error_code = error_code};
    self->options.on_fault(self->options.context, &fault);
}

void consumer_core_fail(struct consumer_partition *partition, enum status status,
                        int16_t error_code)
{
    set_state(partition, CONSUMER_FAILED);
    tell_fault(partition->core, partition->topic, partition->index, status, error_code);
    tell_placed(partition->core);
}

void consumer_core_again(struct consumer_partition *partition, int16_t error_code)
{
    struct consumer_core *core = partition->core;
    if (error_code != ERROR_CODE_NONE && !error_code_is_retriable(error_code)) {
        consumer_core_fail(partition, STATUS_INVALID, error_code);
        return;
    }
    struct loop *loop = core->options.loop;
    partition->not_before_ns = loop_now_ns(loop) + retry_next_ns(&partition->retry, &loop->prng);
    if (error_code_reaction(error_code) == ERROR_CODE_REACTION_METADATA) {
        cluster_refresh(&core->cluster);
    }
}

void consumer_core_reset(struct consumer_partition *partition)
{
    enum consumer_reset reset = partition->core->options.reset;
    if (reset == CONSUMER_RESET_FAIL) {
        consumer_core_fail(partition, STATUS_OUT_OF_RANGE, ERROR_CODE_OFFSET_OUT_OF_RANGE);
        return;
    }
    partition->start.kind =
        reset == CONSUMER_RESET_EARLIEST ? CONSUMER_START_EARLIEST : CONSUMER_START_LATEST;
    set_state(partition, CONSUMER_PLACING);
}

/* ---- assignment ---- */

struct consumer_partition *consumer_core_find(struct consumer_core *self, struct wire_text topic,
                                              int32_t partition)
{
    list_for_each(link, &self->partitions)
    {
        struct consumer_partition *found = container_of(link, struct consumer_partition, in_core);
        if (found->index == partition && found->topic->name_bytes == topic.byte_count &&
            memcmp(found->topic->name, topic.bytes, (size_t)topic.byte_count) == 0) {
            return found;
        }
    }
    return NULL;
}

static void move(struct consumer_partition *partition, struct consumer_start start)
{
    partition->generation += 1;
    partition->start = start;
    retry_reset(&partition->retry);
    partition->not_before_ns = 0;
    set_state(partition, CONSUMER_PLACING);
    partition->position = -1;
    partition->read_position = -1;
    if (start.kind == CONSUMER_START_OFFSET) {
        partition->position = start.value;
        partition->read_position = start.value;
        set_state(partition, CONSUMER_FETCHING);
    }
}

static enum status assign_one(struct consumer_core *self, struct cluster_topic *topic,
                              int32_t index, struct consumer_start start)
{
    struct consumer_partition *partition = consumer_core_find(self, name_of(topic), index);
    if (partition == NULL) {
        partition = calloc(1, sizeof *partition);
        if (partition == NULL) {
            return STATUS_NO_MEMORY;
        }
        partition->core = self;
        partition->topic = topic;
        partition->index = index;
        partition->high_watermark = -1;
        partition->stable_end = -1;
        partition->log_start = -1;
        retry_init(&partition->retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
        list_append(&self->partitions, &partition->in_core);
    }
    if (partition->state == CONSUMER_IDLE) {
        self->assigned_count += 1;
    }
    partition->is_paused = false;
    move(partition, start);
    return STATUS_OK;
}

/* True when the wish is fulfilled or has failed. */
static bool fulfil(struct consumer_core *self, struct consumer_wish *wish)
{
    struct cluster_topic *topic = wish->topic;
    if (topic->partition_count > 0) {
        for (int32_t i = 0; i < topic->partition_count; i++) {
            if (assign_one(self, topic, i, wish->start) != STATUS_OK) {
                tell_fault(self, topic, i, STATUS_NO_MEMORY, 0);
            }
        }
        return true;
    }
    int64_t waited_ns = loop_now_ns(self->options.loop) - topic->asked_since_ns;
    bool is_final =
        topic->error_code != ERROR_CODE_NONE && !error_code_is_retriable(topic->error_code);
    if (is_final || (topic->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION &&
                     waited_ns > ABSENT_AFTER_MS * CLOCK_NS_PER_MS)) {
        tell_fault(self, topic, -1, STATUS_NOT_FOUND, topic->error_code);
        return true;
    }
    return false;
}

static void fulfil_wishes(struct consumer_core *self)
{
    list_for_each_removable(link, &self->wishes)
    {
        struct consumer_wish *wish = container_of(link, struct consumer_wish, in_core);
        if (fulfil(self, wish)) {
            list_remove(&wish->in_core);
            free(wish);
        }
    }
    tell_placed(self);
}

enum status consumer_core_assign(struct consumer_core *self, struct wire_text topic,
                                 int32_t partition, struct consumer_start start)
{
    check(self->magic == CORE_MAGIC);
    check(partition >= -1);
    struct cluster_topic *known = cluster_want(&self->cluster, topic);
    if (known == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (known->partition_count == 0 || known->partition_count <= partition) {
        known->asked_since_ns = loop_now_ns(self->options.loop); /* It may have been made since. */
    }
    self->is_placed_told = false;
    consumer_core_pump(self);
    if (partition >= 0) {
        return assign_one(self, known, partition, start);
    }
    struct consumer_wish *wish = calloc(1, sizeof *wish);
    if (wish == NULL) {
        return STATUS_NO_MEMORY;
    }
    wish->topic = known;
    wish->start = start;
    list_append(&self->wishes, &wish->in_core);
    return STATUS_OK;
}

void consumer_core_unassign(struct consumer_core *self)
{
    check(self->magic == CORE_MAGIC);
    list_for_each(link, &self->partitions)
    {
        struct consumer_partition *partition =
            container_of(link, struct consumer_partition, in_core);
        partition->generation += 1;
        set_state(partition, CONSUMER_IDLE);
    }
    self->assigned_count = 0;
    struct list *link;
    while ((link = list_take_first(&self->wishes)) != NULL) {
        free(container_of(link, struct consumer_wish, in_core));
    }
}

enum status consumer_core_seek(struct consumer_core *self, struct wire_text topic,
                               int32_t partition, struct consumer_start start)
{
    struct consumer_partition *found = consumer_core_find(self, topic, partition);
    if (found == NULL || found->state == CONSUMER_IDLE) {
        return STATUS_NOT_FOUND;
    }
    self->is_placed_told = false;
    move(found, start);
    consumer_core_pump(self);
    return STATUS_OK;
}

enum status consumer_core_pause(struct consumer_core *self, struct wire_text topic,
                                int32_t partition, bool is_paused)
{
    struct consumer_partition *found = consumer_core_find(self, topic, partition);
    if (found == NULL || found->state == CONSUMER_IDLE) {
        return STATUS_NOT_FOUND;
    }
    found->is_paused = is_paused;
    consumer_core_pump(self);
    return STATUS_OK;
}

void consumer_core_give_back(struct consumer_core *self, struct consumer_fetched *fetched)
{
    struct consumer_partition *partition = fetched->partition;
    check(self->magic == CORE_MAGIC);
    check(partition->core == self);
    check(partition->ready_bytes >= fetched->room_bytes);
    check(self->ready_bytes >= fetched->room_bytes);
    partition->ready_bytes -= fetched->room_bytes;
    self->ready_bytes -= fetched->room_bytes;
    if (fetched->generation == partition->generation) {
        partition->read_position = fetched->next_offset;
        if (fetched->fault != STATUS_OK) {
            partition->generation += 1; /* What was fetched behind it is void. */
            partition->position = fetched->next_offset;
            consumer_core_fail(partition, fetched->fault, 0);
        }
    }
    if (fetched->memory != NULL) {
        fetch_answer_unref(fetched->memory);
    }
    free(fetched);
    consumer_core_pump(self);
}

/* ---- asking ---- */

struct node_draft {
    int32_t node;
    bool is_fetching; /* A Fetch is on the wire. */
    bool is_hasty;
    struct consumer_call *calls[2]; /* ListOffsets, Fetch. */
};

struct pump_state {
    struct node_draft drafts[NODES_PER_PUMP_MAX];
    uint32_t draft_count;
    int64_t now_ns;
    int64_t next_ns;
};

static struct node_draft *draft_for(struct consumer_core *self, struct pump_state *state,
                                    int32_t node)
{
    for (uint32_t i = 0; i < state->draft_count; i++) {
        if (state->drafts[i].node == node) {
            return &state->drafts[i];
        }
    }
    if (state->draft_count == NODES_PER_PUMP_MAX) {
        return NULL;
    }
    struct node_draft *draft = &state->drafts[state->draft_count++];
    *draft = (struct node_draft){.node = node};
    list_for_each(link, &self->calls)
    {
        const struct consumer_call *call = container_of(link, struct consumer_call, in_core);
        draft->is_fetching |= call->is_fetch && call->node == node;
    }
    return draft;
}

/* The share of one partition, so that a fast one does not keep the others from being fetched. */
static bool has_room(const struct consumer_partition *partition)
{
    const struct consumer_core *core = partition->core;
    size_t share =
        core->options.buffer_bytes_max / (core->assigned_count > 0 ? core->assigned_count : 1);
    return core->ready_bytes < core->options.buffer_bytes_max &&
           (partition->ready_bytes == 0 || partition->ready_bytes < share);
}

/* The leader to ask now; -1: not now. */
static int32_t whom_to_ask(struct consumer_partition *partition, struct pump_state *state)
{
    struct consumer_core *core = partition->core;
    const struct cluster_topic *topic = partition->topic;
    if (topic->partition_count <= partition->index) {
        bool is_absent = topic->is_known || topic->error_code != ERROR_CODE_NONE;
        int64_t until_ns = topic->asked_since_ns + ABSENT_AFTER_MS * CLOCK_NS_PER_MS;
        if (is_absent && state->now_ns >= until_ns) {
            consumer_core_fail(partition, STATUS_NOT_FOUND, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
        } else if (state->now_ns < until_ns) {
            state->next_ns = until_ns < state->next_ns ? until_ns : state->next_ns;
            cluster_refresh(&core->cluster);
        }
        return -1; /* The cluster looks again by itself while it knows nothing of the topic. */
    }
    if (partition->not_before_ns > state->now_ns) {
        state->next_ns =
            partition->not_before_ns < state->next_ns ? partition->not_before_ns : state->next_ns;
        return -1;
    }
    int32_t leader = topic->partitions[partition->index].leader;
    /* Where metadata does not show the topic any more, the next one of that name is another one:
     * it must be known for that before it is read. */
    bool is_gone = topic->error_code == ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    if (is_gone || leader < 0 || !cluster_knows_node(&core->cluster, leader)) {
        cluster_refresh(&core->cluster);
        return -1;
    }
    return leader;
}

static void pump_partition(struct consumer_core *self, struct pump_state *state,
                           struct consumer_partition *partition)
{
    bool is_fetch = partition->state == CONSUMER_FETCHING;
    if (partition->is_asked || (!is_fetch && partition->state != CONSUMER_PLACING) ||
        (is_fetch && partition->is_paused)) {
        return;
    }
    int32_t leader = whom_to_ask(partition, state);
    if (leader < 0) {
        return;
    }
    struct node_draft *draft = draft_for(self, state, leader);
    if (draft == NULL) {
        return;
    }
    if (is_fetch && !has_room(partition)) {
        draft->is_hasty = true;
        return;
    }
    if (is_fetch && draft->is_fetching) {
        return;
    }
    if (draft->calls[is_fetch] == NULL) {
        draft->calls[is_fetch] = consumer_call_new(self, leader, is_fetch);
    }
    if (draft->calls[is_fetch] == NULL ||
        consumer_call_add(draft->calls[is_fetch], partition) != STATUS_OK) {
        state->next_ns = state->now_ns + RETRY_FLOOR_MS * CLOCK_NS_PER_MS;
    }
}

static void pump(struct consumer_core *self)
{
    fulfil_wishes(self);
    struct pump_state state = {.now_ns = loop_now_ns(self->options.loop), .next_ns = INT64_MAX};
    list_for_each(link, &self->partitions)
    {
        pump_partition(self, &state, container_of(link, struct consumer_partition, in_core));
    }
    for (uint32_t i = 0; i < state.draft_count; i++) {
        for (uint32_t j = 0; j < 2; j++) {
            struct consumer_call *call = state.drafts[i].calls[j];
            if (call != NULL) {
                call->is_hasty = state.drafts[i].is_hasty;
                consumer_call_send(call);
            }
        }
    }
    if (state.next_ns < INT64_MAX) {
        timer_start_at(&self->wake, state.next_ns);
    }
}

static void pump_deliver(struct mail *mail)
{
    struct consumer_core *self = container_of(mail, struct consumer_core, pump_mail);
    check(self->magic == CORE_MAGIC);
    self->is_pumping = false;
    if (!self->is_closing) {
        pump(self);
    }
}

void consumer_core_pump(struct consumer_core *self)
{
    if (!self->is_pumping && !self->is_closing) {
        self->is_pumping = true;
        self->pump_mail = (struct mail){.deliver = pump_deliver};
        loop_defer(self->options.loop, &self->pump_mail);
    }
}

static void wake_on_fire(struct timer *timer)
{
    consumer_core_pump(container_of(timer, struct consumer_core, wake));
}

static void cluster_on_refreshed(void *context, enum status status)
{
    struct consumer_core *self = context;
    check(self->magic == CORE_MAGIC);
    status_ignore(status, "the cluster looks again by itself");
    consumer_core_pump(self);
}

/* ---- life ---- */

static void cluster_on_closed(void *context)
{
    struct consumer_core *self = context;
    check(self->magic == CORE_MAGIC);
    check(list_is_empty(&self->calls));
    struct list *link;
    while ((link = list_take_first(&self->partitions)) != NULL) {
        free(container_of(link, struct consumer_partition, in_core));
    }
    self->magic = 0;
    self->options.on_closed(self->options.context);
}

void consumer_core_init(struct consumer_core *self, const struct consumer_core_options *options)
{
    check(options->on_fetched != NULL);
    check(options->on_fault != NULL);
    check(options->on_placed != NULL);
    check(options->on_closed != NULL);
    *self =
        (struct consumer_core){.magic = CORE_MAGIC, .options = *options, .is_placed_told = true};
    list_init(&self->partitions);
    list_init(&self->wishes);
    list_init(&self->calls);
    timer_init(&self->wake, &options->loop->timers, wake_on_fire);
    struct cluster_options cluster = {.loop = options->loop,
                                      .bootstrap = options->bootstrap,
                                      .bootstrap_count = options->bootstrap_count,
                                      .client_id = options->client_id,
                                      .request_timeout_ms = options->request_timeout_ms,
                                      .on_refreshed = cluster_on_refreshed,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
    self->options.bootstrap = self->cluster.bootstrap;
}

void consumer_core_close(struct consumer_core *self)
{
    check(self->magic == CORE_MAGIC);
    if (self->is_closing) {
        return;
    }
    consumer_core_unassign(self);
    self->is_closing = true;
    timer_done(&self->wake);
    cluster_close(&self->cluster);
}
