#include "client/cluster_node.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define NODE_MAGIC 0xc1a5400dU
#define CONNECT_FLOOR_MS 25
#define CONNECT_CEILING_MS 1000
#define BOOTSTRAP_ID(index) (-100 - (int32_t)(index))
#define AVOIDED_PRICE 5 /* Any other one that has not failed lately is better. */

static void pause_on_fire(struct timer *timer);

static int64_t node_now_ns(const struct cluster_node *self)
{
    return loop_now_ns(self->cluster->options.loop);
}

static struct cluster_node *node_add(struct cluster *cluster, int32_t id,
                                     const struct address *address)
{
    if (cluster->node_count >= CLUSTER_NODES_MAX) {
        return NULL;
    }
    struct cluster_node *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->magic = NODE_MAGIC;
    self->cluster = cluster;
    self->id = id;
    self->address = *address;
    for (uint32_t i = 0; i < CLUSTER_LANE_COUNT; i++) {
        struct cluster_node_lane *lane = &self->lanes[i];
        lane->node = self;
        list_init(&lane->waiting);
        retry_init(&lane->retry, CONNECT_FLOOR_MS, CONNECT_CEILING_MS);
        timer_init(&lane->pause, &cluster->options.loop->timers, pause_on_fire);
    }
    list_append(&cluster->nodes, &self->in_cluster);
    cluster->node_count += 1;
    return self;
}

struct cluster_node *cluster_node_find(struct cluster *cluster, int32_t id)
{
    list_for_each(link, &cluster->nodes)
    {
        struct cluster_node *self = container_of(link, struct cluster_node, in_cluster);
        if (self->id == id) {
            return self;
        }
    }
    return NULL;
}

/* An open link is best, then a broker that metadata lists, then a bootstrap address; whoever failed
 * lately comes last. */
static int64_t pick_price(const struct cluster_node *self)
{
    const struct cluster_node_lane *lane = &self->lanes[CLUSTER_LANE_SHORT];
    if (lane->link != NULL && link_is_open(lane->link)) {
        return self->is_listed ? 0 : 1;
    }
    int64_t wait_ns = lane->not_before_ns - node_now_ns(self);
    if (wait_ns > 0) {
        return 10 + wait_ns;
    }
    return self->is_listed ? 2 : 3;
}

struct cluster_node *cluster_node_pick(struct cluster *cluster)
{
    for (uint32_t i = 0; cluster_node_find(cluster, BOOTSTRAP_ID(0)) == NULL &&
                         i < cluster->options.bootstrap_count;
         i++) {
        /* First use. */
        uint32_t last = cluster->options.bootstrap_count - 1 - i;
        if (node_add(cluster, BOOTSTRAP_ID(last), &cluster->bootstrap[last]) == NULL) {
            return NULL;
        }
    }
    struct cluster_node *best = NULL;
    int64_t best_price = INT64_MAX;
    uint32_t best_turn = 0;
    uint32_t place = 0;
    list_for_each(link, &cluster->nodes)
    {
        struct cluster_node *self = container_of(link, struct cluster_node, in_cluster);
        bool is_avoided = cluster->is_elsewhere && self->id == cluster->informant;
        int64_t price = pick_price(self) + (is_avoided ? AVOIDED_PRICE : 0);
        uint32_t turn = (place + cluster->node_count - cluster->turn % cluster->node_count) %
                        cluster->node_count;
        if (best == NULL || price < best_price || (price == best_price && turn < best_turn)) {
            best = self;
            best_price = price;
            best_turn = turn;
        }
        place += 1;
    }
    return best;
}

void cluster_node_learn(struct cluster *cluster, int32_t id, const struct address *address)
{
    struct cluster_node *self = cluster_node_find(cluster, id);
    if (self == NULL) {
        self = node_add(cluster, id, address);
        if (self == NULL) {
            return;
        }
    }
    self->is_listed = true;
    if (self->address.port != address->port || strcmp(self->address.host, address->host) != 0) {
        self->address = *address;
        cluster_node_hang_up(self);
    }
}

void cluster_node_unlist(struct cluster *cluster)
{
    list_for_each(link, &cluster->nodes)
    {
        container_of(link, struct cluster_node, in_cluster)->is_listed = false;
    }
}

/* ---- links ---- */

static void wait_end(struct ask *ask, enum status status)
{
    list_remove(&ask->in_line);
    timer_done(&ask->deadline);
    ask->is_waiting = false;
    ask->on_done(ask, status);
}

/* An ask that comes in while these end must not end with them, or it might be asked forever. */
static void wait_end_all(struct cluster_node_lane *lane, enum status status)
{
    struct list ending;
    list_init(&ending);
    struct list *link;
    while ((link = list_take_first(&lane->waiting)) != NULL) {
        list_append(&ending, link);
    }
    while (!list_is_empty(&ending)) {
        wait_end(container_of(ending.next, struct ask, in_line), status);
    }
}

static enum status sent_status(enum status status)
{
    return status == STATUS_CLOSED ? STATUS_UNREACHABLE : status;
}

static void link_on_open(struct link *link, void *context)
{
    struct cluster_node_lane *lane = context;
    check(lane->node->magic == NODE_MAGIC);
    check(lane->link == link);
    lane->was_open = true;
    retry_reset(&lane->retry);
    while (!list_is_empty(&lane->waiting)) {
        struct ask *ask = container_of(lane->waiting.next, struct ask, in_line);
        list_remove(&ask->in_line);
        timer_done(&ask->deadline);
        ask->is_waiting = false;
        enum status status = ask_send(ask, link, node_now_ns(lane->node));
        if (status != STATUS_OK) {
            ask->on_done(ask, sent_status(status));
        }
    }
}

static void lane_rest(struct cluster_node_lane *lane)
{
    struct loop *loop = lane->node->cluster->options.loop;
    lane->not_before_ns = loop_now_ns(loop) + retry_next_ns(&lane->retry, &loop->prng);
}

static void link_on_closed(struct link *link, void *context, enum status why)
{
    struct cluster_node_lane *lane = context;
    struct cluster *cluster = lane->node->cluster;
    check(lane->node->magic == NODE_MAGIC);
    check(lane->link == link);
    (void)why;
    bool was_open = lane->was_open;
    lane->link = NULL;
    cluster->link_count -= 1;
    if (cluster->is_closing) {
        cluster_end_close(cluster);
        return;
    }
    lane_rest(lane);
    if (!list_is_empty(&lane->waiting)) {
        timer_start_at(&lane->pause, lane->not_before_ns);
    }
    cluster->turn += 1;
    cluster_refresh(cluster); /* What it led may be led by another. */
    if (!was_open) {
        wait_end_all(lane, STATUS_UNREACHABLE);
    }
}

static void lane_open(struct cluster_node_lane *lane)
{
    struct cluster *cluster = lane->node->cluster;
    struct link_options options = {.loop = cluster->options.loop,
                                   .address = lane->node->address,
                                   .client_id = cluster->options.client_id,
                                   .on_open = link_on_open,
                                   .on_closed = link_on_closed,
                                   .context = lane};
    lane->was_open = false;
    if (link_open(&options, &lane->link) != STATUS_OK) {
        lane->link = NULL;
        lane_rest(lane);
        timer_start_at(&lane->pause, lane->not_before_ns);
        return;
    }
    cluster->link_count += 1;
}

static void pause_on_fire(struct timer *timer)
{
    struct cluster_node_lane *lane = container_of(timer, struct cluster_node_lane, pause);
    check(lane->node->magic == NODE_MAGIC);
    if (lane->link == NULL && !list_is_empty(&lane->waiting)) {
        lane_open(lane);
    }
}

static void deadline_on_fire(struct timer *timer)
{
    wait_end(container_of(timer, struct ask, deadline), STATUS_UNREACHABLE);
}

enum status cluster_node_ask(struct cluster_node *self, enum cluster_lane lane_index,
                             struct ask *ask)
{
    check(self->magic == NODE_MAGIC);
    check(!ask->is_waiting);
    struct cluster_node_lane *lane = &self->lanes[lane_index];
    int64_t now_ns = node_now_ns(self);
    ask->node = self->id;
    ask->deadline_ns = now_ns + ask->timeout_ms * CLOCK_NS_PER_MS;
    if (lane->link != NULL && link_is_open(lane->link)) {
        return sent_status(ask_send(ask, lane->link, now_ns));
    }
    list_init(&ask->in_line);
    list_append(&lane->waiting, &ask->in_line);
    ask->is_waiting = true;
    timer_init(&ask->deadline, &self->cluster->options.loop->timers, deadline_on_fire);
    timer_start_at(&ask->deadline, ask->deadline_ns);
    if (lane->link != NULL) {
        return STATUS_OK; /* It is connecting, or about to be gone. */
    }
    if (lane->not_before_ns > now_ns) {
        timer_start_at(&lane->pause, lane->not_before_ns);
    } else {
        lane_open(lane);
    }
    return STATUS_OK;
}

void cluster_node_hang_up(struct cluster_node *self)
{
    check(self->magic == NODE_MAGIC);
    for (uint32_t i = 0; i < CLUSTER_LANE_COUNT; i++) {
        if (self->lanes[i].link != NULL) {
            link_close(self->lanes[i].link);
        }
    }
}

void cluster_node_close_all(struct cluster *cluster)
{
    list_for_each(link, &cluster->nodes)
    {
        struct cluster_node *self = container_of(link, struct cluster_node, in_cluster);
        cluster_node_hang_up(self);
        for (uint32_t i = 0; i < CLUSTER_LANE_COUNT; i++) {
            timer_done(&self->lanes[i].pause);
            wait_end_all(&self->lanes[i], STATUS_CANCELED);
        }
    }
}

void cluster_node_free_all(struct cluster *cluster)
{
    struct list *link;
    while ((link = list_take_first(&cluster->nodes)) != NULL) {
        struct cluster_node *self = container_of(link, struct cluster_node, in_cluster);
        self->magic = 0;
        free(self);
    }
    cluster->node_count = 0;
}
