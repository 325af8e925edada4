/* Counters and gauges of one node, registered once by name, bumped without locks, listed as text.
 *
 * Names follow Kafka's where dashboards expect them. Owner: the node. Loop: any (relaxed atomics).
 * Limits: METRIC_COUNT_MAX; registering more is our bug. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define METRIC_COUNT_MAX 256U

struct metric {
    const char *name; /* Static text, Prometheus form. */
    const char *help; /* Static text, one sentence. */
    _Atomic int64_t value;
};

struct metric_table {
    struct metric metrics[METRIC_COUNT_MAX];
    _Atomic uint32_t count;
};

void metric_table_init(struct metric_table *self);
/* At start only, from one thread. Never NULL. */
struct metric *metric_register(struct metric_table *self, const char *name, const char *help);

static inline void metric_add(struct metric *self, int64_t delta)
{
    atomic_fetch_add_explicit(&self->value, delta, memory_order_relaxed);
}

static inline void metric_set(struct metric *self, int64_t value)
{
    atomic_store_explicit(&self->value, value, memory_order_relaxed);
}
