#include "processor/state/changelog.h"

#include "processor/state/group_key.h"
#include "proto/sys/check.h"

enum { VERSION = 1 };
enum { FLAG_EMITTED = 1 };

void changelog_put_key(uint32_t operator_id, const struct group *group, struct grow_buffer *buffer)
{
    grow_buffer_put_uint8(buffer, VERSION);
    grow_buffer_put_uint32(buffer, operator_id);
    grow_buffer_put_uint8(buffer, (uint8_t)group_key_bucket(group->hash));
    grow_buffer_put_int64(buffer, group->window_start);
    grow_buffer_put_raw(buffer, group->key, group->key_byte_count);
}

void changelog_put_value(const struct state_codec *codec, const struct group *group,
                         struct grow_buffer *buffer)
{
    grow_buffer_put_uint8(buffer, VERSION);
    grow_buffer_put_uint8(buffer, (group->flags & GROUP_IS_EMITTED) != 0 ? FLAG_EMITTED : 0);
    state_codec_put(codec, group, buffer);
}

/* Of a removed group there is nothing to decode but the key. */
static enum status read_removed(struct state_codec *codec, int64_t window_start,
                                struct wire_bytes key, struct changelog_record *record)
{
    if (group_key_check(codec->key_types, codec->key_count, key) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    struct group *group = codec->scratch;
    group->window_start = window_start;
    group->key = key.bytes;
    group->key_byte_count = (uint32_t)key.byte_count;
    group->hash = group_key_hash(key);
    *record = (struct changelog_record){.is_removed = true, .group = group};
    return STATUS_OK;
}

static enum status read_value(struct state_codec *codec, int64_t window_start,
                              struct wire_bytes key, struct wire_bytes value,
                              struct changelog_record *record)
{
    struct wire_reader reader;
    wire_reader_init(&reader, value.bytes, (size_t)value.byte_count);
    int8_t version = wire_read_int8(&reader);
    uint8_t flags = (uint8_t)wire_read_int8(&reader);
    if (wire_reader_status(&reader) == STATUS_OK && (version > VERSION || flags > FLAG_EMITTED)) {
        return STATUS_UNSUPPORTED;
    }
    struct group *group = state_codec_read(codec, window_start, key, &reader);
    if (version != VERSION || group == NULL || wire_reader_left(&reader) != 0) {
        return STATUS_CORRUPT;
    }
    group->flags = (flags & FLAG_EMITTED) != 0 ? GROUP_IS_EMITTED : 0;
    *record = (struct changelog_record){.group = group};
    return STATUS_OK;
}

enum status changelog_read(struct state_codec *codec, uint32_t operator_id, struct wire_bytes key,
                           struct wire_bytes value, struct changelog_record *out_record)
{
    if (key.byte_count < 0) {
        return STATUS_CORRUPT;
    }
    struct wire_reader reader;
    wire_reader_init(&reader, key.bytes, (size_t)key.byte_count);
    int8_t version = wire_read_int8(&reader);
    if (wire_reader_status(&reader) == STATUS_OK && version > VERSION) {
        return STATUS_UNSUPPORTED;
    }
    uint32_t found_id = wire_read_uint32(&reader);
    uint8_t bucket = (uint8_t)wire_read_int8(&reader);
    int64_t window_start = wire_read_int64(&reader);
    size_t left = wire_reader_left(&reader);
    struct wire_bytes group_key = {.bytes = wire_read_raw(&reader, left),
                                   .byte_count = (int32_t)left};
    if (wire_reader_status(&reader) != STATUS_OK || version != VERSION || found_id != operator_id) {
        return STATUS_CORRUPT;
    }
    struct changelog_record record;
    TRY(value.byte_count < 0 ? read_removed(codec, window_start, group_key, &record)
                             : read_value(codec, window_start, group_key, value, &record));
    if (group_key_bucket(record.group->hash) != bucket) {
        return STATUS_CORRUPT;
    }
    *out_record = record;
    return STATUS_OK;
}
