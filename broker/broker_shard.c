#include "broker/broker_shard.h"

#include "proto/sys/check.h"

#include <stdlib.h>

static void opened_deliver(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, open_mail);
    self->on_opened(self);
}

static const struct image *image_of(void *context)
{
    const struct broker_shard *self = context;
    return self->api->map == NULL ? NULL : partition_map_image(self->api->map);
}

static struct partition_map *map_of(void *context, const struct wire_uuid *topic_id, int32_t index)
{
    const struct broker_shard *self = context;
    return dispatch_map_of(self->api->node, topic_id, index);
}

static enum status open_txn_parts(struct broker_shard *self)
{
    struct broker_links_options links = {
        .loop = self->api->loop, .image_of = image_of, .context = self};
    TRY(broker_links_new(&links, &self->links));
    self->api->links = self->links;
    TRY(broker_links_new(&links, &self->marker_links));
    struct txn_markers_options markers = {.loop = self->api->loop,
                                          .broker_id = self->api->node->broker_id,
                                          .links = self->marker_links,
                                          .image_of = image_of,
                                          .map_of = map_of,
                                          .context = self};
    TRY(txn_markers_new(&markers, &self->markers));
    self->txn_context.markers = self->markers;
    return STATUS_OK;
}

static enum status open_parts(struct broker_shard *self)
{
    TRY(open_txn_parts(self));
    TRY(follower_new(&self->follower_options, &self->follower));
    TRY(ledger_set_new(&self->ledger_options, &self->ledgers));
    self->map_options.observer = follower_observer(self->follower);
    self->map_options.observer->next = ledger_set_observer(self->ledgers);
    TRY(partition_map_open(&self->map_options, &self->api->map));
    decompressor_init(&self->api->decompressor, self->api->node->budget);
    return STATUS_OK;
}

static void open_deliver(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, open_mail);
    self->open_status = open_parts(self);
    self->open_mail.deliver = opened_deliver;
    mailbox_post(&self->home->mailbox, &self->open_mail);
}

void broker_shard_open(struct broker_shard *self)
{
    self->api->owner = self;
    list_init(&self->api->free_requests);
    producer_ids_init(&self->api->producer_ids, self->api);
    internal_topic_init(&self->api->group_topic, self->api, DISPATCH_GROUP_TOPIC);
    internal_topic_init(&self->api->transaction_topic, self->api, DISPATCH_TRANSACTION_TOPIC);
    txn_gate_init(&self->api->txn_gate, self->api);
    self->open_mail.deliver = open_deliver;
    mailbox_post(&self->api->loop->mailbox, &self->open_mail);
}

static void start_deliver(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, start_mail);
    if (self->follower != NULL && self->api->map != NULL) {
        follower_start(self->follower, self->api->map, self->api->node->uplink);
    }
}

void broker_shard_start(struct broker_shard *self)
{
    self->start_mail.deliver = start_deliver;
    mailbox_post(&self->api->loop->mailbox, &self->start_mail);
}

static void closed_deliver(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, close_mail);
    self->on_closed(self);
}

static void close_on_map_closed(void *context)
{
    struct broker_shard *self = context;
    decompressor_done(&self->api->decompressor);
    request_free_all(self->api);
    self->api->links = NULL;
    broker_links_free(self->links);
    broker_links_free(self->marker_links);
    self->close_mail.deliver = closed_deliver;
    mailbox_post(&self->home->mailbox, &self->close_mail);
}

/* No request is left on any shard, so no call can reach these partitions any more. */
static void close_map(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, close_mail);
    struct partition_map *map = self->api->map;
    self->api->map = NULL;
    if (map == NULL) {
        close_on_map_closed(self);
    } else {
        partition_map_close(map, close_on_map_closed, self);
    }
}

void broker_shard_close(struct broker_shard *self)
{
    self->close_mail.deliver = close_map;
    mailbox_post(&self->api->loop->mailbox, &self->close_mail);
}

static void idle_deliver(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, close_mail);
    self->on_idle(self);
}

static void say_idle(struct broker_shard *self)
{
    self->api->on_idle = NULL;
    self->close_mail.deliver = idle_deliver;
    mailbox_post(&self->home->mailbox, &self->close_mail);
}

static void drain_on_idle(struct api_shard *api)
{
    say_idle(api->owner);
}

static void drain_requests(struct broker_shard *self)
{
    if (self->api->active_request_count == 0) {
        say_idle(self);
    } else {
        self->api->on_idle = drain_on_idle;
    }
}

static void drain_on_markers_closed(void *context)
{
    struct broker_shard *self = context;
    self->markers = NULL;
    drain_requests(self);
}

static void drain_markers(struct broker_shard *self)
{
    if (self->markers != NULL) {
        txn_markers_close(self->markers, drain_on_markers_closed, self);
    } else {
        drain_requests(self);
    }
}

static void drain_on_ledgers_closed(void *context)
{
    struct broker_shard *self = context;
    self->ledgers = NULL;
    drain_markers(self);
}

static void drain_ledgers(struct broker_shard *self)
{
    if (self->ledgers != NULL) {
        ledger_set_close(self->ledgers, drain_on_ledgers_closed, self);
    } else {
        drain_markers(self);
    }
}

static void drain_on_marker_links_closed(void *context)
{
    drain_ledgers(context);
}

static void drain_on_links_closed(void *context)
{
    struct broker_shard *self = context;
    if (self->marker_links != NULL) {
        broker_links_close(self->marker_links, drain_on_marker_links_closed, self);
    } else {
        drain_ledgers(self);
    }
}

static void drain_links(struct broker_shard *self)
{
    if (self->links != NULL) {
        broker_links_close(self->links, drain_on_links_closed, self);
    } else {
        drain_ledgers(self);
    }
}

static void drain_on_follower_closed(void *context)
{
    struct broker_shard *self = context;
    self->follower = NULL;
    drain_links(self);
}

static void drain_deliver(struct mail *mail)
{
    struct broker_shard *self = container_of(mail, struct broker_shard, close_mail);
    if (self->api->map != NULL) {
        partition_map_retire(self->api->map);
    }
    if (self->follower != NULL) {
        follower_close(self->follower, drain_on_follower_closed, self);
    } else {
        drain_links(self);
    }
}

void broker_shard_drain(struct broker_shard *self)
{
    self->close_mail.deliver = drain_deliver;
    mailbox_post(&self->api->loop->mailbox, &self->close_mail);
}

/* An image on its way to a shard, and back as the word that it was applied. */
struct image_mail {
    struct mail mail;
    struct broker_shard *shard;
    struct image *image; /* One reference. */
    uint64_t index;
};

static void applied_deliver(struct mail *mail)
{
    struct image_mail *self = container_of(mail, struct image_mail, mail);
    self->shard->on_applied(self->shard, self->index);
    free(self);
}

static void apply_deliver(struct mail *mail)
{
    struct image_mail *self = container_of(mail, struct image_mail, mail);
    self->index = image_index(self->image);
    if (self->shard->api->map != NULL) { /* Else it is closing. */
        partition_map_apply(self->shard->api->map, self->image);
        if (self->shard->follower != NULL) {
            follower_follow_image(self->shard->follower);
        }
    }
    image_unref(self->image);
    self->mail.deliver = applied_deliver;
    mailbox_post(&self->shard->home->mailbox, &self->mail);
}

void broker_shard_apply(struct broker_shard *self, struct image *image)
{
    struct image_mail *mail = calloc(1, sizeof *mail);
    check(mail != NULL); /* A shard that misses an image would serve a past that is over. */
    mail->shard = self;
    mail->image = image_ref(image);
    mail->mail.deliver = apply_deliver;
    mailbox_post(&self->api->loop->mailbox, &mail->mail);
}
