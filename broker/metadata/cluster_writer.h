/* Writes cluster records, one after another, into the bytes of a Command or a Snapshot.
 *
 * Decisions write what they decided here; a mark takes back the records of one item of a request
 * that turned out to be refused. The bytes are the same on every node for the same calls.
 *
 * Owner: whoever embeds it. Loop: the owner's. Limits: none of its own; the owner compares
 * cluster_writer_byte_count() with what it may propose. */
#pragma once

#include "broker/metadata/image.h"

struct cluster_writer {
    uint8_t tag;    /* Of the field that the records stand in. */
    uint8_t *bytes; /* Owned. */
    size_t byte_count;
    size_t capacity;
    uint32_t record_count;
};

struct cluster_writer_mark {
    size_t byte_count;
    uint32_t record_count;
};

struct cluster_writer_change {
    int32_t broker_id;
    int64_t broker_epoch;
    bool is_fenced;
    bool is_shutting_down;
    bool is_removed;
};

void cluster_writer_init_command(struct cluster_writer *self);
void cluster_writer_init_snapshot(struct cluster_writer *self);
void cluster_writer_done(struct cluster_writer *self); /* Accepts a zeroed one. */
struct cluster_writer_mark cluster_writer_mark(const struct cluster_writer *self);
void cluster_writer_rewind(struct cluster_writer *self, struct cluster_writer_mark mark);

void cluster_writer_cluster(struct cluster_writer *self, const struct wire_uuid *cluster_id);
/* `broker->epoch` 0: the index of the entry. */
void cluster_writer_register(struct cluster_writer *self, const struct image_broker *broker);
void cluster_writer_change_broker(struct cluster_writer *self,
                                  const struct cluster_writer_change *change);
void cluster_writer_topic(struct cluster_writer *self, const struct image_topic *topic);
void cluster_writer_partition(struct cluster_writer *self, const struct wire_uuid *topic_id,
                              int32_t index, const struct image_partition *partition);
void cluster_writer_change_partition(struct cluster_writer *self, const struct wire_uuid *topic_id,
                                     int32_t index, const struct image_partition *partition);
void cluster_writer_remove_topic(struct cluster_writer *self, const struct wire_uuid *topic_id);
/* `value` NULL: the default rules again. */
void cluster_writer_config(struct cluster_writer *self, enum image_config_kind kind,
                           const char *name, const char *key, const char *value);
void cluster_writer_producer_ids(struct cluster_writer *self, int32_t broker_id,
                                 int64_t broker_epoch, int64_t next_producer_id);
void cluster_writer_feature(struct cluster_writer *self, const char *name, int32_t level);
void cluster_writer_token(struct cluster_writer *self, const uint8_t token[IMAGE_TOKEN_BYTES],
                          uint64_t index);

/* The whole Command or Snapshot, made by malloc() for the caller. `token` may be NULL. */
uint8_t *cluster_writer_command(const struct cluster_writer *self,
                                const uint8_t token[IMAGE_TOKEN_BYTES], int64_t decided_at_ms,
                                size_t *out_byte_count);
uint8_t *cluster_writer_snapshot(const struct cluster_writer *self, uint64_t index,
                                 size_t *out_byte_count);
