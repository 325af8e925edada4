#include "client/cluster.h"

#include "client/cluster_node.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/metadata.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define CLUSTER_MAGIC 0xc1a57e20U
#define REFRESH_FLOOR_MS 20
#define REFRESH_CEILING_MS 1000
#define REFRESH_REST_MS 50 /* Between two looks, however many ask for one. */
#define REFRESH_PERIOD_MS 60000
#define METADATA_TIMEOUT_MS 5000
#define METADATA_VERSION_MIN 1
#define METADATA_VERSION_MAX 12
#define METADATA_VERSION_CREATION 4 /* From here on one may ask without creating. */
#define HOST_BYTES_MAX (ADDRESS_HOST_BYTES_MAX - 1)

/* ---- topics ---- */

struct cluster_topic *cluster_topic(struct cluster *self, struct wire_text name)
{
    check(self->magic == CLUSTER_MAGIC);
    list_for_each(link, &self->topics)
    {
        struct cluster_topic *topic = container_of(link, struct cluster_topic, in_cluster);
        if (topic->name_bytes == name.byte_count &&
            memcmp(topic->name, name.bytes, (size_t)name.byte_count) == 0) {
            return topic;
        }
    }
    return NULL;
}

struct cluster_topic *cluster_want(struct cluster *self, struct wire_text name)
{
    check(name.byte_count >= 0);
    struct cluster_topic *topic = cluster_topic(self, name);
    if (topic != NULL) {
        return topic;
    }
    topic = calloc(1, sizeof *topic + (size_t)name.byte_count + 1);
    if (topic == NULL) {
        return NULL;
    }
    topic->name_bytes = name.byte_count;
    memcpy(topic->name, name.bytes, (size_t)name.byte_count);
    topic->asked_since_ns = loop_now_ns(self->options.loop);
    list_append(&self->topics, &topic->in_cluster);
    self->topic_count += 1;
    cluster_refresh(self);
    return topic;
}

void cluster_learn_leader(struct cluster *self, struct cluster_topic *topic, int32_t partition,
                          int32_t leader, int32_t leader_epoch)
{
    check(self->magic == CLUSTER_MAGIC);
    if (partition < 0 || partition >= topic->partition_count || leader < 0) {
        return;
    }
    struct cluster_partition *known = &topic->partitions[partition];
    if (leader_epoch > known->leader_epoch) {
        known->leader = leader;
        known->leader_epoch = leader_epoch;
    }
}

static void learn_partition(struct cluster_partition *known,
                            const struct kafka_metadata_response_metadata_response_partition *news,
                            bool is_same_topic)
{
    /* A broker that lags behind must not lead us back to an old leader. */
    if (is_same_topic && news->leader_epoch >= 0 && news->leader_epoch < known->leader_epoch) {
        return;
    }
    known->leader = news->leader_id;
    known->leader_epoch = news->leader_epoch;
    known->error_code = news->error_code;
}

static enum status learn_topic(struct cluster *self,
                               const struct kafka_metadata_response_metadata_response_topic *news)
{
    struct cluster_topic *topic =
        news->name.byte_count >= 0 ? cluster_topic(self, news->name) : NULL;
    if (topic == NULL) {
        return STATUS_OK;
    }
    topic->error_code = news->error_code;
    if (news->error_code != ERROR_CODE_NONE) {
        return STATUS_OK;
    }
    bool is_same = topic->is_known && wire_uuid_equals(&topic->id, &news->topic_id);
    int32_t count = news->partitions_count > 0 ? news->partitions_count : 0;
    if (count > topic->partition_count) {
        struct cluster_partition *grown = realloc(topic->partitions, (size_t)count * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (int32_t i = topic->partition_count; i < count; i++) {
            grown[i] = (struct cluster_partition){.leader = -1, .leader_epoch = -1};
        }
        topic->partitions = grown;
        topic->partition_count = count;
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t index = news->partitions[i].partition_index;
        if (index >= 0 && index < topic->partition_count) {
            learn_partition(&topic->partitions[index], &news->partitions[i], is_same);
        }
    }
    topic->id = news->topic_id;
    topic->is_known = true;
    return STATUS_OK;
}

/* ---- metadata ---- */

static void refresh_after(struct cluster *self, int64_t delay_ns)
{
    int64_t at_ns = loop_now_ns(self->options.loop) + delay_ns;
    if (!self->refresh_timer.is_armed || self->refresh_timer.deadline_ns > at_ns) {
        timer_start_at(&self->refresh_timer, at_ns);
    }
}

void cluster_refresh(struct cluster *self)
{
    check(self->magic == CLUSTER_MAGIC);
    if (self->is_closing) {
        return;
    }
    if (self->is_refreshing) {
        self->is_refresh_due = true;
        return;
    }
    self->is_routine = false;
    int64_t rested_ns = loop_now_ns(self->options.loop) - self->refreshed_ns;
    int64_t pause_ns = REFRESH_REST_MS * CLOCK_NS_PER_MS;
    refresh_after(self, self->has_refreshed && rested_ns < pause_ns ? pause_ns - rested_ns : 0);
}

void cluster_refresh_elsewhere(struct cluster *self)
{
    self->is_elsewhere = true;
    cluster_refresh(self);
}

static void metadata_encode(struct ask *ask, struct wire_writer *writer)
{
    struct cluster *self = container_of(ask, struct cluster, metadata);
    struct kafka_metadata_request request;
    kafka_metadata_request_defaults(&request);
    request.allow_auto_topic_creation =
        self->options.may_create_topics || ask->version < METADATA_VERSION_CREATION;
    request.topics = arena_take_array(&ask->arena, self->topic_count, sizeof *request.topics);
    if (request.topics == NULL) {
        wire_writer_fail(writer, STATUS_NO_MEMORY);
        return;
    }
    list_for_each(link, &self->topics)
    {
        struct cluster_topic *topic = container_of(link, struct cluster_topic, in_cluster);
        kafka_metadata_request_metadata_request_topic_defaults(
            &request.topics[request.topics_count]);
        request.topics[request.topics_count].name =
            (struct wire_text){topic->name, topic->name_bytes};
        request.topics_count += 1;
    }
    kafka_metadata_request_encode(&request, ask->version, writer);
}

static enum status learn(struct cluster *self, struct ask *ask)
{
    struct kafka_metadata_response answer;
    TRY(kafka_metadata_response_decode(&ask->call.reader, ask->version, &ask->arena, &answer));
    cluster_node_unlist(self);
    for (int32_t i = 0; i < answer.brokers_count; i++) {
        cluster_learn_node(self, answer.brokers[i].node_id, answer.brokers[i].host,
                           answer.brokers[i].port);
    }
    self->controller = answer.controller_id;
    if (answer.cluster_id.byte_count > 0 &&
        (size_t)answer.cluster_id.byte_count < sizeof self->cluster_id) {
        memcpy(self->cluster_id, answer.cluster_id.bytes, (size_t)answer.cluster_id.byte_count);
        self->cluster_id[answer.cluster_id.byte_count] = '\0';
    }
    for (int32_t i = 0; i < answer.topics_count; i++) {
        TRY(learn_topic(self, &answer.topics[i]));
    }
    return STATUS_OK;
}

/* Something that was asked for is not there yet, so it pays to look again soon. */
static bool has_gaps(const struct cluster *self)
{
    list_for_each(link, &self->topics)
    {
        const struct cluster_topic *topic = container_of(link, struct cluster_topic, in_cluster);
        if (topic->error_code != ERROR_CODE_NONE || topic->partition_count == 0) {
            return true;
        }
        for (int32_t i = 0; i < topic->partition_count; i++) {
            if (topic->partitions[i].leader < 0) {
                return true;
            }
        }
    }
    return false;
}

static void metadata_on_done(struct ask *ask, enum status status)
{
    struct cluster *self = container_of(ask, struct cluster, metadata);
    check(self->magic == CLUSTER_MAGIC);
    if (status == STATUS_OK) {
        status = learn(self, ask);
    } else {
        self->turn += 1;
    }
    ask_done(ask);
    self->is_refreshing = false;
    if (self->is_closing) {
        return;
    }
    self->refresh_status = status;
    self->refreshed_ns = loop_now_ns(self->options.loop);
    self->has_refreshed = true;
    if (status != STATUS_OK || has_gaps(self)) {
        refresh_after(self, retry_next_ns(&self->refresh_retry, &self->options.loop->prng));
    } else {
        retry_reset(&self->refresh_retry);
        refresh_after(self, REFRESH_PERIOD_MS * CLOCK_NS_PER_MS);
        self->is_routine = true;
        if (self->is_refresh_due) {
            refresh_after(self, REFRESH_REST_MS * CLOCK_NS_PER_MS);
        }
    }
    self->is_refresh_due = false;
    if (self->options.on_refreshed != NULL) {
        self->options.on_refreshed(self->options.context, status);
    }
}

static void refresh_on_fire(struct timer *timer)
{
    struct cluster *self = container_of(timer, struct cluster, refresh_timer);
    check(!self->is_refreshing);
    int64_t timeout_ms = self->options.request_timeout_ms < METADATA_TIMEOUT_MS
                             ? self->options.request_timeout_ms
                             : METADATA_TIMEOUT_MS;
    self->metadata = (struct ask){.api_key = API_KEY_METADATA,
                                  .version_min = METADATA_VERSION_MIN,
                                  .version_max = METADATA_VERSION_MAX,
                                  .timeout_ms = timeout_ms,
                                  .encode = metadata_encode,
                                  .on_done = metadata_on_done};
    self->is_refreshing = true;
    self->is_elsewhere |= self->is_routine;
    struct cluster_node *node = cluster_node_pick(self);
    self->is_elsewhere = false;
    self->informant = node == NULL ? CLUSTER_ANY : node->id;
    enum status status = node == NULL ? STATUS_NO_MEMORY
                                      : cluster_node_ask(node, CLUSTER_LANE_SHORT, &self->metadata);
    if (status != STATUS_OK) {
        metadata_on_done(&self->metadata, status);
    }
}

/* ---- asking ---- */

enum status cluster_ask(struct cluster *self, int32_t node, enum cluster_lane lane, struct ask *ask)
{
    check(self->magic == CLUSTER_MAGIC);
    check(ask->timeout_ms > 0);
    if (self->is_closing) {
        return STATUS_CANCELED;
    }
    if (node == CLUSTER_CONTROLLER) {
        node = self->controller >= 0 && cluster_knows_node(self, self->controller)
                   ? self->controller
                   : CLUSTER_ANY;
    }
    struct cluster_node *asked =
        node == CLUSTER_ANY ? cluster_node_pick(self) : cluster_node_find(self, node);
    return asked == NULL ? STATUS_UNREACHABLE : cluster_node_ask(asked, lane, ask);
}

void cluster_drop(struct cluster *self, int32_t node)
{
    struct cluster_node *found = cluster_node_find(self, node);
    if (found != NULL) {
        cluster_node_hang_up(found);
    }
}

bool cluster_knows_node(struct cluster *self, int32_t node)
{
    return cluster_node_find(self, node) != NULL;
}

void cluster_learn_node(struct cluster *self, int32_t node, struct wire_text host, int32_t port)
{
    check(self->magic == CLUSTER_MAGIC);
    if (node < 0 || port <= 0 || port > UINT16_MAX || host.byte_count <= 0 ||
        (size_t)host.byte_count > HOST_BYTES_MAX) {
        return;
    }
    struct address address = {.port = (uint16_t)port};
    memcpy(address.host, host.bytes, (size_t)host.byte_count);
    cluster_node_learn(self, node, &address);
}

/* ---- life ---- */

void cluster_init(struct cluster *self, const struct cluster_options *options)
{
    check(options->bootstrap_count > 0);
    check(options->bootstrap_count <= CLUSTER_BOOTSTRAP_MAX);
    check(options->request_timeout_ms > 0);
    *self = (struct cluster){
        .magic = CLUSTER_MAGIC, .options = *options, .controller = -1, .informant = CLUSTER_ANY};
    list_init(&self->nodes);
    list_init(&self->topics);
    memcpy(self->bootstrap, options->bootstrap,
           options->bootstrap_count * sizeof *options->bootstrap);
    self->options.bootstrap = self->bootstrap;
    retry_init(&self->refresh_retry, REFRESH_FLOOR_MS, REFRESH_CEILING_MS);
    timer_init(&self->refresh_timer, &options->loop->timers, refresh_on_fire);
}

static void close_deliver(struct mail *mail)
{
    struct cluster *self = container_of(mail, struct cluster, close_mail);
    check(self->magic == CLUSTER_MAGIC);
    cluster_node_free_all(self);
    struct list *link;
    while ((link = list_take_first(&self->topics)) != NULL) {
        struct cluster_topic *topic = container_of(link, struct cluster_topic, in_cluster);
        free(topic->partitions);
        free(topic);
    }
    self->magic = 0;
    self->options.on_closed(self->options.context);
}

void cluster_end_close(struct cluster *self)
{
    if (self->is_closing && self->link_count == 0 && !self->has_closed) {
        self->has_closed = true;
        self->close_mail = (struct mail){.deliver = close_deliver};
        loop_defer(self->options.loop, &self->close_mail);
    }
}

void cluster_close(struct cluster *self)
{
    check(self->magic == CLUSTER_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_closing = true;
    timer_done(&self->refresh_timer);
    cluster_node_close_all(self);
    cluster_end_close(self);
}
