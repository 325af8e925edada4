/* What generated decoders and encoders share. No other code needs it.
 *
 * A decoder reads field by field without looking at results; the reader's sticky failure ends all
 * loops. An encoder does the same with the writer. Tagged fields are read within the borders of
 * their own size, and written through a writer of their own, because the size stands in front.
 *
 * Owner: the call. Loop: any. Limits: an array's memory is taken only after wire_read_count() has
 * seen that its elements can be there, and never beyond the arena's own limit. */
#pragma once

#include "proto/sys/arena.h"
#include "proto/wire/reader.h"
#include "proto/wire/writer.h"

struct codec_decoding {
    struct wire_reader *reader;
    struct arena *arena;
    int16_t version;
    bool is_flexible;
};

static inline bool codec_goes_on(const struct codec_decoding *self)
{
    return self->reader->status == STATUS_OK;
}

/* Reads the count and takes memory for the elements, uncleared. NULL and -1 where it is null. */
void *codec_read_array(struct codec_decoding *self, bool may_be_null, size_t element_bytes_min,
                       size_t element_size, int32_t *out_count);
/* Reads whether the struct is there and takes its memory; NULL where it is null. */
void *codec_read_struct(struct codec_decoding *self, bool is_tagged, size_t size);

/* The walk over a tag section: open, then next until false. */
struct codec_tag {
    uint32_t left;
    int64_t number; /* -1 before the first. */
    const uint8_t *section_end;
};
struct codec_tag codec_tag_open(struct codec_decoding *self);
/* Narrows the reader to the next tag's value. Fails when the last one was not read to its end. */
bool codec_tag_next(struct codec_decoding *self, struct codec_tag *tag);
/* Skips a tag that is not known. */
void codec_tag_skip(struct codec_decoding *self);
/* Skips a section in which no tag is known; does nothing where there is no section. */
void codec_skip_tags(struct codec_decoding *self);

struct codec_encoding {
    struct wire_writer *writer;
    int16_t version;
    bool is_flexible;
};

/* A field that the version lacks has a value that must not be lost. */
void codec_refuse(struct codec_encoding *self);
/* These fail with STATUS_INVALID for null where none may be. */
void codec_write_text(struct codec_encoding *self, bool may_be_null, struct wire_text value);
void codec_write_bytes(struct codec_encoding *self, bool may_be_null, struct wire_bytes value);
void codec_write_records(struct codec_encoding *self, bool may_be_null,
                         const struct wire_records *value);
void codec_write_count(struct codec_encoding *self, bool may_be_null, int32_t count);
/* True when the struct is there and must follow. */
bool codec_write_presence(struct codec_encoding *self, bool is_tagged, const void *value);
/* An empty tag section, where there is one. */
void codec_write_no_tags(struct codec_encoding *self);
/* Of a value whose size is known. */
void codec_write_tag(struct codec_encoding *self, uint32_t number, uint32_t byte_count);

/* Between open and close the encoding writes into the payload. */
struct codec_payload {
    struct wire_writer writer;
    struct wire_writer *outer;
};
void codec_payload_open(struct codec_encoding *self, struct codec_payload *payload);
void codec_payload_close(struct codec_encoding *self, uint32_t number,
                         struct codec_payload *payload);
