#include "client/producer_core.h"

#include "client/produce_call.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define CORE_MAGIC 0x9c0de001U
#define CALLS_PER_NODE_MAX 5U
#define NODES_PER_PUMP_MAX 64U
#define SWEEP_PERIOD_MS 100
#define STUCK_AFTER_MS 1000
#define IDENTITY_FLOOR_MS 20
#define IDENTITY_CEILING_MS 1000
#define IDENTITY_VERSION_MAX 4
#define TOPIC_NAME_BYTES_MAX 249

static void pump(struct producer_core *self);

size_t producer_core_record_bytes(const struct producer_record *record)
{
    return batch_builder_record_bytes_max(&record->record) + sizeof(struct accumulator_record);
}

/* ---- who we are ---- */

static void identity_encode(struct ask *ask, struct wire_writer *writer)
{
    struct kafka_init_producer_id_request request;
    kafka_init_producer_id_request_defaults(&request);
    request.transactional_id = (struct wire_text){.byte_count = -1};
    kafka_init_producer_id_request_encode(&request, ask->version, writer);
}

static void identity_take(struct producer_core *self, struct ask *ask)
{
    struct kafka_init_producer_id_response answer;
    enum status status = kafka_init_producer_id_response_decode(&ask->call.reader, ask->version,
                                                                &ask->arena, &answer);
    if (status == STATUS_OK && answer.error_code == ERROR_CODE_NONE && answer.producer_id >= 0) {
        self->producer_id = answer.producer_id;
        self->producer_epoch = answer.producer_epoch;
        return;
    }
    if (status == STATUS_OK && answer.error_code != ERROR_CODE_NONE &&
        !error_code_is_retriable(answer.error_code)) {
        self->fatal_status = STATUS_INVALID;
        self->fatal_code = answer.error_code;
    }
}

static void identity_on_done(struct ask *ask, enum status status)
{
    struct producer_core *self = container_of(ask, struct producer_core, identity);
    check(self->magic == CORE_MAGIC);
    self->is_identifying = false;
    if (status == STATUS_OK) {
        identity_take(self, ask);
    } else if (status == STATUS_UNSUPPORTED) {
        self->fatal_status = STATUS_UNSUPPORTED;
    }
    ask_done(ask);
    struct loop *loop = self->options.loop;
    self->identity_not_before_ns =
        loop_now_ns(loop) + retry_next_ns(&self->identity_retry, &loop->prng);
    producer_core_pump(self);
}

static void identify(struct producer_core *self)
{
    if (self->options.gate != NULL || self->is_identifying || self->producer_id >= 0 ||
        self->is_closing || self->fatal_status != STATUS_OK ||
        loop_now_ns(self->options.loop) < self->identity_not_before_ns) {
        return;
    }
    self->identity = (struct ask){.api_key = API_KEY_INIT_PRODUCER_ID,
                                  .version_max = IDENTITY_VERSION_MAX,
                                  .timeout_ms = self->options.request_timeout_ms,
                                  .encode = identity_encode,
                                  .on_done = identity_on_done};
    self->is_identifying = true;
    enum status status =
        cluster_ask(&self->cluster, CLUSTER_ANY, CLUSTER_LANE_SHORT, &self->identity);
    if (status != STATUS_OK) {
        identity_on_done(&self->identity, status);
    }
}

/* ---- failing ---- */

static void fail_waiting(struct producer_core *self, struct producer_topic *topic,
                         int32_t partition, enum status status)
{
    struct accumulator *accumulator = &topic->partitions[partition]->accumulator;
    struct accumulator_batch *batch;
    while ((batch = accumulator_first(accumulator)) != NULL) {
        struct producer_delivery outcome = {
            .status = batch->is_doubtful && status == STATUS_CANCELED ? STATUS_UNKNOWN : status,
            .error_code = self->fatal_code,
            .partition = partition,
            .offset = -1,
            .timestamp_ms = -1};
        accumulator_remove(accumulator, batch);
        producer_topic_report_batch(self, batch, &outcome);
    }
}

static void fail_all(struct producer_core *self, enum status status)
{
    list_for_each(link, &self->topics)
    {
        struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        producer_topic_expire(self, topic, INT64_MAX, status, self->fatal_code);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            fail_waiting(self, topic, i, status);
        }
    }
}

static void settle(struct producer_core *self, struct producer_topic *topic, int32_t partition)
{
    struct accumulator *accumulator = &topic->partitions[partition]->accumulator;
    if (self->options.gate != NULL) {
        return; /* Epochs are the coordinator's: nothing is sent here until it gives a new one. */
    }
    struct list failed;
    list_init(&failed);
    accumulator_settle(accumulator, &failed);
    struct list *link;
    while ((link = list_take_first(&failed)) != NULL) {
        struct producer_delivery outcome = {
            .status = STATUS_UNKNOWN, .partition = partition, .offset = -1, .timestamp_ms = -1};
        producer_topic_report_batch(self, container_of(link, struct accumulator_batch, in_line),
                                    &outcome);
    }
    if (accumulator->is_exhausted) {
        self->fatal_status = STATUS_FENCED; /* No epoch is left: the producer must be reopened. */
    }
}

static void expire_partition(struct producer_core *self, struct producer_topic *topic,
                             int32_t partition, int64_t opened_before_ns)
{
    struct accumulator *accumulator = &topic->partitions[partition]->accumulator;
    struct accumulator_batch *batch;
    while ((batch = accumulator_expired(accumulator, opened_before_ns)) != NULL) {
        struct producer_delivery outcome = {.status = batch->is_doubtful ? STATUS_UNKNOWN
                                                                         : STATUS_TIMEOUT,
                                            .partition = partition,
                                            .offset = -1,
                                            .timestamp_ms = -1};
        accumulator_fail(accumulator, batch);
        producer_topic_report_batch(self, batch, &outcome);
    }
    settle(self, topic, partition);
}

/* A node that has not answered for a while may be gone without a word: when metadata says that what
 * it led is led by others, the link to it is given up. */
static void sweep_calls(struct producer_core *self, int64_t now_ns)
{
    list_for_each(link, &self->calls)
    {
        const struct produce_call *call = container_of(link, struct produce_call, in_core);
        if (now_ns - call->sent_ns < STUCK_AFTER_MS * CLOCK_NS_PER_MS) {
            continue;
        }
        bool is_led_elsewhere = true;
        for (uint32_t i = 0; i < call->entry_count; i++) {
            int32_t leader =
                call->entries[i].topic->known->partitions[call->entries[i].partition].leader;
            is_led_elsewhere &= leader >= 0 && leader != call->node;
        }
        if (is_led_elsewhere) {
            cluster_drop(&self->cluster, call->node);
            return;
        }
        if (now_ns - self->cluster.refreshed_ns > STUCK_AFTER_MS * CLOCK_NS_PER_MS) {
            cluster_refresh(&self->cluster);
        }
    }
}

static bool has_work(const struct producer_core *self)
{
    return self->buffered_bytes > 0;
}

static void sweep_on_fire(struct timer *timer)
{
    struct producer_core *self = container_of(timer, struct producer_core, sweep);
    int64_t now_ns = loop_now_ns(self->options.loop);
    int64_t before_ns = now_ns - self->options.delivery_timeout_ms * CLOCK_NS_PER_MS;
    list_for_each(link, &self->topics)
    {
        struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        int16_t code = topic->partition_count == 0 ? topic->known->error_code : 0;
        if (code != 0 && !error_code_is_retriable(code)) {
            producer_topic_expire(self, topic, INT64_MAX, STATUS_INVALID, code);
        }
        producer_topic_expire(self, topic, before_ns, code != 0 ? STATUS_NOT_FOUND : STATUS_TIMEOUT,
                              code);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            expire_partition(self, topic, i, before_ns);
        }
    }
    sweep_calls(self, now_ns);
    if (has_work(self)) {
        timer_start_after(&self->sweep, SWEEP_PERIOD_MS * CLOCK_NS_PER_MS);
    }
}

/* ---- sending ---- */

struct node_draft {
    int32_t node;
    uint32_t call_count;
    struct produce_call *call;
};

struct pump_state {
    struct node_draft drafts[NODES_PER_PUMP_MAX];
    uint32_t draft_count;
    int64_t now_ns;
    int64_t next_ns;
    bool is_cut_short;
};

static struct node_draft *draft_for(struct producer_core *self, struct pump_state *state,
                                    int32_t node)
{
    for (uint32_t i = 0; i < state->draft_count; i++) {
        if (state->drafts[i].node == node) {
            return &state->drafts[i];
        }
    }
    if (state->draft_count == NODES_PER_PUMP_MAX) {
        state->is_cut_short = true;
        return NULL;
    }
    struct node_draft *draft = &state->drafts[state->draft_count++];
    *draft = (struct node_draft){.node = node};
    list_for_each(link, &self->calls)
    {
        draft->call_count += container_of(link, struct produce_call, in_core)->node == node;
    }
    return draft;
}

/* What a former leader has not answered may be in the log. Then the new leader takes what is
 * younger, too; and once it has taken five, it remembers no more what is older, and calls its
 * repetition a gap. */
static bool is_open_elsewhere(const struct producer_partition *partition, int32_t leader)
{
    return partition->accumulator.in_flight_count > 0 && partition->asked_node != leader;
}

static void pump_partition(struct producer_core *self, struct pump_state *state,
                           struct producer_topic *topic, int32_t index)
{
    struct producer_partition *partition = topic->partitions[index];
    settle(self, topic, index);
    int64_t ready_ns = accumulator_ready_ns(&partition->accumulator);
    if (ready_ns > state->now_ns) {
        state->next_ns = ready_ns < state->next_ns ? ready_ns : state->next_ns;
        return;
    }
    int32_t leader = topic->known->partitions[index].leader;
    if (leader < 0 || !cluster_knows_node(&self->cluster, leader)) {
        cluster_refresh(&self->cluster);
        return;
    }
    if (is_open_elsewhere(partition, leader)) {
        return; /* The end of those calls pumps again. */
    }
    struct node_draft *draft = draft_for(self, state, leader);
    if (draft == NULL || draft->call_count >= CALLS_PER_NODE_MAX) {
        return;
    }
    struct producer_gate *gate = self->options.gate;
    if (gate != NULL && !gate->may_send(gate, topic, index)) {
        return;
    }
    if (draft->call == NULL) {
        draft->call = produce_call_new(self, leader);
    }
    size_t byte_count = accumulator_first(&partition->accumulator)->builder.byte_count;
    if (draft->call == NULL || !produce_call_has_room(draft->call, byte_count)) {
        state->is_cut_short = draft->call != NULL;
        return;
    }
    if (partition->accumulator.producer_id < 0) {
        accumulator_identify(&partition->accumulator, self->producer_id, self->producer_epoch);
    }
    struct accumulator_batch *batch = NULL;
    if (accumulator_take(&partition->accumulator, &batch) != STATUS_OK) {
        return; /* No memory: the sweep ends it if that stays so. */
    }
    partition->asked_node = leader;
    if (produce_call_add(draft->call, topic, index, batch) != STATUS_OK) {
        accumulator_give_back(&partition->accumulator, batch, false);
    }
}

static void pump_send(struct producer_core *self, struct pump_state *state)
{
    for (uint32_t i = 0; i < state->draft_count; i++) {
        struct produce_call *call = state->drafts[i].call;
        if (call != NULL) {
            produce_call_send(call);
        }
    }
    /* More batches of the same partitions may be ready; and some did not fit. */
    bool is_busy = state->is_cut_short;
    for (uint32_t i = 0; i < state->draft_count; i++) {
        is_busy |=
            state->drafts[i].call != NULL && state->drafts[i].call_count + 1 < CALLS_PER_NODE_MAX;
    }
    if (is_busy) {
        producer_core_pump(self);
    } else if (state->next_ns < INT64_MAX) {
        timer_start_at(&self->wake, state->next_ns);
    }
}

static void pump(struct producer_core *self)
{
    if (self->fatal_status != STATUS_OK) {
        fail_all(self, self->fatal_status);
        return;
    }
    if (self->options.gate != NULL && self->options.gate->is_shut) {
        fail_all(self, STATUS_CANCELED);
        return;
    }
    if (self->producer_id < 0) {
        identify(self);
        timer_start_after(&self->wake, IDENTITY_FLOOR_MS * CLOCK_NS_PER_MS);
        return;
    }
    struct pump_state state = {.now_ns = loop_now_ns(self->options.loop), .next_ns = INT64_MAX};
    list_for_each(link, &self->topics)
    {
        struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            pump_partition(self, &state, topic, i);
        }
    }
    pump_send(self, &state);
}

static void pump_deliver(struct mail *mail)
{
    struct producer_core *self = container_of(mail, struct producer_core, pump_mail);
    check(self->magic == CORE_MAGIC);
    self->is_pumping = false;
    if (self->is_closing) {
        return;
    }
    if (has_work(self)) {
        pump(self);
    }
}

void producer_core_pump(struct producer_core *self)
{
    if (!self->is_pumping && !self->is_closing) {
        self->is_pumping = true;
        self->pump_mail = (struct mail){.deliver = pump_deliver};
        loop_defer(self->options.loop, &self->pump_mail);
    }
}

static void wake_on_fire(struct timer *timer)
{
    producer_core_pump(container_of(timer, struct producer_core, wake));
}

/* ---- the outside ---- */

enum status producer_core_send(struct producer_core *self, const struct producer_record *record)
{
    check(self->magic == CORE_MAGIC);
    size_t byte_count = producer_core_record_bytes(record);
    if (self->is_closing) {
        return STATUS_CANCELED;
    }
    if (record->topic.byte_count <= 0 || record->topic.byte_count > TOPIC_NAME_BYTES_MAX ||
        record->partition < -1 ||
        batch_builder_record_bytes_max(&record->record) > self->options.record_bytes_max) {
        return STATUS_INVALID;
    }
    if (self->buffered_bytes + byte_count > self->options.buffer_bytes_max) {
        return STATUS_FULL;
    }
    struct producer_topic *topic = producer_topic_find(self, record->topic);
    if (topic == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(producer_topic_add(self, topic, record));
    self->buffered_bytes += byte_count;
    if (!self->sweep.is_armed) {
        timer_start_after(&self->sweep, SWEEP_PERIOD_MS * CLOCK_NS_PER_MS);
    }
    producer_core_pump(self);
    return STATUS_OK;
}

void producer_core_identify(struct producer_core *self, int64_t producer_id, int16_t producer_epoch)
{
    check(self->magic == CORE_MAGIC);
    check(self->options.gate != NULL);
    check(producer_id >= 0);
    self->producer_id = producer_id;
    self->producer_epoch = producer_epoch;
    list_for_each(link, &self->topics)
    {
        struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        for (int32_t i = 0; i < topic->partition_count; i++) {
            accumulator_identify(&topic->partitions[i]->accumulator, producer_id, producer_epoch);
        }
    }
    producer_core_pump(self);
}

void producer_core_hurry(struct producer_core *self)
{
    check(self->magic == CORE_MAGIC);
    list_for_each(link, &self->topics)
    {
        producer_topic_hurry(container_of(link, struct producer_topic, in_core));
    }
    producer_core_pump(self);
}

static void cluster_on_refreshed(void *context, enum status status)
{
    struct producer_core *self = context;
    check(self->magic == CORE_MAGIC);
    status_ignore(status, "the cluster looks again by itself");
    list_for_each(link, &self->topics)
    {
        producer_topic_update(self, container_of(link, struct producer_topic, in_core));
    }
    producer_core_pump(self);
}

/* ---- life ---- */

static void cluster_on_closed(void *context)
{
    struct producer_core *self = context;
    check(self->magic == CORE_MAGIC);
    check(list_is_empty(&self->calls)); /* So all batches have been given back. */
    fail_all(self, STATUS_CANCELED);
    check(self->buffered_bytes == 0);
    struct list *link;
    while ((link = list_take_first(&self->topics)) != NULL) {
        producer_topic_free(container_of(link, struct producer_topic, in_core));
    }
    compressor_done(&self->compressor);
    self->magic = 0;
    self->options.on_closed(self->options.context);
}

void producer_core_init(struct producer_core *self, const struct producer_core_options *options)
{
    check(options->on_delivery != NULL);
    check(options->on_closed != NULL);
    check((options->gate != NULL) == (options->transactional_id != NULL));
    *self = (struct producer_core){
        .magic = CORE_MAGIC, .options = *options, .producer_id = -1, .producer_epoch = -1};
    compressor_init(&self->compressor);
    list_init(&self->topics);
    list_init(&self->calls);
    retry_init(&self->identity_retry, IDENTITY_FLOOR_MS, IDENTITY_CEILING_MS);
    timer_init(&self->wake, &options->loop->timers, wake_on_fire);
    timer_init(&self->sweep, &options->loop->timers, sweep_on_fire);
    struct cluster_options cluster = {.loop = options->loop,
                                      .bootstrap = options->bootstrap,
                                      .bootstrap_count = options->bootstrap_count,
                                      .client_id = options->client_id,
                                      .request_timeout_ms = options->request_timeout_ms,
                                      .may_create_topics = true,
                                      .on_refreshed = cluster_on_refreshed,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
    self->options.bootstrap = self->cluster.bootstrap;
}

void producer_core_close(struct producer_core *self)
{
    check(self->magic == CORE_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_closing = true;
    timer_done(&self->wake);
    timer_done(&self->sweep);
    cluster_close(&self->cluster);
}
