/* Deletes what nobody will read again, so that a start reads little: progress records before the
 * last one, changes before the last snapshot, route records that are committed as read.
 *
 * A pass asks for one partition after the other, every so often. What fails is left for the next
 * pass: deleting is a kindness, never a condition. Offsets come from committed progress, so even a
 * task that another one has replaced deletes nothing that is needed.
 *
 * Owner: the attempt. Loop: the options'. Limits: TASK_TRIM_WISHES_MAX partitions a pass. */
#pragma once

#include "client/admin_core.h"

#define TASK_TRIM_WISHES_MAX 1024U

struct task_trim;

struct task_trim_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life. */
    int64_t request_timeout_ms;
    void (*on_closed)(void *context); /* It is freed. */
    void *context;
};

MUST_USE enum status task_trim_open(const struct task_trim_options *options,
                                    struct task_trim **out_trim);
void task_trim_close(struct task_trim *self);
/* The pass before has ended. */
bool task_trim_is_idle(const struct task_trim *self);
/* Adds to the next pass: what is before `offset`. `topic` is borrowed for life. More than fit, and
 * what was deleted before, is passed over. */
void task_trim_add(struct task_trim *self, const char *topic, int32_t partition, int64_t offset);
void task_trim_run(struct task_trim *self);
