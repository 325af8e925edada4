#include "broker/log/epoch_history.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define EPOCH_HISTORY_MAGIC 0xe70c4157U

static struct epoch_history_entry *entries_of(struct epoch_history *self)
{
    return self->heap_entries == NULL ? self->inline_entries : self->heap_entries;
}

void epoch_history_init(struct epoch_history *self)
{
    *self = (struct epoch_history){.magic = EPOCH_HISTORY_MAGIC, .room = EPOCH_HISTORY_INLINE};
}

void epoch_history_done(struct epoch_history *self)
{
    check(self->magic == EPOCH_HISTORY_MAGIC || self->heap_entries == NULL);
    free(self->heap_entries);
    *self = (struct epoch_history){0};
}

const struct epoch_history_entry *epoch_history_entries(const struct epoch_history *self)
{
    check(self->magic == EPOCH_HISTORY_MAGIC);
    return self->heap_entries == NULL ? self->inline_entries : self->heap_entries;
}

static void drop_first(struct epoch_history *self, uint32_t count)
{
    check(count <= self->entry_count);
    struct epoch_history_entry *entries = entries_of(self);
    memmove(entries, entries + count, (self->entry_count - count) * sizeof *entries);
    self->entry_count -= count;
}

/* Without memory, or at the limit, the oldest entry makes room: this cannot fail. */
static void make_room(struct epoch_history *self)
{
    if (self->entry_count < self->room) {
        return;
    }
    uint32_t room = self->room * 2;
    struct epoch_history_entry *grown = NULL;
    if (room <= EPOCH_HISTORY_ENTRIES_MAX) {
        grown = reallocarray(self->heap_entries, room, sizeof *grown);
    }
    if (grown == NULL) {
        drop_first(self, 1);
        return;
    }
    if (self->heap_entries == NULL) {
        memcpy(grown, self->inline_entries, sizeof self->inline_entries);
    }
    self->heap_entries = grown;
    self->room = room;
}

bool epoch_history_assign(struct epoch_history *self, int32_t epoch, int64_t start_offset)
{
    check(self->magic == EPOCH_HISTORY_MAGIC);
    check(epoch >= 0);
    check(start_offset >= 0);
    struct epoch_history_entry *entries = entries_of(self);
    if (self->entry_count > 0) {
        const struct epoch_history_entry *last = &entries[self->entry_count - 1];
        if (last->epoch == epoch && last->start_offset <= start_offset) {
            return false; /* Goes on. */
        }
    }
    while (self->entry_count > 0 && (entries[self->entry_count - 1].epoch >= epoch ||
                                     entries[self->entry_count - 1].start_offset >= start_offset)) {
        self->entry_count -= 1;
    }
    make_room(self);
    entries_of(self)[self->entry_count] =
        (struct epoch_history_entry){.epoch = epoch, .start_offset = start_offset};
    self->entry_count += 1;
    return true;
}

bool epoch_history_truncate_end(struct epoch_history *self, int64_t end_offset)
{
    check(self->magic == EPOCH_HISTORY_MAGIC);
    const struct epoch_history_entry *entries = entries_of(self);
    uint32_t count = self->entry_count;
    while (count > 0 && entries[count - 1].start_offset >= end_offset) {
        count -= 1;
    }
    bool has_changed = count != self->entry_count;
    self->entry_count = count;
    return has_changed;
}

bool epoch_history_truncate_start(struct epoch_history *self, int64_t start_offset)
{
    check(self->magic == EPOCH_HISTORY_MAGIC);
    struct epoch_history_entry *entries = entries_of(self);
    uint32_t count = 0; /* Entries that begin at or before the new start. */
    while (count < self->entry_count && entries[count].start_offset <= start_offset) {
        count += 1;
    }
    if (count == 0) {
        return false;
    }
    bool has_changed = count > 1 || entries[0].start_offset != start_offset;
    drop_first(self, count - 1);
    entries[0].start_offset = start_offset;
    return has_changed;
}

bool epoch_history_clear(struct epoch_history *self)
{
    check(self->magic == EPOCH_HISTORY_MAGIC);
    bool has_changed = self->entry_count > 0;
    self->entry_count = 0;
    return has_changed;
}

int32_t epoch_history_latest(const struct epoch_history *self)
{
    const struct epoch_history_entry *entries = epoch_history_entries(self);
    return self->entry_count == 0 ? EPOCH_HISTORY_NONE : entries[self->entry_count - 1].epoch;
}

int32_t epoch_history_epoch_at(const struct epoch_history *self, int64_t offset)
{
    const struct epoch_history_entry *entries = epoch_history_entries(self);
    /* Invariant: entries below `low` begin at or before it; entries from `high` on do not. */
    uint32_t low = 0;
    uint32_t high = self->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entries[middle].start_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? EPOCH_HISTORY_NONE : entries[low - 1].epoch;
}

bool epoch_history_allows(const struct epoch_history *self, int64_t last_offset, int32_t epoch)
{
    int32_t known = epoch_history_epoch_at(self, last_offset);
    if (known != EPOCH_HISTORY_NONE) {
        return known == epoch;
    }
    /* Its entry went, with the log's start or to make room, or it never had one. */
    int32_t newest =
        self->entry_count == 0 ? EPOCH_HISTORY_NONE : epoch_history_entries(self)[0].epoch;
    return epoch >= EPOCH_HISTORY_NONE && epoch <= newest;
}

struct epoch_history_entry epoch_history_end_of(const struct epoch_history *self, int32_t epoch,
                                                int64_t log_end)
{
    const struct epoch_history_entry *entries = epoch_history_entries(self);
    const struct epoch_history_entry none = {.epoch = EPOCH_HISTORY_NONE, .start_offset = -1};
    if (epoch < 0 || self->entry_count == 0 || epoch > entries[self->entry_count - 1].epoch) {
        return none;
    }
    if (epoch == entries[self->entry_count - 1].epoch) {
        return (struct epoch_history_entry){.epoch = epoch, .start_offset = log_end};
    }

    /* Invariant: epochs below `low` are not above `epoch`; epochs from `high` on are. */
    uint32_t low = 0;
    uint32_t high = self->entry_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entries[middle].epoch <= epoch) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    check(low < self->entry_count);
    return (struct epoch_history_entry){.epoch = low == 0 ? epoch : entries[low - 1].epoch,
                                        .start_offset = entries[low].start_offset};
}
