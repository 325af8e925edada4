#include "processor/state/group_table.h"

#include "processor/state/group_key.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define GROUP_TABLE_SLOTS_MIN 16U
#define GROUP_TABLE_SLOTS_MAX (1U << 30)

void group_table_init(struct group_table *self, uint32_t state_count, size_t byte_count_max)
{
    *self = (struct group_table){.state_count = state_count};
    arena_init(&self->arena, byte_count_max);
}

void group_table_done(struct group_table *self)
{
    free(self->slots);
    arena_done(&self->arena);
    *self = (struct group_table){0};
}

void group_table_reset(struct group_table *self)
{
    if (self->slots != NULL) {
        memset(self->slots, 0, self->slot_count * sizeof *self->slots);
    }
    self->group_count = 0;
    arena_reset(&self->arena);
}

/* The bucket takes the lowest bits of the hash: the slot must not depend on them alone. */
static uint32_t slot_of(const struct group_table *self, uint64_t hash, int64_t window_start)
{
    uint64_t mixed = (hash ^ (uint64_t)window_start) * 0x9e3779b97f4a7c15U;
    return (uint32_t)(mixed >> 32) & (self->slot_count - 1);
}

static void add_to_slots(struct group_table *self, struct group *group)
{
    uint32_t slot = slot_of(self, group->hash, group->window_start);
    while (self->slots[slot] != NULL) {
        slot = (slot + 1) & (self->slot_count - 1);
    }
    self->slots[slot] = group;
}

static enum status grow(struct group_table *self)
{
    uint32_t slot_count = self->slot_count == 0 ? GROUP_TABLE_SLOTS_MIN : 2 * self->slot_count;
    if (slot_count > GROUP_TABLE_SLOTS_MAX) {
        return STATUS_NO_MEMORY;
    }
    struct group **slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct group **earlier = self->slots;
    uint32_t earlier_count = self->slot_count;
    self->slots = slots;
    self->slot_count = slot_count;
    for (uint32_t i = 0; i < earlier_count; i++) {
        if (earlier[i] != NULL) {
            add_to_slots(self, earlier[i]);
        }
    }
    free(earlier);
    return STATUS_OK;
}

static bool is_same(const struct group *group, int64_t window_start, uint64_t hash,
                    struct wire_bytes key)
{
    return group->hash == hash && group->window_start == window_start &&
           group->key_byte_count == (uint32_t)key.byte_count &&
           (key.byte_count == 0 || memcmp(group->key, key.bytes, (size_t)key.byte_count) == 0);
}

struct group *group_table_make_loose(uint32_t state_count, int64_t window_start, uint64_t hash,
                                     struct wire_bytes key, struct arena *arena)
{
    size_t byte_count = sizeof(struct group) + state_count * sizeof(struct aggregate_state);
    struct group *group = arena_take_array(arena, 1, byte_count);
    if (group == NULL) {
        return NULL;
    }
    group->hash = hash;
    group->window_start = window_start;
    group->created_max_ms = -1;
    group->ingested_max_ms = -1;
    group->key = key.bytes;
    group->key_byte_count = (uint32_t)key.byte_count;
    return group;
}

static struct group *add_new(struct group_table *self, int64_t window_start, uint64_t hash,
                             struct wire_bytes key)
{
    uint8_t *copy = arena_take(&self->arena, (size_t)key.byte_count);
    if (copy == NULL) {
        return NULL;
    }
    if (key.byte_count > 0) {
        memcpy(copy, key.bytes, (size_t)key.byte_count);
    }
    key.bytes = copy;
    return group_table_make_loose(self->state_count, window_start, hash, key, &self->arena);
}

enum status group_table_find_or_add(struct group_table *self, int64_t window_start, uint64_t hash,
                                    struct wire_bytes key, struct group **out_group)
{
    check(key.byte_count >= 0);
    /* At most three quarters full, so that a search ends soon. */
    if ((uint64_t)self->group_count * 4 >= (uint64_t)self->slot_count * 3) {
        TRY(grow(self));
    }
    uint32_t slot = slot_of(self, hash, window_start);
    while (self->slots[slot] != NULL) {
        if (is_same(self->slots[slot], window_start, hash, key)) {
            *out_group = self->slots[slot];
            return STATUS_OK;
        }
        slot = (slot + 1) & (self->slot_count - 1);
    }
    struct group *group = add_new(self, window_start, hash, key);
    if (group == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->slots[slot] = group;
    self->group_count += 1;
    *out_group = group;
    return STATUS_OK;
}

/* What stands behind a freed slot moves up, unless its search begins behind it. */
static void remove_close_gap(struct group_table *self, uint32_t gap)
{
    uint32_t mask = self->slot_count - 1;
    for (uint32_t slot = (gap + 1) & mask; self->slots[slot] != NULL; slot = (slot + 1) & mask) {
        const struct group *group = self->slots[slot];
        uint32_t wanted = slot_of(self, group->hash, group->window_start);
        if (((slot - wanted) & mask) >= ((slot - gap) & mask)) {
            self->slots[gap] = self->slots[slot];
            self->slots[slot] = NULL;
            gap = slot;
        }
    }
}

enum status group_table_remove(struct group_table *self, int64_t window_start, uint64_t hash,
                               struct wire_bytes key, struct group **out_group)
{
    if (self->slot_count == 0) {
        return STATUS_NOT_FOUND;
    }
    uint32_t slot = slot_of(self, hash, window_start);
    while (self->slots[slot] != NULL && !is_same(self->slots[slot], window_start, hash, key)) {
        slot = (slot + 1) & (self->slot_count - 1);
    }
    if (self->slots[slot] == NULL) {
        return STATUS_NOT_FOUND;
    }
    *out_group = self->slots[slot];
    self->slots[slot] = NULL;
    self->group_count -= 1;
    remove_close_gap(self, slot);
    return STATUS_OK;
}

void group_table_list(const struct group_table *self, struct group **out_groups)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->slot_count; i++) {
        if (self->slots[i] != NULL) {
            check(count < self->group_count);
            out_groups[count] = self->slots[i];
            count += 1;
        }
    }
    check(count == self->group_count);
}

static int sort_compare(const void *left, const void *right)
{
    const struct group *a = *(struct group *const *)left;
    const struct group *b = *(struct group *const *)right;
    if (a->window_start != b->window_start) {
        return a->window_start < b->window_start ? -1 : 1;
    }
    return group_key_compare(group_table_key(a), group_table_key(b));
}

void group_table_sort(struct group **groups, size_t group_count)
{
    if (group_count > 1) {
        qsort(groups, group_count, sizeof(struct group *), sort_compare);
    }
}

size_t group_table_bytes(const struct group_table *self)
{
    return self->arena.byte_count + self->slot_count * sizeof(struct group *);
}
