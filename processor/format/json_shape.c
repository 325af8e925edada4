#include "processor/format/json_shape.h"

#include "proto/sys/check.h"

_Static_assert(JSON_SHAPE_LEAD_MAX <= UINT8_MAX, "lengths are bytes");

static bool has_key(const struct json_shape_member *member, const struct json_shape_met *met)
{
    size_t byte_count = (size_t)(met->key_end - met->key);
    return member->key_bytes == byte_count &&
           memcmp(member->lead + member->key_start, met->key, byte_count) == 0;
}

static void put(struct json_shape_member *member, const struct json_shape_met *met)
{
    size_t byte_count = (size_t)(met->lead_end - met->lead);
    check(byte_count <= JSON_SHAPE_LEAD_MAX);
    memcpy(member->lead, met->lead, byte_count);
    member->lead_bytes = (uint8_t)byte_count;
    member->key_start = (uint8_t)(met->key - met->lead);
    member->key_bytes = (uint8_t)(met->key_end - met->key);
    member->is_first = met->is_first;
    member->column = met->column;
}

/* The next member of that key, behind `index` or, failing that, in front of it. */
static uint32_t find(const struct json_shape *self, uint32_t index,
                     const struct json_shape_met *met)
{
    for (uint32_t i = index; i < self->member_count; i++) {
        if (has_key(&self->members[i], met)) {
            return i;
        }
    }
    for (uint32_t i = 0; i < index; i++) {
        if (has_key(&self->members[i], met)) {
            return i;
        }
    }
    return self->member_count;
}

uint32_t json_shape_learn(struct json_shape *self, uint32_t index, const struct json_shape_met *met)
{
    check(index <= self->member_count);
    check(met->lead < met->key && met->key <= met->key_end && met->key_end < met->lead_end);

    if ((size_t)(met->lead_end - met->lead) > JSON_SHAPE_LEAD_MAX) {
        return index;
    }
    uint32_t found = find(self, index, met);
    if (found < self->member_count) {
        if (found == index) {
            put(&self->members[found], met); /* Another spacing, or now the first. */
        }
        return found + 1;
    }
    if (self->member_count == JSON_SHAPE_MEMBERS_MAX) {
        /* Keys that never come again have filled it; what does come again is soon learnt anew. */
        self->member_count = 0;
        index = 0;
    }
    memmove(&self->members[index + 1], &self->members[index],
            (self->member_count - index) * sizeof self->members[0]);
    self->member_count++;
    put(&self->members[index], met);
    return index + 1;
}
