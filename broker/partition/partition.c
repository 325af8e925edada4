#include "broker/partition/partition.h"

#include "broker/partition/partition_state.h"
#include "proto/record/batch.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

/* Producers remembered per partition; beyond it the ones unused for longest are forgotten. */
#define PRODUCER_COUNT_MAX 100000U

static struct parked_line *const *lines_of(struct partition *self, struct parked_line *lines[5])
{
    lines[0] = &self->flushed_line;
    lines[1] = &self->high_watermark_line;
    lines[2] = &self->stable_line;
    lines[3] = &self->end_line;
    lines[4] = &self->blocked_line;
    return lines;
}

static void lose_waits(struct partition *self)
{
    struct parked_line *lines[5];
    (void)lines_of(self, lines);
    for (size_t i = 0; i < 5; i++) {
        parked_line_lose(lines[i]);
    }
    list_remove(&self->blocked_link);
    txn_pass_spoil_all(&self->passes);
}

static void tell_flushed(struct partition *self, int64_t flushed_end)
{
    for (struct partition_observer *observer = self->observer; observer != NULL;
         observer = observer->next) {
        if (observer->on_flushed != NULL) {
            observer->on_flushed(observer, self, flushed_end);
        }
    }
}

static void log_on_flushed(void *context, int64_t flushed_end)
{
    struct partition *self = context;
    check(self->magic == PARTITION_MAGIC);
    if (self->role != PARTITION_ROLE_LEADER) {
        tell_flushed(self, flushed_end);
        return;
    }
    bool has_moved = replica_set_flushed(&self->replicas, flushed_end);
    parked_line_wake(&self->flushed_line, flushed_end);
    if (has_moved) {
        partition_state_advance(self);
    }
}

static void log_on_snapshot_wanted(void *context, int64_t end, uint8_t **out_bytes,
                                   size_t *out_byte_count)
{
    struct partition *self = context;
    check(self->magic == PARTITION_MAGIC);
    check(end == log_end(self->log));
    *out_bytes = NULL;
    *out_byte_count = 0;
    enum status status = producer_state_store(self->producers, out_bytes, out_byte_count);
    if (status != STATUS_OK) {
        trace_line(
            self->loop->trace, TRACE_WARN, "partition", "snapshot_skipped",
            "topic=\"%s\" partition=%d reason=\"%s\" action=\"replay more at the next start\"",
            self->topic_name, self->index, status_text(status));
    }
}

static void log_on_start_moved(void *context, int64_t start)
{
    struct partition *self = context;
    check(self->magic == PARTITION_MAGIC);
    check(start >= 0);
    if (self->high_watermark < start) {
        self->high_watermark = start;
    }
}

static enum status open_parts(struct partition *self, const struct partition_options *options)
{
    self->topic_name = strdup(options->topic_name);
    if (self->topic_name == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(producer_state_new(PRODUCER_COUNT_MAX, &self->producers));
    TRY(txn_span_new(&self->txns));
    struct log_options log = {.topic_name = self->topic_name,
                              .topic_id = options->topic_id,
                              .partition = options->index,
                              .config = options->config.log,
                              .events = {.on_flushed = log_on_flushed,
                                         .on_snapshot_wanted = log_on_snapshot_wanted,
                                         .on_start_moved = log_on_start_moved,
                                         .context = self}};
    TRY(log_open(options->store, &log, &self->log));
    self->high_watermark = log_start(self->log);
    enum status status = partition_state_rebuild(self);
    if (status != STATUS_OK) {
        log_abandon(self->log); /* What is known of producers is no snapshot of anything. */
    }
    return status;
}

/* One damaged log costs its partition and nothing else; whether another replica can lead is for
 * the isr_keeper to find out. */
static void go_offline(struct partition *self, enum status why)
{
    self->role = PARTITION_ROLE_FAILED;
    self->is_offline = true;
    producer_state_clear(self->producers);
    txn_span_clear(self->txns);
    trace_line(self->loop->trace, TRACE_ERROR, "partition", "partition_offline",
               "topic=\"%s\" partition=%d offset=%lld reason=\"%s\" "
               "action=\"this replica is refused, all others go on\" "
               "fix=\"delete the topic, or start this broker with an empty log.dir when other "
               "replicas have the partition\"",
               self->topic_name, self->index, (long long)self->rebuilt_to, status_text(why));
}

void partition_state_begin(struct partition *self)
{
    self->pending_count += 1;
}

static void free_parts(struct partition *self)
{
    if (self->pending_count > 0) {
        self->is_gone = true; /* The log ends what it began; the last one frees. */
        return;
    }
    producer_state_free(self->producers);
    txn_span_free(self->txns);
    free(self->topic_name);
    self->magic = 0;
    free(self);
}

void partition_state_end(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    check(self->pending_count > 0);
    self->pending_count -= 1;
    if (self->is_gone) {
        free_parts(self);
    }
}

enum status partition_open(const struct partition_options *options, struct partition **out_self)
{
    check(options->index >= 0);
    check(options->blocked != NULL);
    struct partition *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = PARTITION_MAGIC;
    self->loop = options->loop;
    self->topic_id = options->topic_id;
    self->index = options->index;
    self->broker_id = options->broker_id;
    self->config = options->config;
    self->leader = -1;
    self->leader_epoch = -1;
    self->partition_epoch = -1;
    self->rebuilt_to = -1;
    self->blocked = options->blocked;
    self->observer = options->observer;
    list_init(&self->blocked_link);
    list_init(&self->passes);
    struct parked_line *lines[5];
    (void)lines_of(self, lines);
    for (size_t i = 0; i < 5; i++) {
        parked_line_init(lines[i]);
    }
    enum status status = open_parts(self, options);
    if (status == STATUS_CORRUPT) {
        go_offline(self, status);
    } else if (status != STATUS_OK) {
        free_parts(self); /* A log that did open stays in its store, for the next try. */
        return status;
    }
    *out_self = self;
    return STATUS_OK;
}

static void tell_observer(struct partition *self, bool is_gone)
{
    struct partition_observer *observer = self->observer;
    if (is_gone) {
        self->observer = NULL; /* Told once; the observer may be gone before the partition. */
    }
    for (; observer != NULL; observer = observer->next) {
        observer->on_assigned(observer, self, is_gone);
    }
}

void partition_free(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    check(list_is_empty(&self->blocked_link));
    if (!self->is_offline) {
        log_forget(self->log); /* Takes a last producer snapshot from here. */
    }
    self->role = PARTITION_ROLE_NONE;
    free_parts(self);
}

void partition_delete(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    self->role = PARTITION_ROLE_NONE;
    tell_observer(self, true);
    lose_waits(self);
    if (self->log != NULL) {
        log_delete(self->log);
    }
    free_parts(self);
}

static void lead(struct partition *self, const struct replica_set_term *term)
{
    log_assign_leader_epoch(self->log, term->leader_epoch, term->log_end);
    replica_set_lead(&self->replicas, term);
    self->role = PARTITION_ROLE_LEADER;
}

static void assign_leader(struct partition *self, const struct partition_assignment *assignment)
{
    struct replica_set_term term = {.local_id = self->broker_id,
                                    .leader_epoch = assignment->leader_epoch,
                                    .partition_epoch = assignment->partition_epoch,
                                    .replicas = assignment->replicas,
                                    .replica_count = assignment->replica_count,
                                    .isr = assignment->isr,
                                    .isr_count = assignment->isr_count,
                                    .min_isr = self->config.min_isr,
                                    .log_end = log_end(self->log),
                                    .flushed_end = log_flushed_end(self->log),
                                    .high_watermark = self->high_watermark,
                                    .now_ns = loop_now_ns(self->loop)};
    bool is_same_term =
        self->role == PARTITION_ROLE_LEADER && self->leader_epoch == assignment->leader_epoch;
    self->leader_epoch = assignment->leader_epoch;
    if (is_same_term) {
        (void)replica_set_update(&self->replicas, &term);
    } else {
        lead(self, &term);
    }
    partition_state_advance(self);
}

void partition_assign(struct partition *self, const struct partition_assignment *assignment)
{
    check(self->magic == PARTITION_MAGIC);
    bool is_old = assignment->leader_epoch < self->leader_epoch ||
                  assignment->partition_epoch <= self->partition_epoch;
    if (is_old || self->role == PARTITION_ROLE_FAILED) {
        return;
    }
    self->leader = assignment->leader;
    self->partition_epoch = assignment->partition_epoch;
    if (assignment->leader == self->broker_id) {
        assign_leader(self, assignment);
        tell_observer(self, false);
        return;
    }
    self->role = assignment->leader < 0 ? PARTITION_ROLE_NONE : PARTITION_ROLE_FOLLOWER;
    self->leader_epoch = assignment->leader_epoch;
    lose_waits(self);
    tell_observer(self, false);
}

void partition_configure(struct partition *self, const struct partition_config *config)
{
    check(self->magic == PARTITION_MAGIC);
    self->config = *config;
    if (self->log != NULL) {
        log_configure(self->log, &config->log);
    }
    if (self->role == PARTITION_ROLE_LEADER) {
        replica_set_set_min_isr(&self->replicas, config->min_isr);
        partition_state_advance(self);
    }
}

void partition_retire(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->role != PARTITION_ROLE_FAILED) {
        self->role = PARTITION_ROLE_NONE;
    }
    tell_observer(self, true);
    lose_waits(self);
}

void partition_fail(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    self->role = PARTITION_ROLE_FAILED;
    tell_observer(self, true);
    lose_waits(self);
}

bool partition_is_offline(const struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    return self->is_offline;
}

struct partition *partition_of_blocked(struct list *link)
{
    struct partition *self = container_of(link, struct partition, blocked_link);
    check(self->magic == PARTITION_MAGIC);
    return self;
}

struct loop *partition_loop(const struct partition *self)
{
    return self->loop;
}

void partition_retry(struct partition *self)
{
    partition_append_retry(self);
}

void partition_marks_of(const struct partition *self, struct partition_marks *out_marks)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->is_gone || self->is_offline) {
        *out_marks = (struct partition_marks){.log_start = -1,
                                              .log_end = -1,
                                              .flushed_end = -1,
                                              .high_watermark = -1,
                                              .last_stable_offset = -1,
                                              .leader = -1,
                                              .leader_epoch = -1};
        return;
    }
    *out_marks = (struct partition_marks){
        .log_start = log_start(self->log),
        .log_end = log_end(self->log),
        .flushed_end = log_flushed_end(self->log),
        .high_watermark = self->high_watermark,
        .last_stable_offset = partition_state_stable_offset(self),
        .leader = self->leader,
        .leader_epoch = self->leader_epoch,
        .is_leader = self->role == PARTITION_ROLE_LEADER,
    };
}

uint8_t partition_in_sync_count(const struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    return self->role == PARTITION_ROLE_LEADER ? replica_set_isr_count(&self->replicas) : 0;
}

static void watch(struct partition *self, enum partition_isolation isolation, struct parked *wait,
                  int64_t deadline_ns)
{
    check(!parked_is_waiting(wait));
    if (partition_state_limit(self, isolation) >= wait->wanted) {
        wait->on_end(wait, PARKED_REACHED);
        return;
    }
    struct parked_line *line = isolation == PARTITION_READ_REPLICA     ? &self->end_line
                               : isolation == PARTITION_READ_COMMITTED ? &self->stable_line
                                                                       : &self->high_watermark_line;
    parked_wait(wait, line, self->loop, deadline_ns);
}

void partition_watch(struct partition *self, enum partition_isolation isolation,
                     struct parked *wait, int64_t deadline_ns)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->role != PARTITION_ROLE_LEADER) {
        check(!parked_is_waiting(wait));
        wait->on_end(wait, PARKED_LOST);
        return;
    }
    watch(self, isolation, wait, deadline_ns);
}

void partition_watch_read(struct partition *self, const struct partition_read *read,
                          struct parked *wait)
{
    check(self->magic == PARTITION_MAGIC);
    if (read->any_replica && self->role == PARTITION_ROLE_FOLLOWER) {
        watch(self, read->isolation, wait, INT64_MAX);
    } else {
        partition_watch(self, read->isolation, wait, INT64_MAX);
    }
}

enum partition_fault partition_epoch_end(const struct partition *self, int32_t current_leader_epoch,
                                         int32_t leader_epoch, int32_t *out_epoch,
                                         int64_t *out_end_offset)
{
    check(self->magic == PARTITION_MAGIC);
    enum partition_fault fault = partition_state_fault(self, current_leader_epoch);
    if (fault == PARTITION_FAULT_NONE) {
        log_end_of_leader_epoch(self->log, leader_epoch, out_epoch, out_end_offset);
    }
    return fault;
}

void partition_sweep(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    check(self->config.producer_expiry_ms > 0);
    producer_state_expire(self->producers,
                          clock_wall_ms(self->loop->clock) - self->config.producer_expiry_ms);
}

uint64_t partition_byte_count(const struct partition *self)
{
    return self->log == NULL ? 0 : log_byte_count(self->log);
}

void partition_set_follower(struct partition *self, void *follower)
{
    self->follower = follower;
}

void *partition_follower(const struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    return self->follower;
}

void partition_set_ledger(struct partition *self, void *ledger)
{
    self->ledger = ledger;
}

void *partition_ledger(const struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    return self->ledger;
}

const struct wire_uuid *partition_topic_id(const struct partition *self)
{
    return &self->topic_id;
}

int32_t partition_epoch(const struct partition *self)
{
    return self->partition_epoch;
}

const char *partition_topic_name(const struct partition *self)
{
    return self->topic_name;
}

int32_t partition_index(const struct partition *self)
{
    return self->index;
}
