/* The order of the checks is Kafka's: a repeat of a cached batch (same epoch and both sequences) is
 * answered first; then the epoch (older: stale); then the sequence (a newer epoch begins at 0, the
 * same one goes on where it ended, a producer that is not known may begin anywhere); then the
 * transaction. A marker's producer epoch is looked at before its coordinator's. */
#include "broker/partition/producer_state.h"

#include "broker/log/snapshot_file.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define PRODUCER_STATE_MAGIC 0x9204dce7U
#define BUCKETS_FIRST 16U
/* Of two sequences the one within half of the circle behind the other is the earlier. */
#define BEHIND_MAX (1U << 30)

struct producer_state {
    uint32_t magic;
    uint32_t entry_count;
    uint32_t entry_count_max;
    uint32_t open_count; /* Entries with an open transaction. */
    uint32_t bucket_count;
    struct producer_entry **buckets; /* Owned, with the entries. */
    struct list by_use;
};

enum status producer_state_new(uint32_t entry_count_max, struct producer_state **out_self)
{
    check(entry_count_max > 0);
    struct producer_state *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->buckets = calloc(BUCKETS_FIRST, sizeof(struct producer_entry *));
    if (self->buckets == NULL) {
        free(self);
        return STATUS_NO_MEMORY;
    }
    self->magic = PRODUCER_STATE_MAGIC;
    self->entry_count_max = entry_count_max;
    self->bucket_count = BUCKETS_FIRST;
    list_init(&self->by_use);
    *out_self = self;
    return STATUS_OK;
}

void producer_state_free(struct producer_state *self)
{
    if (self == NULL) {
        return;
    }
    producer_state_clear(self);
    free(self->buckets);
    self->magic = 0;
    free(self);
}

static struct producer_entry **bucket_of(const struct producer_state *self, int64_t producer_id)
{
    uint64_t hash = (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);
    return &self->buckets[(uint32_t)(hash >> 32) & (self->bucket_count - 1)];
}

static struct producer_entry *find(const struct producer_state *self, int64_t producer_id)
{
    struct producer_entry *entry = *bucket_of(self, producer_id);
    while (entry != NULL && entry->producer_id != producer_id) {
        entry = entry->bucket_next;
    }
    return entry;
}

static void forget(struct producer_state *self, struct producer_entry *entry)
{
    struct producer_entry **place = bucket_of(self, entry->producer_id);
    while (*place != entry) {
        check(*place != NULL);
        place = &(*place)->bucket_next;
    }
    *place = entry->bucket_next;
    list_remove(&entry->by_use);
    check(self->entry_count > 0);
    self->entry_count -= 1;
    self->open_count -= entry->txn_first_offset >= 0 ? 1 : 0;
    free(entry);
}

static void forget_least_used(struct producer_state *self)
{
    list_for_each(link, &self->by_use)
    {
        struct producer_entry *entry = container_of(link, struct producer_entry, by_use);
        if (entry->txn_first_offset < 0) {
            forget(self, entry);
            return;
        }
    }
}

/* Twice the buckets; without memory the chains are longer, and that is all. */
static void spread(struct producer_state *self)
{
    uint32_t bucket_count = self->bucket_count * 2;
    struct producer_entry **buckets = calloc(bucket_count, sizeof(struct producer_entry *));
    if (buckets == NULL) {
        return;
    }
    free(self->buckets);
    self->buckets = buckets;
    self->bucket_count = bucket_count;
    list_for_each(link, &self->by_use)
    {
        struct producer_entry *entry = container_of(link, struct producer_entry, by_use);
        struct producer_entry **bucket = bucket_of(self, entry->producer_id);
        entry->bucket_next = *bucket;
        *bucket = entry;
    }
}

static struct producer_entry *find_or_add(struct producer_state *self, int64_t producer_id)
{
    struct producer_entry *entry = find(self, producer_id);
    if (entry != NULL) {
        list_remove(&entry->by_use);
        list_append(&self->by_use, &entry->by_use);
        return entry;
    }
    if (self->entry_count >= self->entry_count_max) {
        forget_least_used(self);
    }
    entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return NULL;
    }
    entry->producer_id = producer_id;
    entry->epoch = -1;
    entry->coordinator_epoch = -1;
    entry->last_timestamp_ms = -1;
    entry->txn_first_offset = -1;
    struct producer_entry **bucket = bucket_of(self, producer_id);
    entry->bucket_next = *bucket;
    *bucket = entry;
    list_append(&self->by_use, &entry->by_use);
    self->entry_count += 1;
    if (self->entry_count > self->bucket_count) {
        spread(self);
    }
    return entry;
}

static const struct producer_batch *find_original(const struct producer_entry *entry,
                                                  const struct producer_write *write)
{
    if (entry->epoch != write->epoch || write->base_sequence < 0) {
        return NULL;
    }
    for (uint8_t i = 0; i < entry->batch_count; i++) {
        const struct producer_batch *batch = &entry->batches[i];
        if (batch->base_sequence == write->base_sequence &&
            batch->last_sequence == write->last_sequence) {
            return batch;
        }
    }
    return NULL;
}

static int32_t next_sequence(const struct producer_entry *entry)
{
    if (entry->batch_count == 0) {
        return 0;
    }
    int32_t last_sequence = entry->batches[entry->batch_count - 1].last_sequence;
    return last_sequence == INT32_MAX ? 0 : last_sequence + 1;
}

static enum producer_verdict check_marker(const struct producer_entry *entry,
                                          const struct producer_write *write)
{
    if (entry == NULL) {
        return PRODUCER_ACCEPT;
    }
    /* A raised epoch is above the transaction's own: the same one again is a repeat, which a
     * transaction begun since must not end by. */
    bool is_late =
        write->is_epoch_raised && write->epoch == entry->epoch && entry->txn_first_offset >= 0;
    if (write->epoch < entry->epoch || is_late) {
        return PRODUCER_STALE_EPOCH;
    }
    return write->coordinator_epoch < entry->coordinator_epoch ? PRODUCER_COORDINATOR_FENCED
                                                               : PRODUCER_ACCEPT;
}

/* The sequences of an epoch are accepted without gaps, so whatever lies in front of the oldest
 * batch that is known was written before it. Kafka forgets this over a restart and lets a producer
 * that repeats its last five batches fail. */
static bool is_before_window(const struct producer_entry *entry, const struct producer_write *write)
{
    if (!entry->is_window_cut || entry->epoch != write->epoch || write->base_sequence < 0 ||
        entry->batch_count == 0 || entry->batch_count == PRODUCER_STATE_BATCHES ||
        entry->batches[0].base_sequence < 0) {
        return false;
    }
    uint32_t behind =
        ((uint32_t)entry->batches[0].base_sequence - 1U - (uint32_t)write->last_sequence) &
        INT32_MAX;
    return behind < BEHIND_MAX;
}

static enum producer_verdict check_data(const struct producer_entry *entry,
                                        const struct producer_write *write)
{
    if (write->epoch < entry->epoch) {
        return PRODUCER_STALE_EPOCH;
    }
    if (write->base_sequence < 0) {
        return PRODUCER_ACCEPT; /* A coordinator's own records, on behalf of a producer. */
    }
    int32_t expected = write->epoch > entry->epoch ? 0 : next_sequence(entry);
    if (write->base_sequence != expected && !entry->is_doubtful) {
        return PRODUCER_SEQUENCE_GAP;
    }
    return entry->txn_first_offset >= 0 && !write->is_transactional ? PRODUCER_TXN_STATE
                                                                    : PRODUCER_ACCEPT;
}

enum producer_verdict producer_state_check(const struct producer_state *self,
                                           const struct producer_write *write,
                                           struct producer_batch *out_original)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    check(write->producer_id >= 0);
    const struct producer_entry *entry = find(self, write->producer_id);
    if (entry == NULL && self->entry_count >= self->entry_count_max &&
        self->open_count >= self->entry_count) {
        return PRODUCER_FULL;
    }
    if (write->is_marker) {
        return check_marker(entry, write);
    }
    if (entry == NULL) {
        return PRODUCER_ACCEPT;
    }
    const struct producer_batch *original = find_original(entry, write);
    if (original != NULL) {
        *out_original = *original;
        return PRODUCER_DUPLICATE;
    }
    if (is_before_window(entry, write)) {
        *out_original = entry->batches[0];
        return PRODUCER_DUPLICATE_OLD;
    }
    return check_data(entry, write);
}

static void add_batch(struct producer_entry *entry, struct producer_batch batch)
{
    check(entry->batch_count <= PRODUCER_STATE_BATCHES);
    if (entry->batch_count == PRODUCER_STATE_BATCHES) {
        memmove(&entry->batches[0], &entry->batches[1],
                (PRODUCER_STATE_BATCHES - 1) * sizeof entry->batches[0]);
        entry->batch_count -= 1;
    }
    entry->batches[entry->batch_count] = batch;
    entry->batch_count += 1;
}

static void open_txn(struct producer_state *self, struct producer_entry *entry,
                     int64_t first_offset)
{
    check(entry->txn_first_offset < 0);
    check(first_offset >= 0);
    entry->txn_first_offset = first_offset;
    self->open_count += 1;
}

static void apply_marker(struct producer_state *self, struct producer_entry *entry,
                         const struct producer_write *write)
{
    entry->coordinator_epoch = write->coordinator_epoch;
    if (entry->txn_first_offset >= 0) {
        check(self->open_count > 0);
        self->open_count -= 1;
        entry->txn_first_offset = -1;
    }
}

enum status producer_state_apply(struct producer_state *self, const struct producer_write *write)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    check(write->producer_id >= 0);
    check(write->base_offset >= 0);
    check(write->last_offset >= write->base_offset);
    struct producer_entry *entry = find_or_add(self, write->producer_id);
    if (entry == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (entry->epoch != write->epoch || (entry->is_doubtful && !write->is_marker)) {
        entry->epoch = write->epoch;
        entry->batch_count = 0; /* Another epoch begins its sequences anew. */
        entry->is_window_cut = false;
        entry->is_doubtful = false;
    }
    entry->last_timestamp_ms = write->timestamp_ms;
    if (write->is_marker) {
        apply_marker(self, entry, write);
        return STATUS_OK;
    }
    add_batch(entry, (struct producer_batch){.base_sequence = write->base_sequence,
                                             .last_sequence = write->last_sequence,
                                             .base_offset = write->base_offset,
                                             .last_offset = write->last_offset,
                                             .timestamp_ms = write->timestamp_ms});
    if (write->is_transactional && entry->txn_first_offset < 0) {
        open_txn(self, entry, write->base_offset);
    }
    return STATUS_OK;
}

void producer_state_doubt(struct producer_state *self)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    list_for_each(link, &self->by_use)
    {
        struct producer_entry *entry = container_of(link, struct producer_entry, by_use);
        entry->txn_first_offset = -1;
        entry->is_doubtful = true;
    }
    self->open_count = 0;
}

bool producer_state_is_below(const struct producer_state *self, int64_t offset)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    list_for_each(link, &self->by_use)
    {
        const struct producer_entry *entry = container_of(link, struct producer_entry, by_use);
        bool has_later_batch =
            entry->batch_count > 0 && entry->batches[entry->batch_count - 1].last_offset >= offset;
        if (has_later_batch || entry->txn_first_offset >= offset) {
            return false;
        }
    }
    return true;
}

void producer_state_expire(struct producer_state *self, int64_t before_ms)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    list_for_each_removable(link, &self->by_use)
    {
        struct producer_entry *entry = container_of(link, struct producer_entry, by_use);
        if (entry->txn_first_offset < 0 && entry->last_timestamp_ms < before_ms) {
            forget(self, entry);
        }
    }
}

void producer_state_clear(struct producer_state *self)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    list_for_each_removable(link, &self->by_use)
    {
        forget(self, container_of(link, struct producer_entry, by_use));
    }
    check(self->entry_count == 0);
    check(self->open_count == 0);
}

const struct producer_entry *producer_state_find(const struct producer_state *self,
                                                 int64_t producer_id)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    return find(self, producer_id);
}

uint32_t producer_state_count(const struct producer_state *self)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    return self->entry_count;
}

static const struct producer_entry *entry_at(const struct producer_state *self, struct list *link)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    return link == &self->by_use ? NULL : container_of(link, struct producer_entry, by_use);
}

const struct producer_entry *producer_state_first(const struct producer_state *self)
{
    return entry_at(self, self->by_use.next);
}

const struct producer_entry *producer_state_next(const struct producer_state *self,
                                                 const struct producer_entry *entry)
{
    return entry_at(self, entry->by_use.next);
}

static struct snapshot_file_row row_of(const struct producer_entry *entry)
{
    struct snapshot_file_row row = {.producer_id = entry->producer_id,
                                    .producer_epoch = entry->epoch,
                                    .last_sequence = -1,
                                    .last_offset = -1,
                                    .timestamp_ms = entry->last_timestamp_ms,
                                    .coordinator_epoch = entry->coordinator_epoch,
                                    .txn_first_offset = entry->txn_first_offset};
    if (entry->batch_count > 0) {
        const struct producer_batch *newest = &entry->batches[entry->batch_count - 1];
        row.last_sequence = newest->last_sequence;
        row.last_offset = newest->last_offset;
        row.offset_delta = (int32_t)(newest->last_offset - newest->base_offset);
    }
    return row;
}

enum status producer_state_store(const struct producer_state *self, uint8_t **out_bytes,
                                 size_t *out_byte_count)
{
    check(self->magic == PRODUCER_STATE_MAGIC);
    struct snapshot_file_row *rows = calloc((size_t)self->entry_count + 1, sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint32_t row_count = 0;
    list_for_each(link, &self->by_use)
    {
        const struct producer_entry *entry = container_of(link, struct producer_entry, by_use);
        check(row_count < self->entry_count);
        if (!entry->is_doubtful) { /* A row cannot say so; who is not in it may go on anywhere. */
            rows[row_count] = row_of(entry);
            row_count += 1;
        }
    }
    enum status status = snapshot_file_encode(rows, row_count, out_bytes, out_byte_count);
    free(rows);
    return status;
}

static enum status load_row(struct producer_state *self, const struct snapshot_file_row *row)
{
    struct producer_entry *entry = find_or_add(self, row->producer_id);
    if (entry == NULL) {
        return STATUS_NO_MEMORY;
    }
    entry->epoch = row->producer_epoch;
    entry->coordinator_epoch = row->coordinator_epoch;
    entry->last_timestamp_ms = row->timestamp_ms;
    if (row->txn_first_offset >= 0) {
        open_txn(self, entry, row->txn_first_offset);
    }
    if (row->last_offset >= 0) {
        entry->is_window_cut = true;
        uint32_t first = (uint32_t)row->last_sequence - (uint32_t)row->offset_delta;
        add_batch(entry,
                  (struct producer_batch){
                      .base_sequence = row->last_sequence < 0 ? -1 : (int32_t)(first & INT32_MAX),
                      .last_sequence = row->last_sequence,
                      .base_offset = row->last_offset - row->offset_delta,
                      .last_offset = row->last_offset,
                      .timestamp_ms = row->timestamp_ms});
    }
    return STATUS_OK;
}

/* Least recently written first; the file has them in no order. */
static int compare_times(const void *left, const void *right)
{
    const struct snapshot_file_row *left_row = left;
    const struct snapshot_file_row *right_row = right;
    if (left_row->timestamp_ms != right_row->timestamp_ms) {
        return left_row->timestamp_ms < right_row->timestamp_ms ? -1 : 1;
    }
    return (left_row->producer_id > right_row->producer_id) -
           (left_row->producer_id < right_row->producer_id);
}

enum status producer_state_load(struct producer_state *self, const uint8_t *bytes,
                                size_t byte_count)
{
    producer_state_clear(self);
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    TRY(snapshot_file_decode(bytes, byte_count, &rows, &row_count));
    if (row_count > 0) {
        qsort(rows, row_count, sizeof *rows, compare_times);
    }
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < row_count && status == STATUS_OK; i++) {
        status = load_row(self, &rows[i]);
    }
    free(rows);
    if (status != STATUS_OK) {
        producer_state_clear(self);
    }
    return status;
}
