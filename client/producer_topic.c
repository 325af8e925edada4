#include "client/producer_topic.h"

#include "client/partitioner.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

/* A record that waits for its topic: everything it refers to, in one piece. */
struct parked_record {
    struct list in_topic;
    struct producer_record record;
    int64_t parked_ns;
    uint8_t bytes[];
};

void producer_topic_report(struct producer_core *core, const struct producer_delivery *delivery)
{
    check(core->buffered_bytes >= delivery->byte_count);
    core->buffered_bytes -= delivery->byte_count;
    core->options.on_delivery(core->options.context, delivery);
}

void producer_topic_report_batch(struct producer_core *core, struct accumulator_batch *batch,
                                 const struct producer_delivery *outcome)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const struct accumulator_record *record = &batch->records[i];
        struct producer_delivery delivery = *outcome;
        delivery.offset = outcome->offset < 0 ? -1 : outcome->offset + (int64_t)i;
        delivery.timestamp_ms =
            outcome->timestamp_ms >= 0 ? outcome->timestamp_ms : record->timestamp_ms;
        delivery.number = record->number;
        delivery.tag = record->tag;
        delivery.byte_count = record->byte_count;
        producer_topic_report(core, &delivery);
    }
    accumulator_batch_free(batch);
}

struct producer_topic *producer_topic_find(struct producer_core *core, struct wire_text name)
{
    list_for_each(link, &core->topics)
    {
        struct producer_topic *topic = container_of(link, struct producer_topic, in_core);
        if (topic->known->name_bytes == name.byte_count &&
            memcmp(topic->known->name, name.bytes, (size_t)name.byte_count) == 0) {
            return topic;
        }
    }
    struct producer_topic *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->known = cluster_want(&core->cluster, name);
    if (self->known == NULL) {
        free(self);
        return NULL;
    }
    self->sticky = -1;
    list_init(&self->parked);
    list_append(&core->topics, &self->in_core);
    return self;
}

void producer_topic_free(struct producer_topic *self)
{
    check(list_is_empty(&self->parked));
    for (int32_t i = 0; i < self->partition_count; i++) {
        accumulator_done(&self->partitions[i]->accumulator);
        free(self->partitions[i]);
    }
    free(self->partitions);
    free(self);
}

/* ---- placing ---- */

/* Another partition than now, one with a leader if there is any. */
static int32_t next_sticky(struct producer_core *core, const struct producer_topic *self)
{
    int32_t start = (int32_t)prng_below(&core->options.loop->prng, (uint64_t)self->partition_count);
    for (int32_t i = 0; i < self->partition_count; i++) {
        int32_t partition = (start + i) % self->partition_count;
        if (partition != self->sticky && self->known->partitions[partition].leader >= 0) {
            return partition;
        }
    }
    return start;
}

static int32_t choose(struct producer_core *core, struct producer_topic *self,
                      const struct producer_record *record)
{
    if (record->partition >= 0) {
        return record->partition;
    }
    if (record->record.key.byte_count >= 0) {
        return partitioner_of_key(record->record.key.bytes, (size_t)record->record.key.byte_count,
                                  self->partition_count);
    }
    if (self->sticky >= 0) {
        const struct accumulator *open = &self->partitions[self->sticky]->accumulator;
        bool is_led = self->known->partitions[self->sticky].leader >= 0;
        size_t byte_count = batch_builder_record_bytes_max(&record->record);
        if (is_led && accumulator_is_open(open) && !accumulator_is_full_for(open, byte_count)) {
            return self->sticky;
        }
    }
    self->sticky = next_sticky(core, self);
    return self->sticky;
}

static enum status place(struct producer_core *core, struct producer_topic *self,
                         const struct producer_record *record)
{
    int32_t partition = choose(core, self, record);
    if (partition >= self->partition_count) {
        return STATUS_INVALID;
    }
    struct accumulator *accumulator = &self->partitions[partition]->accumulator;
    struct accumulator_record entry = {.tag = record->tag,
                                       .number = record->number,
                                       .timestamp_ms = record->record.timestamp_ms,
                                       .byte_count = (uint32_t)producer_core_record_bytes(record)};
    TRY(accumulator_append(accumulator, &record->record, &entry, loop_now_ns(core->options.loop)));
    if (record->is_urgent) {
        accumulator_hurry(accumulator);
    }
    return STATUS_OK;
}

/* ---- parking ---- */

static struct wire_bytes copy_bytes(uint8_t **next, struct wire_bytes from)
{
    if (from.byte_count <= 0) {
        return from.byte_count < 0 ? from : (struct wire_bytes){*next, 0};
    }
    memcpy(*next, from.bytes, (size_t)from.byte_count);
    struct wire_bytes copy = {*next, from.byte_count};
    *next += from.byte_count;
    return copy;
}

static enum status park(struct producer_core *core, struct producer_topic *self,
                        const struct producer_record *record)
{
    size_t header_room = (size_t)record->record.header_count * sizeof(struct batch_builder_header);
    struct parked_record *parked =
        malloc(sizeof *parked + header_room + producer_core_record_bytes(record));
    if (parked == NULL) {
        return STATUS_NO_MEMORY;
    }
    parked->record = *record;
    parked->parked_ns = loop_now_ns(core->options.loop);
    uint8_t *next = parked->bytes + header_room;
    struct batch_builder_header *headers = (struct batch_builder_header *)(void *)parked->bytes;
    for (int32_t i = 0; i < record->record.header_count; i++) {
        const struct batch_builder_header *header = &record->record.headers[i];
        struct wire_bytes key = copy_bytes(
            &next, (struct wire_bytes){(const uint8_t *)header->key.bytes, header->key.byte_count});
        headers[i].key = (struct wire_text){(const char *)key.bytes, key.byte_count};
        headers[i].value = copy_bytes(&next, header->value);
    }
    parked->record.record.headers = headers;
    parked->record.record.key = copy_bytes(&next, record->record.key);
    parked->record.record.value = copy_bytes(&next, record->record.value);
    parked->record.topic = (struct wire_text){self->known->name, self->known->name_bytes};
    list_append(&self->parked, &parked->in_topic);
    return STATUS_OK;
}

static void park_end(struct producer_core *core, struct parked_record *parked, enum status status,
                     int16_t error_code)
{
    struct producer_delivery delivery = {.status = status,
                                         .error_code = error_code,
                                         .partition = parked->record.partition,
                                         .offset = -1,
                                         .timestamp_ms = parked->record.record.timestamp_ms,
                                         .number = parked->record.number,
                                         .tag = parked->record.tag,
                                         .byte_count =
                                             (uint32_t)producer_core_record_bytes(&parked->record)};
    list_remove(&parked->in_topic);
    free(parked);
    producer_topic_report(core, &delivery);
}

void producer_topic_expire(struct producer_core *core, struct producer_topic *self,
                           int64_t parked_before_ns, enum status status, int16_t error_code)
{
    while (!list_is_empty(&self->parked)) {
        struct parked_record *parked =
            container_of(self->parked.next, struct parked_record, in_topic);
        if (parked->parked_ns >= parked_before_ns) {
            return;
        }
        park_end(core, parked, status, error_code);
    }
}

void producer_topic_hurry(struct producer_topic *self)
{
    for (int32_t i = 0; i < self->partition_count; i++) {
        accumulator_hurry(&self->partitions[i]->accumulator);
    }
    list_for_each(link, &self->parked)
    {
        container_of(link, struct parked_record, in_topic)->record.is_urgent = true;
    }
}

enum status producer_topic_add(struct producer_core *core, struct producer_topic *self,
                               const struct producer_record *record)
{
    if (self->partition_count == 0 || !list_is_empty(&self->parked)) {
        return park(core, self, record);
    }
    if (record->partition >= self->partition_count) {
        cluster_refresh(&core->cluster); /* The topic may have grown. */
        return STATUS_INVALID;
    }
    return place(core, self, record);
}

static enum status grow(struct producer_core *core, struct producer_topic *self)
{
    int32_t count = self->known->partition_count;
    struct producer_partition **grown =
        realloc(self->partitions, (size_t)count * sizeof *self->partitions);
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->partitions = grown;
    struct accumulator_options options = {.batch_bytes_max = core->options.batch_bytes_max,
                                          .linger_ns = core->options.linger_ms * CLOCK_NS_PER_MS,
                                          .codec = core->options.codec,
                                          .compressor = &core->compressor,
                                          .is_transactional =
                                              core->options.transactional_id != NULL};
    while (self->partition_count < count) {
        struct producer_partition *partition = calloc(1, sizeof *partition);
        if (partition == NULL) {
            return STATUS_NO_MEMORY;
        }
        accumulator_init(&partition->accumulator, &options);
        partition->asked_node = -1;
        self->partitions[self->partition_count++] = partition;
    }
    return STATUS_OK;
}

void producer_topic_update(struct producer_core *core, struct producer_topic *self)
{
    if (self->known->partition_count > self->partition_count && grow(core, self) != STATUS_OK) {
        return; /* The next look tries again; what waits, waits. */
    }
    for (int32_t i = 0; i < self->partition_count; i++) {
        struct producer_partition *partition = self->partitions[i];
        if (partition->asked_node >= 0 &&
            self->known->partitions[i].leader != partition->asked_node) {
            partition->accumulator.not_before_ns = 0; /* A new leader: no reason to rest. */
        }
    }
    while (self->partition_count > 0 && !list_is_empty(&self->parked)) {
        struct parked_record *parked =
            container_of(self->parked.next, struct parked_record, in_topic);
        enum status status = place(core, self, &parked->record);
        if (status != STATUS_OK) {
            park_end(core, parked, status, 0);
            continue;
        }
        list_remove(&parked->in_topic);
        free(parked);
    }
}
