#include "broker/log/offset_index.h"

#include "proto/wire/big_endian.h"
#include "broker/log/entry_room.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define OFFSET_INDEX_MAGIC 0x0ff5e71dU

_Static_assert(sizeof(struct offset_index_entry) == OFFSET_INDEX_ENTRY_BYTES,
               "memory costs what the file does");

void offset_index_init(struct offset_index *self, int64_t base_offset, uint32_t entry_count_max)
{
    check(base_offset >= 0);
    check(entry_count_max > 0);

    *self = (struct offset_index){.magic = OFFSET_INDEX_MAGIC,
                                  .base_offset = base_offset,
                                  .entry_count_max = entry_count_max};
}

void offset_index_done(struct offset_index *self)
{
    check(self->magic == OFFSET_INDEX_MAGIC || self->entries == NULL);
    free(self->entries);
    *self = (struct offset_index){0}; /* The cleared magic makes a later use fail its check. */
}

static enum status reserve(struct offset_index *self, uint32_t needed)
{
    void *entries = self->entries;
    TRY(entry_room_reserve(&entries, &self->room, needed, self->entry_count_max,
                           sizeof *self->entries));
    self->entries = entries;
    return STATUS_OK;
}

static struct offset_index_entry decode_entry(const uint8_t *bytes)
{
    return (struct offset_index_entry){.relative_offset = big_endian_get32(bytes),
                                       .position = big_endian_get32(bytes + 4)};
}

static bool is_sound(const uint8_t *bytes, uint32_t entry_count, uint64_t segment_bytes)
{
    struct offset_index_entry before = {0};
    for (uint32_t i = 0; i < entry_count; i++) {
        struct offset_index_entry entry = decode_entry(bytes + i * OFFSET_INDEX_ENTRY_BYTES);
        bool is_ascending = i == 0 || (entry.relative_offset > before.relative_offset &&
                                       entry.position > before.position);
        if (!is_ascending || entry.relative_offset > INT32_MAX || entry.position > INT32_MAX ||
            entry.position >= segment_bytes) {
            return false;
        }
        before = entry;
    }
    return true;
}

enum status offset_index_load(struct offset_index *self, const uint8_t *bytes, size_t byte_count,
                              uint64_t segment_bytes)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    if (byte_count % OFFSET_INDEX_ENTRY_BYTES != 0) {
        return STATUS_CORRUPT;
    }
    if (byte_count / OFFSET_INDEX_ENTRY_BYTES > self->entry_count_max) {
        return STATUS_FULL;
    }
    uint32_t entry_count = (uint32_t)(byte_count / OFFSET_INDEX_ENTRY_BYTES);
    if (!is_sound(bytes, entry_count, segment_bytes)) {
        return STATUS_CORRUPT;
    }
    TRY(reserve(self, entry_count));

    for (uint32_t i = 0; i < entry_count; i++) {
        self->entries[i] = decode_entry(bytes + i * OFFSET_INDEX_ENTRY_BYTES);
    }
    self->entry_count = entry_count;
    return STATUS_OK;
}

bool offset_index_is_due(const struct offset_index *self, uint64_t position,
                         uint32_t interval_bytes)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    uint32_t last = self->entry_count == 0 ? 0 : self->entries[self->entry_count - 1].position;
    check(position >= last);
    return position - last > interval_bytes;
}

bool offset_index_has_room(const struct offset_index *self, int64_t last_offset, uint64_t position)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    check(last_offset >= self->base_offset);
    return self->entry_count < self->entry_count_max && position <= INT32_MAX &&
           last_offset - self->base_offset <= INT32_MAX;
}

enum status offset_index_append(struct offset_index *self, int64_t last_offset, uint64_t position)
{
    check(self->entry_count <= self->entry_count_max);
    if (!offset_index_has_room(self, last_offset, position)) {
        return STATUS_FULL;
    }
    TRY(reserve(self, self->entry_count + 1));

    struct offset_index_entry entry = {
        .relative_offset = (uint32_t)(last_offset - self->base_offset),
        .position = (uint32_t)position,
    };
    if (self->entry_count > 0) {
        const struct offset_index_entry *last = &self->entries[self->entry_count - 1];
        check(entry.relative_offset > last->relative_offset);
        check(entry.position > last->position);
    }
    self->entries[self->entry_count] = entry;
    self->entry_count += 1;
    return STATUS_OK;
}

/* Number of entries whose offset is not above `offset`. */
static uint32_t count_up_to(const struct offset_index *self, int64_t offset)
{
    /* Invariant: entries below `low` are not after `offset`; entries from `high` on are. */
    uint32_t low = 0;
    uint32_t high = self->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((int64_t)self->entries[middle].relative_offset <= offset - self->base_offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t offset_index_floor(const struct offset_index *self, int64_t offset)
{
    int64_t last_offset = -1;
    return offset_index_floor_batch(self, offset, &last_offset);
}

uint32_t offset_index_floor_batch(const struct offset_index *self, int64_t offset,
                                  int64_t *out_last_offset)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    check(offset >= 0);
    uint32_t count = count_up_to(self, offset);
    if (count == 0) {
        *out_last_offset = -1;
        return 0;
    }
    *out_last_offset = self->base_offset + self->entries[count - 1].relative_offset;
    return self->entries[count - 1].position;
}

void offset_index_truncate(struct offset_index *self, int64_t offset)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    check(offset >= 0);
    /* An entry names the last offset of its batch: one below `offset` is of a whole batch. */
    self->entry_count = offset == 0 ? 0 : count_up_to(self, offset - 1);
}

void offset_index_cut(struct offset_index *self, uint32_t position)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    while (self->entry_count > 0 && self->entries[self->entry_count - 1].position >= position) {
        self->entry_count -= 1;
    }
}

void offset_index_encode(const struct offset_index *self, uint32_t first, uint32_t count,
                         uint8_t *out_bytes)
{
    check(self->magic == OFFSET_INDEX_MAGIC);
    check(first <= self->entry_count);
    check(count <= self->entry_count - first);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *bytes = out_bytes + (size_t)i * OFFSET_INDEX_ENTRY_BYTES;
        big_endian_put32(bytes, self->entries[first + i].relative_offset);
        big_endian_put32(bytes + 4, self->entries[first + i].position);
    }
}
