#include "processor/task/task_attempt.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_MAGIC 0xa77e3e57U
/* Each epoch has a record and a marker. */
#define BACK_FIRST 64
#define BACK_FACTOR 16
#define FETCH_WAIT_MS 500
#define WHY_BYTES 300U
#define PROGRESS_KEY "progress"

static void open_progress(struct task_attempt *self);
static enum status open_trim(struct task_attempt *self);
static void end_close(struct task_attempt *self);

/* ---- the end ---- */

bool task_attempt_is_on(const struct task_attempt *self)
{
    check(self->magic == ATTEMPT_MAGIC);
    return !self->is_closing && self->phase != TASK_ATTEMPT_OVER;
}

static bool end_once(struct task_attempt *self)
{
    if (!task_attempt_is_on(self)) {
        return false;
    }
    self->phase = TASK_ATTEMPT_OVER;
    timer_stop(&self->wake);
    return true;
}

void task_attempt_break(struct task_attempt *self, const char *format, ...)
{
    if (!end_once(self)) {
        return;
    }
    char why[WHY_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    self->events.on_broken(self->events.context, why);
}

void task_attempt_fail(struct task_attempt *self)
{
    if (end_once(self)) {
        self->events.on_failed(self->events.context, &self->fault, self->is_fault_doubtful);
    }
}

void task_attempt_end_stopped(struct task_attempt *self)
{
    if (end_once(self)) {
        self->events.on_stopped(self->events.context);
    }
}

void task_attempt_judge(struct task_attempt *self, enum status status, int16_t error_code,
                        const char *what)
{
    enum task_verdict verdict = task_fault_judge(status, error_code);
    if (verdict == TASK_VERDICT_FENCED) {
        if (end_once(self)) {
            self->events.on_fenced(self->events.context);
        }
    } else if (error_code == ERROR_CODE_MESSAGE_TOO_LARGE) {
        task_fault_set(&self->fault, "ROW_TOO_LARGE", "a topic takes no batch of this size",
                       "raise max.message.bytes of the sink's topic and of the late topic");
        task_fault_say(&self->fault, "%s: error %d (%s)", what, error_code, status_text(status));
        task_attempt_fail(self);
    } else if (verdict == TASK_VERDICT_FATAL) {
        task_fault_set(&self->fault, "REFUSED", "the brokers refuse it for good",
                       "see the error's number in the Kafka protocol; mend limits or rights");
        task_fault_say(&self->fault, "%s: error %d (%s)", what, error_code, status_text(status));
        task_attempt_fail(self);
    } else {
        task_attempt_break(self, "%s: %s (error %d)", what, status_text(status), error_code);
    }
}

bool task_attempt_pass(struct task_attempt *self, enum task_point point)
{
    const struct task_options *options = &self->setup->options;
    if (options->on_point != NULL) {
        options->on_point(options->context, point);
    }
    return task_attempt_is_on(self);
}

void task_attempt_judge_chain(struct task_attempt *self, enum status status, int32_t partition,
                              int64_t offset)
{
    const char *reason = chain_fault(self->chain);
    if (reason[0] == '\0') {
        reason = status_text(status);
    }
    if (self->fault.code != NULL) {
        task_attempt_fail(self); /* A callback has said why. */
    } else if (self->sink_status == STATUS_FULL) {
        task_fault_set(&self->fault, "OUTPUT_TOO_LARGE", "one epoch's output exceeds its limit",
                       "raise task.output.bytes.max, or close fewer windows at once: a finer "
                       "window or fewer keys");
        task_fault_say(&self->fault, "the output of one epoch is more than %zu bytes",
                       self->setup->options.output_bytes_max);
        task_attempt_fail(self);
    } else if (self->sink_status == STATUS_INVALID) {
        task_fault_set(&self->fault, "ROW_TOO_LARGE", "a record is limited to 16,000,000 bytes",
                       "leave out or shorten the long columns");
        task_fault_say(&self->fault, "a row of the result is too large for a record");
        if (offset >= 0) {
            task_fault_say(&self->fault,
                           "partition %d offset %lld makes a record that is too large", partition,
                           (long long)offset);
        }
        task_attempt_fail(self);
    } else if (self->sink_status == STATUS_FENCED) {
        task_attempt_judge(self, STATUS_FENCED, 0, "epoch");
    } else if (self->sink_status != STATUS_OK) {
        task_attempt_break(self, "cannot send the epoch's output: %s",
                           status_text(self->sink_status));
    } else if (status == STATUS_NO_MEMORY) {
        task_attempt_break(self, "out of memory");
    } else {
        const char *code = status == STATUS_FULL ? "STATE_FULL" : "COMPUTATION";
        code = status == STATUS_CORRUPT || status == STATUS_UNSUPPORTED ? "CORRUPT_STATE" : code;
        task_fault_set(&self->fault, code, status_text(status),
                       status == STATUS_FULL ? "give the processor more state memory, or the "
                                               "query fewer keys or shorter windows"
                                             : "");
        task_fault_say(&self->fault, "partition %d offset %lld: %s", partition, (long long)offset,
                       reason);
        task_attempt_fail(self);
    }
}

/* ---- sources ---- */

static void source_on_closed(void *context)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    check(self->open_count > 0);
    self->open_count -= 1;
    end_close(self);
}

static void close_source(struct task_attempt *self)
{
    struct source *source = self->source;
    self->source = NULL;
    if (source != NULL) {
        source_close(source);
    }
}

static void source_on_fault(void *context, const struct source_fault *fault)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    bool is_broken = fault->status == STATUS_CORRUPT || fault->status == STATUS_MALFORMED ||
                     fault->status == STATUS_UNSUPPORTED || fault->status == STATUS_FULL;
    const char *topic = task_setup_input_topic(self->setup);
    if (self->phase == TASK_ATTEMPT_RECALLING) {
        topic = self->setup->progress.name;
    } else if (self->phase == TASK_ATTEMPT_RESTORING) {
        topic = self->setup->changelog.name;
    }
    if (fault->status == STATUS_FENCED) {
        /* A broker that lags behind may still show the former one. */
        self->is_fault_doubtful = true;
        task_fault_set(&self->fault, "INPUT_LOST", "it was deleted and created again",
                       "drop the job, CALL drop_job('…'), and run the statement again: it begins "
                       "anew");
        task_fault_say(&self->fault, "topic %s is another one than the job has read", topic);
        task_attempt_fail(self);
        return;
    }
    if (is_broken || fault->status == STATUS_OUT_OF_RANGE) {
        /* Whoever took the id over deletes what he has read. */
        self->is_fault_doubtful = !is_broken;
        task_fault_set(&self->fault, is_broken ? "CORRUPT_INPUT" : "INPUT_LOST",
                       is_broken ? status_text(fault->status)
                                 : "records that were not read yet have been deleted",
                       is_broken ? "read the batch with another client; start the job anew "
                                   "behind it"
                                 : "raise retention; start the job anew");
        task_fault_say(&self->fault, "topic %s partition %d offset %lld cannot be read", topic,
                       fault->partition, (long long)fault->offset);
        task_attempt_fail(self);
        return;
    }
    char what[WHY_BYTES];
    (void)snprintf(what, sizeof what, "topic %s partition %d cannot be read", topic,
                   fault->partition);
    task_attempt_judge(self, fault->status, fault->error_code, what);
}

static void source_on_news(void *context)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    if (!task_attempt_is_on(self) || self->source == NULL) {
        return;
    }
    if (self->phase == TASK_ATTEMPT_WAITING) {
        task_epoch_consider(self);
    } else if (self->phase == TASK_ATTEMPT_RECALLING || self->phase == TASK_ATTEMPT_RESTORING) {
        task_attempt_post_turn(self);
    }
}

/* False: the attempt is over. */
static bool open_source(struct task_attempt *self, struct source_options *options)
{
    const struct task_options *own = &self->setup->options;
    close_source(self);
    options->loop = own->loop;
    options->bootstrap = own->bootstrap;
    options->bootstrap_count = own->bootstrap_count;
    options->client_id = own->client_id;
    options->buffer_bytes_max = own->input_bytes_max;
    options->part_bytes_max = own->epoch_bytes_max;
    options->fetch_wait_ms = FETCH_WAIT_MS;
    options->request_timeout_ms = own->request_timeout_ms;
    options->on_news = source_on_news;
    options->on_fault = source_on_fault;
    options->on_closed = source_on_closed;
    options->context = self;
    if (source_open(options, &self->source) != STATUS_OK) {
        task_attempt_break(self, "out of memory");
        return false;
    }
    self->open_count += 1;
    return true;
}

/* ---- the last: epochs ---- */

static struct consumer_start start_of_table(const struct task_setup *setup)
{
    struct consumer_start start = {.kind = CONSUMER_START_EARLIEST};
    const Millrace__Plan__Table *table = setup->plan->source;
    if (setup->options.stage == 0 && table->start == MILLRACE__PLAN__START_KIND__START_LATEST) {
        start.kind = CONSUMER_START_LATEST;
    }
    if (setup->options.stage == 0 && table->start == MILLRACE__PLAN__START_KIND__START_TIME) {
        start = (struct consumer_start){.kind = CONSUMER_START_TIME, .value = table->start_ms};
    }
    return start;
}

static void open_input(struct task_attempt *self)
{
    const struct task_setup *setup = self->setup;
    struct source_start *starts = calloc(setup->partition_count, sizeof *starts);
    if (starts == NULL) {
        task_attempt_break(self, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < setup->partition_count; i++) {
        const Millrace__Processor__InputProgress *known =
            task_progress_input(self->progress, setup->partitions[i]);
        starts[i].partition = setup->partitions[i];
        starts[i].start = start_of_table(setup);
        if (known != NULL) {
            starts[i].start =
                (struct consumer_start){.kind = CONSUMER_START_OFFSET, .value = known->next_offset};
        }
    }
    struct source_options options = {.topic = task_setup_input_topic(setup),
                                     .starts = starts,
                                     .start_count = setup->partition_count};
    if (setup->options.stage == 0) {
        const ProtobufCBinaryData *id = &setup->plan->source->topic_id;
        if (id->len == sizeof options.topic_id.bytes) {
            memcpy(options.topic_id.bytes, id->data, id->len);
        }
        options.slice = chain_push_room(
            self->chain, (struct row_batch_room){SOURCE_ROWS_MAX, SOURCE_SLICE_BYTES});
    }
    bool is_open = open_source(self, &options);
    free(starts);
    if (!is_open) {
        return;
    }
    if (open_trim(self) != STATUS_OK) {
        task_attempt_break(self, "out of memory");
        return;
    }
    task_epoch_begin_first(self);
    self->phase = TASK_ATTEMPT_WAITING;
    self->events.on_running(self->events.context);
    if (task_attempt_is_on(self)) {
        task_epoch_consider(self);
    }
}

/* ---- before it: the state ---- */

static void restore_turn(struct task_attempt *self)
{
    source_seal(self->source, self->setup->options.epoch_bytes_max);
    struct source_rows rows;
    enum status status = source_take(self->source, &rows);
    if (status == STATUS_NO_MEMORY) {
        task_attempt_break(self, "out of memory");
        return;
    }
    if (status == STATUS_NOT_FOUND) {
        if (source_is_done(self->source) && task_attempt_pass(self, TASK_POINT_RESTORED)) {
            open_input(self);
        }
        return;
    }
    for (uint32_t i = 0; i < rows.row_count; i++) {
        status = chain_restore(self->chain, rows.origin.keys[i], rows.origin.values[i]);
        if (status != STATUS_OK) {
            task_attempt_judge_chain(self, status, rows.origin.partition, rows.origin.offsets[i]);
            return;
        }
    }
    source_release(self->source);
    self->inputs[task_setup_place(self->setup, rows.origin.partition)].change_count +=
        rows.row_count;
    if (task_attempt_pass(self, TASK_POINT_RESTORING)) {
        task_attempt_post_turn(self);
    }
}

static void open_changelog(struct task_attempt *self)
{
    const struct task_setup *setup = self->setup;
    struct source_start *starts = calloc(setup->partition_count, sizeof *starts);
    if (starts == NULL) {
        task_attempt_break(self, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < setup->partition_count; i++) {
        int32_t partition = setup->partitions[i];
        self->inputs[i].changelog_start = task_progress_changelog_start(self->progress, partition);
        starts[i] = (struct source_start){
            .partition = partition,
            .start = {.kind = CONSUMER_START_OFFSET, .value = self->inputs[i].changelog_start},
            .end_min = self->claims[i + 1].offset + 1};
    }
    struct source_options options = {.topic = setup->changelog.name,
                                     .starts = starts,
                                     .start_count = setup->partition_count,
                                     .is_bounded = true};
    self->phase = TASK_ATTEMPT_RESTORING;
    bool is_open = open_source(self, &options);
    free(starts);
    if (is_open) {
        self->events.on_restoring(self->events.context);
    }
}

static enum status make_chain(struct task_attempt *self)
{
    const struct task_setup *setup = self->setup;
    struct chain_options options = {.plan = setup->plan,
                                    .stage = setup->options.stage,
                                    .task = setup->options.task,
                                    .state_bytes_max = setup->options.state_bytes_max};
    task_epoch_set_callbacks(self, &options);
    TRY(chain_new(&options, &self->chain));
    if (setup->options.stage == 0) {
        TRY(task_rows_init(&self->rows, setup));
    }
    return chain_resume(self->chain, self->progress);
}

static void begin_chain(struct task_attempt *self)
{
    enum status status = make_chain(self);
    if (status == STATUS_NO_MEMORY) {
        task_attempt_break(self, "out of memory");
    } else if (status != STATUS_OK) {
        task_fault_set(&self->fault, status == STATUS_UNSUPPORTED ? "NEWER_VERSION" : "COMPUTATION",
                       status_text(status), "start the job with the version that planned it");
        task_fault_say(&self->fault, "the plan cannot be run: %s",
                       self->chain == NULL ? status_text(status) : chain_fault(self->chain));
        task_attempt_fail(self);
    } else if (self->setup->options.stage > 0 && self->progress != NULL) {
        open_changelog(self);
    } else if (task_attempt_pass(self, TASK_POINT_RESTORED)) {
        open_input(self);
    }
}

/* ---- before it: the progress ---- */

static void refuse_progress(struct task_attempt *self, enum status status)
{
    if (status == STATUS_FENCED) {
        task_attempt_judge(self, status, 0, "a younger run of the job has begun");
        return;
    }
    bool is_other = status == STATUS_INVALID;
    const char *code = status == STATUS_UNSUPPORTED ? "NEWER_VERSION" : "CORRUPT_STATE";
    task_fault_set(&self->fault, is_other ? "OTHER_QUERY" : code, status_text(status),
                   is_other ? "delete the old job's internal topics, or name this one otherwise"
                            : "run the version that wrote it");
    task_fault_say(&self->fault, "topic %s partition %d offset %lld is %s",
                   self->setup->progress.name, self->setup->progress_partition,
                   (long long)self->progress_offset,
                   is_other ? "another query's progress" : "no progress that this version reads");
    task_attempt_fail(self);
}

static void recall_done(struct task_attempt *self)
{
    if (self->found != NULL) {
        enum status status =
            task_progress_unpack(self->setup, self->found, self->found_bytes, &self->progress);
        free(self->found);
        self->found = NULL;
        if (status != STATUS_OK) {
            refuse_progress(self, status);
            return;
        }
    }
    if (!task_attempt_pass(self, TASK_POINT_PROGRESS_READ)) {
        return;
    }
    if (self->progress != NULL) {
        self->events.on_progress(self->events.context, self->progress);
    }
    if (!task_attempt_is_on(self)) {
        return;
    }
    if (self->wants_stop && self->progress != NULL && self->progress->is_final &&
        self->progress->run == self->setup->options.run) {
        task_attempt_end_stopped(self); /* It had stopped, only the word was lost. */
        return;
    }
    begin_chain(self);
}

static enum status keep_found(struct task_attempt *self, const struct source_rows *rows,
                              uint32_t row)
{
    struct wire_bytes key = rows->origin.keys[row];
    struct wire_bytes value = rows->origin.values[row];
    if (key.byte_count != (int32_t)strlen(PROGRESS_KEY) || value.byte_count < 0 ||
        memcmp(key.bytes, PROGRESS_KEY, strlen(PROGRESS_KEY)) != 0) {
        return STATUS_OK; /* None of ours. */
    }
    uint8_t *copy = malloc((size_t)value.byte_count + 1);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (value.byte_count > 0) {
        memcpy(copy, value.bytes, (size_t)value.byte_count);
    }
    free(self->found);
    self->found = copy;
    self->found_bytes = (size_t)value.byte_count;
    self->progress_offset = rows->origin.offsets[row];
    return STATUS_OK;
}

static void recall_turn(struct task_attempt *self)
{
    source_seal(self->source, SIZE_MAX);
    struct source_rows rows;
    enum status status;
    while ((status = source_take(self->source, &rows)) == STATUS_OK) {
        for (uint32_t i = 0; i < rows.row_count && status == STATUS_OK; i++) {
            status = keep_found(self, &rows, i);
        }
        source_release(self->source);
        if (status != STATUS_OK) {
            break;
        }
    }
    if (status != STATUS_NOT_FOUND) {
        task_attempt_break(self, "out of memory");
        return;
    }
    if (!source_is_done(self->source)) {
        return;
    }
    const struct source_view *view = source_view(self->source, 0);
    bool is_whole =
        view->end_offset <= self->back_count ||
        (view->log_start >= 0 && view->end_offset - self->back_count <= view->log_start);
    if (self->found == NULL && !is_whole) {
        self->back_count *= BACK_FACTOR;
        open_progress(self);
        return;
    }
    recall_done(self);
}

static void open_progress(struct task_attempt *self)
{
    struct source_start start = {.partition = self->setup->progress_partition,
                                 .end_min = self->claims[0].offset + 1};
    struct source_options options = {.topic = self->setup->progress.name,
                                     .starts = &start,
                                     .start_count = 1,
                                     .is_bounded = true,
                                     .back_count = self->back_count};
    self->phase = TASK_ATTEMPT_RECALLING;
    if (!open_source(self, &options)) {
        return; /* The attempt is over. */
    }
}

/* ---- before it: how far that must be read ---- */

static void sink_on_claimed(void *context)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    if (task_attempt_is_on(self)) {
        open_progress(self);
    }
}

/* The progress partition first, then those of the state, by place. */
static void claim(struct task_attempt *self)
{
    const struct task_setup *setup = self->setup;
    uint32_t state_count = setup->options.stage > 0 ? setup->partition_count : 0;
    self->claims = calloc((size_t)state_count + 1, sizeof *self->claims);
    if (self->claims == NULL) {
        task_attempt_break(self, "out of memory");
        return;
    }
    self->claims[0] = (struct commit_epoch_claim){.topic = setup->progress.name,
                                                  .partition = setup->progress_partition};
    for (uint32_t i = 0; i < state_count; i++) {
        self->claims[i + 1] = (struct commit_epoch_claim){.topic = setup->changelog.name,
                                                          .partition = setup->partitions[i]};
    }
    sink_claim(self->sink, self->claims, state_count + 1);
}

/* ---- before it: the id ---- */

static void sink_on_started(void *context, const struct commit_epoch_outcome *outcome)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    if (!task_attempt_is_on(self)) {
        return;
    }
    if (outcome->status != STATUS_OK) {
        task_attempt_judge(self, outcome->status, outcome->error_code,
                           "the transactional id cannot be taken over");
        return;
    }
    if (task_attempt_pass(self, TASK_POINT_FENCED)) {
        claim(self);
    }
}

static void sink_on_failed(void *context, const struct commit_epoch_outcome *outcome)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    if (task_attempt_is_on(self)) {
        task_attempt_judge(self, outcome->status, outcome->error_code,
                           "the epoch cannot be committed");
    }
}

static void part_on_closed(void *context)
{
    struct task_attempt *self = context;
    check(self->magic == ATTEMPT_MAGIC);
    check(self->open_count > 0);
    self->open_count -= 1;
    end_close(self);
}

static enum status open_trim(struct task_attempt *self)
{
    const struct task_options *own = &self->setup->options;
    struct task_trim_options options = {.loop = own->loop,
                                        .bootstrap = own->bootstrap,
                                        .bootstrap_count = own->bootstrap_count,
                                        .client_id = own->client_id,
                                        .request_timeout_ms = own->request_timeout_ms,
                                        .on_closed = part_on_closed,
                                        .context = self};
    TRY(task_trim_open(&options, &self->trim));
    self->open_count += 1;
    return STATUS_OK;
}

static enum status open_sink(struct task_attempt *self)
{
    const struct task_setup *setup = self->setup;
    const struct task_options *own = &setup->options;
    const char *late_topic = setup->plan->source->late_topic;
    bool is_heard = own->on_point != NULL;
    struct sink_options options = {
        .commit = {.loop = own->loop,
                   .bootstrap = own->bootstrap,
                   .bootstrap_count = own->bootstrap_count,
                   .client_id = own->client_id,
                   .transactional_id = setup->transactional_id,
                   .transaction_timeout_ms = own->transaction_timeout_ms,
                   .request_timeout_ms = own->request_timeout_ms,
                   .buffer_bytes_max = own->output_bytes_max,
                   .on_started = sink_on_started,
                   .on_claimed = sink_on_claimed,
                   .on_committed = task_epoch_on_committed,
                   .on_failed = sink_on_failed,
                   .on_part = is_heard ? task_epoch_on_part : NULL,
                   .on_end_sent = is_heard ? task_epoch_on_end_sent : NULL},
        .topic = setup->is_last ? setup->plan->sink->topic : NULL,
        .late_topic = late_topic[0] == '\0' ? NULL : late_topic,
        .route_topic = setup->is_last ? NULL : setup->route_out.name,
        .changelog_topic = own->stage > 0 ? setup->changelog.name : NULL,
        .progress_topic = setup->progress.name,
        .progress_partition = setup->progress_partition,
        .column_names = setup->column_names,
        .column_count = (uint32_t)setup->plan->sink->n_columns,
        .on_progress_due = task_epoch_on_progress_due,
        .on_closed = part_on_closed,
        .context = self};
    TRY(sink_open(&options, &self->sink));
    self->open_count += 1;
    sink_start(self->sink);
    return STATUS_OK;
}

/* ---- turns ---- */

static void turn_deliver(struct mail *mail)
{
    struct task_attempt *self = container_of(mail, struct task_attempt, turn_mail);
    check(self->magic == ATTEMPT_MAGIC);
    self->is_turn_posted = false;
    if (self->is_closing) {
        end_close(self);
    } else if (self->phase == TASK_ATTEMPT_RECALLING) {
        recall_turn(self);
    } else if (self->phase == TASK_ATTEMPT_RESTORING) {
        restore_turn(self);
    } else if (self->phase == TASK_ATTEMPT_WAITING) {
        task_epoch_consider(self);
    } else if (self->phase == TASK_ATTEMPT_COMPUTING) {
        task_epoch_turn(self);
    }
}

void task_attempt_post_turn(struct task_attempt *self)
{
    if (!self->is_turn_posted) {
        self->is_turn_posted = true;
        self->turn_mail = (struct mail){.deliver = turn_deliver};
        loop_defer(self->setup->options.loop, &self->turn_mail);
    }
}

static void wake_on_fire(struct timer *timer)
{
    struct task_attempt *self = container_of(timer, struct task_attempt, wake);
    check(self->magic == ATTEMPT_MAGIC);
    if (self->phase == TASK_ATTEMPT_WAITING) {
        task_epoch_consider(self);
    }
}

void task_attempt_stop(struct task_attempt *self)
{
    check(self->magic == ATTEMPT_MAGIC);
    self->wants_stop = true;
    task_attempt_post_turn(self);
}

/* ---- life ---- */

static void end_close(struct task_attempt *self)
{
    if (!self->is_closing || self->open_count > 0 || self->is_turn_posted) {
        return;
    }
    struct task_attempt_events events = self->events;
    chain_free(self->chain);
    task_rows_done(&self->rows);
    arena_done(&self->epoch.arena);
    if (self->progress != NULL) {
        millrace__processor__progress__free_unpacked(self->progress, NULL);
    }
    free(self->found);
    free(self->claims);
    free(self->inputs);
    self->magic = 0;
    free(self);
    events.on_closed(events.context);
}

void task_attempt_close(struct task_attempt *self)
{
    check(self->magic == ATTEMPT_MAGIC);
    check(!self->is_closing);
    self->is_closing = true;
    timer_done(&self->wake);
    close_source(self);
    if (self->sink != NULL) {
        struct sink *sink = self->sink;
        self->sink = NULL;
        sink_close(sink);
    }
    if (self->trim != NULL) {
        task_trim_close(self->trim);
    }
    task_attempt_post_turn(self); /* So that the end never comes from inside. */
}

enum status task_attempt_open(const struct task_setup *setup,
                              const struct task_attempt_events *events,
                              struct task_attempt **out_attempt)
{
    struct task_attempt *self = calloc(1, sizeof *self);
    struct task_input *inputs = calloc(setup->partition_count, sizeof *inputs);
    if (self == NULL || inputs == NULL) {
        free(self);
        free(inputs);
        return STATUS_NO_MEMORY;
    }
    self->magic = ATTEMPT_MAGIC;
    self->setup = setup;
    self->events = *events;
    self->inputs = inputs;
    self->back_count = BACK_FIRST;
    self->progress_offset = -1;
    self->snapshot_input = -1;
    timer_init(&self->wake, &setup->options.loop->timers, wake_on_fire);
    enum status status = open_sink(self);
    if (status != STATUS_OK) {
        free(inputs);
        free(self);
        return status;
    }
    *out_attempt = self;
    return STATUS_OK;
}
