#include "broker/coordinator/ledger.h"

#include "broker/coordinator/ledger_load.h"
#include "proto/record/control_record.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define SNAPSHOT_RECORDS_DEFAULT 65536U

static void end_op(struct ledger_op *op, enum ledger_fault fault)
{
    struct ledger *self = op->ledger;
    batch_builder_done(&op->builder);
    op->ledger = NULL;
    self->busy_count -= 1;
    op->on_done(op, fault);
}

/* ---- answers ---- */

static void wait_on_end(struct parked *wait, enum parked_end end)
{
    struct ledger_op *op = container_of(wait, struct ledger_op, wait);
    struct ledger *self = op->ledger;
    check(self->magic == LEDGER_MAGIC);
    self->is_inside += 1; /* What on_done submits waits its turn. */
    end_op(op, end == PARKED_REACHED    ? LEDGER_FAULT_NONE
               : end == PARKED_DEADLINE ? LEDGER_FAULT_UNAVAILABLE
                                        : LEDGER_FAULT_NOT_HERE);
    self->is_inside -= 1;
    ledger_load_pump(self);
}

/* Everything the operation may have seen is applied; is it safe, too? */
static void answer_when_safe(struct ledger *self, struct ledger_op *op)
{
    if (self->state != LEDGER_READY) {
        end_op(op, LEDGER_FAULT_NOT_HERE);
        return;
    }
    op->wait = (struct parked){.wanted = self->next_offset, .on_end = wait_on_end};
    partition_watch(self->options.partition, PARTITION_READ_UNCOMMITTED, &op->wait,
                    loop_now_ns(self->options.loop) + LEDGER_APPEND_TIMEOUT_MS * CLOCK_NS_PER_MS);
}

static void flush_answers(struct ledger *self)
{
    struct list *link;
    while ((link = list_take_first(&self->answers)) != NULL) {
        struct ledger_op *op = container_of(link, struct ledger_op, link);
        if (op->fault != LEDGER_FAULT_NONE) {
            end_op(op, op->fault);
        } else {
            answer_when_safe(self, op);
        }
    }
}

void ledger_refuse(struct ledger_op *op, enum ledger_fault fault)
{
    struct ledger *self = op->ledger;
    check(self->magic == LEDGER_MAGIC);
    check(list_is_empty(&op->link));
    check(self->is_inside > 0);
    op->fault = fault;
    list_append(&self->answers, &op->link);
}

void ledger_answer(struct ledger_op *op)
{
    ledger_refuse(op, LEDGER_FAULT_NONE);
}

void ledger_again(struct ledger_op *op)
{
    struct ledger *self = op->ledger;
    check(self->magic == LEDGER_MAGIC);
    check(list_is_empty(&op->link));
    list_append(&self->queue, &op->link);
    ledger_load_pump(self);
}

/* ---- records ---- */

void ledger_op_add(struct ledger_op *op, struct wire_bytes key, struct wire_bytes value)
{
    struct ledger *self = op->ledger;
    struct batch_builder_record record = {
        .timestamp_ms = clock_wall_ms(self->options.loop->clock), .key = key, .value = value};
    enum status status =
        key.byte_count < 0 ? STATUS_FULL : batch_builder_append(&op->builder, &record);
    check(status != STATUS_NO_MEMORY);
    op->is_too_large = op->is_too_large || status != STATUS_OK;
}

void ledger_op_set_producer(struct ledger_op *op, int64_t producer_id, int16_t producer_epoch,
                            struct txn_pass *pass)
{
    check(producer_id >= 0);
    op->producer_id = producer_id;
    op->producer_epoch = producer_epoch;
    op->append.txn_pass = pass;
}

void ledger_op_set_marker(struct ledger_op *op, const struct ledger_marker *marker)
{
    struct ledger *self = op->ledger;
    check(op->builder.record_count == 0);
    uint8_t *bytes = malloc(CONTROL_RECORD_MARKER_BYTES);
    check(bytes != NULL);
    struct control_record_marker control = {.leader_epoch = -1,
                                            .timestamp_ms =
                                                clock_wall_ms(self->options.loop->clock),
                                            .producer_id = marker->producer_id,
                                            .producer_epoch = marker->producer_epoch,
                                            .is_commit = marker->is_commit,
                                            .coordinator_epoch = marker->coordinator_epoch};
    control_record_encode_marker(&control, bytes);
    op->builder.bytes = bytes; /* The builder's to free. */
    op->builder.byte_count = CONTROL_RECORD_MARKER_BYTES;
    op->is_marker = true;
    op->append.is_epoch_raised = marker->is_epoch_raised;
}

uint32_t ledger_op_record_count(const struct ledger_op *op)
{
    return (uint32_t)op->builder.record_count;
}

static enum ledger_fault fault_of(enum partition_fault fault)
{
    switch ((int)fault) {
    case PARTITION_FAULT_NONE:
        return LEDGER_FAULT_NONE;
    case PARTITION_FAULT_FEW_REPLICAS:
    case PARTITION_FAULT_FEW_REPLICAS_AFTER:
    case PARTITION_FAULT_TIMEOUT:
    case PARTITION_FAULT_TXN_STALE:
    case PARTITION_FAULT_BUSY:
        return LEDGER_FAULT_UNAVAILABLE;
    case PARTITION_FAULT_STORAGE:
        return LEDGER_FAULT_STORAGE;
    case PARTITION_FAULT_PRODUCER_EPOCH:
    case PARTITION_FAULT_TXN_STATE:
    case PARTITION_FAULT_COORDINATOR_FENCED:
    case PARTITION_FAULT_SEQUENCE_GAP:
        return LEDGER_FAULT_PRODUCER;
    default:
        return LEDGER_FAULT_NOT_HERE;
    }
}

/* The records have their place in the log, so the state follows. */
static void apply_op(struct ledger *self, struct ledger_op *op)
{
    op->is_applied = true;
    if (self->state != LEDGER_READY) {
        return; /* The term is over; the next one reads them from the log. */
    }
    struct batch_view batch;
    enum status status = batch_view_init(&batch, op->append.batch, op->append.byte_count);
    check(status == STATUS_OK);
    ledger_load_apply_batch(self, &batch);
    self->records_since_snapshot += (uint64_t)batch_record_count(&batch);
}

static void append_on_done(struct partition_append *append)
{
    struct ledger_op *op = container_of(append, struct ledger_op, append);
    struct ledger *self = op->ledger;
    check(self->magic == LEDGER_MAGIC);
    self->is_inside += 1;
    if (append->base_offset >= 0 && !op->is_applied) {
        apply_op(self, op);
    }
    if (self->writing == op) {
        self->writing = NULL;
    }
    end_op(op, fault_of(append->fault));
    self->is_inside -= 1;
    ledger_load_pump(self);
}

static size_t finish_batch(struct ledger_op *op)
{
    if (op->is_marker) {
        return op->builder.byte_count;
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    if (op->producer_id >= 0) {
        finish.producer_id = op->producer_id;
        finish.producer_epoch = op->producer_epoch;
        finish.is_transactional = true;
    }
    struct batch_view batch;
    enum status status = batch_builder_finish(&op->builder, &finish, NULL, &batch);
    check(status == STATUS_OK);
    check(batch.bytes == op->builder.bytes);
    return batch.byte_count;
}

static void append_records(struct ledger *self, struct ledger_op *op)
{
    op->append = (struct partition_append){
        .batch = op->builder.bytes,
        .byte_count = finish_batch(op),
        .acks = -1,
        .leader_epoch = self->leader_epoch,
        .deadline_ns = loop_now_ns(self->options.loop) + LEDGER_APPEND_TIMEOUT_MS * CLOCK_NS_PER_MS,
        .is_marker = op->is_marker,
        .is_epoch_raised = op->append.is_epoch_raised,
        .txn_pass = op->append.txn_pass,
        .on_done = append_on_done};
    self->writing = op;
    partition_append(self->options.partition, &op->append);
    if (self->writing == op && op->append.base_offset >= 0) {
        apply_op(self, op);
        self->writing = NULL;
    }
    /* Else it met a full journal: the next decision waits until this one has its place. */
}

/* ---- decisions ---- */

static void run_op(struct ledger *self, struct ledger_op *op)
{
    enum ledger_verdict verdict = op->decide(op, self->machine);
    if (op->is_too_large) {
        check(verdict == LEDGER_ANSWER);
        end_op(op, LEDGER_FAULT_TOO_LARGE);
    } else if (op->builder.record_count > 0 || op->is_marker) {
        check(verdict == LEDGER_ANSWER);
        append_records(self, op);
    } else if (verdict == LEDGER_ANSWER_AT_ONCE) {
        end_op(op, LEDGER_FAULT_NONE);
    } else if (verdict == LEDGER_ANSWER) {
        ledger_answer(op);
    }
}

void ledger_load_pump(struct ledger *self)
{
    if (self->is_inside > 0) {
        return;
    }
    self->is_inside += 1;
    flush_answers(self);
    while (!list_is_empty(&self->queue) && self->writing == NULL) {
        struct list *link = list_take_first(&self->queue);
        struct ledger_op *op = container_of(link, struct ledger_op, link);
        if (self->state == LEDGER_READY) {
            run_op(self, op);
        } else {
            end_op(op, self->state == LEDGER_LOST ? LEDGER_FAULT_NOT_HERE : LEDGER_FAULT_LOADING);
        }
        flush_answers(self);
    }
    ledger_load_snapshot_if_due(self);
    self->is_inside -= 1;
    ledger_load_free_if_idle(self);
}

void ledger_submit(struct ledger *self, struct ledger_op *op)
{
    list_init(&op->link);
    op->builder = (struct batch_builder){0};
    op->fault = LEDGER_FAULT_NONE;
    op->producer_id = -1;
    op->producer_epoch = -1;
    op->is_marker = false;
    op->is_applied = false;
    op->is_too_large = false;
    op->append = (struct partition_append){0};
    op->ledger = self;
    if (self == NULL) {
        op->on_done(op, LEDGER_FAULT_NOT_HERE);
        return;
    }
    check(self->magic == LEDGER_MAGIC);
    batch_builder_init(&op->builder, NULL, LEDGER_BATCH_BYTES_MAX);
    self->busy_count += 1;
    list_append(&self->queue, &op->link);
    ledger_load_pump(self);
}

/* ---- life ---- */

struct ledger *ledger_new(const struct ledger_options *options)
{
    struct ledger *self = calloc(1, sizeof *self);
    check(self != NULL); /* One per partition of an internal topic. */
    struct partition_marks marks;
    partition_marks_of(options->partition, &marks);
    check(marks.is_leader);
    self->magic = LEDGER_MAGIC;
    self->options = *options;
    if (self->options.snapshot_record_count == 0) {
        self->options.snapshot_record_count = SNAPSHOT_RECORDS_DEFAULT;
    }
    self->leader_epoch = marks.leader_epoch;
    self->load_end = marks.log_end;
    self->next_offset = marks.log_start;
    list_init(&self->queue);
    list_init(&self->answers);
    self->machine = options->kind->open(options->kind->context, self);
    ledger_load_start(self);
    return self;
}

void ledger_lose(struct ledger *self)
{
    check(self->magic == LEDGER_MAGIC);
    check(self->state != LEDGER_LOST);
    self->state = LEDGER_LOST;
    self->is_inside += 1;
    ledger_load_stop(self);
    self->options.kind->close(self->machine);
    self->machine = NULL;
    self->options.partition = NULL;
    self->is_inside -= 1;
    ledger_load_pump(self);
}

bool ledger_is_ready(const struct ledger *self)
{
    return self->state == LEDGER_READY;
}

struct loop *ledger_loop(const struct ledger *self)
{
    return self->options.loop;
}

void *ledger_machine(const struct ledger *self)
{
    return self->machine;
}

int32_t ledger_leader_epoch(const struct ledger *self)
{
    return self->leader_epoch;
}

int64_t ledger_replayed_count(const struct ledger *self)
{
    return self->replayed_count;
}
