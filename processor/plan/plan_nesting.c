#include "processor/plan/plan_nesting.h"

#include "processor/plan/plan_check.h"

#include <stdbool.h>

_Static_assert(PLAN_NESTING_LEVELS_MAX >= 2 * PLAN_CHECK_DEPTH_MAX + 16,
               "every script that the parser makes passes");

#define VARINT_BYTES_MAX 10

struct level {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *end;
};

struct walk {
    const uint8_t *next;
    uint32_t depth; /* Of open levels. */
    struct level levels[PLAN_NESTING_LEVELS_MAX];
};

static bool read_varint(struct walk *self, const uint8_t *end, uint64_t *out_number)
{
    uint64_t number = 0;
    for (int i = 0; i < VARINT_BYTES_MAX && self->next < end; i++) {
        uint8_t byte = *self->next++;
        number |= (uint64_t)(byte & 0x7fU) << (7 * i);
        if ((byte & 0x80U) == 0) {
            *out_number = number;
            return true;
        }
    }
    return false;
}

static const ProtobufCMessageDescriptor *message_of(const ProtobufCMessageDescriptor *type,
                                                    uint64_t number)
{
    const ProtobufCFieldDescriptor *field =
        number > UINT32_MAX ? NULL
                            : protobuf_c_message_descriptor_get_field(type, (unsigned)number);
    return field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE ? NULL : field->descriptor;
}

/* Past a value; into it where it is a message. */
static enum status take_value(struct walk *self, const struct level *level, uint64_t tag)
{
    uint64_t byte_count = 0;
    size_t left = (size_t)(level->end - self->next);
    const ProtobufCMessageDescriptor *type = NULL;
    switch (tag & 7U) {
    case 0:
        return read_varint(self, level->end, &byte_count) ? STATUS_OK : STATUS_MALFORMED;
    case 1:
        byte_count = 8;
        break;
    case 2:
        if (!read_varint(self, level->end, &byte_count)) {
            return STATUS_MALFORMED;
        }
        left = (size_t)(level->end - self->next);
        type = message_of(level->type, tag >> 3);
        break;
    case 5:
        byte_count = 4;
        break;
    default:
        return STATUS_MALFORMED;
    }
    if (byte_count > left) {
        return STATUS_MALFORMED;
    }
    if (type == NULL) {
        self->next += byte_count;
        return STATUS_OK;
    }
    if (self->depth == PLAN_NESTING_LEVELS_MAX) {
        return STATUS_FULL;
    }
    self->levels[self->depth] = (struct level){.type = type, .end = self->next + byte_count};
    self->depth++;
    return STATUS_OK;
}

enum status plan_nesting_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                               size_t byte_count)
{
    struct walk self;
    self.next = bytes;
    self.depth = 1;
    self.levels[0] = (struct level){.type = type, .end = bytes + byte_count};
    while (self.depth > 0) {
        const struct level level = self.levels[self.depth - 1];
        uint64_t tag = 0;
        if (self.next == level.end) {
            self.depth--;
            continue;
        }
        if (!read_varint(&self, level.end, &tag)) {
            return STATUS_MALFORMED;
        }
        TRY(take_value(&self, &level, tag));
    }
    return STATUS_OK;
}
