#include "processor/task/task.h"

#include "client/retry.h"
#include "processor/task/task_attempt.h"
#include "processor/task/task_lag.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASK_MAGIC 0x7a5c0de5U
#define AGAIN_FLOOR_MS 100
#define AGAIN_CEILING_MS 10000
/* Attempts in a row, without an epoch between them, that may end with the same doubtful fault. */
#define DOUBTS_MAX 4U
#define WHY_BYTES TASK_FAULT_TEXT_BYTES

struct task {
    uint32_t magic;
    struct task_setup setup;
    enum task_state state;
    bool wants_stop;
    bool is_closing;
    struct task_attempt *attempt; /* NULL: none, one waits for its time, or it is over. */
    bool is_attempt_closing;
    struct task_lag *lag; /* NULL: its input is internal, or it has closed. */
    struct retry again;
    uint32_t doubt_count;
    struct timer again_timer;
    struct mail mail; /* The first attempt, and the end, come in a later turn. */
    bool is_mail_posted;
};

static void begin_attempt(struct task *self);

static const char *const state_names[] = {
    [TASK_STARTING] = "starting",     [TASK_RESTORING] = "starting", [TASK_RUNNING] = "running",
    [TASK_RESTARTING] = "restarting", [TASK_STOPPING] = "running",   [TASK_ENDED] = "stopped"};

const char *task_state_name(enum task_state state)
{
    check((size_t)state < sizeof state_names / sizeof state_names[0]);
    return state_names[state];
}

enum task_state task_state(const struct task *self)
{
    check(self->magic == TASK_MAGIC);
    return self->state;
}

static void set_state(struct task *self, enum task_state state, const char *why)
{
    if (self->wants_stop && state != TASK_RESTARTING && state != TASK_ENDED) {
        state = TASK_STOPPING;
    }
    if (state == self->state && state != TASK_RESTARTING) {
        return;
    }
    self->state = state;
    if (state != TASK_ENDED && !self->is_closing) {
        self->setup.options.on_state(self->setup.options.context, state, why);
    }
}

static void close_attempt(struct task *self)
{
    if (self->attempt != NULL && !self->is_attempt_closing) {
        self->is_attempt_closing = true;
        task_attempt_close(self->attempt);
    }
}

static void post(struct task *self);

/* ---- what the attempt says ---- */

static void attempt_on_restoring(void *context)
{
    set_state(context, TASK_RESTORING, NULL);
}

static void attempt_on_running(void *context)
{
    set_state(context, TASK_RUNNING, NULL);
}

static void attempt_on_progress(void *context, const Millrace__Processor__Progress *progress)
{
    struct task *self = context;
    if (self->state == TASK_RUNNING || self->state == TASK_STOPPING) {
        retry_reset(&self->again);
        self->doubt_count = 0;
    }
    if (!self->is_closing) {
        if (self->lag != NULL) {
            task_lag_note(self->lag, progress);
        }
        self->setup.options.on_progress(self->setup.options.context, progress);
    }
}

static void attempt_on_broken(void *context, const char *why)
{
    struct task *self = context;
    char kept[WHY_BYTES]; /* The attempt may be gone when the owner has been told. */
    (void)snprintf(kept, sizeof kept, "%s", why);
    close_attempt(self);
    set_state(self, TASK_RESTARTING, kept);
}

static void attempt_on_failed(void *context, struct task_fault *fault, bool is_doubtful)
{
    struct task *self = context;
    struct task_fault kept = *fault;
    self->doubt_count += 1;
    if (is_doubtful && self->doubt_count < DOUBTS_MAX) {
        attempt_on_broken(self, kept.what);
        return;
    }
    close_attempt(self);
    set_state(self, TASK_ENDED, NULL);
    self->setup.options.on_failed(self->setup.options.context, task_fault_message(&kept));
}

static void attempt_on_fenced(void *context)
{
    struct task *self = context;
    close_attempt(self);
    if (self->lag != NULL) {
        task_lag_fall_silent(self->lag);
    }
    set_state(self, TASK_ENDED, NULL);
    self->setup.options.on_fenced(self->setup.options.context);
}

static void attempt_on_stopped(void *context)
{
    struct task *self = context;
    close_attempt(self);
    set_state(self, TASK_ENDED, NULL);
    self->setup.options.on_stopped(self->setup.options.context);
}

static void attempt_on_closed(void *context)
{
    struct task *self = context;
    check(self->magic == TASK_MAGIC);
    self->attempt = NULL;
    self->is_attempt_closing = false;
    if (self->is_closing) {
        post(self);
    } else if (self->state == TASK_RESTARTING) {
        struct loop *loop = self->setup.options.loop;
        timer_start_after(&self->again_timer, retry_next_ns(&self->again, &loop->prng));
    }
}

/* ---- attempts ---- */

static void begin_attempt(struct task *self)
{
    check(self->attempt == NULL);
    struct task_attempt_events events = {.on_restoring = attempt_on_restoring,
                                         .on_running = attempt_on_running,
                                         .on_progress = attempt_on_progress,
                                         .on_broken = attempt_on_broken,
                                         .on_failed = attempt_on_failed,
                                         .on_fenced = attempt_on_fenced,
                                         .on_stopped = attempt_on_stopped,
                                         .on_closed = attempt_on_closed,
                                         .context = self};
    if (task_attempt_open(&self->setup, &events, &self->attempt) != STATUS_OK) {
        self->attempt = NULL;
        struct loop *loop = self->setup.options.loop;
        timer_start_after(&self->again_timer, retry_next_ns(&self->again, &loop->prng));
        set_state(self, TASK_RESTARTING, "out of memory");
        return;
    }
    if (self->wants_stop) {
        task_attempt_stop(self->attempt);
    }
}

static void again_on_fire(struct timer *timer)
{
    struct task *self = container_of(timer, struct task, again_timer);
    check(self->magic == TASK_MAGIC);
    begin_attempt(self);
}

/* ---- life ---- */

static void mail_deliver(struct mail *mail)
{
    struct task *self = container_of(mail, struct task, mail);
    check(self->magic == TASK_MAGIC);
    self->is_mail_posted = false;
    if (!self->is_closing) {
        begin_attempt(self);
        return;
    }
    if (self->attempt != NULL || self->lag != NULL) {
        return; /* It posts when it has closed. */
    }
    void (*on_closed)(void *context) = self->setup.options.on_closed;
    void *context = self->setup.options.context;
    task_setup_done(&self->setup);
    self->magic = 0;
    free(self);
    on_closed(context);
}

static void post(struct task *self)
{
    if (!self->is_mail_posted) {
        self->is_mail_posted = true;
        self->mail = (struct mail){.deliver = mail_deliver};
        loop_defer(self->setup.options.loop, &self->mail);
    }
}

static void lag_on_closed(void *context)
{
    struct task *self = context;
    check(self->magic == TASK_MAGIC);
    self->lag = NULL;
    post(self);
}

/* What stays the same, and what tells of it. */
static enum status init_parts(struct task *self, const struct task_options *options)
{
    TRY(task_setup_init(&self->setup, options));
    bool is_heard = options->stage == 0;
    return is_heard ? task_lag_open(&self->setup, lag_on_closed, self, &self->lag) : STATUS_OK;
}

enum status task_open(const struct task_options *options, struct task **out_task)
{
    check(options->on_state != NULL);
    check(options->on_progress != NULL);
    check(options->on_failed != NULL);
    check(options->on_fenced != NULL);
    check(options->on_stopped != NULL);
    check(options->on_closed != NULL);
    struct task *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = init_parts(self, options);
    if (status != STATUS_OK) {
        task_setup_done(&self->setup);
        free(self);
        return status;
    }
    self->magic = TASK_MAGIC;
    retry_init(&self->again, AGAIN_FLOOR_MS, AGAIN_CEILING_MS);
    timer_init(&self->again_timer, &options->loop->timers, again_on_fire);
    post(self);
    *out_task = self;
    return STATUS_OK;
}

void task_stop(struct task *self)
{
    check(self->magic == TASK_MAGIC);
    if (self->wants_stop || self->is_closing || self->state == TASK_ENDED) {
        return;
    }
    self->wants_stop = true;
    if (self->attempt != NULL && !self->is_attempt_closing) {
        task_attempt_stop(self->attempt);
    } else if (self->again_timer.is_armed) {
        timer_start_after(&self->again_timer, 0);
    }
}

void task_close(struct task *self)
{
    check(self->magic == TASK_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_closing = true;
    timer_done(&self->again_timer);
    close_attempt(self);
    if (self->lag != NULL) {
        task_lag_close(self->lag);
    }
    post(self);
}
