/* The follower's half: appends what the leader sent, cuts where histories part; and the leader's
 * proposals of another ISR. */
#include "broker/partition/partition_state.h"

#include "proto/record/batch_check.h"
#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"

/* Where the batches have to begin: at the end of this log. But the leader's log may begin inside of
 * a batch, which comes whole, so an empty log begins where that batch does. */
static int64_t begin_of(const struct partition *self, const struct partition_replica_append *append)
{
    int64_t end = log_end(self->log);
    struct batch_view first;
    bool is_across = log_start(self->log) == end &&
                     batch_view_init(&first, append->bytes, append->byte_count) == STATUS_OK &&
                     batch_base_offset(&first) >= 0 && batch_base_offset(&first) < end &&
                     batch_last_offset(&first) >= end;
    return is_across ? batch_base_offset(&first) : end;
}

/* Bytes from a peer are held to what a log may store, with offsets that go on from `next_offset`.
 */
static enum status check_batches(const struct partition *self,
                                 const struct partition_replica_append *append, int64_t next_offset,
                                 uint32_t *out_batch_count)
{
    struct batch_iterator iterator;
    batch_iterator_init(&iterator, append->bytes, append->byte_count);
    uint32_t count = 0;
    struct batch_view batch;
    enum status status;
    while ((status = batch_iterator_next(&iterator, &batch)) == STATUS_OK) {
        struct batch_verdict verdict;
        if (batch_check_stored(&batch, &verdict) != STATUS_OK ||
            batch_base_offset(&batch) != next_offset ||
            batch_leader_epoch(&batch) > self->leader_epoch) {
            return STATUS_MALFORMED;
        }
        next_offset = batch_next_offset(&batch);
        count += 1;
    }
    if (status != STATUS_NOT_FOUND || batch_iterator_left(&iterator) > 0 || count == 0) {
        return STATUS_MALFORMED;
    }
    *out_batch_count = count;
    return STATUS_OK;
}

static enum status follow_batches(struct partition *self,
                                  const struct partition_replica_append *append)
{
    struct batch_iterator iterator;
    batch_iterator_init(&iterator, append->bytes, append->byte_count);
    struct batch_view batch;
    while (batch_iterator_next(&iterator, &batch) == STATUS_OK) {
        TRY(partition_state_follow(self, batch.bytes, batch.byte_count, false));
    }
    return STATUS_OK;
}

/* Whole batches from the start of `append`: as many as fit into `byte_count_max`, one at least. */
static struct partition_replica_append first_piece(const struct partition_replica_append *append,
                                                   size_t byte_count_max, uint32_t *out_batch_count)
{
    struct batch_iterator iterator;
    batch_iterator_init(&iterator, append->bytes, append->byte_count);
    struct partition_replica_append piece = *append;
    struct batch_view batch;
    uint32_t count = 0;
    size_t byte_count = 0;
    while (batch_iterator_next(&iterator, &batch) == STATUS_OK &&
           (count == 0 || byte_count + batch.byte_count <= byte_count_max)) {
        byte_count += batch.byte_count;
        count += 1;
    }
    piece.byte_count = byte_count;
    *out_batch_count = count;
    return piece;
}

static enum status append_piece(struct partition *self,
                                const struct partition_replica_append *piece)
{
    struct log_append write = {.bytes = piece->bytes,
                               .byte_count = piece->byte_count,
                               .ingested_ms = clock_wall_ms(self->loop->clock),
                               .ingested_of_batches = piece->ingested_ms};
    TRY(log_append(self->log, &write));
    enum status status = follow_batches(self, piece);
    if (status != STATUS_OK) {
        partition_fail(self); /* Written, but not followed: its state would lie. */
    }
    return status;
}

/* A leader answers with as much as it likes; the journal takes a record of a quarter of itself. */
enum status partition_append_replica(struct partition *self,
                                     const struct partition_replica_append *append)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->role != PARTITION_ROLE_FOLLOWER) {
        return STATUS_INVALID;
    }
    uint32_t batch_count;
    int64_t begin = begin_of(self, append);
    TRY(check_batches(self, append, begin, &batch_count));
    if (begin < log_end(self->log)) {
        TRY(partition_restart_at(self, begin));
    }
    struct partition_replica_append rest = *append;
    bool has_times = append->ingested_ms != NULL && append->ingested_count == batch_count;
    rest.ingested_ms = has_times ? append->ingested_ms : NULL;
    size_t piece_bytes = rest.byte_count;
    while (rest.byte_count > 0) {
        uint32_t count;
        struct partition_replica_append piece = first_piece(&rest, piece_bytes, &count);
        enum status status = append_piece(self, &piece);
        if (status == STATUS_FULL && count > 1) {
            piece_bytes = piece.byte_count / 2;
            continue;
        }
        bool is_begun = rest.byte_count < append->byte_count;
        if (is_begun && (status == STATUS_BUSY || status == STATUS_NO_SPACE)) {
            return STATUS_OK; /* What is missing is asked for again. */
        }
        TRY(status);
        rest.bytes += piece.byte_count;
        rest.byte_count -= piece.byte_count;
        rest.ingested_ms = has_times ? rest.ingested_ms + count : NULL;
    }
    return STATUS_OK;
}

enum status partition_truncate(struct partition *self, int64_t offset)
{
    check(self->magic == PARTITION_MAGIC);
    check(self->role == PARTITION_ROLE_FOLLOWER);
    if (offset >= log_end(self->log)) {
        return STATUS_OK;
    }
    if (offset < self->high_watermark) {
        /* Only an unclean election can ask for it; consumers may have seen what is cut. */
        trace_line(self->loop->trace, TRACE_WARN, "partition", "cut_below_high_watermark",
                   "topic=\"%s\" partition=%d offset=%lld high_watermark=%lld", self->topic_name,
                   self->index, (long long)offset, (long long)self->high_watermark);
        self->high_watermark = offset;
    }
    TRY(log_truncate(self->log, offset));
    return partition_state_rebuild(self);
}

enum status partition_restart_at(struct partition *self, int64_t offset)
{
    check(self->magic == PARTITION_MAGIC);
    check(self->role == PARTITION_ROLE_FOLLOWER);
    TRY(log_reset(self->log, offset));
    self->high_watermark = offset;
    return partition_state_rebuild(self);
}

void partition_note_high_watermark(struct partition *self, int64_t high_watermark)
{
    check(self->magic == PARTITION_MAGIC);
    int64_t end = log_end(self->log);
    int64_t known = high_watermark < end ? high_watermark : end;
    if (self->role == PARTITION_ROLE_FOLLOWER && known > self->high_watermark) {
        self->high_watermark = known;
        partition_state_tell_mark(self);
    }
}

static void start_change_on_done(struct log_change *change, enum status status)
{
    struct partition *self = container_of(change, struct partition, start_change);
    (void)status; /* A failed disk is told by the store; the leader says its start again. */
    self->is_start_moving = false;
    partition_state_end(self);
}

void partition_note_log_start(struct partition *self, int64_t start)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->role != PARTITION_ROLE_FOLLOWER || self->is_start_moving ||
        start <= log_start(self->log) || start > self->high_watermark) {
        return;
    }
    self->start_change = (struct log_change){.on_done = start_change_on_done};
    if (log_move_start(self->log, start, &self->start_change) == STATUS_OK) {
        self->is_start_moving = true;
        partition_state_begin(self);
    }
}

int64_t partition_divergence(const struct partition *self, int32_t leader_epoch, int64_t end_offset)
{
    int32_t own_epoch;
    int64_t own_end;
    log_end_of_leader_epoch(self->log, leader_epoch, &own_epoch, &own_end);
    if (own_epoch < 0 || own_end < 0) {
        return log_start(self->log); /* Nothing in common that this log knows of. */
    }
    bool is_same = own_epoch == leader_epoch && end_offset >= 0;
    return is_same && end_offset < own_end ? end_offset : own_end;
}

int32_t partition_latest_epoch(const struct partition *self)
{
    /* Of the last record, not of the history: a term that this replica led without a write is known
     * to nobody else, and a leader asked about it would point here for ever. */
    int64_t end = log_end(self->log);
    return end > log_start(self->log) ? log_leader_epoch_at(self->log, end - 1) : -1;
}

bool partition_propose_isr(struct partition *self, int64_t lag_ns,
                           struct replica_set_proposal *out_proposal)
{
    check(self->magic == PARTITION_MAGIC);
    return self->role == PARTITION_ROLE_LEADER &&
           replica_set_propose(&self->replicas, loop_now_ns(self->loop), lag_ns, out_proposal);
}

void partition_proposal_ended(struct partition *self, bool is_fate_known)
{
    check(self->magic == PARTITION_MAGIC);
    if (self->role == PARTITION_ROLE_LEADER) {
        replica_set_proposal_ended(&self->replicas, is_fate_known);
        partition_state_advance(self);
    }
}
