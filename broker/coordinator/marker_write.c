#include "broker/coordinator/marker_write.h"

#include "broker/coordinator/ledger_set.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

static int16_t code_of_partition(enum partition_fault fault)
{
    switch ((int)fault) {
    case PARTITION_FAULT_NONE:
        return ERROR_CODE_NONE;
    case PARTITION_FAULT_PRODUCER_EPOCH:
        return ERROR_CODE_INVALID_PRODUCER_EPOCH;
    case PARTITION_FAULT_COORDINATOR_FENCED:
        return ERROR_CODE_TRANSACTION_COORDINATOR_FENCED;
    case PARTITION_FAULT_FEW_REPLICAS:
        return ERROR_CODE_NOT_ENOUGH_REPLICAS;
    case PARTITION_FAULT_FEW_REPLICAS_AFTER:
        return ERROR_CODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    case PARTITION_FAULT_TIMEOUT:
    case PARTITION_FAULT_BUSY:
        return ERROR_CODE_REQUEST_TIMED_OUT;
    case PARTITION_FAULT_STORAGE:
        return ERROR_CODE_KAFKA_STORAGE_ERROR;
    default:
        return ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    }
}

static int16_t code_of_ledger(const struct ledger_op *op, enum ledger_fault fault)
{
    switch (fault) {
    case LEDGER_FAULT_NONE:
        return ERROR_CODE_NONE;
    case LEDGER_FAULT_PRODUCER:
        return code_of_partition(op->append.fault);
    case LEDGER_FAULT_UNAVAILABLE:
        return ERROR_CODE_NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    case LEDGER_FAULT_STORAGE:
        return ERROR_CODE_KAFKA_STORAGE_ERROR;
    case LEDGER_FAULT_LOADING: /* Whoever sends markers looks again, as for a leader. */
    case LEDGER_FAULT_NOT_HERE:
    case LEDGER_FAULT_TOO_LARGE:
        return ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
    }
    check_unreachable("a fault of a ledger");
}

static enum ledger_verdict op_decide(struct ledger_op *op, void *machine)
{
    struct marker_write *self = container_of(op, struct marker_write, op);
    (void)machine; /* It hears of the end when the marker is applied. */
    ledger_op_set_marker(op, &self->marker);
    return LEDGER_ANSWER;
}

static void op_on_done(struct ledger_op *op, enum ledger_fault fault)
{
    struct marker_write *self = container_of(op, struct marker_write, op);
    self->code = code_of_ledger(op, fault);
    partition_call_return(&self->call);
}

static void append_on_done(struct partition_append *append)
{
    struct marker_write *self = container_of(append, struct marker_write, append);
    self->code = code_of_partition(append->fault);
    partition_call_return(&self->call);
}

static void append_marker(struct marker_write *self, struct partition *partition, struct loop *loop)
{
    struct control_record_marker control = {.leader_epoch = -1,
                                            .timestamp_ms = clock_wall_ms(loop->clock),
                                            .producer_id = self->marker.producer_id,
                                            .producer_epoch = self->marker.producer_epoch,
                                            .is_commit = self->marker.is_commit,
                                            .coordinator_epoch = self->marker.coordinator_epoch};
    control_record_encode_marker(&control, self->bytes);
    self->append = (struct partition_append){
        .batch = self->bytes,
        .byte_count = sizeof self->bytes,
        .acks = -1,
        .leader_epoch = -1,
        .deadline_ns = loop_now_ns(loop) + MARKER_WRITE_TIMEOUT_MS * CLOCK_NS_PER_MS,
        .is_marker = true,
        .is_epoch_raised = self->marker.is_epoch_raised,
        .on_done = append_on_done};
    partition_append(partition, &self->append);
}

static void call_run(struct partition_call *call, struct partition *partition)
{
    struct marker_write *self = container_of(call, struct marker_write, call);
    struct ledger *ledger = ledger_set_of(partition);
    if (partition == NULL) {
        self->code = ERROR_CODE_NOT_LEADER_OR_FOLLOWER;
        partition_call_return(call);
    } else if (ledger != NULL) {
        self->op.decide = op_decide;
        self->op.on_done = op_on_done;
        ledger_submit(ledger, &self->op);
    } else {
        append_marker(self, partition, partition_loop(partition));
    }
}

static void call_on_returned(struct partition_call *call)
{
    struct marker_write *self = container_of(call, struct marker_write, call);
    self->on_done(self, self->code);
}

void marker_write_post(struct marker_write *self)
{
    self->call = (struct partition_call){.map = self->map,
                                         .home = self->home,
                                         .topic_id = self->topic_id,
                                         .index = self->index,
                                         .run = call_run,
                                         .on_returned = call_on_returned};
    partition_call_post(&self->call);
}
