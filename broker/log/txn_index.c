#include "broker/log/txn_index.h"

#include "proto/wire/big_endian.h"
#include "broker/log/entry_room.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define TXN_INDEX_MAGIC 0x73a41d38U

void txn_index_init(struct txn_index *self, int64_t base_offset)
{
    check(base_offset >= 0);
    *self = (struct txn_index){.magic = TXN_INDEX_MAGIC, .base_offset = base_offset};
}

void txn_index_done(struct txn_index *self)
{
    check(self->magic == TXN_INDEX_MAGIC || self->entries == NULL);
    free(self->entries);
    *self = (struct txn_index){0};
}

static enum status reserve(struct txn_index *self, uint32_t needed)
{
    void *entries = self->entries;
    TRY(entry_room_reserve(&entries, &self->room, needed, TXN_INDEX_ENTRIES_MAX,
                           sizeof *self->entries));
    self->entries = entries;
    return STATUS_OK;
}

static struct log_aborted_txn decode_entry(const uint8_t *bytes)
{
    return (struct log_aborted_txn){
        .producer_id = (int64_t)big_endian_get64(bytes + 2),
        .first_offset = (int64_t)big_endian_get64(bytes + 10),
        .last_offset = (int64_t)big_endian_get64(bytes + 18),
        .last_stable_offset = (int64_t)big_endian_get64(bytes + 26),
    };
}

/* An entry that a marker at `last_offset` can have made. */
static bool is_possible(const struct log_aborted_txn *entry)
{
    return entry->producer_id >= 0 && entry->first_offset >= 0 &&
           entry->first_offset < entry->last_offset && entry->last_stable_offset >= 0 &&
           entry->last_stable_offset <= entry->last_offset + 1;
}

static enum status check_entries(const struct txn_index *self, const uint8_t *bytes,
                                 uint32_t entry_count, int64_t end_offset)
{
    int64_t before = self->base_offset - 1;
    for (uint32_t i = 0; i < entry_count; i++) {
        const uint8_t *place = bytes + (size_t)i * TXN_INDEX_ENTRY_BYTES;
        if (big_endian_get16(place) != TXN_INDEX_VERSION) {
            return STATUS_UNSUPPORTED;
        }
        struct log_aborted_txn entry = decode_entry(place);
        if (entry.last_offset <= before || entry.last_offset >= end_offset ||
            !is_possible(&entry)) {
            return STATUS_CORRUPT;
        }
        before = entry.last_offset;
    }
    return STATUS_OK;
}

enum status txn_index_load(struct txn_index *self, const uint8_t *bytes, size_t byte_count,
                           int64_t end_offset)
{
    check(self->magic == TXN_INDEX_MAGIC);
    if (byte_count % TXN_INDEX_ENTRY_BYTES != 0 ||
        byte_count / TXN_INDEX_ENTRY_BYTES > TXN_INDEX_ENTRIES_MAX) {
        return STATUS_CORRUPT;
    }
    uint32_t entry_count = (uint32_t)(byte_count / TXN_INDEX_ENTRY_BYTES);
    TRY(check_entries(self, bytes, entry_count, end_offset));
    TRY(reserve(self, entry_count));

    for (uint32_t i = 0; i < entry_count; i++) {
        self->entries[i] = decode_entry(bytes + (size_t)i * TXN_INDEX_ENTRY_BYTES);
    }
    self->entry_count = entry_count;
    return STATUS_OK;
}

bool txn_index_may_append(const struct txn_index *self, const struct log_aborted_txn *aborted)
{
    check(self->magic == TXN_INDEX_MAGIC);
    return aborted->last_offset >= self->base_offset && is_possible(aborted) &&
           (self->entry_count == 0 ||
            aborted->last_offset > self->entries[self->entry_count - 1].last_offset);
}

enum status txn_index_append(struct txn_index *self, const struct log_aborted_txn *aborted)
{
    check(self->magic == TXN_INDEX_MAGIC);
    check(aborted->last_offset >= self->base_offset);
    check(is_possible(aborted));
    if (self->entry_count > 0) {
        check(aborted->last_offset > self->entries[self->entry_count - 1].last_offset);
    }
    TRY(reserve(self, self->entry_count + 1));

    self->entries[self->entry_count] = *aborted;
    self->entry_count += 1;
    return STATUS_OK;
}

void txn_index_truncate(struct txn_index *self, int64_t offset)
{
    check(self->magic == TXN_INDEX_MAGIC);
    while (self->entry_count > 0 && self->entries[self->entry_count - 1].last_offset >= offset) {
        self->entry_count -= 1;
    }
}

/* The first entry whose marker is at or beyond `offset`. */
static uint32_t first_from(const struct txn_index *self, int64_t offset)
{
    /* Invariant: entries below `low` end before `offset`; entries from `high` on do not. */
    uint32_t low = 0;
    uint32_t high = self->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->entries[middle].last_offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

enum status txn_index_collect(const struct txn_index *self, struct txn_index_search *search)
{
    check(self->magic == TXN_INDEX_MAGIC);
    check(search->found_count <= search->found_count_max);
    search->is_complete = false;
    for (uint32_t i = first_from(self, search->offset); i < self->entry_count; i++) {
        const struct log_aborted_txn *entry = &self->entries[i];
        if (entry->first_offset < search->offset_limit) {
            if (search->found_count == search->found_count_max) {
                return STATUS_FULL;
            }
            search->found[search->found_count] = *entry;
            search->found_count += 1;
        }
        if (entry->last_stable_offset >= search->offset_limit) {
            search->is_complete = true;
            return STATUS_OK;
        }
    }
    return STATUS_OK;
}

void txn_index_encode(const struct txn_index *self, uint32_t first, uint32_t count,
                      uint8_t *out_bytes)
{
    check(self->magic == TXN_INDEX_MAGIC);
    check(first <= self->entry_count);
    check(count <= self->entry_count - first);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_aborted_txn *entry = &self->entries[first + i];
        uint8_t *bytes = out_bytes + (size_t)i * TXN_INDEX_ENTRY_BYTES;
        big_endian_put16(bytes, TXN_INDEX_VERSION);
        big_endian_put64(bytes + 2, (uint64_t)entry->producer_id);
        big_endian_put64(bytes + 10, (uint64_t)entry->first_offset);
        big_endian_put64(bytes + 18, (uint64_t)entry->last_offset);
        big_endian_put64(bytes + 26, (uint64_t)entry->last_stable_offset);
    }
}
