/* All partitions of one shard, kept as the image says, and the way to reach them from other shards.
 *
 * A partition belongs to the shard that a hash of (topic id, index) names, for the life of the
 * process. Each new image is given to every map: partitions that this broker shall have are opened,
 * others deleted, leaders and followers are assigned.
 * A call is a message that runs on the partition's shard and comes back to the caller's loop; a
 * caller on the same shard is served without a message.
 *
 * Owner: the node. Loop: its own shard's, but for partition_call_post(). */
#pragma once

#include "broker/metadata/image.h"
#include "broker/partition/partition.h"

struct partition_map;

struct partition_map_options {
    struct loop *loop;
    const char *directory;
    uint32_t shard_index;
    uint32_t shard_count;
    int32_t broker_id;
    uint64_t journal_bytes; /* 0: default. */
    uint64_t free_bytes_min;
    struct budget *budget;
    struct partition_observer *observer; /* Borrowed for life; NULL: nobody. */
    /* The configuration of a topic as the log and the replica need it. */
    struct partition_config (*config_of)(void *context, const struct image *image,
                                         const struct image_topic *topic);
    /* Does this image know the present life of this broker? One that does not may name it as a
     * leader because of an earlier life, whose unflushed end others may have. NULL: always. */
    bool (*may_lead)(void *context, const struct image *image);
    /* Storage failed: the node must stop. */
    void (*on_failed)(void *context, enum status why);
    void *context;
};

MUST_USE enum status partition_map_open(const struct partition_map_options *options,
                                        struct partition_map **out_self);
/* The node stops: every wait ends and images are ignored from here on, so that requests drain. */
void partition_map_retire(struct partition_map *self);
/* Clean stop of the shard's storage; frees the map behind on_closed. */
void partition_map_close(struct partition_map *self, void (*on_closed)(void *context),
                         void *context);
/* Takes a reference to the image. Images must come in order. */
void partition_map_apply(struct partition_map *self, struct image *image);
/* The newest image given; borrowed until the loop's next turn. NULL before the first. */
struct image *partition_map_image(const struct partition_map *self);
/* NULL: not here. */
struct partition *partition_map_find(const struct partition_map *self,
                                     const struct wire_uuid *topic_id, int32_t index);
/* Calls back for every partition; it may not change the map. */
void partition_map_each(struct partition_map *self,
                        void (*visit)(void *context, struct partition *partition), void *context);
uint32_t partition_map_count(const struct partition_map *self);

/* Which shard owns a partition. */
uint32_t partition_map_shard_of(const struct wire_uuid *topic_id, int32_t index,
                                uint32_t shard_count);

/* Work for a partition on its own shard. Embedded; stays put until on_returned. */
struct partition_call {
    struct partition_map *map; /* Of the owning shard. */
    struct loop *home;         /* The caller's. */
    struct wire_uuid topic_id;
    int32_t index;
    /* On the owning shard; `partition` is NULL when it is not (or no longer) there. It ends, now or
     * later, with partition_call_return(). */
    void (*run)(struct partition_call *self, struct partition *partition);
    /* On the caller's loop. */
    void (*on_returned)(struct partition_call *self);
    struct mail mail; /* The call's own. */
};
void partition_call_post(struct partition_call *self);
void partition_call_return(struct partition_call *self);
