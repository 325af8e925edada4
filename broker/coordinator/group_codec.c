#include "broker/coordinator/group_codec.h"

#include "broker/coordinator/group_offsets.h"
#include "proto/sys/check.h"

#define TYPE_LEGACY_OFFSET 0
#define TYPE_OFFSET 1
#define TYPE_GROUP 2
/* What Kafka 4 writes. An expiry of its own exists in version 1 only. */
#define OFFSET_VERSION 4
#define OFFSET_VERSION_WITH_EXPIRY 1
#define GROUP_VERSION 3

void group_codec_init(struct group_codec_record *self)
{
    *self = (struct group_codec_record){.key = {NULL, -1}, .value = {NULL, -1}};
    arena_init(&self->arena, GROUP_CODEC_BYTES_MAX);
}

void group_codec_done(struct group_codec_record *self)
{
    arena_done(&self->arena);
}

static struct wire_bytes take(struct wire_writer *writer)
{
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(writer, &byte_count);
    return bytes == NULL ? (struct wire_bytes){NULL, -1}
                         : (struct wire_bytes){bytes, (int32_t)byte_count};
}

static void make_offset_key(struct group_codec_record *self, struct wire_text group,
                            struct wire_text topic, int32_t partition)
{
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    wire_write_int16(&writer, TYPE_OFFSET);
    struct kafka_offset_commit_key key = {.group = group, .topic = topic, .partition = partition};
    kafka_offset_commit_key_encode(&key, 0, &writer);
    self->key = take(&writer);
}

void group_codec_offset(struct group_codec_record *self, struct wire_text group,
                        struct wire_text topic, const struct group_offset *row)
{
    make_offset_key(self, group, topic, row->partition);
    int16_t version = row->expire_ms >= 0 ? OFFSET_VERSION_WITH_EXPIRY : OFFSET_VERSION;
    struct kafka_offset_commit_value value = {.offset = row->offset,
                                              .leader_epoch = row->leader_epoch,
                                              .metadata = row->metadata,
                                              .commit_timestamp = row->commit_ms,
                                              .expire_timestamp = row->expire_ms};
    if (version == OFFSET_VERSION) {
        value.topic_id = row->topic_id;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    wire_write_int16(&writer, version);
    kafka_offset_commit_value_encode(&value, version, &writer);
    self->value = take(&writer);
}

void group_codec_offset_gone(struct group_codec_record *self, struct wire_text group,
                             struct wire_text topic, int32_t partition)
{
    make_offset_key(self, group, topic, partition);
    self->value = (struct wire_bytes){NULL, -1};
}

void group_codec_group_gone(struct group_codec_record *self, struct wire_text group)
{
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    wire_write_int16(&writer, TYPE_GROUP);
    struct kafka_group_metadata_key key = {.group = group};
    kafka_group_metadata_key_encode(&key, 0, &writer);
    self->key = take(&writer);
    self->value = (struct wire_bytes){NULL, -1};
}

void group_codec_group(struct group_codec_record *self, struct wire_text group,
                       const struct kafka_group_metadata_value *value)
{
    group_codec_group_gone(self, group);
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    wire_write_int16(&writer, GROUP_VERSION);
    kafka_group_metadata_value_encode(value, GROUP_VERSION, &writer);
    self->value = take(&writer);
    if (self->value.byte_count < 0) { /* It must not look like a deletion. */
        self->key = (struct wire_bytes){NULL, -1};
    }
}

static enum status read_offset_key(struct wire_reader *reader, struct group_codec_key *out_key)
{
    struct kafka_offset_commit_key key;
    TRY(kafka_offset_commit_key_decode(reader, 0, NULL, &key));
    *out_key = (struct group_codec_key){.kind = GROUP_CODEC_OFFSET,
                                        .group = key.group,
                                        .topic = key.topic,
                                        .partition = key.partition};
    return STATUS_OK;
}

enum status group_codec_read_key(struct wire_bytes bytes, struct group_codec_key *out_key)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, (size_t)bytes.byte_count);
    int16_t type = wire_read_int16(&reader);
    TRY(wire_reader_status(&reader));
    if (type == TYPE_LEGACY_OFFSET || type == TYPE_OFFSET) {
        return read_offset_key(&reader, out_key);
    }
    *out_key = (struct group_codec_key){.kind = GROUP_CODEC_OTHER};
    if (type == TYPE_GROUP) {
        struct kafka_group_metadata_key key;
        TRY(kafka_group_metadata_key_decode(&reader, 0, NULL, &key));
        *out_key = (struct group_codec_key){.kind = GROUP_CODEC_GROUP, .group = key.group};
    }
    return STATUS_OK;
}

enum status group_codec_read_offset(struct wire_bytes bytes,
                                    struct kafka_offset_commit_value *out_value)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, (size_t)bytes.byte_count);
    int16_t version = wire_read_int16(&reader);
    TRY(wire_reader_status(&reader));
    if (version < 0 || version > KAFKA_OFFSET_COMMIT_VALUE_VERSION_MAX) {
        return STATUS_UNSUPPORTED;
    }
    return kafka_offset_commit_value_decode(&reader, version, NULL, out_value);
}

enum status group_codec_read_group(struct wire_bytes bytes, struct arena *arena,
                                   struct kafka_group_metadata_value *out_value)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, (size_t)bytes.byte_count);
    int16_t version = wire_read_int16(&reader);
    TRY(wire_reader_status(&reader));
    if (version < 0 || version > KAFKA_GROUP_METADATA_VALUE_VERSION_MAX) {
        return STATUS_UNSUPPORTED;
    }
    return kafka_group_metadata_value_decode(&reader, version, arena, out_value);
}
