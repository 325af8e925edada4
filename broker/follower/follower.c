#include "broker/follower/follower.h"

#include "broker/follower/leader_feed.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define FOLLOWER_MAGIC 0xf0110e4aU

struct follower {
    uint32_t magic;
    struct follower_options options;
    struct partition_observer observer;
    struct partition_map *map; /* Borrowed; NULL before the start. */
    struct list feeds;         /* struct leader_feed, one per leading broker. */
    struct isr_keeper keeper;
    bool is_keeper_stopped;
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static struct leader_feed *feed_of(struct follower *self, int32_t leader_id)
{
    list_for_each(link, &self->feeds)
    {
        struct leader_feed *feed = container_of(link, struct leader_feed, in_follower);
        if (feed->leader_id == leader_id) {
            return feed;
        }
    }
    return NULL;
}

static void close_when_idle(struct follower *self)
{
    if (!self->is_closing || !self->is_keeper_stopped || !list_is_empty(&self->feeds)) {
        return;
    }
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    isr_keeper_done(&self->keeper);
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void feed_on_closed(struct leader_feed *feed)
{
    struct follower *self = feed->context;
    list_remove(&feed->in_follower);
    free(feed);
    close_when_idle(self);
}

static void feed_on_failed(struct leader_feed *feed, enum status why)
{
    struct follower *self = feed->context;
    self->options.on_failed(self->options.context, why);
}

static struct leader_feed *open_feed(struct follower *self, int32_t leader_id)
{
    struct leader_feed *feed = calloc(1, sizeof *feed);
    check(feed != NULL); /* Some hundred bytes per broker of the cluster. */
    struct leader_feed_options options = {.loop = self->options.loop,
                                          .broker_id = self->options.broker_id,
                                          .leader_id = leader_id,
                                          .on_closed = feed_on_closed,
                                          .on_failed = feed_on_failed,
                                          .context = self};
    leader_feed_init(feed, &options);
    list_append(&self->feeds, &feed->in_follower);
    return feed;
}

/* A partition has a leader elsewhere: it is fed from there, and from nowhere else. */
static void on_assigned(struct partition_observer *observer, struct partition *partition,
                        bool is_gone)
{
    struct follower *self = container_of(observer, struct follower, observer);
    check(self->magic == FOLLOWER_MAGIC);
    struct partition_marks marks = {.leader = -1};
    if (!is_gone) {
        partition_marks_of(partition, &marks);
    }
    bool is_fed = !is_gone && !self->is_closing && marks.leader >= 0 && !marks.is_leader;
    struct leader_feed *wanted = NULL;
    if (is_fed) {
        wanted = feed_of(self, marks.leader);
        wanted = wanted != NULL ? wanted : open_feed(self, marks.leader);
    }
    leader_feed_move(partition, wanted);
}

static void on_flushed(struct partition_observer *observer, struct partition *partition,
                       int64_t flushed_end)
{
    (void)observer;
    leader_feed_flushed(partition, flushed_end);
}

enum status follower_new(const struct follower_options *options, struct follower **out_self)
{
    struct follower *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = FOLLOWER_MAGIC;
    self->options = *options;
    self->observer =
        (struct partition_observer){.on_assigned = on_assigned, .on_flushed = on_flushed};
    list_init(&self->feeds);
    enum status status =
        isr_keeper_init(&self->keeper, options->loop, options->broker_id, options->lag_ms);
    if (status != STATUS_OK) {
        isr_keeper_done(&self->keeper);
        free(self);
        return status;
    }
    *out_self = self;
    return STATUS_OK;
}

struct partition_observer *follower_observer(struct follower *self)
{
    check(self->magic == FOLLOWER_MAGIC);
    return &self->observer;
}

void follower_start(struct follower *self, struct partition_map *map, struct uplink *uplink)
{
    check(self->magic == FOLLOWER_MAGIC);
    self->map = map;
    isr_keeper_start(&self->keeper, map, uplink);
    follower_follow_image(self);
}

void follower_follow_image(struct follower *self)
{
    check(self->magic == FOLLOWER_MAGIC);
    const struct image *image = self->map == NULL ? NULL : partition_map_image(self->map);
    if (image == NULL || self->is_closing) {
        return;
    }
    const struct image_broker *own = self->options.may_follow(self->options.context, image)
                                         ? image_broker_by_id(image, self->options.broker_id)
                                         : NULL;
    list_for_each(link, &self->feeds)
    {
        struct leader_feed *feed = container_of(link, struct leader_feed, in_follower);
        leader_feed_update(feed, self->map, image_broker_by_id(image, feed->leader_id),
                           own == NULL ? -1 : own->epoch);
    }
}

static void keeper_on_stopped(struct isr_keeper *keeper)
{
    struct follower *self = container_of(keeper, struct follower, keeper);
    self->is_keeper_stopped = true;
    close_when_idle(self);
}

void follower_close(struct follower *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == FOLLOWER_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    list_for_each_removable(link, &self->feeds)
    {
        leader_feed_close(container_of(link, struct leader_feed, in_follower));
    }
    isr_keeper_stop(&self->keeper, keeper_on_stopped);
}
