#include "proto/sys/metric.h"

#include "proto/sys/check.h"

#include <string.h>

void metric_table_init(struct metric_table *self)
{
    atomic_init(&self->count, 0);
    for (uint32_t i = 0; i < METRIC_COUNT_MAX; i++) {
        self->metrics[i].name = NULL;
        self->metrics[i].help = NULL;
        atomic_init(&self->metrics[i].value, 0);
    }
}

struct metric *metric_register(struct metric_table *self, const char *name, const char *help)
{
    uint32_t count = atomic_load_explicit(&self->count, memory_order_relaxed);
    check(count < METRIC_COUNT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        check(strcmp(self->metrics[i].name, name) != 0);
    }

    struct metric *metric = &self->metrics[count];
    metric->name = name;
    metric->help = help;
    /* Whoever lists the table on another loop sees the texts before the count. */
    atomic_store_explicit(&self->count, count + 1, memory_order_release);
    return metric;
}
