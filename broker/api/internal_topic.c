#include "broker/api/internal_topic.h"

#include "broker/api/dispatch.h"
#include "broker/metadata/topic_config.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/request_header.h"
#include "proto/sys/check.h"

#define LOOK_INTERVAL_MS 10
#define FRAME_BYTES_MAX ((size_t)64 << 10)
#define CREATE_TOPICS_VERSION 7

static bool is_there(const struct internal_topic *self)
{
    const struct image *image = partition_map_image(self->shard->map);
    return image_topic_by_name(image, wire_text_of(self->name)) != NULL;
}

/* A topic keeps the replicas that it is born with. So that the first client of a new cluster does
 * not get one with a single replica, because the others' registrations are on their way, as many
 * brokers as vote, up to three, must be known. */
static bool has_brokers(const struct internal_topic *self)
{
    const struct image *image = partition_map_image(self->shard->map);
    uint32_t wanted = self->shard->node->voter_count;
    wanted = wanted < 3 ? wanted : 3;
    return image != NULL && image_broker_count(image) >= wanted;
}

static void end_all(struct internal_topic *self)
{
    struct list ending;
    list_init(&ending);
    struct list *link;
    while ((link = list_take_first(&self->waiting)) != NULL) {
        list_append(&ending, link);
    }
    self->is_asking = false;
    while ((link = list_take_first(&ending)) != NULL) {
        struct internal_topic_wait *wait = container_of(link, struct internal_topic_wait, link);
        wait->on_end(wait);
    }
}

static void ask(struct internal_topic *self);

static void look(struct internal_topic *self)
{
    struct loop *loop = self->shard->loop;
    if (is_there(self) || loop_now_ns(loop) >= self->deadline_ns) {
        end_all(self);
        return;
    }
    if (!self->is_asked && has_brokers(self)) {
        ask(self);
        return;
    }
    timer_start_after(&self->look, LOOK_INTERVAL_MS * CLOCK_NS_PER_MS);
}

static void look_on_timer(struct timer *timer)
{
    look(container_of(timer, struct internal_topic, look));
}

/* Whatever was decided, the image tells whether the topic is there. */
static void forward_on_done(struct uplink_forward *forward, enum status status)
{
    struct internal_topic *self = container_of(forward, struct internal_topic, forward);
    (void)status;
    uplink_forward_done(forward);
    arena_done(&self->arena);
    look(self);
}

static bool make_frame(struct internal_topic *self)
{
    struct kafka_create_topics_request_creatable_topic_config configs[INTERNAL_TOPIC_CONFIGS_MAX];
    for (uint32_t i = 0; i < self->item.config_count; i++) {
        configs[i].name = self->configs[i].key;
        configs[i].value = self->configs[i].value;
    }
    struct kafka_create_topics_request_creatable_topic topic;
    kafka_create_topics_request_creatable_topic_defaults(&topic);
    topic.name = self->item.name;
    topic.num_partitions = self->item.partition_count;
    topic.replication_factor = (int16_t)self->item.replication_factor;
    topic.configs = configs;
    topic.configs_count = (int32_t)self->item.config_count;
    struct kafka_create_topics_request request;
    kafka_create_topics_request_defaults(&request);
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = INTERNAL_TOPIC_PATIENCE_MS;
    struct kafka_request_header header = {.request_api_key = API_KEY_CREATE_TOPICS,
                                          .request_api_version = CREATE_TOPICS_VERSION,
                                          .client_id = wire_text_of("millrace")};
    struct wire_writer writer;
    arena_init(&self->arena, FRAME_BYTES_MAX);
    wire_writer_init(&writer, &self->arena);
    request_header_encode(&header, &writer);
    kafka_create_topics_request_encode(&request, CREATE_TOPICS_VERSION, &writer);
    size_t byte_count = 0;
    const uint8_t *frame = wire_writer_flatten(&writer, &byte_count);
    self->forward = (struct uplink_forward){.frame = frame,
                                            .frame_bytes = byte_count,
                                            .deadline_ns = self->deadline_ns,
                                            .on_done = forward_on_done};
    return frame != NULL;
}

static void up_on_done(struct uplink_call *up, enum status status)
{
    struct internal_topic *self = container_of(up, struct internal_topic, up);
    if (status != STATUS_NOT_LEADER) {
        look(self);
        return;
    }
    bool is_made = make_frame(self);
    check(is_made); /* A name and a few settings. */
    uplink_forward_post(self->shard->node->uplink, &self->forward, self->shard->loop);
}

static void ask(struct internal_topic *self)
{
    const struct api_node *node = self->shard->node;
    uint32_t config_count = 0;
    const struct image_config_value *values =
        topic_config_internal(wire_text_of(self->name), &config_count);
    check(config_count <= INTERNAL_TOPIC_CONFIGS_MAX);
    for (uint32_t i = 0; i < config_count; i++) {
        self->configs[i].key = wire_text_of(values[i].key);
        self->configs[i].value = wire_text_of(values[i].value);
    }
    self->item = (struct topic_decisions_create){.name = wire_text_of(self->name),
                                                 .partition_count = node->internal_partition_count,
                                                 .replication_factor = -1,
                                                 .configs = self->configs,
                                                 .config_count = config_count};
    self->command = (struct topic_decisions_create_request){.items = &self->item, .item_count = 1};
    self->up = (struct uplink_call){.request = {.kind = CONTROLLER_CREATE_TOPICS,
                                                .command.create_topics = &self->command,
                                                .deadline_ns = self->deadline_ns},
                                    .on_done = up_on_done};
    self->is_asked = true;
    uplink_post(node->uplink, &self->up, self->shard->loop);
}

void internal_topic_init(struct internal_topic *self, struct api_shard *shard, const char *name)
{
    *self = (struct internal_topic){.shard = shard, .name = name};
    list_init(&self->waiting);
    timer_init(&self->look, &shard->loop->timers, look_on_timer);
}

void internal_topic_want(struct internal_topic *self, struct internal_topic_wait *wait)
{
    list_init(&wait->link);
    if (is_there(self)) {
        wait->on_end(wait);
        return;
    }
    list_append(&self->waiting, &wait->link);
    if (!self->is_asking) {
        self->is_asking = true;
        self->is_asked = false;
        self->deadline_ns =
            loop_now_ns(self->shard->loop) + INTERNAL_TOPIC_PATIENCE_MS * CLOCK_NS_PER_MS;
        look(self);
    }
}
