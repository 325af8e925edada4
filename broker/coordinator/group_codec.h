/* The records of __consumer_offsets, in Kafka's own formats, made and read.
 *
 * A key begins with the int16 type (0 and 1 an offset, 2 a group), a value with its int16 version.
 * Owner: the caller. Loop: any. Limits: GROUP_CODEC_BYTES_MAX a record. */
#pragma once

#include "proto/kafka/group_record.h"
#include "proto/kafka/offset_record.h"
#include "proto/sys/arena.h"

#define GROUP_CODEC_BYTES_MAX ((size_t)64 << 20)

enum group_codec_kind {
    GROUP_CODEC_OFFSET,
    GROUP_CODEC_GROUP,
    GROUP_CODEC_OTHER, /* Kinds of groups that are not served here. */
};

struct group_offset;

/* A record made; key and value live until group_codec_done(). The key is null when the record is
 * larger than GROUP_CODEC_BYTES_MAX. */
struct group_codec_record {
    struct arena arena;
    struct wire_bytes key;
    struct wire_bytes value;
};

void group_codec_init(struct group_codec_record *self);
void group_codec_done(struct group_codec_record *self);
void group_codec_offset(struct group_codec_record *self, struct wire_text group,
                        struct wire_text topic, const struct group_offset *row);
void group_codec_offset_gone(struct group_codec_record *self, struct wire_text group,
                             struct wire_text topic, int32_t partition);
void group_codec_group(struct group_codec_record *self, struct wire_text group,
                       const struct kafka_group_metadata_value *value);
void group_codec_group_gone(struct group_codec_record *self, struct wire_text group);

/* A key read. Texts point into the record. */
struct group_codec_key {
    enum group_codec_kind kind;
    struct wire_text group;
    struct wire_text topic;
    int32_t partition;
};
MUST_USE enum status group_codec_read_key(struct wire_bytes key, struct group_codec_key *out_key);
MUST_USE enum status group_codec_read_offset(struct wire_bytes value,
                                             struct kafka_offset_commit_value *out_value);
/* Members lie in the arena. */
MUST_USE enum status group_codec_read_group(struct wire_bytes value, struct arena *arena,
                                            struct kafka_group_metadata_value *out_value);
