#include "broker/coordinator/broker_links.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define BROKER_LINKS_MAGIC 0xb40c1175U

struct way {
    struct broker_links *owner;
    int32_t broker_id;
    struct address address;
    struct link *link; /* NULL: not open. */
};

struct broker_links {
    uint32_t magic;
    struct broker_links_options options;
    struct way *ways[BROKER_LINKS_MAX]; /* Owned. */
    uint32_t way_count;
    uint32_t open_count; /* Links, also those that are closing and in no way any more. */
    bool is_closing;
    struct mail close_mail;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

enum status broker_links_new(const struct broker_links_options *options,
                             struct broker_links **out_self)
{
    struct broker_links *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = BROKER_LINKS_MAGIC;
    self->options = *options;
    *out_self = self;
    return STATUS_OK;
}

static void close_deliver(struct mail *mail)
{
    struct broker_links *self = container_of(mail, struct broker_links, close_mail);
    self->on_closed(self->on_closed_context);
}

static void close_if_idle(struct broker_links *self)
{
    if (self->is_closing && self->open_count == 0) {
        self->close_mail.deliver = close_deliver;
        loop_defer(self->options.loop, &self->close_mail);
    }
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct broker_links *self = context;
    check(self->magic == BROKER_LINKS_MAGIC);
    (void)why; /* Every call has been told. */
    for (uint32_t i = 0; i < self->way_count; i++) {
        if (self->ways[i]->link == link) {
            self->ways[i]->link = NULL;
        }
    }
    check(self->open_count > 0);
    self->open_count -= 1;
    close_if_idle(self);
}

static struct way *find_or_make(struct broker_links *self, int32_t broker_id)
{
    for (uint32_t i = 0; i < self->way_count; i++) {
        if (self->ways[i]->broker_id == broker_id) {
            return self->ways[i];
        }
    }
    struct way *way = self->way_count < BROKER_LINKS_MAX ? calloc(1, sizeof *way) : NULL;
    if (way != NULL) {
        way->owner = self;
        way->broker_id = broker_id;
        self->ways[self->way_count] = way;
        self->way_count += 1;
    }
    return way;
}

/* Where the image says it is now. */
static bool look_up(struct broker_links *self, int32_t broker_id, struct address *out_address)
{
    const struct image *image = self->options.image_of(self->options.context);
    const struct image_broker *broker = image == NULL ? NULL : image_broker_by_id(image, broker_id);
    if (broker == NULL || broker->endpoint_count == 0) {
        return false;
    }
    *out_address = (struct address){.port = broker->endpoints[0].port};
    size_t byte_count = strnlen(broker->endpoints[0].host, sizeof out_address->host - 1);
    memcpy(out_address->host, broker->endpoints[0].host, byte_count);
    return true;
}

static enum status open_way(struct way *way)
{
    struct link_options options = {.loop = way->owner->options.loop,
                                   .address = way->address,
                                   .client_id = "coordinator",
                                   .on_closed = link_on_closed,
                                   .context = way->owner};
    TRY(link_open(&options, &way->link));
    way->owner->open_count += 1;
    return STATUS_OK;
}

enum status broker_links_send(struct broker_links *self, int32_t broker_id, struct link_call *call)
{
    check(self->magic == BROKER_LINKS_MAGIC);
    struct address address;
    if (self->is_closing) {
        return STATUS_CLOSED;
    }
    if (!look_up(self, broker_id, &address)) {
        return STATUS_UNREACHABLE;
    }
    struct way *way = find_or_make(self, broker_id);
    if (way == NULL) {
        return STATUS_FULL;
    }
    bool is_elsewhere =
        address.port != way->address.port || strcmp(address.host, way->address.host) != 0;
    if (way->link != NULL && is_elsewhere) {
        struct link *old = way->link;
        way->link = NULL;
        link_close(old);
    }
    way->address = address;
    if (way->link == NULL) {
        TRY(open_way(way));
    }
    return link_send(way->link, call);
}

void broker_links_close(struct broker_links *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == BROKER_LINKS_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    self->open_count += 1; /* Links may close inside the loop below. */
    for (uint32_t i = 0; i < self->way_count; i++) {
        if (self->ways[i]->link != NULL) {
            link_close(self->ways[i]->link);
        }
    }
    self->open_count -= 1;
    close_if_idle(self);
}

void broker_links_free(struct broker_links *self)
{
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->way_count; i++) {
        free(self->ways[i]);
    }
    self->magic = 0;
    free(self);
}
