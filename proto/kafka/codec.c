#include "proto/kafka/codec.h"

#include "proto/sys/check.h"

void *codec_read_array(struct codec_decoding *self, bool may_be_null, size_t element_bytes_min,
                       size_t element_size, int32_t *out_count)
{
    int32_t count =
        wire_read_count(self->reader, self->is_flexible, may_be_null, element_bytes_min);
    *out_count = count;
    if (count <= 0) {
        return NULL;
    }
    size_t byte_count = 0;
    void *elements = NULL;
    if (!__builtin_mul_overflow((size_t)count, element_size, &byte_count)) {
        elements = arena_take(self->arena, byte_count);
    }
    if (elements == NULL) {
        wire_reader_fail(self->reader, STATUS_NO_MEMORY);
        *out_count = 0;
    }
    return elements;
}

void *codec_read_struct(struct codec_decoding *self, bool is_tagged, size_t size)
{
    /* In the body the byte is -1 for null, in a tag it is 0; a present one is 1 in both. */
    bool is_there =
        is_tagged ? wire_read_uvarint32(self->reader) > 0 : wire_read_int8(self->reader) >= 0;
    if (!is_there || !codec_goes_on(self)) {
        return NULL;
    }
    void *value = arena_take(self->arena, size);
    if (value == NULL) {
        wire_reader_fail(self->reader, STATUS_NO_MEMORY);
    }
    return value;
}

struct codec_tag codec_tag_open(struct codec_decoding *self)
{
    struct codec_tag tag = {.number = -1, .section_end = self->reader->end};
    if (self->is_flexible) {
        tag.left = wire_read_uvarint32(self->reader); /* Too many run out of bytes. */
    }
    return tag;
}

/* Gives the reader back what lies behind the tag's value. */
static void tag_next_leave(struct codec_decoding *self, const struct codec_tag *tag)
{
    struct wire_reader *reader = self->reader;
    if (tag->number >= 0 && reader->next != reader->end) {
        wire_reader_fail(reader, STATUS_MALFORMED);
    }
    reader->end = tag->section_end;
    if (reader->status != STATUS_OK) {
        reader->next = reader->end; /* A failed reader has nothing left. */
    }
}

bool codec_tag_next(struct codec_decoding *self, struct codec_tag *tag)
{
    struct wire_reader *reader = self->reader;
    tag_next_leave(self, tag);
    if (tag->left == 0 || reader->status != STATUS_OK) {
        return false;
    }
    tag->left -= 1;
    uint32_t number = wire_read_uvarint32(reader);
    uint32_t byte_count = wire_read_uvarint32(reader);
    if (number <= tag->number || byte_count > wire_reader_left(reader)) {
        wire_reader_fail(reader, STATUS_MALFORMED);
        return false;
    }
    tag->number = number;
    reader->end = reader->next + byte_count;
    return true;
}

void codec_tag_skip(struct codec_decoding *self)
{
    self->reader->next = self->reader->end;
}

void codec_skip_tags(struct codec_decoding *self)
{
    struct codec_tag tag = codec_tag_open(self);
    while (codec_tag_next(self, &tag)) {
        codec_tag_skip(self);
    }
}

void codec_refuse(struct codec_encoding *self)
{
    wire_writer_fail(self->writer, STATUS_UNSUPPORTED);
}

static void refuse_null(struct codec_encoding *self, bool may_be_null, int32_t count)
{
    if (count < 0 && !may_be_null) {
        wire_writer_fail(self->writer, STATUS_INVALID);
    }
}

void codec_write_text(struct codec_encoding *self, bool may_be_null, struct wire_text value)
{
    refuse_null(self, may_be_null, value.byte_count);
    wire_write_text(self->writer, self->is_flexible, value);
}

void codec_write_bytes(struct codec_encoding *self, bool may_be_null, struct wire_bytes value)
{
    refuse_null(self, may_be_null, value.byte_count);
    wire_write_bytes(self->writer, self->is_flexible, value);
}

void codec_write_records(struct codec_encoding *self, bool may_be_null,
                         const struct wire_records *value)
{
    refuse_null(self, may_be_null, value->byte_count);
    wire_write_records(self->writer, self->is_flexible, value);
}

void codec_write_count(struct codec_encoding *self, bool may_be_null, int32_t count)
{
    refuse_null(self, may_be_null, count);
    wire_write_count(self->writer, self->is_flexible, count);
}

bool codec_write_presence(struct codec_encoding *self, bool is_tagged, const void *value)
{
    if (is_tagged) {
        wire_write_uvarint32(self->writer, value == NULL ? 0 : 1);
    } else {
        wire_write_int8(self->writer, value == NULL ? -1 : 1);
    }
    return value != NULL;
}

void codec_write_no_tags(struct codec_encoding *self)
{
    if (self->is_flexible) {
        wire_write_uvarint32(self->writer, 0);
    }
}

void codec_write_tag(struct codec_encoding *self, uint32_t number, uint32_t byte_count)
{
    wire_write_uvarint32(self->writer, number);
    wire_write_uvarint32(self->writer, byte_count);
}

void codec_payload_open(struct codec_encoding *self, struct codec_payload *payload)
{
    payload->outer = self->writer;
    wire_writer_init(&payload->writer, self->writer->arena);
    if (self->writer->status != STATUS_OK) {
        wire_writer_fail(&payload->writer, self->writer->status); /* Spares the work. */
    }
    self->writer = &payload->writer;
}

void codec_payload_close(struct codec_encoding *self, uint32_t number,
                         struct codec_payload *payload)
{
    check(self->writer == &payload->writer);

    self->writer = payload->outer;
    codec_write_tag(self, number, (uint32_t)payload->writer.byte_count);
    wire_write_all_of(self->writer, &payload->writer);
}
