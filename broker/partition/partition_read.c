/* Reads: the epoch checks of KIP-320, what the isolation may see, and where histories part. */
#include "broker/partition/partition_state.h"

#include "proto/sys/check.h"

#include <stdlib.h>

static void finish(struct partition_read *read, enum partition_fault fault)
{
    read->fault = fault;
    partition_marks_of(read->partition, &read->marks);
    read->on_done(read);
}

static enum partition_fault fault_of(enum status status)
{
    switch ((int)status) {
    case STATUS_OK:
        return PARTITION_FAULT_NONE;
    case STATUS_OUT_OF_RANGE:
        return PARTITION_FAULT_OUT_OF_RANGE;
    case STATUS_CORRUPT:
        return PARTITION_FAULT_CORRUPT;
    case STATUS_BUSY:
    case STATUS_FULL:
    case STATUS_NO_MEMORY:
        return PARTITION_FAULT_BUSY;
    default:
        return PARTITION_FAULT_STORAGE;
    }
}

/* A reader of committed data needs every aborted transaction that touches what it gets. */
static enum partition_fault add_aborted(struct partition_read *read)
{
    uint32_t count_max = 16;
    for (;;) {
        struct log_aborted_txn *aborted = calloc(count_max, sizeof *aborted);
        if (aborted == NULL) {
            return PARTITION_FAULT_BUSY;
        }
        enum status status =
            log_list_aborted_txns(read->partition->log, read->offset, read->log_read.next_offset,
                                  aborted, count_max, &read->aborted_count);
        if (status == STATUS_OK) {
            read->aborted = aborted;
            return PARTITION_FAULT_NONE;
        }
        free(aborted);
        if (status != STATUS_FULL || count_max >= PARTITION_ABORTED_MAX) {
            return status == STATUS_FULL ? PARTITION_FAULT_STORAGE : fault_of(status);
        }
        count_max *= 4;
    }
}

static void complete(struct partition_read *read, enum status status)
{
    enum partition_fault fault = fault_of(status);
    if (fault == PARTITION_FAULT_NONE && read->isolation == PARTITION_READ_COMMITTED) {
        fault = add_aborted(read);
    }
    finish(read, fault);
}

/* While the disk was asked a follower's log may have been cut and gone on differently (an unclean
 * election): the mark that the read began with does not count then, nor where the log begins or
 * ends. */
static bool has_lost_its_history(const struct partition *self, const struct partition_read *read,
                                 enum status status)
{
    int64_t next_offset = read->log_read.next_offset;
    int64_t reached = next_offset > read->offset ? next_offset : read->offset;
    return reached > partition_state_limit(self, read->isolation) ||
           (status == STATUS_OUT_OF_RANGE && self->role != PARTITION_ROLE_LEADER);
}

static void read_on_done(struct log_read *log_read, enum status status)
{
    struct partition_read *read = container_of(log_read, struct partition_read, log_read);
    struct partition *self = read->partition;
    if (self->is_gone || has_lost_its_history(self, read, status)) {
        finish(read, PARTITION_FAULT_NOT_LEADER);
    } else {
        complete(read, status);
    }
    partition_state_end(self);
}

/* A follower tells its ends with each fetch; that is what moves the high watermark. */
static enum partition_fault note_replica(struct partition *self, struct partition_read *read)
{
    bool has_moved = false;
    enum status status = replica_set_fetched(&self->replicas, &read->replica, &has_moved);
    if (status == STATUS_NOT_FOUND) {
        return PARTITION_FAULT_UNKNOWN_REPLICA;
    }
    if (status != STATUS_OK) {
        return PARTITION_FAULT_FENCED_LEADER_EPOCH;
    }
    if (has_moved) {
        partition_state_advance(self);
    }
    return PARTITION_FAULT_NONE;
}

/* KIP-595: the reader's last batch is of an epoch that ended earlier here than where it stands. */
static bool has_diverged(struct partition *self, struct partition_read *read)
{
    if (read->last_fetched_epoch < 0) {
        return false;
    }
    int32_t epoch;
    int64_t end_offset;
    log_end_of_leader_epoch(self->log, read->last_fetched_epoch, &epoch, &end_offset);
    if (epoch < 0) {
        /* Newer than all that this log knows: what is in common ends where this log does. */
        epoch = log_latest_leader_epoch(self->log);
        end_offset = epoch < 0 ? log_start(self->log) : log_end(self->log);
    }
    if (epoch >= read->last_fetched_epoch && end_offset >= read->offset) {
        return false;
    }
    read->has_diverged = true;
    read->diverging_epoch = epoch;
    read->diverging_end_offset = end_offset;
    return true;
}

/* Only what the mark covers, which is the same everywhere. Where this log ends or begins is not:
 * the leader says whether an offset exists. */
static bool can_answer_as_follower(const struct partition *self, const struct partition_read *read)
{
    return read->any_replica && self->role == PARTITION_ROLE_FOLLOWER &&
           read->offset >= log_start(self->log) && read->offset <= log_end(self->log);
}

static enum partition_fault admit(struct partition *self, struct partition_read *read)
{
    enum partition_fault fault = partition_state_fault(self, read->current_leader_epoch);
    if (fault == PARTITION_FAULT_NOT_LEADER && can_answer_as_follower(self, read)) {
        return PARTITION_FAULT_NONE;
    }
    if (fault != PARTITION_FAULT_NONE || read->isolation != PARTITION_READ_REPLICA) {
        return fault;
    }
    if (has_diverged(self, read)) {
        return PARTITION_FAULT_NONE; /* Its ends are not of this history: they must not count. */
    }
    return note_replica(self, read);
}

void partition_read(struct partition *self, struct partition_read *read)
{
    check(self->magic == PARTITION_MAGIC);
    check(read->on_done != NULL);
    check(!read->any_replica || read->isolation != PARTITION_READ_REPLICA);
    read->partition = self;
    read->has_diverged = false;
    read->aborted = NULL;
    read->aborted_count = 0;
    read->log_read = (struct log_read){0};

    enum partition_fault fault = admit(self, read);
    if (fault == PARTITION_FAULT_NONE && !read->has_diverged &&
        (read->offset < log_start(self->log) || read->offset > log_end(self->log))) {
        fault = PARTITION_FAULT_OUT_OF_RANGE;
    }
    if (fault != PARTITION_FAULT_NONE || read->has_diverged) {
        finish(read, fault); /* Perhaps there is no log to ask. */
        return;
    }
    int64_t limit = partition_state_limit(self, read->isolation);
    if (read->offset >= limit) {
        finish(read, fault);
        return;
    }
    read->log_read = (struct log_read){.offset = read->offset,
                                       .offset_limit = limit,
                                       .byte_count_max = read->byte_count_max,
                                       .at_least_one = read->at_least_one,
                                       .on_done = read_on_done,
                                       .next_offset = read->offset};
    enum status status = log_read(self->log, &read->log_read);
    if (status == STATUS_PENDING) {
        partition_state_begin(self);
    } else {
        complete(read, status);
    }
}

void partition_read_release(struct partition_read *read)
{
    log_read_release(&read->log_read);
    free(read->aborted);
    read->aborted = NULL;
}
