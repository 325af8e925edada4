#include "broker/log/time_index.h"

#include "proto/wire/big_endian.h"
#include "broker/log/entry_room.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define TIME_INDEX_MAGIC 0x713e1d38U

static struct time_index_entry no_entry(const struct time_index *self)
{
    return (struct time_index_entry){.timestamp_ms = TIME_INDEX_NONE, .offset = self->base_offset};
}

static struct time_index_entry last_entry(const struct time_index *self)
{
    return self->entry_count == 0 ? no_entry(self) : self->entries[self->entry_count - 1];
}

void time_index_init(struct time_index *self, int64_t base_offset, uint32_t entry_count_max)
{
    check(base_offset >= 0);
    check(entry_count_max > 1);

    *self = (struct time_index){
        .magic = TIME_INDEX_MAGIC, .base_offset = base_offset, .entry_count_max = entry_count_max};
    self->largest = no_entry(self);
}

void time_index_done(struct time_index *self)
{
    check(self->magic == TIME_INDEX_MAGIC || self->entries == NULL);
    free(self->entries);
    *self = (struct time_index){0};
}

static enum status reserve(struct time_index *self, uint32_t needed)
{
    void *entries = self->entries;
    TRY(entry_room_reserve(&entries, &self->room, needed, self->entry_count_max,
                           sizeof *self->entries));
    self->entries = entries;
    return STATUS_OK;
}

static struct time_index_entry decode_entry(const struct time_index *self, const uint8_t *bytes)
{
    /* A relative offset above INT32_MAX stays positive and fails against the segment's end. */
    return (struct time_index_entry){.timestamp_ms = (int64_t)big_endian_get64(bytes),
                                     .offset = self->base_offset + big_endian_get32(bytes + 8)};
}

static bool is_sound(const struct time_index *self, const uint8_t *bytes, uint32_t entry_count,
                     int64_t end_offset)
{
    struct time_index_entry before = no_entry(self);
    for (uint32_t i = 0; i < entry_count; i++) {
        struct time_index_entry entry = decode_entry(self, bytes + i * TIME_INDEX_ENTRY_BYTES);
        bool is_ascending =
            entry.timestamp_ms > before.timestamp_ms && (i == 0 || entry.offset > before.offset);
        if (!is_ascending || entry.offset >= end_offset ||
            entry.offset - self->base_offset > INT32_MAX) {
            return false;
        }
        before = entry;
    }
    return true;
}

enum status time_index_load(struct time_index *self, const uint8_t *bytes, size_t byte_count,
                            int64_t end_offset)
{
    check(self->magic == TIME_INDEX_MAGIC);
    if (byte_count % TIME_INDEX_ENTRY_BYTES != 0 || self->base_offset > INT64_MAX - UINT32_MAX) {
        return STATUS_CORRUPT;
    }
    if (byte_count / TIME_INDEX_ENTRY_BYTES > self->entry_count_max) {
        return STATUS_FULL;
    }
    uint32_t entry_count = (uint32_t)(byte_count / TIME_INDEX_ENTRY_BYTES);
    if (!is_sound(self, bytes, entry_count, end_offset)) {
        return STATUS_CORRUPT;
    }
    TRY(reserve(self, entry_count));

    for (uint32_t i = 0; i < entry_count; i++) {
        self->entries[i] = decode_entry(self, bytes + i * TIME_INDEX_ENTRY_BYTES);
    }
    self->entry_count = entry_count;
    self->largest = last_entry(self);
    return STATUS_OK;
}

void time_index_observe(struct time_index *self, int64_t max_timestamp_ms, int64_t last_offset)
{
    check(self->magic == TIME_INDEX_MAGIC);
    check(last_offset >= self->base_offset);
    if (max_timestamp_ms > self->largest.timestamp_ms) {
        check(last_offset >= self->largest.offset);
        self->largest =
            (struct time_index_entry){.timestamp_ms = max_timestamp_ms, .offset = last_offset};
    }
}

bool time_index_has_room(const struct time_index *self)
{
    check(self->magic == TIME_INDEX_MAGIC);
    return self->entry_count + 1 < self->entry_count_max;
}

enum status time_index_append(struct time_index *self)
{
    if (!time_index_has_room(self)) {
        return STATUS_FULL;
    }
    return time_index_seal(self);
}

enum status time_index_seal(struct time_index *self)
{
    check(self->magic == TIME_INDEX_MAGIC);
    struct time_index_entry last = last_entry(self);
    if (self->largest.timestamp_ms <= last.timestamp_ms) {
        return STATUS_OK;
    }
    check(self->entry_count == 0 || self->largest.offset > last.offset);
    check(self->largest.offset - self->base_offset <= INT32_MAX);
    TRY(reserve(self, self->entry_count + 1));

    self->entries[self->entry_count] = self->largest;
    self->entry_count += 1;
    return STATUS_OK;
}

struct time_index_entry time_index_floor(const struct time_index *self, int64_t timestamp_ms)
{
    check(self->magic == TIME_INDEX_MAGIC);
    /* Invariant: entries below `low` are not newer; entries from `high` on are. */
    uint32_t low = 0;
    uint32_t high = self->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->entries[middle].timestamp_ms <= timestamp_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? no_entry(self) : self->entries[low - 1];
}

void time_index_truncate(struct time_index *self, int64_t offset)
{
    check(self->magic == TIME_INDEX_MAGIC);
    while (self->entry_count > 0 && self->entries[self->entry_count - 1].offset >= offset) {
        self->entry_count -= 1;
    }
    if (self->largest.offset >= offset) {
        self->largest = last_entry(self);
    }
}

void time_index_encode(const struct time_index *self, uint32_t first, uint32_t count,
                       uint8_t *out_bytes)
{
    check(self->magic == TIME_INDEX_MAGIC);
    check(first <= self->entry_count);
    check(count <= self->entry_count - first);
    for (uint32_t i = 0; i < count; i++) {
        const struct time_index_entry *entry = &self->entries[first + i];
        uint8_t *bytes = out_bytes + (size_t)i * TIME_INDEX_ENTRY_BYTES;
        big_endian_put64(bytes, (uint64_t)entry->timestamp_ms);
        big_endian_put32(bytes + 8, (uint32_t)(entry->offset - self->base_offset));
    }
}
