#include "processor/task/task_lag.h"

#include "client/offset_call.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define LAG_MAGIC 0x1a6ca11eU
#define PAUSE_NS (INT64_C(1000) * CLOCK_NS_PER_MS)
#define ANSWER_NS (INT64_C(5000) * CLOCK_NS_PER_MS)
#define LAST_WORD_NS (INT64_C(1000) * CLOCK_NS_PER_MS)
#define ANEW_NS (INT64_C(30000) * CLOCK_NS_PER_MS)
#define COMPLAINT_NS (INT64_C(60000) * CLOCK_NS_PER_MS)

struct task_lag_part {
    int64_t offset;      /* Behind what is committed; -1: not known yet. */
    int64_t told_offset; /* What the group has; -1: nothing, or it is to be said anew. */
};

struct task_lag {
    uint32_t magic;
    const struct task_setup *setup;
    void (*on_closed)(void *context);
    void *context;
    struct cluster cluster;
    struct coordinator_core coordinator;
    struct offset_call call;
    bool is_telling;
    struct task_lag_part *parts;  /* Owned; by place in the setup's partitions. */
    struct offset_call_row *rows; /* Owned; of one call, while it is made. */
    struct timer timer;           /* The next call; in closing, the end of patience. */
    int64_t not_before_ns;
    int64_t anew_ns;
    int64_t quiet_until_ns; /* No complaint before. */
    bool is_silent;
    bool is_closing;
    bool has_last_word; /* It has been tried. */
    bool is_cluster_closing;
};

static void step(struct task_lag *self);

static int64_t now_of(const struct task_lag *self)
{
    return loop_now_ns(self->setup->options.loop);
}

/* ---- telling ---- */

static uint32_t gather(struct task_lag *self)
{
    const struct task_setup *setup = self->setup;
    struct wire_text topic = wire_text_of(task_setup_input_topic(setup));
    uint32_t count = 0;
    for (uint32_t i = 0; i < setup->partition_count; i++) {
        if (self->parts[i].offset > self->parts[i].told_offset) {
            self->rows[count++] = (struct offset_call_row){.topic = topic,
                                                           .partition = setup->partitions[i],
                                                           .offset = self->parts[i].offset,
                                                           .leader_epoch = -1};
        }
    }
    return count;
}

/* All of it is to be said, whatever the group had been told. */
static void begin_anew(struct task_lag *self)
{
    self->anew_ns = now_of(self) + ANEW_NS;
    for (uint32_t i = 0; i < self->setup->partition_count; i++) {
        self->parts[i].told_offset = -1;
    }
}

static void complain(struct task_lag *self, enum status status, int16_t error_code)
{
    if (status == STATUS_CANCELED || now_of(self) < self->quiet_until_ns) {
        return;
    }
    const struct task_options *options = &self->setup->options;
    self->quiet_until_ns = now_of(self) + COMPLAINT_NS;
    trace_line(options->loop->trace, TRACE_WARN, "task", "lag-not-told",
               "job=%s task=%u group=%s why=\"%s\" code=%d", self->setup->plan->name, options->task,
               self->setup->group,
               status == STATUS_OK ? error_code_text(error_code) : status_text(status), error_code);
}

static void call_on_done(struct offset_call *call, enum status status, int16_t error_code)
{
    struct task_lag *self = container_of(call, struct task_lag, call);
    check(self->magic == LAG_MAGIC);
    check(self->is_telling);
    self->is_telling = false;
    for (uint32_t i = 0; status == STATUS_OK && i < call->row_count; i++) {
        const struct offset_call_row *row = &call->rows[i];
        if (row->error_code == ERROR_CODE_NONE) {
            self->parts[task_setup_place(self->setup, row->partition)].told_offset = row->offset;
        }
    }
    if (status != STATUS_OK || error_code != ERROR_CODE_NONE) {
        complain(self, status, error_code);
    }
    offset_call_done(call);
    step(self);
}

static void tell(struct task_lag *self, uint32_t row_count)
{
    struct offset_call_member nobody = {
        .group = self->setup->group, .generation = -1, .member_id = ""};
    enum status status = offset_call_init(&self->call, &nobody, self->rows, row_count);
    if (status != STATUS_OK) {
        complain(self, status, ERROR_CODE_NONE);
        return;
    }
    int64_t patience_ns = self->is_closing ? LAST_WORD_NS : ANSWER_NS;
    self->is_telling = true;
    self->call.on_done = call_on_done;
    offset_call_commit(&self->call, &self->coordinator, now_of(self) + patience_ns);
}

/* ---- when ---- */

static void end_close(struct task_lag *self)
{
    self->is_cluster_closing = true;
    timer_done(&self->timer);
    coordinator_core_close(&self->coordinator);
    cluster_close(&self->cluster);
}

/* One last word, if there is one, then the end. */
static void step_closing(struct task_lag *self)
{
    if (self->is_telling || self->is_cluster_closing) {
        return;
    }
    uint32_t row_count = self->is_silent || self->has_last_word ? 0 : gather(self);
    self->has_last_word = true;
    if (row_count > 0) {
        tell(self, row_count);
    }
    if (!self->is_telling) {
        end_close(self);
    }
}

/* Looks what there is to do, behind each piece of news. */
static void step(struct task_lag *self)
{
    if (self->is_closing) {
        step_closing(self);
        return;
    }
    if (self->is_telling || self->is_silent) {
        return;
    }
    int64_t now_ns = now_of(self);
    if (now_ns >= self->anew_ns) {
        begin_anew(self);
    }
    uint32_t row_count = gather(self);
    if (row_count > 0 && now_ns >= self->not_before_ns) {
        self->not_before_ns = now_ns + PAUSE_NS;
        tell(self, row_count);
    }
    if (!self->is_telling) {
        timer_start_at(&self->timer, row_count > 0 ? self->not_before_ns : self->anew_ns);
    }
}

static void timer_on_fire(struct timer *timer)
{
    struct task_lag *self = container_of(timer, struct task_lag, timer);
    check(self->magic == LAG_MAGIC);
    if (self->is_closing) {
        end_close(self);
    } else {
        step(self);
    }
}

void task_lag_note(struct task_lag *self, const Millrace__Processor__Progress *progress)
{
    check(self->magic == LAG_MAGIC);
    check(!self->is_closing);
    for (size_t i = 0; i < progress->n_inputs; i++) {
        const Millrace__Processor__InputProgress *input = progress->inputs[i];
        uint32_t place = task_setup_place(self->setup, input->partition);
        if (input->next_offset > self->parts[place].offset) {
            self->parts[place].offset = input->next_offset;
        }
    }
    if (progress->is_final) {
        begin_anew(self); /* It stays so: no former owner may have had the last word. */
    }
    step(self);
}

void task_lag_fall_silent(struct task_lag *self)
{
    check(self->magic == LAG_MAGIC);
    self->is_silent = true;
    timer_stop(&self->timer);
    if (self->is_telling && coordinator_core_take_back(&self->coordinator, &self->call.op)) {
        self->is_telling = false;
        offset_call_done(&self->call);
    }
}

/* ---- life ---- */

static void cluster_on_closed(void *context)
{
    struct task_lag *self = context;
    check(self->magic == LAG_MAGIC);
    check(!self->is_telling);
    void (*on_closed)(void *) = self->on_closed;
    void *owner = self->context;
    free(self->parts);
    free(self->rows);
    self->magic = 0;
    free(self);
    on_closed(owner);
}

void task_lag_close(struct task_lag *self)
{
    check(self->magic == LAG_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    timer_start_after(&self->timer, LAST_WORD_NS);
    step(self);
}

static void init_client(struct task_lag *self)
{
    const struct task_options *own = &self->setup->options;
    struct cluster_options cluster = {.loop = own->loop,
                                      .bootstrap = own->bootstrap,
                                      .bootstrap_count = own->bootstrap_count,
                                      .client_id = own->client_id,
                                      .request_timeout_ms = own->request_timeout_ms,
                                      .on_closed = cluster_on_closed,
                                      .context = self};
    cluster_init(&self->cluster, &cluster);
    struct coordinator_core_options coordinator = {.cluster = &self->cluster,
                                                   .kind = COORDINATOR_CORE_GROUP,
                                                   .key = self->setup->group,
                                                   .timeout_ms = own->request_timeout_ms};
    coordinator_core_init(&self->coordinator, &coordinator);
}

enum status task_lag_open(const struct task_setup *setup, void (*on_closed)(void *context),
                          void *context, struct task_lag **out_lag)
{
    check(setup->options.stage == 0);
    struct task_lag *self = calloc(1, sizeof *self);
    struct task_lag_part *parts = calloc(setup->partition_count, sizeof *parts);
    struct offset_call_row *rows = calloc(setup->partition_count, sizeof *rows);
    if (self == NULL || parts == NULL || rows == NULL) {
        free(self);
        free(parts);
        free(rows);
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < setup->partition_count; i++) {
        parts[i].offset = -1;
    }
    *self = (struct task_lag){.magic = LAG_MAGIC,
                              .setup = setup,
                              .on_closed = on_closed,
                              .context = context,
                              .parts = parts,
                              .rows = rows};
    timer_init(&self->timer, &setup->options.loop->timers, timer_on_fire);
    self->not_before_ns = INT64_MIN;
    self->quiet_until_ns = INT64_MIN;
    begin_anew(self);
    init_client(self);
    *out_lag = self;
    return STATUS_OK;
}
