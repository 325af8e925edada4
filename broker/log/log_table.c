#include "broker/log/log_table.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16U

void log_table_done(struct log_table *self)
{
    free(self->slots);
    *self = (struct log_table){0};
}

/* Ids are random numbers, but nothing is lost by mixing them. */
static uint32_t hash_of(const struct wire_uuid *topic_id, int32_t partition)
{
    uint64_t words[2];
    memcpy(words, topic_id->bytes, sizeof words);
    uint64_t hash = words[0] ^ (words[1] * UINT64_C(0x9e3779b97f4a7c15)) ^
                    ((uint64_t)(uint32_t)partition * UINT64_C(0xc2b2ae3d27d4eb4f));
    hash ^= hash >> 29;
    hash *= UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(hash >> 32);
}

/* Where it is, or the free slot where it would go. */
static uint32_t slot_of(const struct log_table *self, const struct wire_uuid *topic_id,
                        int32_t partition)
{
    uint32_t mask = self->slot_count - 1;
    uint32_t at = hash_of(topic_id, partition) & mask;
    while (self->slots[at].value != NULL &&
           !(self->slots[at].partition == partition &&
             wire_uuid_equals(&self->slots[at].topic_id, topic_id))) {
        at = (at + 1) & mask;
    }
    return at;
}

void *log_table_find(const struct log_table *self, const struct wire_uuid *topic_id,
                     int32_t partition)
{
    if (self->count == 0) {
        return NULL;
    }
    return self->slots[slot_of(self, topic_id, partition)].value;
}

static enum status grow(struct log_table *self)
{
    uint32_t slot_count = self->slot_count == 0 ? SLOTS_MIN : self->slot_count * 2;
    struct log_table larger = {.slots = calloc(slot_count, sizeof *larger.slots),
                               .slot_count = slot_count,
                               .count = self->count};
    if (larger.slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->slot_count; i++) {
        const struct log_table_slot *slot = &self->slots[i];
        if (slot->value != NULL) {
            larger.slots[slot_of(&larger, &slot->topic_id, slot->partition)] = *slot;
        }
    }
    free(self->slots);
    *self = larger;
    return STATUS_OK;
}

enum status log_table_add(struct log_table *self, const struct wire_uuid *topic_id,
                          int32_t partition, void *value)
{
    check(value != NULL);
    if (self->count >= LOG_TABLE_COUNT_MAX) {
        return STATUS_FULL;
    }
    if (self->count * 2 >= self->slot_count) {
        TRY(grow(self));
    }
    struct log_table_slot *slot = &self->slots[slot_of(self, topic_id, partition)];
    check(slot->value == NULL);
    *slot = (struct log_table_slot){.topic_id = *topic_id, .partition = partition, .value = value};
    self->count += 1;
    return STATUS_OK;
}

void log_table_remove(struct log_table *self, const struct wire_uuid *topic_id, int32_t partition)
{
    if (log_table_find(self, topic_id, partition) == NULL) {
        return;
    }
    uint32_t mask = self->slot_count - 1;
    uint32_t at = slot_of(self, topic_id, partition);
    self->slots[at].value = NULL;
    self->count -= 1;
    /* Those behind it up to the next free slot may have been pushed past it: put them again. */
    for (uint32_t next = (at + 1) & mask; self->slots[next].value != NULL;
         next = (next + 1) & mask) {
        struct log_table_slot slot = self->slots[next];
        self->slots[next].value = NULL;
        self->slots[slot_of(self, &slot.topic_id, slot.partition)] = slot;
    }
}

void *log_table_next(const struct log_table *self, uint32_t *position)
{
    while (*position < self->slot_count) {
        void *value = self->slots[*position].value;
        *position += 1;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
