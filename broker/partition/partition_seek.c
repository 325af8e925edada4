/* Offsets by time or by name (ListOffsets), and the start that moves (DeleteRecords). */
#include "broker/partition/partition_state.h"

#include "proto/sys/check.h"

static void list_finish(struct partition_list_offset *list, enum partition_fault fault)
{
    list->fault = fault;
    partition_marks_of(list->partition, &list->marks);
    list->on_done(list);
}

static void list_complete(struct partition_list_offset *list, enum status status)
{
    if (status != STATUS_OK) {
        list_finish(list, status == STATUS_CORRUPT ? PARTITION_FAULT_CORRUPT
                          : status == STATUS_BUSY  ? PARTITION_FAULT_BUSY
                                                   : PARTITION_FAULT_STORAGE);
        return;
    }
    if (list->search.found) {
        list->offset = list->search.offset;
        list->timestamp_found_ms = list->search.timestamp_found_ms;
        list->leader_epoch_found = list->search.leader_epoch;
    }
    list_finish(list, PARTITION_FAULT_NONE);
}

static void list_on_found(struct log_time_search *search, enum status status)
{
    struct partition_list_offset *list = container_of(search, struct partition_list_offset, search);
    struct partition *self = list->partition;
    if (self->is_gone) {
        list_finish(list, PARTITION_FAULT_NOT_LEADER);
    } else {
        list_complete(list, status);
    }
    partition_state_end(self);
}

/* True when `timestamp_ms` is one of the wire's names for an offset. */
static bool seek_by_name(struct partition *self, struct partition_list_offset *list)
{
    switch (list->timestamp_ms) {
    case PARTITION_SEEK_LATEST:
        list->offset = partition_state_limit(self, list->isolation);
        list->leader_epoch_found = self->leader_epoch;
        return true;
    case PARTITION_SEEK_EARLIEST:
    case PARTITION_SEEK_EARLIEST_LOCAL: /* Without tiering all is local. */
        list->offset = log_start(self->log);
        list->leader_epoch_found = log_leader_epoch_at(self->log, list->offset);
        return true;
    case PARTITION_SEEK_LATEST_TIERED:
    case PARTITION_SEEK_EARLIEST_PENDING_UPLOAD:
        return true; /* Nothing is tiered: offset -1, epoch -1. */
    default:
        return false;
    }
}

/* KIP-207: until the high watermark has reached the start of this leader's term it may lie below
 * what consumers have seen, and an offset told from it could send them back. */
static bool is_mark_known(const struct partition *self, const struct partition_list_offset *list)
{
    return list->isolation == PARTITION_READ_REPLICA ||
           self->replicas.high_watermark >= self->replicas.epoch_start ||
           list->timestamp_ms == PARTITION_SEEK_EARLIEST ||
           list->timestamp_ms == PARTITION_SEEK_EARLIEST_LOCAL;
}

void partition_list_offset(struct partition *self, struct partition_list_offset *list)
{
    check(self->magic == PARTITION_MAGIC);
    check(list->on_done != NULL);
    list->partition = self;
    list->offset = -1;
    list->timestamp_found_ms = -1;
    list->leader_epoch_found = -1;
    enum partition_fault fault = partition_state_fault(self, list->current_leader_epoch);
    if (fault == PARTITION_FAULT_NONE && !is_mark_known(self, list)) {
        fault = PARTITION_FAULT_NOT_AVAILABLE;
    }
    if (fault != PARTITION_FAULT_NONE || seek_by_name(self, list)) {
        list_finish(list, fault);
        return;
    }
    list->search = (struct log_time_search){
        .timestamp_ms = list->timestamp_ms,
        .offset_limit = partition_state_limit(self, list->isolation),
        .on_done = list_on_found,
    };
    enum status status = log_search_time(self->log, &list->search);
    if (status == STATUS_PENDING) {
        partition_state_begin(self);
    } else {
        list_complete(list, status);
    }
}

static void move_finish(struct partition_move_start *move, enum partition_fault fault)
{
    move->fault = fault;
    partition_marks_of(move->partition, &move->marks);
    move->log_start = move->marks.log_start;
    move->on_done(move);
}

static void move_on_done(struct log_change *change, enum status status)
{
    struct partition_move_start *move = container_of(change, struct partition_move_start, change);
    struct partition *self = move->partition;
    move_finish(move, self->is_gone         ? PARTITION_FAULT_NOT_LEADER
                      : status == STATUS_OK ? PARTITION_FAULT_NONE
                                            : PARTITION_FAULT_STORAGE);
    partition_state_end(self);
}

void partition_move_start(struct partition *self, struct partition_move_start *move)
{
    check(self->magic == PARTITION_MAGIC);
    check(move->on_done != NULL);
    move->partition = self;
    enum partition_fault fault = partition_state_fault(self, -1);
    if (fault != PARTITION_FAULT_NONE) {
        move_finish(move, fault);
        return;
    }
    int64_t offset = move->offset == -1 ? self->high_watermark : move->offset;
    if (offset < 0 || offset > self->high_watermark) {
        move_finish(move, PARTITION_FAULT_OUT_OF_RANGE);
        return;
    }
    if (offset <= log_start(self->log)) {
        move_finish(move, PARTITION_FAULT_NONE);
        return;
    }
    move->change = (struct log_change){.on_done = move_on_done};
    enum status status = log_move_start(self->log, offset, &move->change);
    if (status == STATUS_OK) {
        partition_state_begin(self);
    } else {
        move_finish(move, status == STATUS_BUSY ? PARTITION_FAULT_BUSY : PARTITION_FAULT_STORAGE);
    }
}
