#include "broker/api/seen_set.h"

#include "proto/sys/check.h"

#include <string.h>
#include <xxhash.h>

enum status seen_set_init(struct seen_set *self, struct arena *arena, uint32_t count_max)
{
    uint32_t slot_count = 16;
    while (slot_count < count_max * 2U && slot_count < (1U << 31)) {
        slot_count *= 2;
    }
    *self = (struct seen_set){.slot_mask = slot_count - 1, .count_max = count_max};
    self->hashes = arena_take_array(arena, slot_count, sizeof *self->hashes);
    return self->hashes == NULL ? STATUS_FULL : STATUS_OK;
}

static enum status add(struct seen_set *self, uint64_t hash)
{
    check(self->count < self->count_max);
    uint64_t wanted = hash == 0 ? 1 : hash;
    uint32_t slot = (uint32_t)wanted & self->slot_mask;
    while (self->hashes[slot] != 0) {
        if (self->hashes[slot] == wanted) {
            return STATUS_EXISTS;
        }
        slot = (slot + 1) & self->slot_mask;
    }
    self->hashes[slot] = wanted;
    self->count += 1;
    return STATUS_OK;
}

enum status seen_set_add_text(struct seen_set *self, struct wire_text name)
{
    size_t byte_count = name.byte_count < 0 ? 0 : (size_t)name.byte_count;
    return add(self, XXH64(byte_count == 0 ? "" : name.bytes, byte_count, 0));
}

enum status seen_set_add_partition(struct seen_set *self, struct wire_text topic_name,
                                   const struct wire_uuid *topic_id, int32_t index)
{
    uint64_t hash = topic_name.byte_count > 0
                        ? XXH64(topic_name.bytes, (size_t)topic_name.byte_count, 1)
                        : XXH64(topic_id->bytes, sizeof topic_id->bytes, 2);
    uint64_t key[2] = {hash, (uint32_t)index};
    return add(self, XXH64(key, sizeof key, 3));
}
