#include "broker/partition/partition_map.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PARTITION_MAP_MAGIC 0x9a27171aU
#define BUCKET_COUNT 4096U
#define SWEEP_INTERVAL_MS 60000
#define POSTPONED_MS 1000 /* A full disk. */
#define BUSY_MS 20        /* A full journal, or a name that is not free yet. */

/* The hash that deals partitions out; a change moves partitions between shards, which is allowed
 * only because log_recover() empties all journals first. */
#define HASH_SEED 0x6d696c6c72616365ULL

struct entry {
    struct list in_bucket;
    struct wire_uuid topic_id;
    int32_t index;
    struct partition *partition; /* Owned. */
};

struct partition_map {
    uint32_t magic;
    struct partition_map_options options;
    struct log_store *store; /* Owned. */
    struct image *image;     /* Shared, counted. */
    uint32_t entry_count;
    bool is_failed;
    bool is_retired;
    bool has_swept_strays;
    bool is_postponement_told;
    bool has_postponed; /* Partitions that are not open: there was no room for their logs. */
    struct timer sweep;
    struct timer postponed;
    struct list blocked; /* Partitions with appends that wait for room in the journal. */
    struct list buckets[BUCKET_COUNT];
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static uint64_t hash_of(const struct wire_uuid *topic_id, int32_t index)
{
    uint8_t key[sizeof topic_id->bytes + sizeof index];
    memcpy(key, topic_id->bytes, sizeof topic_id->bytes);
    memcpy(key + sizeof topic_id->bytes, &index, sizeof index);
    return XXH64(key, sizeof key, HASH_SEED);
}

uint32_t partition_map_shard_of(const struct wire_uuid *topic_id, int32_t index,
                                uint32_t shard_count)
{
    check(shard_count > 0);
    return (uint32_t)(hash_of(topic_id, index) % shard_count);
}

static struct list *bucket_of(struct partition_map *self, const struct wire_uuid *topic_id,
                              int32_t index)
{
    /* The low bits dealt out the shards, so the buckets use the high ones. */
    return &self->buckets[(hash_of(topic_id, index) >> 32) % BUCKET_COUNT];
}

static struct entry *find_entry(const struct partition_map *self, const struct wire_uuid *topic_id,
                                int32_t index)
{
    const struct list *bucket = &self->buckets[(hash_of(topic_id, index) >> 32) % BUCKET_COUNT];
    for (struct list *link = bucket->next; link != bucket; link = link->next) {
        struct entry *entry = container_of(link, struct entry, in_bucket);
        if (entry->index == index && wire_uuid_equals(&entry->topic_id, topic_id)) {
            return entry;
        }
    }
    return NULL;
}

static void fail(struct partition_map *self, enum status why)
{
    if (self->is_failed) {
        return;
    }
    self->is_failed = true;
    trace_line(self->options.loop->trace, TRACE_ERROR, "partition", "storage_failed",
               "shard=%u reason=\"%s\" action=stop", self->options.shard_index, status_text(why));
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        list_for_each_removable(link, &self->buckets[i])
        {
            partition_fail(container_of(link, struct entry, in_bucket)->partition);
        }
    }
    self->options.on_failed(self->options.context, why);
}

static bool is_in_charge(void *context, const struct wire_uuid *topic_id, int32_t partition)
{
    const struct partition_map *self = context;
    return partition_map_shard_of(topic_id, partition, self->options.shard_count) ==
           self->options.shard_index;
}

static void store_on_failed(void *context, enum status why)
{
    fail(context, why);
}

static void store_on_room(void *context)
{
    struct partition_map *self = context;
    check(self->magic == PARTITION_MAP_MAGIC);
    struct list waiting;
    list_init(&waiting);
    struct list *link;
    while ((link = list_take_first(&self->blocked)) != NULL) {
        list_append(&waiting, link);
    }
    while ((link = list_take_first(&waiting)) != NULL) {
        partition_retry(
            partition_of_blocked(link)); /* Puts itself back when it meets BUSY again. */
    }
}

static void sweep_one(void *context, struct partition *partition)
{
    (void)context;
    partition_sweep(partition);
}

static void sweep_on_timer(struct timer *timer)
{
    struct partition_map *self = container_of(timer, struct partition_map, sweep);
    partition_map_each(self, sweep_one, NULL);
    timer_start_after(timer, SWEEP_INTERVAL_MS * CLOCK_NS_PER_MS);
}

static void postponed_on_timer(struct timer *timer);

enum status partition_map_open(const struct partition_map_options *options,
                               struct partition_map **out_self)
{
    check(options->shard_index < options->shard_count);
    struct partition_map *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = PARTITION_MAP_MAGIC;
    self->options = *options;
    list_init(&self->blocked);
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        list_init(&self->buckets[i]);
    }
    struct log_store_options store = {.loop = options->loop,
                                      .directory = options->directory,
                                      .shard_index = options->shard_index,
                                      .journal_bytes = options->journal_bytes,
                                      .free_bytes_min = options->free_bytes_min,
                                      .budget = options->budget,
                                      .is_in_charge = is_in_charge,
                                      .on_failed = store_on_failed,
                                      .on_room = store_on_room,
                                      .context = self};
    enum status status = log_store_open(&store, &self->store);
    if (status != STATUS_OK) {
        free(self);
        return status;
    }
    timer_init(&self->sweep, &options->loop->timers, sweep_on_timer);
    timer_start_after(&self->sweep, SWEEP_INTERVAL_MS * CLOCK_NS_PER_MS);
    timer_init(&self->postponed, &options->loop->timers, postponed_on_timer);
    *out_self = self;
    return STATUS_OK;
}

void partition_map_retire(struct partition_map *self)
{
    check(self->magic == PARTITION_MAP_MAGIC);
    self->is_retired = true;
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        list_for_each_removable(link, &self->buckets[i])
        {
            partition_retire(container_of(link, struct entry, in_bucket)->partition);
        }
    }
}

static void remove_entry(struct partition_map *self, struct entry *entry)
{
    list_remove(&entry->in_bucket);
    self->entry_count -= 1;
    free(entry);
}

static void close_on_store_closed(void *context)
{
    struct partition_map *self = context;
    check(self->magic == PARTITION_MAP_MAGIC);
    check(self->entry_count == 0);
    void (*on_closed)(void *) = self->on_closed;
    void *on_closed_context = self->on_closed_context;
    image_unref(self->image);
    self->magic = 0;
    free(self);
    on_closed(on_closed_context);
}

void partition_map_close(struct partition_map *self, void (*on_closed)(void *context),
                         void *context)
{
    check(self->magic == PARTITION_MAP_MAGIC);
    self->on_closed = on_closed;
    self->on_closed_context = context;
    timer_done(&self->sweep);
    timer_done(&self->postponed);
    if (!self->is_retired) {
        partition_map_retire(self);
    }
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        list_for_each_removable(link, &self->buckets[i])
        {
            struct entry *entry = container_of(link, struct entry, in_bucket);
            partition_free(entry->partition);
            remove_entry(self, entry);
        }
    }
    log_store_close(self->store, close_on_store_closed, self);
}

static bool is_replica(const struct image_partition *partition, int32_t broker_id)
{
    for (uint8_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == broker_id) {
            return true;
        }
    }
    return false;
}

static enum status open_entry(struct partition_map *self, const struct image_topic *topic,
                              int32_t index, const struct partition_config *config,
                              struct entry **out_entry)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct partition_options options = {.loop = self->options.loop,
                                        .store = self->store,
                                        .topic_name = topic->name,
                                        .topic_id = topic->id,
                                        .index = index,
                                        .broker_id = self->options.broker_id,
                                        .config = *config,
                                        .blocked = &self->blocked,
                                        .observer = self->options.observer};
    enum status status = partition_open(&options, &entry->partition);
    if (status != STATUS_OK) {
        free(entry);
        return status;
    }
    entry->topic_id = topic->id;
    entry->index = index;
    list_append(bucket_of(self, &topic->id, index), &entry->in_bucket);
    self->entry_count += 1;
    *out_entry = entry;
    return STATUS_OK;
}

/* A full disk or journal refuses a new log as it refuses a produce; nothing else suffers from it.
 * Nor can it be made while the former life of its name is being deleted, perhaps by another shard.
 */
static void postpone(struct partition_map *self, const struct image_topic *topic, int32_t index,
                     enum status why)
{
    if (!self->is_postponement_told && why == STATUS_NO_SPACE) {
        self->is_postponement_told = true;
        trace_line(self->options.loop->trace, TRACE_WARN, "partition", "log_postponed",
                   "topic=\"%s\" partition=%d reason=\"%s\" next=\"tried again every second\"",
                   topic->name, index, status_text(why));
    }
    self->has_postponed = true;
    timer_start_after(&self->postponed,
                      (why == STATUS_BUSY ? BUSY_MS : POSTPONED_MS) * CLOCK_NS_PER_MS);
}

static bool may_lead(const struct partition_map *self, const struct image *image)
{
    return self->options.may_lead == NULL || self->options.may_lead(self->options.context, image);
}

/* Opens what shall be here, assigns it; what shall not is deleted by delete_absent(). */
static enum status apply_topic(struct partition_map *self, const struct image *image,
                               const struct image_topic *topic)
{
    struct partition_config config = self->options.config_of(self->options.context, image, topic);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct image_partition *decided = &topic->partitions[i];
        int32_t index = (int32_t)i;
        if (partition_map_shard_of(&topic->id, index, self->options.shard_count) !=
                self->options.shard_index ||
            !is_replica(decided, self->options.broker_id)) {
            continue;
        }
        struct entry *entry = find_entry(self, &topic->id, index);
        enum status status = STATUS_OK;
        if (entry == NULL) {
            status = open_entry(self, topic, index, &config, &entry);
        } else {
            partition_configure(entry->partition, &config);
        }
        if (status == STATUS_NO_SPACE || status == STATUS_BUSY) {
            postpone(self, topic, index, status);
            continue;
        }
        TRY(status);
        if (decided->leader == self->options.broker_id && !may_lead(self, image)) {
            continue; /* Registering this life changes the leader and its epoch. */
        }
        struct partition_assignment assignment = {.leader = decided->leader,
                                                  .leader_epoch = decided->leader_epoch,
                                                  .partition_epoch = decided->partition_epoch,
                                                  .replicas = decided->replicas,
                                                  .replica_count = decided->replica_count,
                                                  .isr = decided->isr,
                                                  .isr_count = decided->isr_count};
        partition_assign(entry->partition, &assignment);
    }
    return STATUS_OK;
}

static void apply_topics(struct partition_map *self, const struct image *image,
                         const struct image *before)
{
    for (uint32_t i = 0; i < image_topic_count(image) && !self->is_failed; i++) {
        const struct image_topic *topic = image_topic_at(image, i);
        /* Images share the topics that did not change. */
        if (before != NULL && image_topic_by_id(before, &topic->id) == topic) {
            continue;
        }
        enum status status = apply_topic(self, image, topic);
        if (status != STATUS_OK) {
            fail(self, status);
        }
    }
}

static bool is_stray(void *context, const struct wire_uuid *topic_id)
{
    const struct partition_map *self = context;
    return image_topic_by_id(self->image, topic_id) == NULL;
}

/* Topics that were deleted while this broker was down. Only by an image that holds this life's
 * registration: the controller committed it behind the barrier of its term, so nothing that had
 * been decided before is missing in it. */
static void sweep_strays(struct partition_map *self)
{
    if (!self->has_swept_strays && !self->is_failed && may_lead(self, self->image)) {
        self->has_swept_strays = true;
        log_store_put_strays_aside(self->store, is_stray, self);
    }
}

static void postponed_on_timer(struct timer *timer)
{
    struct partition_map *self = container_of(timer, struct partition_map, postponed);
    self->has_postponed = false;
    if (!self->is_retired) {
        apply_topics(self, self->image, NULL);
    }
    self->is_postponement_told = self->is_postponement_told && self->has_postponed;
}

static bool shall_be_here(const struct partition_map *self, const struct image *image,
                          const struct entry *entry)
{
    const struct image_topic *topic = image_topic_by_id(image, &entry->topic_id);
    return topic != NULL && (uint32_t)entry->index < topic->partition_count &&
           is_replica(&topic->partitions[entry->index], self->options.broker_id);
}

static void delete_absent(struct partition_map *self, const struct image *image)
{
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        list_for_each_removable(link, &self->buckets[i])
        {
            struct entry *entry = container_of(link, struct entry, in_bucket);
            if (!shall_be_here(self, image, entry)) {
                partition_delete(entry->partition);
                remove_entry(self, entry);
            }
        }
    }
}

/* Defaults of all brokers and of this one are part of every topic's configuration. */
static bool has_other_values(const struct image *before, const struct image *image,
                             int32_t broker_id)
{
    uint32_t count_before;
    uint32_t count;
    const struct image_config_value *old = image_broker_configs(before, broker_id, &count_before);
    const struct image_config_value *new = image_broker_configs(image, broker_id, &count);
    if (count_before != count) {
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(old[i].key, new[i].key) != 0 || strcmp(old[i].value, new[i].value) != 0) {
            return true;
        }
    }
    return false;
}

static bool has_other_defaults(const struct partition_map *self, const struct image *image)
{
    return self->image == NULL || has_other_values(self->image, image, -1) ||
           has_other_values(self->image, image, self->options.broker_id);
}

void partition_map_apply(struct partition_map *self, struct image *image)
{
    check(self->magic == PARTITION_MAP_MAGIC);
    check(image != NULL);
    check(self->image == NULL || image_index(image) >= image_index(self->image));
    if (self->is_retired) {
        return;
    }
    struct image *before = self->image;
    bool is_every_topic_new = has_other_defaults(self, image);
    /* First, so that a topic made anew under its old name finds the name free. */
    delete_absent(self, image);
    apply_topics(self, image, is_every_topic_new ? NULL : before);
    self->image = image_ref(image);
    image_unref(before);
    sweep_strays(self);
}

struct image *partition_map_image(const struct partition_map *self)
{
    check(self->magic == PARTITION_MAP_MAGIC);
    return self->image;
}

struct partition *partition_map_find(const struct partition_map *self,
                                     const struct wire_uuid *topic_id, int32_t index)
{
    check(self->magic == PARTITION_MAP_MAGIC);
    struct entry *entry = find_entry(self, topic_id, index);
    return entry == NULL ? NULL : entry->partition;
}

void partition_map_each(struct partition_map *self,
                        void (*visit)(void *context, struct partition *partition), void *context)
{
    check(self->magic == PARTITION_MAP_MAGIC);
    for (uint32_t i = 0; i < BUCKET_COUNT; i++) {
        list_for_each(link, &self->buckets[i])
        {
            visit(context, container_of(link, struct entry, in_bucket)->partition);
        }
    }
}

uint32_t partition_map_count(const struct partition_map *self)
{
    return self->entry_count;
}

static void run_call(struct partition_call *call)
{
    call->run(call, partition_map_find(call->map, &call->topic_id, call->index));
}

static void call_deliver_there(struct mail *mail)
{
    run_call(container_of(mail, struct partition_call, mail));
}

static void call_deliver_back(struct mail *mail)
{
    struct partition_call *call = container_of(mail, struct partition_call, mail);
    call->on_returned(call);
}

void partition_call_post(struct partition_call *self)
{
    check(self->map->magic == PARTITION_MAP_MAGIC);
    if (self->map->options.loop == self->home) {
        run_call(self);
        return;
    }
    self->mail.deliver = call_deliver_there;
    mailbox_post(&self->map->options.loop->mailbox, &self->mail);
}

void partition_call_return(struct partition_call *self)
{
    if (self->map->options.loop == self->home) {
        self->on_returned(self);
        return;
    }
    self->mail.deliver = call_deliver_back;
    mailbox_post(&self->home->mailbox, &self->mail);
}
