#include "tests/rig/decider.h"

#include "broker/controller/topic_decisions.h"
#include "proto/sys/check.h"

#include <stdio.h>

void decider_init(struct decider *self, int32_t broker_count, int32_t rack_count)
{
    *self = (struct decider){.image = image_maker_cluster(broker_count, rack_count)};
    prng_init(&self->prng, 42);
    arena_init(&self->arena, 16U << 20);
    cluster_writer_init_command(&self->writer);
    self->decision = (struct decision){.writer = &self->writer,
                                       .arena = &self->arena,
                                       .prng = &self->prng,
                                       .defaults = {.partition_count = 1}};
}

void decider_done(struct decider *self)
{
    image_unref(self->image);
    cluster_writer_done(&self->writer);
    arena_done(&self->arena);
}

struct decision *decider_begin(struct decider *self)
{
    cluster_writer_done(&self->writer);
    cluster_writer_init_command(&self->writer);
    arena_reset(&self->arena);
    self->decision.image = self->image;
    return &self->decision;
}

uint32_t decider_apply(struct decider *self)
{
    uint32_t record_count = self->writer.record_count;
    struct image_delta delta = image_maker_apply(&self->image, &self->writer);
    if (delta.is_refused) {
        (void)fprintf(stderr, "refused: %s\n", delta.refusal);
    }
    check(!delta.is_refused);
    const char *broken = image_maker_broken_invariant(self->image);
    if (broken != NULL) {
        (void)fprintf(stderr, "broken: %s\n", broken);
    }
    check(broken == NULL);
    return record_count;
}

const struct image_topic *decider_topic(const struct decider *self, const char *name)
{
    return image_topic_by_name(self->image, wire_text_of(name));
}

const struct image_partition *decider_partition(const struct decider *self, const char *name,
                                                int32_t index)
{
    const struct image_topic *topic = decider_topic(self, name);
    check(topic != NULL);
    const struct image_partition *partition = image_topic_partition(topic, index);
    check(partition != NULL);
    return partition;
}

bool decider_create(struct decider *self, const char *name, int32_t partition_count,
                    int32_t replication_factor)
{
    struct topic_decisions_create item = {.name = wire_text_of(name),
                                          .partition_count = partition_count,
                                          .replication_factor = replication_factor};
    struct topic_decisions_create_request request = {.items = &item, .item_count = 1};
    topic_decisions_create_topics(decider_begin(self), &request);
    decider_apply(self);
    return item.error.reason == DECISION_NONE;
}

int64_t decider_epoch(const struct decider *self, int32_t broker_id)
{
    const struct image_broker *broker = image_broker_by_id(self->image, broker_id);
    check(broker != NULL);
    return broker->epoch;
}

const char *decider_nodes(const int32_t *nodes, uint8_t count)
{
    static char texts[8][80];
    static uint32_t turn;
    char *text = texts[turn++ % 8];
    size_t length = 0;
    text[0] = '\0';
    for (uint8_t i = 0; i < count; i++) {
        int written =
            snprintf(text + length, sizeof texts[0] - length, i == 0 ? "%d" : ",%d", nodes[i]);
        check(written > 0);
        length += (size_t)written;
        check(length < sizeof texts[0]);
    }
    return text;
}
