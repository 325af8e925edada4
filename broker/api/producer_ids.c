#include "broker/api/producer_ids.h"

#include "broker/api/dispatch.h"
#include "proto/sys/check.h"

#define ASK_TIMEOUT_MS 10000

void producer_ids_init(struct producer_ids *self, struct api_shard *shard)
{
    *self = (struct producer_ids){.shard = shard};
    list_init(&self->waiting);
}

static void serve_waiting(struct producer_ids *self)
{
    while (self->next_id < self->end_id && !list_is_empty(&self->waiting)) {
        struct producer_ids_wait *wait =
            container_of(list_take_first(&self->waiting), struct producer_ids_wait, link);
        int64_t producer_id = self->next_id;
        self->next_id += 1;
        wait->on_taken(wait, STATUS_OK, producer_id);
    }
}

static void fail_waiting(struct producer_ids *self, enum status status)
{
    struct list failed;
    list_init(&failed);
    struct list *link;
    while ((link = list_take_first(&self->waiting)) != NULL) {
        list_append(&failed, link);
    }
    while ((link = list_take_first(&failed)) != NULL) {
        struct producer_ids_wait *wait = container_of(link, struct producer_ids_wait, link);
        wait->on_taken(wait, status, -1);
    }
}

static void ask(struct producer_ids *self);

static void asked_on_done(struct uplink_call *asked, enum status status)
{
    struct producer_ids *self = container_of(asked, struct producer_ids, asked);
    self->is_asking = false;
    if (status == STATUS_OK && self->command.error.reason != DECISION_NONE) {
        status = STATUS_BUSY; /* Registered anew in the meantime: the client asks again. */
    }
    if (status != STATUS_OK) {
        fail_waiting(self, status);
        return;
    }
    check(self->command.id_count > 0);
    self->next_id = self->command.first_id;
    self->end_id = self->command.first_id + self->command.id_count;
    serve_waiting(self);
    if (!list_is_empty(&self->waiting)) {
        ask(self);
    }
}

static void ask(struct producer_ids *self)
{
    struct api_node *node = self->shard->node;
    const struct image *image = partition_map_image(self->shard->map);
    const struct image_broker *broker = image_broker_by_id(image, node->broker_id);
    if (broker == NULL) {
        fail_waiting(self, STATUS_BUSY);
        return;
    }
    self->is_asking = true;
    self->command = (struct producer_id_decisions_request){.broker_id = node->broker_id,
                                                           .broker_epoch = broker->epoch};
    self->asked = (struct uplink_call){.request = {.kind = CONTROLLER_ALLOCATE_PRODUCER_IDS,
                                                   .command.producer_ids = &self->command,
                                                   .deadline_ns = loop_now_ns(self->shard->loop) +
                                                                  ASK_TIMEOUT_MS * CLOCK_NS_PER_MS},
                                       .on_done = asked_on_done};
    uplink_post(node->uplink, &self->asked, self->shard->loop);
}

void producer_ids_take(struct producer_ids *self, struct producer_ids_wait *wait)
{
    list_append(&self->waiting, &wait->link);
    serve_waiting(self);
    if (!list_is_empty(&self->waiting) && !self->is_asking) {
        ask(self);
    }
}
