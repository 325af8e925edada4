/* The processors' group: who is there, and, where this one leads it, who runs what.
 *
 * The leader deals out the tasks of all jobs that run or are about to stop. When the catalog's jobs
 * change, it calls for a new round; tasks that stay where they are go on meanwhile. Without a place
 * in the group (lost, or no coordinator) tasks go on, too: whoever takes them over fences them.
 *
 * Owner: the processor. Loop: the options'. Limits: those of group_member. */
#pragma once

#include "client/group_member.h"
#include "client/processor_core.h"
#include "processor/job/catalog.h"
#include "processor/job/local_tasks.h"

#define TASK_GROUP_SESSION_MS 2000

struct task_group_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life, as the next ones. */
    const char *host;      /* Where this processor's door is. */
    uint16_t port;
    uint8_t incarnation_id[16];
    struct catalog *catalog;
    struct local_tasks *tasks;
    /* Once: it is a member and has its tasks. */
    void (*on_joined)(void *context);
    /* It will not join again. */
    void (*on_failed)(void *context, enum status status, int16_t error_code);
    void (*on_closed)(void *context);
    void *context;
};

struct task_group {
    uint32_t magic;
    struct task_group_options options;
    struct group_member member;
    uint8_t *description; /* Owned. */
    /* The round that this member leads. */
    struct task_group_peer *peers; /* Owned. */
    uint32_t peer_count;
    struct catalog_barrier barrier;
    bool is_waiting;     /* For the barrier. */
    uint64_t dealt_hash; /* Of the tasks that were dealt. */
    bool has_joined;
    bool is_joining; /* Begun. */
    bool is_closing;
    bool has_closed_member;
};

void task_group_init(struct task_group *self, const struct task_group_options *options);
/* Leaves, then on_closed. */
void task_group_close(struct task_group *self);
/* The catalog has changed (or is ready for the first time: then it joins). */
void task_group_review(struct task_group *self);
