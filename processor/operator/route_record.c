#include "processor/operator/route_record.h"

#include "processor/state/group_key.h"
#include "proto/record/record_frame.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };
#define HEAD_BYTES ((size_t)1)

/* ---- writing */

enum status route_record_writer_init(struct route_record_writer *self,
                                     const struct state_codec *codec, uint32_t partition_count)
{
    check(partition_count > 0);
    *self = (struct route_record_writer){.codec = codec};
    self->buffers = calloc(partition_count, sizeof *self->buffers);
    if (self->buffers == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->partition_count = partition_count;
    return STATUS_OK;
}

void route_record_writer_done(struct route_record_writer *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        grow_buffer_done(&self->buffers[i]);
    }
    free(self->buffers);
    *self = (struct route_record_writer){0};
}

/* Begins an entry; `out_start` is where it stands. */
static struct grow_buffer *entry_begin(struct route_record_writer *self, uint32_t partition,
                                       enum route_record_kind kind, size_t *out_start)
{
    check(partition < self->partition_count);
    struct grow_buffer *buffer = &self->buffers[partition];
    if (buffer->byte_count == 0) {
        grow_buffer_put_uint8(buffer, VERSION);
    }
    *out_start = buffer->byte_count;
    grow_buffer_put_uint8(buffer, (uint8_t)kind);
    return buffer;
}

/* The entry that just ended goes into the next record if it made this one too long. */
static enum status entry_end(struct route_record_writer *self, uint32_t partition, size_t start)
{
    struct grow_buffer *buffer = &self->buffers[partition];
    TRY(buffer->status);
    if (buffer->byte_count <= ROUTE_RECORD_BYTES || start == HEAD_BYTES) {
        return STATUS_OK;
    }
    struct wire_bytes record = {.bytes = buffer->bytes, .byte_count = (int32_t)start};
    TRY(self->on_record(self->context, partition, record));
    size_t entry_bytes = buffer->byte_count - start;
    memmove(buffer->bytes + HEAD_BYTES, buffer->bytes + start, entry_bytes);
    buffer->byte_count = HEAD_BYTES + entry_bytes;
    return STATUS_OK;
}

static void put_group(const struct route_record_writer *self, const struct group *group,
                      struct grow_buffer *buffer)
{
    grow_buffer_put_int64(buffer, group->window_start);
    grow_buffer_put_uvarint(buffer, group->key_byte_count);
    grow_buffer_put_raw(buffer, group->key, group->key_byte_count);
    state_codec_put(self->codec, group, buffer);
}

enum status route_record_put_group(struct route_record_writer *self, const struct group *group)
{
    uint32_t partition = group_key_partition(group->hash, self->partition_count);
    size_t start = 0;
    struct grow_buffer *buffer = entry_begin(self, partition, ROUTE_RECORD_GROUP, &start);
    put_group(self, group, buffer);
    return entry_end(self, partition, start);
}

static void put_bytes(struct grow_buffer *buffer, struct wire_bytes bytes)
{
    grow_buffer_put_uvarint(buffer, bytes.byte_count < 0 ? 0 : (uint64_t)bytes.byte_count + 1);
    if (bytes.byte_count > 0) {
        grow_buffer_put_raw(buffer, bytes.bytes, (size_t)bytes.byte_count);
    }
}

enum status route_record_put_row(struct route_record_writer *self, const struct group *group,
                                 const struct late_row *origin)
{
    uint32_t partition = group_key_partition(group->hash, self->partition_count);
    size_t start = 0;
    struct grow_buffer *buffer = entry_begin(self, partition, ROUTE_RECORD_ROW, &start);
    put_group(self, group, buffer);
    grow_buffer_put_uint32(buffer, (uint32_t)origin->partition);
    grow_buffer_put_int64(buffer, origin->offset);
    grow_buffer_put_int64(buffer, origin->timestamp_ms);
    put_bytes(buffer, origin->key);
    put_bytes(buffer, origin->value);
    check(origin->header_count >= 0);
    size_t header_bytes =
        origin->header_count > 0 ? (size_t)(origin->headers_end - origin->headers) : 0;
    grow_buffer_put_uvarint(buffer, (uint64_t)origin->header_count);
    grow_buffer_put_uvarint(buffer, header_bytes);
    grow_buffer_put_raw(buffer, origin->headers, header_bytes);
    return entry_end(self, partition, start);
}

enum status route_record_put_mark(struct route_record_writer *self, int32_t partition,
                                  struct watermark_mark mark)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        size_t start = 0;
        struct grow_buffer *buffer = entry_begin(self, i, ROUTE_RECORD_MARK, &start);
        grow_buffer_put_uint32(buffer, (uint32_t)partition);
        grow_buffer_put_uint8(buffer, (uint8_t)mark.state);
        grow_buffer_put_int64(buffer, mark.us);
        TRY(entry_end(self, i, start));
    }
    return STATUS_OK;
}

enum status route_record_flush(struct route_record_writer *self)
{
    for (uint32_t i = 0; i < self->partition_count; i++) {
        struct grow_buffer *buffer = &self->buffers[i];
        TRY(buffer->status);
        if (buffer->byte_count > HEAD_BYTES) {
            TRY(self->on_record(self->context, i, grow_buffer_bytes(buffer)));
        }
        grow_buffer_clear(buffer);
    }
    return STATUS_OK;
}

/* ---- reading */

enum status route_record_open(struct wire_reader *reader, struct wire_bytes value)
{
    if (value.byte_count < 1) {
        return STATUS_CORRUPT;
    }
    wire_reader_init(reader, value.bytes, (size_t)value.byte_count);
    int8_t version = wire_read_int8(reader);
    if (version > VERSION) {
        return STATUS_UNSUPPORTED;
    }
    return version == VERSION ? STATUS_OK : STATUS_CORRUPT;
}

/* A size is held against what is left before anything is made of it. */
static struct wire_bytes read_raw(struct wire_reader *reader, uint32_t byte_count)
{
    if (byte_count > wire_reader_left(reader)) {
        wire_reader_fail(reader, STATUS_CORRUPT);
        return (struct wire_bytes){.byte_count = -1};
    }
    return (struct wire_bytes){.bytes = wire_read_raw(reader, byte_count),
                               .byte_count = (int32_t)byte_count};
}

static struct wire_bytes read_bytes(struct wire_reader *reader)
{
    uint32_t turned = wire_read_uvarint32(reader);
    return turned == 0 ? (struct wire_bytes){.byte_count = -1} : read_raw(reader, turned - 1);
}

static struct group *read_group(struct wire_reader *reader, struct state_codec *codec)
{
    int64_t window_start = wire_read_int64(reader);
    struct wire_bytes key = read_raw(reader, wire_read_uvarint32(reader));
    return state_codec_read(codec, window_start, key, reader);
}

/* Whoever goes through them later relies on it: they stand here without the record around them. */
static bool are_headers(struct wire_bytes bytes, uint32_t count)
{
    /* A header has two bytes at least. */
    if (bytes.byte_count < 0 || count > (uint32_t)bytes.byte_count / 2) {
        return false;
    }
    const uint8_t *end = bytes.bytes + bytes.byte_count;
    bool has_odd = false; /* May be: such a value is read as null. */
    return record_frame_headers(bytes.bytes, end, (int32_t)count, &has_odd) == end;
}

static void read_origin(struct wire_reader *reader, struct late_row *origin)
{
    origin->partition = wire_read_int32(reader);
    origin->offset = wire_read_int64(reader);
    origin->timestamp_ms = wire_read_int64(reader);
    origin->key = read_bytes(reader);
    origin->value = read_bytes(reader);
    uint32_t header_count = wire_read_uvarint32(reader);
    struct wire_bytes headers = read_raw(reader, wire_read_uvarint32(reader));
    if (wire_reader_status(reader) != STATUS_OK || !are_headers(headers, header_count)) {
        wire_reader_fail(reader, STATUS_CORRUPT);
        return;
    }
    origin->header_count = (int32_t)header_count;
    origin->headers = headers.bytes;
    origin->headers_end = headers.bytes + headers.byte_count;
    origin->reason = "late";
}

static void read_mark(struct wire_reader *reader, struct route_record_entry *entry)
{
    entry->mark_partition = wire_read_int32(reader);
    uint8_t state = (uint8_t)wire_read_int8(reader);
    entry->mark.us = wire_read_int64(reader);
    if (state > MILLRACE__PROCESSOR__MARK_STATE__MARK_IDLE) {
        wire_reader_fail(reader, STATUS_CORRUPT);
    }
    entry->mark.state = (Millrace__Processor__MarkState)state;
}

enum status route_record_next(struct wire_reader *reader, struct state_codec *codec,
                              struct route_record_entry *out_entry)
{
    if (wire_reader_left(reader) == 0) {
        return STATUS_NOT_FOUND;
    }
    struct route_record_entry entry = {0};
    uint8_t kind = (uint8_t)wire_read_int8(reader);
    switch (kind) {
    case ROUTE_RECORD_GROUP:
        entry.group = read_group(reader, codec);
        break;
    case ROUTE_RECORD_ROW:
        entry.group = read_group(reader, codec);
        read_origin(reader, &entry.origin);
        break;
    case ROUTE_RECORD_MARK:
        read_mark(reader, &entry);
        break;
    default:
        return STATUS_UNSUPPORTED;
    }
    if (wire_reader_status(reader) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    entry.kind = (enum route_record_kind)kind;
    *out_entry = entry;
    return STATUS_OK;
}
