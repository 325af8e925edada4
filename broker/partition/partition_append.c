/* Writes: leadership, min ISR, sequence and transaction, stamp, log, then the wait that acks asks.
 */
#include "broker/partition/partition_state.h"
#include "broker/partition/partition_txn.h"

#include "proto/record/batch.h"
#include "proto/sys/check.h"

/* Longer than what a producer sent before it heard of a refusal is on its way. */
#define PASSING_NS CLOCK_NS_PER_S

static void finish(struct partition_append *append, enum partition_fault fault)
{
    struct partition *self = append->partition;
    check(!parked_is_waiting(&append->wait));
    append->fault = fault;
    append->log_start = self->is_offline ? -1 : log_start(self->log);
    append->current_leader = self->leader;
    append->current_leader_epoch = self->leader_epoch;
    txn_pass_end(append->txn_pass);
    append->on_done(append);
}

static void wait_on_end(struct parked *wait, enum parked_end end)
{
    struct partition_append *append = container_of(wait, struct partition_append, wait);
    struct partition *self = append->partition;
    check(self->magic == PARTITION_MAGIC);
    if (end == PARKED_REACHED) {
        finish(append, append->fault_when_safe);
    } else if (end == PARKED_DEADLINE) {
        bool has_min_isr = append->acks != -1 || replica_set_has_min_isr(&self->replicas);
        finish(append, append->is_blocked ? PARTITION_FAULT_BUSY
                       : has_min_isr      ? PARTITION_FAULT_TIMEOUT
                                          : PARTITION_FAULT_FEW_REPLICAS_AFTER);
    } else {
        finish(append, self->role == PARTITION_ROLE_FAILED ? PARTITION_FAULT_STORAGE
                                                           : PARTITION_FAULT_NOT_LEADER);
    }
}

/* Safe enough for its acks already, or parked until it is. */
static void wait_for_acks(struct partition *self, struct partition_append *append)
{
    struct parked_line *line = append->acks == 1 ? &self->flushed_line : &self->high_watermark_line;
    int64_t reached = append->acks == 1 ? log_flushed_end(self->log) : self->high_watermark;
    if (append->acks == 0 || reached >= append->end_offset) {
        finish(append, append->fault_when_safe);
        return;
    }
    append->is_blocked = false;
    append->wait.wanted = append->end_offset;
    append->wait.on_end = wait_on_end;
    parked_wait(&append->wait, line, self->loop, append->deadline_ns);
}

static void block(struct partition *self, struct partition_append *append)
{
    if (!append->is_blocked) {
        append->is_blocked = true;
        append->wait.wanted = self->blocked_turn;
        append->wait.on_end = wait_on_end;
        self->blocked_turn += 1;
    }
    parked_wait(&append->wait, &self->blocked_line, self->loop, append->deadline_ns);
    if (list_is_empty(&self->blocked_link)) {
        list_append(self->blocked, &self->blocked_link);
    }
}

static enum partition_fault fault_of(enum producer_verdict verdict)
{
    switch (verdict) {
    case PRODUCER_ACCEPT:
    case PRODUCER_DUPLICATE:
        return PARTITION_FAULT_NONE;
    case PRODUCER_DUPLICATE_OLD:
        return PARTITION_FAULT_DUPLICATE;
    case PRODUCER_SEQUENCE_GAP:
        return PARTITION_FAULT_SEQUENCE_GAP;
    case PRODUCER_STALE_EPOCH:
        return PARTITION_FAULT_PRODUCER_EPOCH;
    case PRODUCER_TXN_STATE:
        return PARTITION_FAULT_TXN_STATE;
    case PRODUCER_COORDINATOR_FENCED:
        return PARTITION_FAULT_COORDINATOR_FENCED;
    case PRODUCER_FULL:
        return PARTITION_FAULT_BUSY;
    }
    check_unreachable("producer verdict outside its table");
}

/* A producer sends ahead. What comes behind a batch that was refused for a passing reason has a gap
 * before it although nothing was lost, and is refused for the same reason: librdkafka takes a gap
 * there for a broken log, gives up for good, and loses what it has not delivered yet. */
static enum partition_fault fault_of_gap(const struct partition *self)
{
    return loop_now_ns(self->loop) < self->passing_until_ns ? self->passing_fault
                                                            : PARTITION_FAULT_SEQUENCE_GAP;
}

static void refuse(struct partition *self, struct partition_append *append,
                   enum partition_fault fault)
{
    if (fault == PARTITION_FAULT_NOT_LEADER || fault == PARTITION_FAULT_FEW_REPLICAS) {
        self->passing_fault = fault;
        self->passing_until_ns = loop_now_ns(self->loop) + PASSING_NS;
    }
    finish(append, fault);
}

/* True when the batch may be written; else `append` has been answered or waits like its original.
 */
static bool passes_sequence(struct partition *self, struct partition_append *append)
{
    struct producer_write write;
    append->fault_when_safe = PARTITION_FAULT_NONE;
    if (!partition_state_write_of(append->batch, append->byte_count, &write)) {
        return true; /* Not idempotent: nothing to compare. */
    }
    write.is_epoch_raised = append->is_epoch_raised;
    struct producer_batch original;
    enum producer_verdict verdict = producer_state_check(self->producers, &write, &original);
    bool is_let_in = write.is_marker || !write.is_transactional ||
                     partition_txn_is_open(self, write.producer_id, write.epoch) ||
                     txn_pass_holds(append->txn_pass, write.producer_id, write.epoch);
    if (verdict == PRODUCER_ACCEPT && !is_let_in) {
        verdict = PRODUCER_TXN_STATE;
    }
    if (verdict == PRODUCER_ACCEPT) {
        return true;
    }
    if (verdict == PRODUCER_TXN_STATE && append->txn_pass != NULL && append->txn_pass->is_spoiled) {
        /* The end of the transaction before came between the question and its answer. Whether this
         * batch belongs to the next one, only a new question can tell. */
        finish(append, PARTITION_FAULT_TXN_STALE);
        return false;
    }
    if (verdict == PRODUCER_DUPLICATE) {
        append->base_offset = original.base_offset;
        append->end_offset = original.last_offset + 1;
        append->log_append_time_ms = self->config.is_log_append_time ? original.timestamp_ms : -1;
        /* The original may be written and not yet safe: its echo must not be answered earlier. */
        wait_for_acks(self, append);
        return false;
    }
    if (verdict == PRODUCER_DUPLICATE_OLD) {
        append->base_offset = -1;
        append->end_offset = original.base_offset; /* It lies in front of this one. */
        append->fault_when_safe = fault_of(verdict);
        wait_for_acks(self, append);
        return false;
    }
    finish(append, verdict == PRODUCER_SEQUENCE_GAP ? fault_of_gap(self) : fault_of(verdict));
    return false;
}

static void stamp(struct partition *self, struct partition_append *append, int64_t now_ms)
{
    append->log_append_time_ms = -1;
    batch_stamp_offset(append->batch, append->base_offset, self->leader_epoch);
    if (self->config.is_log_append_time && !append->is_marker) {
        batch_stamp_append_time(append->batch, now_ms);
        append->log_append_time_ms = now_ms;
    }
}

static bool lacks_replicas(const struct partition *self, const struct partition_append *append)
{
    return append->acks == -1 && !replica_set_has_min_isr(&self->replicas);
}

static void try_append(struct partition *self, struct partition_append *append)
{
    if (!passes_sequence(self, append)) {
        return;
    }
    int64_t now_ms = clock_wall_ms(self->loop->clock);
    int64_t base_offset = log_end(self->log);
    append->base_offset = base_offset;
    stamp(self, append, now_ms);
    struct log_append write = {
        .bytes = append->batch, .byte_count = append->byte_count, .ingested_ms = now_ms};
    enum status status = log_append(self->log, &write);
    if (status == STATUS_BUSY) {
        append->base_offset = -1;
        block(self, append);
        return;
    }
    if (status != STATUS_OK) {
        append->base_offset = -1;
        finish(append, status == STATUS_FULL ? PARTITION_FAULT_TOO_LARGE : PARTITION_FAULT_STORAGE);
        return;
    }
    append->end_offset = log_end(self->log);
    check(append->end_offset > base_offset);
    if (partition_state_follow(self, append->batch, append->byte_count, false) != STATUS_OK) {
        /* Without memory for the producer's state a repeat could not be told from a new batch. */
        partition_fail(self);
        finish(append, PARTITION_FAULT_STORAGE);
        return;
    }
    if (append->on_taken != NULL) {
        append->on_taken(append);
    }
    (void)replica_set_appended(&self->replicas, append->end_offset, loop_now_ns(self->loop));
    wait_for_acks(self, append);
    parked_line_wake(&self->end_line, log_end(self->log));
}

void partition_append(struct partition *self, struct partition_append *append)
{
    check(self->magic == PARTITION_MAGIC);
    check(append->on_done != NULL);
    check(append->acks >= -1 && append->acks <= 1);
    append->partition = self;
    append->base_offset = -1;
    append->log_append_time_ms = -1;
    append->is_blocked = false;
    append->wait = (struct parked){0};

    enum partition_fault fault = partition_state_fault(self, append->leader_epoch);
    if (fault == PARTITION_FAULT_NONE && lacks_replicas(self, append)) {
        fault = PARTITION_FAULT_FEW_REPLICAS;
    }
    if (fault != PARTITION_FAULT_NONE) {
        refuse(self, append, fault);
        return;
    }
    if (!list_is_empty(&self->blocked_line.waits)) {
        block(self, append); /* Order is kept: behind those that wait for room. */
        return;
    }
    try_append(self, append);
}

void partition_append_retry(struct partition *self)
{
    check(self->magic == PARTITION_MAGIC);
    while (!list_is_empty(&self->blocked_line.waits)) {
        struct parked *first = container_of(self->blocked_line.waits.next, struct parked, link);
        struct partition_append *append = container_of(first, struct partition_append, wait);
        int64_t turn = first->wanted;
        parked_cancel(first);
        if (lacks_replicas(self, append)) {
            /* They left while it waited for room; nothing of it is written. */
            refuse(self, append, PARTITION_FAULT_FEW_REPLICAS);
            continue;
        }
        try_append(self, append);
        bool is_blocked_again =
            !list_is_empty(&self->blocked_line.waits) &&
            container_of(self->blocked_line.waits.next, struct parked, link)->wanted == turn;
        if (is_blocked_again) {
            return;
        }
    }
}
