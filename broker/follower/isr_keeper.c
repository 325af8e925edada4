#include "broker/follower/isr_keeper.h"

#include "broker/controller/leader_election.h"
#include "proto/sys/check.h"

#include <stdlib.h>

/* A follower that has caught up should not wait long for its place; looking costs little. */
#define LOOK_INTERVAL_MS 50
#define ASK_TIMEOUT_MS 5000

static void look_later(struct isr_keeper *self)
{
    timer_start_after(&self->timer, LOOK_INTERVAL_MS * CLOCK_NS_PER_MS);
}

static struct partition *partition_of(struct isr_keeper *self, uint32_t index)
{
    const struct isr_keeper_item *item = &self->item_partitions[index];
    return partition_map_find(self->map, &item->topic_id, item->index);
}

static void call_on_done(struct uplink_call *call, enum status status)
{
    struct isr_keeper *self = container_of(call, struct isr_keeper, call);
    self->is_asking = false;
    bool is_decided = status == STATUS_OK && self->request.error.reason == DECISION_NONE;
    bool is_fate_known = status != STATUS_UNKNOWN && status != STATUS_TIMEOUT;
    for (uint32_t i = 0; i < self->request.item_count; i++) {
        struct partition *partition = self->is_stopping ? NULL : partition_of(self, i);
        if (partition == NULL) {
            continue;
        }
        bool is_made = is_decided && self->items[i].reason == DECISION_NONE;
        /* A change that was made ends with the image that holds it; until then its joiners count.
         */
        if (!is_made) {
            partition_proposal_ended(partition, is_fate_known);
        }
    }
    if (self->is_stopping) {
        self->on_stopped(self);
        return;
    }
    look_later(self);
}

/* Those of `ids` that can lead now, but for this broker. */
static uint32_t list_others(const struct isr_keeper *self, const int32_t *ids, uint8_t count,
                            struct isr_decisions_member *out_members)
{
    struct leader_election_view view;
    leader_election_view_init(&view, partition_map_image(self->map));
    uint32_t found = 0;
    for (uint8_t i = 0; i < count; i++) {
        if (ids[i] != self->broker_id && leader_election_may_lead(&view, ids[i])) {
            out_members[found] = (struct isr_decisions_member){
                .broker_id = ids[i], .broker_epoch = image_broker_by_id(view.image, ids[i])->epoch};
            found += 1;
        }
    }
    return found;
}

/* What this broker leads and cannot serve goes to those who have all that was acknowledged. While
 * there is nobody it stays: a partition without a leader would be no better off. */
static void look_at_offline(struct isr_keeper *self, const struct partition *partition)
{
    const struct image_topic *topic =
        image_topic_by_id(partition_map_image(self->map), partition_topic_id(partition));
    const struct image_partition *decided =
        topic == NULL ? NULL : image_topic_partition(topic, partition_index(partition));
    if (decided == NULL || decided->leader != self->broker_id ||
        self->request.item_count == ISR_KEEPER_ITEMS_MAX) {
        return;
    }
    uint32_t index = self->request.item_count;
    struct isr_keeper_item *item = &self->item_partitions[index];
    uint32_t count = list_others(self, decided->isr, decided->isr_count, item->members);
    if (count == 0) {
        count = list_others(self, decided->elr, decided->elr_count, item->members);
    }
    if (count == 0) {
        return;
    }
    item->topic_id = topic->id;
    item->index = partition_index(partition);
    self->items[index] = (struct isr_decisions_item){.topic_id = item->topic_id,
                                                     .index = item->index,
                                                     .leader_epoch = decided->leader_epoch,
                                                     .partition_epoch = decided->partition_epoch,
                                                     .isr = item->members,
                                                     .isr_count = count};
    self->request.item_count += 1;
}

static void look_at(void *context, struct partition *partition)
{
    struct isr_keeper *self = context;
    if (partition_is_offline(partition)) {
        look_at_offline(self, partition);
        return;
    }
    struct replica_set_proposal proposal;
    if (self->request.item_count == ISR_KEEPER_ITEMS_MAX ||
        !partition_propose_isr(partition, self->lag_ns, &proposal)) {
        return;
    }
    struct partition_marks marks;
    partition_marks_of(partition, &marks);
    const struct image *image = partition_map_image(self->map);
    uint32_t index = self->request.item_count;
    struct isr_keeper_item *item = &self->item_partitions[index];
    item->topic_id = *partition_topic_id(partition);
    item->index = partition_index(partition);
    for (uint8_t i = 0; i < proposal.count; i++) {
        int64_t epoch = proposal.broker_epochs[i];
        if (proposal.broker_ids[i] == self->broker_id || epoch < 0) {
            /* A member of the ISR that has not fetched in this term is vouched for by the image. */
            const struct image_broker *broker = image_broker_by_id(image, proposal.broker_ids[i]);
            epoch = broker == NULL ? -1 : broker->epoch;
        }
        item->members[i] = (struct isr_decisions_member){.broker_id = proposal.broker_ids[i],
                                                         .broker_epoch = epoch};
    }
    self->items[index] = (struct isr_decisions_item){.topic_id = item->topic_id,
                                                     .index = item->index,
                                                     .leader_epoch = marks.leader_epoch,
                                                     .partition_epoch = partition_epoch(partition),
                                                     .isr = item->members,
                                                     .isr_count = proposal.count};
    self->request.item_count += 1;
}

static void look_on_timer(struct timer *timer)
{
    struct isr_keeper *self = container_of(timer, struct isr_keeper, timer);
    check(!self->is_asking);
    const struct image *image = partition_map_image(self->map);
    const struct image_broker *own =
        image == NULL ? NULL : image_broker_by_id(image, self->broker_id);
    if (own == NULL || own->is_fenced) {
        look_later(self);
        return;
    }
    self->request = (struct isr_decisions_request){
        .broker_id = self->broker_id, .broker_epoch = own->epoch, .items = self->items};
    partition_map_each(self->map, look_at, self);
    if (self->request.item_count == 0) {
        look_later(self);
        return;
    }
    self->is_asking = true;
    self->call = (struct uplink_call){
        .request = {.kind = CONTROLLER_ALTER_PARTITIONS,
                    .command.alter_partitions = &self->request,
                    .deadline_ns = loop_now_ns(self->loop) + ASK_TIMEOUT_MS * CLOCK_NS_PER_MS},
        .on_done = call_on_done};
    uplink_post(self->uplink, &self->call, self->loop);
}

enum status isr_keeper_init(struct isr_keeper *self, struct loop *loop, int32_t broker_id,
                            int64_t lag_ms)
{
    check(lag_ms > 0);
    *self = (struct isr_keeper){
        .loop = loop, .broker_id = broker_id, .lag_ns = lag_ms * CLOCK_NS_PER_MS};
    timer_init(&self->timer, &loop->timers, look_on_timer);
    self->items = calloc(ISR_KEEPER_ITEMS_MAX, sizeof *self->items);
    self->item_partitions = calloc(ISR_KEEPER_ITEMS_MAX, sizeof *self->item_partitions);
    return self->items == NULL || self->item_partitions == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void isr_keeper_done(struct isr_keeper *self)
{
    timer_done(&self->timer);
    free(self->items);
    free(self->item_partitions);
    self->items = NULL;
    self->item_partitions = NULL;
}

void isr_keeper_start(struct isr_keeper *self, struct partition_map *map, struct uplink *uplink)
{
    self->map = map;
    self->uplink = uplink;
    look_later(self);
}

void isr_keeper_stop(struct isr_keeper *self, void (*on_stopped)(struct isr_keeper *self))
{
    self->is_stopping = true;
    self->on_stopped = on_stopped;
    timer_stop(&self->timer);
    if (!self->is_asking) {
        on_stopped(self);
    }
}
