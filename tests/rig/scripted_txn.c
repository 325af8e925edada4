#include "tests/rig/scripted_txn.h"

#include "proto/kafka/add_offsets_to_txn.h"
#include "proto/kafka/add_partitions_to_txn.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/end_txn.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/init_producer_id.h"
#include "proto/kafka/txn_offset_commit.h"
#include "proto/sys/check.h"

#define IMPLICIT_END 5
#define IMPLICIT_COMMIT 5
#define IMPLICIT_PRODUCE 12

static const struct scripted_range ranges[] = {
    {API_KEY_PRODUCE, 3, 12},           {API_KEY_FETCH, 4, 12},
    {API_KEY_LIST_OFFSETS, 1, 7},       {API_KEY_METADATA, 0, 12},
    {API_KEY_API_VERSIONS, 0, 3},       {API_KEY_INIT_PRODUCER_ID, 0, 5},
    {API_KEY_FIND_COORDINATOR, 0, 6},   {API_KEY_ADD_PARTITIONS_TO_TXN, 0, 5},
    {API_KEY_ADD_OFFSETS_TO_TXN, 0, 4}, {API_KEY_END_TXN, 0, 5},
    {API_KEY_TXN_OFFSET_COMMIT, 0, 5},
};

/* A request that is being served. */
struct serving {
    struct scripted_txn *txn;
    uint32_t broker;
    struct scripted_request *request;
    enum scripted_fault fault;
    struct arena *arena;
    int16_t version;
};

static bool is_new(const struct scripted_txn *self)
{
    return self->log.txn_level >= 2;
}

static int16_t refused(struct scripted_txn *self, int16_t api_key)
{
    return self->log.refuse != NULL ? self->log.refuse(&self->log, api_key, -1) : ERROR_CODE_NONE;
}

/* What the coordinator says to anybody at the wrong place or time. */
static int16_t coordinator_fault(const struct serving *serving)
{
    struct scripted_txn *self = serving->txn;
    if (serving->broker != self->coordinator) {
        return ERROR_CODE_NOT_COORDINATOR;
    }
    int16_t code = refused(self, serving->request->header.request_api_key);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    return loop_now_ns(self->log.loop) < self->busy_until_ns ? ERROR_CODE_CONCURRENT_TRANSACTIONS
                                                             : ERROR_CODE_NONE;
}

static int16_t identity_fault(const struct scripted_txn *self, int64_t id, int16_t epoch)
{
    return id != self->producer_id || epoch != self->producer_epoch ? ERROR_CODE_PRODUCER_FENCED
                                                                    : ERROR_CODE_NONE;
}

static void end_open(struct scripted_txn *self, bool is_commit)
{
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        if (self->first[i] >= 0 && self->first[i] < self->log.partitions[i].end) {
            check(self->span_count < SCRIPTED_TXN_SPANS_MAX);
            self->spans[self->span_count++] =
                (struct scripted_span){i, self->first[i], self->log.partitions[i].end, is_commit};
        }
        self->first[i] = -1;
        self->is_added[i] = false;
    }
    if (is_commit && self->pending_offset >= 0) {
        self->committed_offset = self->pending_offset;
    }
    self->pending_offset = -1;
    self->has_group = false;
    self->is_open = false;
    self->has_ended = true;
    self->was_commit = is_commit;
    self->end_count[is_commit] += 1;
    self->busy_until_ns = loop_now_ns(self->log.loop) + self->busy_ms * CLOCK_NS_PER_MS;
}

static void raise_epoch(struct scripted_txn *self)
{
    self->last_epoch = self->producer_epoch;
    self->producer_epoch += 1;
}

void scripted_txn_expire(struct scripted_txn *self)
{
    check(self->is_open);
    end_open(self, false);
    raise_epoch(self);
}

/* ---- the APIs ---- */

static void serve_find(const struct serving *serving)
{
    struct scripted_txn *self = serving->txn;
    struct kafka_find_coordinator_request asked;
    check(kafka_find_coordinator_request_decode(serving->request->body, serving->version,
                                                serving->arena, &asked) == STATUS_OK);
    bool is_new_form = serving->version >= 4;
    check(!is_new_form || asked.coordinator_keys_count == 1);
    struct wire_text key = is_new_form ? asked.coordinator_keys[0] : asked.key;
    check(wire_text_equals(key, asked.key_type == 1 ? SCRIPTED_TXN_ID : SCRIPTED_TXN_GROUP));
    uint32_t node = asked.key_type == 1 ? self->coordinator : self->group_coordinator;
    int16_t code = self->log.is_down[node] ? ERROR_CODE_COORDINATOR_NOT_AVAILABLE
                                           : refused(self, API_KEY_FIND_COORDINATOR);
    struct kafka_find_coordinator_response_coordinator found;
    kafka_find_coordinator_response_coordinator_defaults(&found);
    found.key = key;
    found.error_code = code;
    found.node_id = code == ERROR_CODE_NONE ? (int32_t)node : -1;
    found.host = wire_text_of(code == ERROR_CODE_NONE ? "localhost" : "");
    found.port = code == ERROR_CODE_NONE ? SCRIPTED_LOG_PORT + (int32_t)node : -1;
    struct kafka_find_coordinator_response said;
    kafka_find_coordinator_response_defaults(&said);
    if (is_new_form) {
        said.coordinators = &found;
        said.coordinators_count = 1;
    } else {
        said.error_code = code;
        said.node_id = found.node_id;
        said.host = found.host;
        said.port = found.port;
    }
    scripted_log_answer(serving->request, serving->fault,
                        SCRIPTED_ENCODE(kafka_find_coordinator_response_encode), &said);
}

static int16_t identify(struct scripted_txn *self,
                        const struct kafka_init_producer_id_request *asked)
{
    if (asked->producer_id >= 0 && asked->producer_id == self->producer_id &&
        asked->producer_epoch == self->last_epoch) {
        return ERROR_CODE_NONE; /* A repetition. */
    }
    if (asked->producer_id >= 0 &&
        identity_fault(self, asked->producer_id, asked->producer_epoch) != ERROR_CODE_NONE) {
        return ERROR_CODE_PRODUCER_FENCED;
    }
    if (self->is_open) {
        scripted_txn_expire(self);
        return ERROR_CODE_CONCURRENT_TRANSACTIONS;
    }
    if (self->producer_id < 0) {
        self->producer_id = self->log.next_producer_id++;
        self->producer_epoch = 0;
        return ERROR_CODE_NONE;
    }
    raise_epoch(self);
    if (asked->producer_id < 0) {
        self->last_epoch = -1; /* Another one: what its predecessor asks is no repetition. */
    }
    return ERROR_CODE_NONE;
}

static void serve_identity(const struct serving *serving)
{
    struct scripted_txn *self = serving->txn;
    struct kafka_init_producer_id_request asked;
    check(kafka_init_producer_id_request_decode(serving->request->body, serving->version,
                                                serving->arena, &asked) == STATUS_OK);
    check(wire_text_equals(asked.transactional_id, SCRIPTED_TXN_ID));
    struct kafka_init_producer_id_response said;
    kafka_init_producer_id_response_defaults(&said);
    said.error_code = coordinator_fault(serving);
    if (said.error_code == ERROR_CODE_NONE) {
        said.error_code = identify(self, &asked);
    }
    bool is_well = said.error_code == ERROR_CODE_NONE;
    said.producer_id = is_well ? self->producer_id : -1;
    said.producer_epoch = is_well ? self->producer_epoch : -1;
    scripted_log_answer(serving->request, serving->fault,
                        SCRIPTED_ENCODE(kafka_init_producer_id_response_encode), &said);
}

static void serve_add(const struct serving *serving)
{
    struct scripted_txn *self = serving->txn;
    struct kafka_add_partitions_to_txn_request asked;
    check(serving->version <= 3);
    check(kafka_add_partitions_to_txn_request_decode(serving->request->body, serving->version,
                                                     serving->arena, &asked) == STATUS_OK);
    int16_t code = coordinator_fault(serving);
    if (code == ERROR_CODE_NONE) {
        code =
            identity_fault(self, asked.v3_and_below_producer_id, asked.v3_and_below_producer_epoch);
    }
    check(asked.v3_and_below_topics_count == 1);
    const struct kafka_add_partitions_to_txn_request_add_partitions_to_txn_topic *topic =
        &asked.v3_and_below_topics[0];
    struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_partition_result *results =
        arena_take_array(serving->arena, (size_t)topic->partitions_count, sizeof *results);
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        results[i].partition_index = topic->partitions[i];
        results[i].partition_error_code = code;
        if (code == ERROR_CODE_NONE) {
            check(!self->is_added[topic->partitions[i]] || self->log.spoil != NULL);
            self->is_added[topic->partitions[i]] = true;
            self->is_open = true;
        }
    }
    struct kafka_add_partitions_to_txn_response_add_partitions_to_txn_topic_result result = {
        .name = topic->name,
        .results_by_partition = results,
        .results_by_partition_count = topic->partitions_count};
    struct kafka_add_partitions_to_txn_response said;
    kafka_add_partitions_to_txn_response_defaults(&said);
    said.results_by_topic_v3_and_below = &result;
    said.results_by_topic_v3_and_below_count = 1;
    scripted_log_answer(serving->request, serving->fault,
                        SCRIPTED_ENCODE(kafka_add_partitions_to_txn_response_encode), &said);
}

static void serve_add_offsets(const struct serving *serving)
{
    struct scripted_txn *self = serving->txn;
    struct kafka_add_offsets_to_txn_request asked;
    check(kafka_add_offsets_to_txn_request_decode(serving->request->body, serving->version,
                                                  serving->arena, &asked) == STATUS_OK);
    struct kafka_add_offsets_to_txn_response said;
    kafka_add_offsets_to_txn_response_defaults(&said);
    said.error_code = coordinator_fault(serving);
    if (said.error_code == ERROR_CODE_NONE) {
        said.error_code = identity_fault(self, asked.producer_id, asked.producer_epoch);
    }
    if (said.error_code == ERROR_CODE_NONE) {
        self->has_group = true;
        self->is_open = true;
    }
    scripted_log_answer(serving->request, serving->fault,
                        SCRIPTED_ENCODE(kafka_add_offsets_to_txn_response_encode), &said);
}

static int16_t commit_offset(const struct serving *serving,
                             const struct kafka_txn_offset_commit_request *asked)
{
    struct scripted_txn *self = serving->txn;
    if (serving->broker != self->group_coordinator) {
        return ERROR_CODE_NOT_COORDINATOR;
    }
    int16_t code = refused(self, API_KEY_TXN_OFFSET_COMMIT);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (loop_now_ns(self->log.loop) < self->busy_until_ns) {
        return ERROR_CODE_CONCURRENT_TRANSACTIONS;
    }
    if (identity_fault(self, asked->producer_id, asked->producer_epoch) != ERROR_CODE_NONE) {
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    }
    if (serving->version < IMPLICIT_COMMIT && !self->has_group) {
        return ERROR_CODE_INVALID_TXN_STATE;
    }
    self->has_group = true;
    self->is_open = true;
    self->pending_offset = asked->topics[0].partitions[0].committed_offset;
    return ERROR_CODE_NONE;
}

static void serve_commit(const struct serving *serving)
{
    struct kafka_txn_offset_commit_request asked;
    check(kafka_txn_offset_commit_request_decode(serving->request->body, serving->version,
                                                 serving->arena, &asked) == STATUS_OK);
    check(asked.topics_count == 1);
    check(asked.topics[0].partitions_count > 0);
    check(wire_text_equals(asked.group_id, SCRIPTED_TXN_GROUP));
    check((serving->version >= IMPLICIT_COMMIT) == is_new(serving->txn));
    int16_t code = commit_offset(serving, &asked);
    struct kafka_txn_offset_commit_response_txn_offset_commit_response_topic topic = {
        .name = asked.topics[0].name, .partitions_count = asked.topics[0].partitions_count};
    topic.partitions =
        arena_take_array(serving->arena, (size_t)topic.partitions_count, sizeof *topic.partitions);
    for (int32_t i = 0; i < topic.partitions_count; i++) {
        topic.partitions[i].partition_index = asked.topics[0].partitions[i].partition_index;
        topic.partitions[i].error_code = code;
    }
    struct kafka_txn_offset_commit_response said;
    kafka_txn_offset_commit_response_defaults(&said);
    said.topics = &topic;
    said.topics_count = 1;
    scripted_log_answer(serving->request, serving->fault,
                        SCRIPTED_ENCODE(kafka_txn_offset_commit_response_encode), &said);
}

static int16_t end(struct scripted_txn *self, const struct kafka_end_txn_request *asked)
{
    bool is_repetition = is_new(self) && !self->is_open && self->has_ended &&
                         asked->producer_id == self->producer_id &&
                         asked->producer_epoch == self->last_epoch;
    if (is_repetition) {
        return self->was_commit == asked->committed ? ERROR_CODE_NONE
                                                    : ERROR_CODE_INVALID_TXN_STATE;
    }
    int16_t code = identity_fault(self, asked->producer_id, asked->producer_epoch);
    if (code != ERROR_CODE_NONE) {
        return code;
    }
    if (!self->is_open && is_new(self)) {
        if (asked->committed) {
            return ERROR_CODE_INVALID_TXN_STATE;
        }
        end_open(self, false);
        raise_epoch(self);
        return ERROR_CODE_NONE;
    }
    if (!self->is_open) {
        return self->has_ended && self->was_commit == asked->committed
                   ? ERROR_CODE_NONE
                   : ERROR_CODE_INVALID_TXN_STATE;
    }
    end_open(self, asked->committed);
    if (is_new(self)) {
        raise_epoch(self);
    }
    return ERROR_CODE_NONE;
}

static void serve_end(const struct serving *serving)
{
    struct scripted_txn *self = serving->txn;
    struct kafka_end_txn_request asked;
    check(kafka_end_txn_request_decode(serving->request->body, serving->version, serving->arena,
                                       &asked) == STATUS_OK);
    check((serving->version >= IMPLICIT_END) == is_new(self));
    struct kafka_end_txn_response said;
    kafka_end_txn_response_defaults(&said);
    said.error_code = coordinator_fault(serving);
    if (said.error_code == ERROR_CODE_NONE) {
        said.error_code = end(self, &asked);
    }
    if (said.error_code == ERROR_CODE_NONE && is_new(self)) {
        said.producer_id = self->producer_id;
        said.producer_epoch = self->producer_epoch;
    }
    scripted_log_answer(serving->request, serving->fault,
                        SCRIPTED_ENCODE(kafka_end_txn_response_encode), &said);
}

static bool serve_more(struct scripted_log *log, uint32_t broker, struct scripted_request *request,
                       enum scripted_fault fault, struct arena *arena)
{
    static const struct {
        int16_t api_key;
        void (*serve)(const struct serving *serving);
    } rows[] = {
        {API_KEY_FIND_COORDINATOR, serve_find},     {API_KEY_INIT_PRODUCER_ID, serve_identity},
        {API_KEY_ADD_PARTITIONS_TO_TXN, serve_add}, {API_KEY_ADD_OFFSETS_TO_TXN, serve_add_offsets},
        {API_KEY_TXN_OFFSET_COMMIT, serve_commit},  {API_KEY_END_TXN, serve_end}};
    struct serving serving = {.txn = container_of(log, struct scripted_txn, log),
                              .broker = broker,
                              .request = request,
                              .fault = fault,
                              .arena = arena,
                              .version = request->header.request_api_version};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].api_key == request->header.request_api_key) {
            rows[i].serve(&serving);
            return true;
        }
    }
    return false;
}

static int16_t admit(struct scripted_log *log, int32_t partition, int16_t version,
                     const struct batch_view *view)
{
    struct scripted_txn *self = container_of(log, struct scripted_txn, log);
    check(batch_is_transactional(view));
    check((version >= IMPLICIT_PRODUCE) == is_new(self));
    if (identity_fault(self, batch_producer_id(view), batch_producer_epoch(view)) !=
        ERROR_CODE_NONE) {
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    }
    if (is_new(self) && loop_now_ns(log->loop) < self->busy_until_ns) {
        return ERROR_CODE_CONCURRENT_TRANSACTIONS;
    }
    if (!is_new(self) && !self->is_added[partition]) {
        return ERROR_CODE_INVALID_TXN_STATE;
    }
    self->is_open = true;
    self->is_added[partition] = true;
    if (self->first[partition] < 0) {
        self->first[partition] = log->partitions[partition].end;
    }
    return ERROR_CODE_NONE;
}

void scripted_txn_start(struct scripted_txn *self, struct loop *loop, int16_t level)
{
    *self = (struct scripted_txn){.coordinator = 1,
                                  .group_coordinator = 2,
                                  .producer_id = -1,
                                  .last_epoch = -1,
                                  .pending_offset = -1,
                                  .committed_offset = -1};
    scripted_log_start(&self->log, loop);
    self->log.serve_more = serve_more;
    self->log.admit = admit;
    self->log.ranges = ranges;
    self->log.range_count = sizeof ranges / sizeof *ranges;
    self->log.txn_level = level;
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        self->log.brokers[i].ranges = ranges;
        self->log.brokers[i].range_count = self->log.range_count;
        self->log.brokers[i].txn_level = level;
    }
    for (int32_t i = 0; i < SCRIPTED_LOG_PARTITIONS; i++) {
        self->first[i] = -1;
    }
}

void scripted_txn_stop(struct scripted_txn *self)
{
    scripted_log_stop(&self->log);
}
