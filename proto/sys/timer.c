#include "proto/sys/timer.h"

#include "proto/sys/check.h"

#include <stddef.h>

#define TIMER_MAGIC 0x71e3a9d5U

static bool fires_before(const struct timer *left, const struct timer *right)
{
    if (left->deadline_ns != right->deadline_ns) {
        return left->deadline_ns < right->deadline_ns;
    }
    return left->sequence < right->sequence;
}

/* Both are roots without siblings; either may be NULL. Gives the root of both. */
static struct timer *heap_meld(struct timer *left, struct timer *right)
{
    if (left == NULL || right == NULL) {
        return left == NULL ? right : left;
    }
    struct timer *parent = fires_before(left, right) ? left : right;
    struct timer *child = parent == left ? right : left;
    child->previous = parent;
    child->sibling = parent->child;
    if (parent->child != NULL) {
        parent->child->previous = child;
    }
    parent->child = child;
    return parent;
}

static struct timer *heap_detach(struct timer *self)
{
    self->sibling = NULL;
    self->previous = NULL;
    return self;
}

/* The two passes of a pairing heap, without recursion: a list of any length is one heap after. */
static struct timer *heap_meld_siblings(struct timer *first)
{
    struct timer *pairs = NULL; /* Linked by `sibling`, last pair first. */
    while (first != NULL) {
        struct timer *left = first;
        struct timer *right = left->sibling;
        first = right == NULL ? NULL : right->sibling;
        heap_detach(left);
        struct timer *pair = heap_meld(left, right == NULL ? NULL : heap_detach(right));
        pair->sibling = pairs;
        pairs = pair;
    }
    struct timer *root = NULL;
    while (pairs != NULL) {
        struct timer *pair = pairs;
        pairs = pair->sibling;
        root = heap_meld(root, heap_detach(pair));
    }
    return root;
}

static void heap_remove(struct timer_queue *queue, struct timer *self)
{
    struct timer *orphans = heap_meld_siblings(self->child);
    self->child = NULL;
    if (self == queue->root) {
        queue->root = orphans;
        return;
    }
    check(self->previous != NULL);
    if (self->previous->child == self) {
        self->previous->child = self->sibling;
    } else {
        self->previous->sibling = self->sibling;
    }
    if (self->sibling != NULL) {
        self->sibling->previous = self->previous;
    }
    heap_detach(self);
    queue->root = heap_meld(queue->root, orphans);
}

static bool is_firing(const struct timer_queue *self)
{
    return self->floor_ns != INT64_MIN;
}

static void tell_when_changed(struct timer_queue *self, int64_t earliest_before_ns)
{
    if (self->on_earliest_changed != NULL && !is_firing(self) &&
        timer_queue_earliest_ns(self) != earliest_before_ns) {
        self->on_earliest_changed(self);
    }
}

void timer_queue_init(struct timer_queue *self, struct clock *clock,
                      void (*on_earliest_changed)(struct timer_queue *self))
{
    *self = (struct timer_queue){
        .clock = clock, .floor_ns = INT64_MIN, .on_earliest_changed = on_earliest_changed};
}

int64_t timer_queue_earliest_ns(const struct timer_queue *self)
{
    return self->root == NULL ? INT64_MAX : self->root->deadline_ns;
}

void timer_queue_fire(struct timer_queue *self)
{
    check(!is_firing(self));

    int64_t earliest_before_ns = timer_queue_earliest_ns(self);
    int64_t now_ns = clock_monotonic_ns(self->clock);
    check(now_ns < INT64_MAX);
    self->floor_ns = now_ns + 1;
    while (self->root != NULL && self->root->deadline_ns <= now_ns) {
        struct timer *timer = self->root;
        check(timer->magic == TIMER_MAGIC);
        check(timer->is_armed);
        heap_remove(self, timer);
        timer->is_armed = false;
        timer->on_fire(timer); /* May free it. */
    }
    self->floor_ns = INT64_MIN;
    tell_when_changed(self, earliest_before_ns);
}

void timer_init(struct timer *self, struct timer_queue *queue, void (*on_fire)(struct timer *self))
{
    check(on_fire != NULL);
    *self = (struct timer){.magic = TIMER_MAGIC, .queue = queue, .on_fire = on_fire};
}

void timer_done(struct timer *self)
{
    if (self->magic == 0) {
        return;
    }
    timer_stop(self);
    *self = (struct timer){0};
}

void timer_start_at(struct timer *self, int64_t deadline_ns)
{
    check(self->magic == TIMER_MAGIC);

    struct timer_queue *queue = self->queue;
    int64_t earliest_before_ns = timer_queue_earliest_ns(queue);
    if (self->is_armed) {
        heap_remove(queue, self);
    }
    /* A callback that arms a timer for the past must not keep the firing loop busy for ever. */
    self->deadline_ns = deadline_ns < queue->floor_ns ? queue->floor_ns : deadline_ns;
    self->sequence = queue->sequence;
    queue->sequence += 1;
    self->is_armed = true;
    queue->root = heap_meld(queue->root, self);
    tell_when_changed(queue, earliest_before_ns);
}

void timer_start_after(struct timer *self, int64_t delay_ns)
{
    check(self->magic == TIMER_MAGIC);

    int64_t deadline_ns = 0;
    if (__builtin_add_overflow(clock_monotonic_ns(self->queue->clock), delay_ns, &deadline_ns)) {
        deadline_ns = delay_ns > 0 ? INT64_MAX : INT64_MIN;
    }
    timer_start_at(self, deadline_ns);
}

void timer_stop(struct timer *self)
{
    check(self->magic == TIMER_MAGIC);
    if (!self->is_armed) {
        return;
    }

    int64_t earliest_before_ns = timer_queue_earliest_ns(self->queue);
    heap_remove(self->queue, self);
    self->is_armed = false;
    tell_when_changed(self->queue, earliest_before_ns);
}
