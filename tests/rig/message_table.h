/* Every Kafka message described as data, so that tests walk them without knowing their structs.
 *
 * The table is generated from the same schemas as the codec; what it says of versions, defaults
 * and null is what JSON is compared with. Not part of any program.
 * Owner: none, constant. Loop: any. */
#pragma once

#include "proto/sys/arena.h"
#include "proto/wire/reader.h"
#include "proto/wire/writer.h"

enum message_field_kind {
    MESSAGE_FIELD_BOOL,
    MESSAGE_FIELD_INT8,
    MESSAGE_FIELD_INT16,
    MESSAGE_FIELD_UINT16,
    MESSAGE_FIELD_INT32,
    MESSAGE_FIELD_INT64,
    MESSAGE_FIELD_FLOAT64,
    MESSAGE_FIELD_TEXT,
    MESSAGE_FIELD_UUID,
    MESSAGE_FIELD_BYTES,
    MESSAGE_FIELD_RECORDS,
    MESSAGE_FIELD_STRUCT,
};

/* Empty when `low` is above `high`. */
struct message_versions {
    int16_t low;
    int16_t high;
};

static inline bool message_versions_have(struct message_versions self, int16_t version)
{
    return version >= self.low && version <= self.high;
}

struct message_shape;

struct message_field {
    const char *name; /* As in JSON. */
    enum message_field_kind kind;
    size_t place;       /* Of the value, or of the pointer. */
    size_t count_place; /* Of an array's count. */
    struct message_versions versions;
    struct message_versions nullable;
    struct message_versions tagged;
    int64_t default_number;
    const struct message_shape *shape; /* Of a struct. */
    bool is_array;
    bool is_pointer; /* A struct that may be null. */
    bool is_null_by_default;
    bool is_ignorable;
};

struct message_shape {
    const char *name;
    size_t byte_count;
    void (*defaults)(void *out);
    const struct message_field *fields;
    uint32_t field_count;
};

enum message_kind {
    MESSAGE_REQ,
    MESSAGE_RSP,
    MESSAGE_HDR,
    MESSAGE_DATA,
    MESSAGE_CKEY,
    MESSAGE_CVAL,
};

struct message_entry {
    const char *name;
    enum message_kind kind;
    int16_t key; /* API key or record type; -1: none. */
    struct message_versions versions;
    int16_t version_flexible_min;
    const struct message_shape *shape;
    enum status (*decode)(struct wire_reader *reader, int16_t version, struct arena *arena,
                          void *out);
    void (*encode)(const void *in, int16_t version, struct wire_writer *writer);
};

extern const struct message_entry message_table[];
extern const uint32_t message_table_count;
