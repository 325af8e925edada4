#include "broker/partition/txn_span.h"

#include "proto/sys/check.h"
#include "proto/sys/list.h"

#include <stdlib.h>

#define TXN_SPAN_MAGIC 0x735ba14dU
#define BUCKETS_FIRST 16U

/* Undecided: open, or completed by a marker at or beyond the high watermark. */
struct txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t marker_offset;   /* -1: open. */
    struct list by_first;    /* In `undecided`. */
    struct list by_state;    /* In `open`, or in `completed`. */
    struct txn *bucket_next; /* Open ones only. */
};

struct txn_span {
    uint32_t magic;
    uint32_t open_count;
    uint32_t bucket_count;
    struct txn **buckets;  /* Owned; the open ones by producer. */
    struct list undecided; /* Owned; ascending by first offset. */
    struct list open;      /* Ascending by first offset. */
    struct list completed; /* Ascending by marker. */
};

enum status txn_span_new(struct txn_span **out_self)
{
    struct txn_span *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->buckets = calloc(BUCKETS_FIRST, sizeof(struct txn *));
    if (self->buckets == NULL) {
        free(self);
        return STATUS_NO_MEMORY;
    }
    self->magic = TXN_SPAN_MAGIC;
    self->bucket_count = BUCKETS_FIRST;
    list_init(&self->undecided);
    list_init(&self->open);
    list_init(&self->completed);
    *out_self = self;
    return STATUS_OK;
}

void txn_span_free(struct txn_span *self)
{
    if (self == NULL) {
        return;
    }
    txn_span_clear(self);
    free(self->buckets);
    self->magic = 0;
    free(self);
}

static struct txn **bucket_of(const struct txn_span *self, int64_t producer_id)
{
    uint64_t hash = (uint64_t)producer_id * UINT64_C(0x9e3779b97f4a7c15);
    return &self->buckets[(uint32_t)(hash >> 32) & (self->bucket_count - 1)];
}

/* The link that leads to the open transaction of `producer_id`, or the one that ends the chain. */
static struct txn **find_place(const struct txn_span *self, int64_t producer_id)
{
    struct txn **place = bucket_of(self, producer_id);
    while (*place != NULL && (*place)->producer_id != producer_id) {
        place = &(*place)->bucket_next;
    }
    return place;
}

static void drop(struct txn *txn)
{
    list_remove(&txn->by_first);
    list_remove(&txn->by_state);
    free(txn);
}

void txn_span_clear(struct txn_span *self)
{
    check(self->magic == TXN_SPAN_MAGIC);
    list_for_each_removable(link, &self->undecided)
    {
        drop(container_of(link, struct txn, by_first));
    }
    check(list_is_empty(&self->open));
    check(list_is_empty(&self->completed));
    for (uint32_t i = 0; i < self->bucket_count; i++) {
        self->buckets[i] = NULL;
    }
    self->open_count = 0;
}

/* Twice the buckets; without memory the chains are longer, and that is all. */
static void spread(struct txn_span *self)
{
    uint32_t bucket_count = self->bucket_count * 2;
    struct txn **buckets = calloc(bucket_count, sizeof(struct txn *));
    if (buckets == NULL) {
        return;
    }
    free(self->buckets);
    self->buckets = buckets;
    self->bucket_count = bucket_count;
    list_for_each(link, &self->open)
    {
        struct txn *txn = container_of(link, struct txn, by_state);
        struct txn **bucket = bucket_of(self, txn->producer_id);
        txn->bucket_next = *bucket;
        *bucket = txn;
    }
}

/* Batches come in order, so the place is the end but when a snapshot is loaded. */
static void insert(struct txn_span *self, struct txn *txn)
{
    struct list *behind = &self->undecided;
    while (behind->previous != &self->undecided &&
           container_of(behind->previous, struct txn, by_first)->first_offset > txn->first_offset) {
        behind = behind->previous;
    }
    list_insert_before(behind, &txn->by_first);
    behind = &self->open;
    while (behind->previous != &self->open &&
           container_of(behind->previous, struct txn, by_state)->first_offset > txn->first_offset) {
        behind = behind->previous;
    }
    list_insert_before(behind, &txn->by_state);
}

enum status txn_span_begin(struct txn_span *self, int64_t producer_id, int64_t first_offset)
{
    check(self->magic == TXN_SPAN_MAGIC);
    check(producer_id >= 0);
    check(first_offset >= 0);
    struct txn **place = find_place(self, producer_id);
    if (*place != NULL) {
        return STATUS_OK;
    }
    struct txn *txn = malloc(sizeof *txn);
    if (txn == NULL) {
        return STATUS_NO_MEMORY;
    }
    *txn =
        (struct txn){.producer_id = producer_id, .first_offset = first_offset, .marker_offset = -1};
    *place = txn;
    insert(self, txn);
    self->open_count += 1;
    if (self->open_count > self->bucket_count) {
        spread(self);
    }
    return STATUS_OK;
}

/* The first offset of the earliest open one, else `otherwise`. */
static int64_t first_open(const struct txn_span *self, int64_t otherwise)
{
    return list_is_empty(&self->open)
               ? otherwise
               : container_of(self->open.next, struct txn, by_state)->first_offset;
}

enum status txn_span_complete(struct txn_span *self, int64_t producer_id, int64_t marker_offset,
                              bool is_aborted, struct txn_span_end *out_end)
{
    check(self->magic == TXN_SPAN_MAGIC);
    struct txn **place = find_place(self, producer_id);
    struct txn *txn = *place;
    if (txn == NULL) {
        return STATUS_NOT_FOUND;
    }
    bool is_behind = marker_offset > txn->first_offset;
    if (is_behind && !list_is_empty(&self->completed)) {
        is_behind = container_of(self->completed.previous, struct txn, by_state)->marker_offset <
                    marker_offset;
    }
    if (!is_behind) {
        return STATUS_CORRUPT;
    }
    *place = txn->bucket_next;
    txn->marker_offset = marker_offset;
    list_remove(&txn->by_state);
    list_append(&self->completed, &txn->by_state);
    check(self->open_count > 0);
    self->open_count -= 1;

    *out_end = (struct txn_span_end){.first_offset = txn->first_offset,
                                     .last_offset = marker_offset,
                                     .last_stable_offset = first_open(self, marker_offset + 1),
                                     .is_aborted = is_aborted};
    return STATUS_OK;
}

int64_t txn_span_last_stable_offset(struct txn_span *self, int64_t high_watermark)
{
    check(self->magic == TXN_SPAN_MAGIC);
    list_for_each_removable(link, &self->completed)
    {
        struct txn *txn = container_of(link, struct txn, by_state);
        if (txn->marker_offset >= high_watermark) {
            break;
        }
        drop(txn);
    }
    if (list_is_empty(&self->undecided)) {
        return high_watermark;
    }
    int64_t first_offset = container_of(self->undecided.next, struct txn, by_first)->first_offset;
    return first_offset < high_watermark ? first_offset : high_watermark;
}

uint32_t txn_span_open_count(const struct txn_span *self)
{
    check(self->magic == TXN_SPAN_MAGIC);
    return self->open_count;
}
