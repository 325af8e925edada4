/* One processor: every part built in the order of the data path, stopped in reverse.
 *
 * It follows the catalog, joins the processors' group, runs the tasks that it is given, and answers
 * at its door. All of it lives on one loop.
 *
 * Owner: the main. Loop: the options'. */
#pragma once

#include "processor/processor_config.h"
#include "proto/sys/host/host_loop.h"

struct processor;

struct processor_options {
    struct host_loop *loop;
    const struct processor_config *config;          /* Borrowed for life. */
    void (*on_ready)(void *context, uint16_t port); /* A member: jobs can be given to it. */
    void (*on_failed)(void *context, enum status why);
    void (*on_kill)(void *context); /* The setting test.kill.at has come true. */
    void (*on_closed)(void *context);
    void *context;
};

MUST_USE enum status processor_open(const struct processor_options *options,
                                    struct processor **out_processor);
/* Leaves the group, closes tasks (what is open is aborted), then on_closed. */
void processor_close(struct processor *self);
