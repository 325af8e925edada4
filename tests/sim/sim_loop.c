#include "tests/sim/sim_loop.h"

#include "proto/sys/check.h"
#include "tests/sim/sim_disk.h"

#define WAKE_NS_MIN (SIM_US / 2)
#define WAKE_NS_MAX (20 * SIM_US)

/* Streams of a node: see also SIM_DISK_STREAM. */
#define LOOP_STREAM UINT64_C(0x1000)
#define WAKE_STREAM UINT64_C(0x2000)

struct sim_loop *sim_loop_of(const struct loop *loop)
{
    struct sim_node *node = sim_node_of(loop);
    ptrdiff_t index = loop - node->loops;
    check(index >= 0 && index < (ptrdiff_t)node->loop_count);
    return &node->loop_drivers[index];
}

static void mail_event(void *context, uint64_t value)
{
    struct sim_loop *self = context;
    (void)value;
    mailbox_deliver(&self->loop->mailbox);
}

/* The first post after a drain calls this, so one event is under way at most. */
static void wake(struct mailbox *mailbox)
{
    struct sim_loop *self = sim_loop_of(container_of(mailbox, struct loop, mailbox));
    int64_t delay_ns = sim_world_between(&self->wakes, WAKE_NS_MIN, WAKE_NS_MAX);
    sim_world_after_in(self->node->world, self->node, delay_ns, SIM_EVENT_MAIL, mail_event, self,
                       0);
}

static void timer_event_plan(struct sim_loop *self);

static void timer_event(void *context, uint64_t value)
{
    struct sim_loop *self = context;
    if ((int64_t)value == self->timer_event_ns) {
        self->timer_event_ns = INT64_MAX;
    }
    timer_queue_fire(&self->loop->timers);
    timer_event_plan(self);
}

/* A deadline that moved back leaves its event behind; it finds nothing to fire and plans anew. */
static void timer_event_plan(struct sim_loop *self)
{
    int64_t earliest_ns = timer_queue_earliest_ns(&self->loop->timers);
    if (earliest_ns >= self->timer_event_ns) {
        return;
    }
    self->timer_event_ns = earliest_ns;
    int64_t now_ns = loop_now_ns(self->loop);
    int64_t delay_ns = earliest_ns > now_ns ? earliest_ns - now_ns : 0;
    sim_world_after_in(self->node->world, self->node, delay_ns, SIM_EVENT_TIMER, timer_event, self,
                       (uint64_t)earliest_ns);
}

static void on_earliest_changed(struct timer_queue *timers)
{
    timer_event_plan(sim_loop_of(container_of(timers, struct loop, timers)));
}

void sim_loop_init(struct sim_loop *self, struct sim_node *node, uint32_t index)
{
    struct loop *loop = &node->loops[index];
    *self =
        (struct sim_loop){.loop = loop, .node = node, .index = index, .timer_event_ns = INT64_MAX};
    sim_socket_service_init(&self->sockets, self);
    *loop = (struct loop){.clock = &node->clock,
                          .disk = sim_disk_world(node->disk),
                          .sockets = &self->sockets.service,
                          .trace = &node->trace};
    timer_queue_init(&loop->timers, &node->clock, on_earliest_changed);
    mailbox_init(&loop->mailbox, wake);
    uint64_t life = ((uint64_t)node->id << 32) + node->incarnation;
    prng_init(&loop->prng, sim_world_seed_for(node->world, life, LOOP_STREAM + index));
    prng_init(&self->wakes, sim_world_seed_for(node->world, life, WAKE_STREAM + index));
}
