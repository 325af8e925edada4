#include "tests/rig/message_dump.h"

#include "proto/sys/check.h"

#include <inttypes.h>
#include <string.h>

static bool is_skipped(const ProtobufCFieldDescriptor *field, const char *const *skip)
{
    for (; skip != NULL && *skip != NULL; skip++) {
        if (strcmp(*skip, field->name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_enum(struct text_builder *text, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(type, value);
    if (known != NULL) {
        text_builder_add(text, known->name);
    } else {
        text_builder_print(text, "%d", value);
    }
}

static void add_bytes(struct text_builder *text, const ProtobufCBinaryData *bytes)
{
    text_builder_add(text, "0x");
    for (size_t i = 0; i < bytes->len; i++) {
        text_builder_print(text, "%02x", bytes->data[i]);
    }
}

static size_t value_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(int64_t);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int32_t);
    }
    check_unreachable("type outside its enum");
}

static void add_value(struct text_builder *text, const ProtobufCFieldDescriptor *field,
                      const void *value, const char *const *skip)
{
    int64_t number = 0;
    if (value_size(field) == sizeof(int64_t)) {
        memcpy(&number, value, sizeof number);
    } else if (value_size(field) == sizeof(int32_t)) {
        int32_t small = 0;
        memcpy(&small, value, sizeof small);
        number = small;
    }
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_STRING:
        text_builder_print(text, "\"%s\"", *(char *const *)value);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        message_dump_add(text, *(ProtobufCMessage *const *)value, skip);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        add_bytes(text, value);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        text_builder_add(text, *(const protobuf_c_boolean *)value ? "true" : "false");
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        text_builder_print(text, "%.17g", *(const double *)value);
        return;
    case PROTOBUF_C_TYPE_ENUM:
        add_enum(text, field->descriptor, (int)number);
        return;
    default:
        text_builder_print(text, "%" PRId64, number);
        return;
    }
}

static bool is_default(const ProtobufCFieldDescriptor *field, const void *value)
{
    static const char zeros[sizeof(ProtobufCBinaryData)];
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(char *const *)value;
        return text == NULL || text[0] == '\0';
    }
    return memcmp(value, zeros, value_size(field)) == 0;
}

/* A member of a oneof is there when its number is the one chosen, whatever its value. */
static bool is_there(const ProtobufCFieldDescriptor *field, const char *base)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t chosen = 0;
        memcpy(&chosen, base + field->quantifier_offset, sizeof chosen);
        return chosen == field->id;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = 0;
        memcpy(&count, base + field->quantifier_offset, sizeof count);
        return count > 0;
    }
    return !is_default(field, base + field->offset);
}

static void add_field(struct text_builder *text, const ProtobufCFieldDescriptor *field,
                      const char *base, const char *const *skip)
{
    text_builder_print(text, "%s: ", field->name);
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        add_value(text, field, base + field->offset, skip);
        return;
    }
    size_t count = 0;
    const char *values = NULL;
    memcpy(&count, base + field->quantifier_offset, sizeof count);
    memcpy(&values, base + field->offset, sizeof values);
    for (size_t i = 0; i < count; i++) {
        text_builder_add(text, i == 0 ? "[" : ", ");
        add_value(text, field, values + i * value_size(field), skip);
    }
    text_builder_add(text, "]");
}

void message_dump_add(struct text_builder *text, const ProtobufCMessage *message,
                      const char *const *skip)
{
    const char *base = (const char *)message;
    bool is_first = true;
    text_builder_add(text, "{");
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (is_skipped(field, skip) || !is_there(field, base)) {
            continue;
        }
        text_builder_add(text, is_first ? "" : ", ");
        is_first = false;
        add_field(text, field, base, skip);
    }
    text_builder_add(text, "}");
}
