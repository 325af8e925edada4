/* The epochs of an attempt: when one begins, what passes the chain, how it is committed. */
#include "processor/task/task_attempt.h"
#include "proto/internal/message_copy.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

#define EPOCH_ARENA_BYTES_MAX ((size_t)64 << 20)
#define PROGRESS_VERSION 1U
#define NS_PER_US INT64_C(1000)
/* A partition counts as never written only when it has been empty for so long, counted from the
 * task's first row ever, or from its beginning while there is none: where data begins to flow, no
 * partition may run ahead of the others just because its first record came first. */
#define EMPTY_AFTER_FLOW_US INT64_C(2000000)
#define EMPTY_AFTER_US INT64_C(5000000)

/* ---- the chain's callbacks ---- */

static enum status note_sink(struct task_attempt *self, enum status status)
{
    if (status != STATUS_OK && self->sink_status == STATUS_OK) {
        self->sink_status = status;
    }
    return status;
}

static enum status chain_on_rows(void *context, const struct row_batch *rows)
{
    struct task_attempt *self = context;
    return note_sink(self, sink_add_rows(self->sink, rows));
}

static enum status chain_on_route(void *context, uint32_t partition, struct wire_bytes value)
{
    struct task_attempt *self = context;
    return note_sink(self, sink_add_route(self->sink, partition, value));
}

static enum status chain_on_change(void *context, uint32_t partition, struct wire_bytes key,
                                   struct wire_bytes value)
{
    struct task_attempt *self = context;
    self->inputs[task_setup_place(self->setup, (int32_t)partition)].change_count += 1;
    return note_sink(self, sink_add_change(self->sink, partition, key, value));
}

static enum status chain_on_late(void *context, const struct late_row *late)
{
    struct task_attempt *self = context;
    return note_sink(self, sink_add_late(self->sink, late));
}

static enum status chain_on_misfit(void *context, const struct chain_misfit *misfit)
{
    struct task_attempt *self = context;
    if (self->setup->plan->source->on_misfit == MILLRACE__PLAN__ON_MISFIT__ON_MISFIT_SKIP) {
        return STATUS_OK;
    }
    task_rows_blame(&self->fault, misfit->partition, misfit->offset, misfit->reason);
    return STATUS_INVALID;
}

void task_epoch_set_callbacks(struct task_attempt *self, struct chain_options *options)
{
    options->on_rows = chain_on_rows;
    options->on_route = chain_on_route;
    options->on_change = chain_on_change;
    options->on_late = chain_on_late;
    options->on_misfit = chain_on_misfit;
    options->context = self;
}

/* ---- marks ---- */

static int64_t now_of(const struct task_attempt *self)
{
    return loop_now_ns(self->setup->options.loop);
}

static Millrace__Processor__MarkState state_of(const struct task_attempt *self,
                                               const struct source_view *view)
{
    if (!view->is_at_end) {
        return MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN;
    }
    int64_t idle_us = self->setup->plan->source->idle_after_us;
    if (view->is_unwritten) {
        int64_t empty_us = self->has_flowed ? EMPTY_AFTER_FLOW_US : EMPTY_AFTER_US;
        empty_us = idle_us < empty_us ? idle_us : empty_us;
        return view->heard_ns - self->flow_began_ns >= empty_us * NS_PER_US
                   ? MILLRACE__PROCESSOR__MARK_STATE__MARK_EMPTY
                   : MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN;
    }
    /* Quiet is what a broker has said lately, not what nobody could ask. */
    bool is_quiet = view->heard_ns - view->record_ns >= idle_us * NS_PER_US;
    return is_quiet ? MILLRACE__PROCESSOR__MARK_STATE__MARK_IDLE
                    : MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN;
}

/* Tells the chain which partitions do not hold the watermark any more. */
static void tell_marks(struct task_attempt *self)
{
    if (self->setup->options.stage > 0) {
        return; /* Marks come with the route. */
    }
    for (uint32_t i = 0; i < self->setup->partition_count; i++) {
        Millrace__Processor__MarkState state = state_of(self, source_view(self->source, i));
        if (state != MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN &&
            state != self->inputs[i].told) {
            self->inputs[i].told = state;
            chain_set_mark_state(self->chain, self->setup->partitions[i], state);
        }
    }
}

/* ---- beginning ---- */

void task_epoch_begin_first(struct task_attempt *self)
{
    arena_init(&self->epoch.arena, EPOCH_ARENA_BYTES_MAX);
    self->epoch_not_before_ns = INT64_MIN;
    self->flow_began_ns = now_of(self);
    self->has_flowed = self->progress != NULL && self->progress->totals != NULL &&
                       self->progress->totals->input_rows > 0;
    self->trim_not_before_ns =
        now_of(self) + self->setup->options.trim_interval_ms * CLOCK_NS_PER_MS;
}

/* A start that is not the earliest is kept as soon as it is known: after a restart it would be
 * another one. */
static bool wants_first_progress(const struct task_attempt *self)
{
    return self->progress == NULL && self->setup->options.stage == 0 &&
           self->setup->plan->source->start != MILLRACE__PLAN__START_KIND__START_EARLIEST &&
           source_is_placed(self->source);
}

static void begin(struct task_attempt *self)
{
    struct task_epoch *epoch = &self->epoch;
    int64_t now_ns = now_of(self);
    self->epoch_not_before_ns = now_ns + self->setup->plan->epoch_us * NS_PER_US;
    int64_t last_commit_ns = epoch->last_commit_ns;
    struct arena arena = epoch->arena;
    *epoch =
        (struct task_epoch){.began_ns = now_ns, .last_commit_ns = last_commit_ns, .arena = arena};
    for (uint32_t i = 0; i < self->setup->partition_count; i++) {
        self->inputs[i].start_offset = source_view(self->source, i)->next_offset;
    }
    self->phase = TASK_ATTEMPT_COMPUTING;
    if (!task_attempt_pass(self, TASK_POINT_BEFORE_READ)) {
        return;
    }
    int64_t wall_ms = clock_wall_ms(self->setup->options.loop->clock);
    chain_begin_epoch(self->chain, wall_ms);
    sink_begin_epoch(self->sink, wall_ms);
    if (!self->wants_stop) {
        source_seal(self->source, self->setup->options.epoch_bytes_max);
    }
    task_attempt_post_turn(self);
}

void task_epoch_consider(struct task_attempt *self)
{
    check(self->phase == TASK_ATTEMPT_WAITING);
    tell_marks(self);
    if (self->wants_stop) {
        begin(self);
        return;
    }
    size_t ready_bytes = source_ready_bytes(self->source);
    bool is_behind = source_has_sealed(self->source);
    if (ready_bytes == 0 && !is_behind && !chain_is_due(self->chain) &&
        !wants_first_progress(self)) {
        return;
    }
    if (is_behind || now_of(self) >= self->epoch_not_before_ns ||
        ready_bytes >= self->setup->options.epoch_bytes_max) {
        begin(self);
    } else {
        timer_start_at(&self->wake, self->epoch_not_before_ns);
    }
}

/* ---- computing ---- */

static enum status push_first_stage(struct task_attempt *self, struct source_rows *rows)
{
    struct row_batch batch;
    uint8_t *misfits = NULL;
    TRY(task_rows_decode(&self->rows, rows, &self->fault, &batch, &misfits));
    return chain_push_rows(self->chain, &batch, misfits);
}

static enum status push_route(struct task_attempt *self, const struct source_rows *rows,
                              int64_t *out_offset)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        *out_offset = rows->origin.offsets[i];
        TRY(chain_push_route(self->chain, (uint32_t)rows->origin.partition,
                             rows->origin.values[i]));
    }
    return STATUS_OK;
}

/* All rows are in the chain: takes out what they made. */
static void end_computing(struct task_attempt *self)
{
    struct task_epoch *epoch = &self->epoch;
    bool is_worth = epoch->row_count > 0 || chain_is_due(self->chain) || self->wants_stop ||
                    wants_first_progress(self) || sink_is_dirty(self->sink);
    if (!is_worth) {
        self->phase = TASK_ATTEMPT_WAITING; /* Markers and aborted records only. */
        task_epoch_consider(self);
        return;
    }
    int64_t began_ns = now_of(self);
    enum status status = chain_end_epoch(self->chain);
    if (status == STATUS_OK) {
        status = task_snapshot_take(self);
    }
    epoch->compute_ns += now_of(self) - began_ns;
    if (status != STATUS_OK) {
        task_attempt_judge_chain(self, status, -1, -1);
        return;
    }
    if (!task_attempt_pass(self, TASK_POINT_ROWS_COMPUTED)) {
        return;
    }
    self->phase = TASK_ATTEMPT_COMMITTING;
    epoch->commit_began_ns = now_of(self);
    sink_end_epoch(self->sink);
}

void task_epoch_turn(struct task_attempt *self)
{
    struct task_epoch *epoch = &self->epoch;
    if (sink_is_half_full(self->sink)) {
        end_computing(self); /* The rest of what was sealed is the next epoch's. */
        return;
    }
    int64_t began_ns = now_of(self);
    struct source_rows rows;
    enum status status = source_take(self->source, &rows);
    int64_t taken_ns = now_of(self);
    epoch->read_ns += taken_ns - began_ns;
    if (status == STATUS_NOT_FOUND) {
        end_computing(self);
        return;
    }
    if (status != STATUS_OK) {
        task_attempt_break(self, "out of memory");
        return;
    }
    int64_t offset = rows.origin.offsets[0];
    status = self->setup->options.stage == 0 ? push_first_stage(self, &rows)
                                             : push_route(self, &rows, &offset);
    epoch->compute_ns += now_of(self) - taken_ns;
    if (status != STATUS_OK) {
        task_attempt_judge_chain(self, status, rows.origin.partition, offset);
        return;
    }
    if (!self->has_flowed) {
        self->has_flowed = true;
        self->flow_began_ns = now_of(self);
    }
    epoch->row_count += rows.row_count;
    self->inputs[task_setup_place(self->setup, rows.origin.partition)].told =
        MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN;
    source_release(self->source);
    task_attempt_post_turn(self);
}

/* ---- the progress record ---- */

static enum status describe_inputs(struct task_attempt *self, struct arena *arena,
                                   Millrace__Processor__Progress *progress)
{
    uint32_t count = self->setup->partition_count;
    progress->inputs = arena_take_array(arena, count, sizeof *progress->inputs);
    Millrace__Processor__InputProgress *inputs = arena_take_array(arena, count, sizeof *inputs);
    if (progress->inputs == NULL || inputs == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct source_view *view = source_view(self->source, i);
        if (view->next_offset < 0) {
            continue; /* It has no place yet: its start is looked for again. */
        }
        Millrace__Processor__InputProgress *input = &inputs[progress->n_inputs];
        millrace__processor__input_progress__init(input);
        input->partition = view->partition;
        input->next_offset = view->next_offset;
        input->start_offset = self->inputs[i].start_offset;
        input->end_offset = view->stable_end;
        input->watermark_us = INT64_MIN;
        progress->inputs[progress->n_inputs++] = input;
    }
    return STATUS_OK;
}

static enum status describe_changelogs(struct task_attempt *self, struct arena *arena,
                                       Millrace__Processor__Progress *progress)
{
    uint32_t count = self->setup->options.stage == 0 ? 0 : self->setup->partition_count;
    progress->changelogs = arena_take_array(arena, count, sizeof *progress->changelogs);
    Millrace__Processor__ChangelogProgress *rows = arena_take_array(arena, count, sizeof *rows);
    if (progress->changelogs == NULL || rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        int32_t partition = self->setup->partitions[i];
        millrace__processor__changelog_progress__init(&rows[i]);
        rows[i].partition = partition;
        rows[i].start_offset = self->inputs[i].changelog_start;
        progress->changelogs[i] = &rows[i];
    }
    progress->n_changelogs = count;
    return STATUS_OK;
}

static enum status describe_stats(struct task_attempt *self, struct arena *arena,
                                  Millrace__Processor__Progress *progress)
{
    struct task_epoch *epoch = &self->epoch;
    if (progress->stats == NULL) {
        progress->stats = arena_take(arena, sizeof *progress->stats);
        if (progress->stats == NULL) {
            return STATUS_NO_MEMORY;
        }
        millrace__processor__epoch_stats__init(progress->stats);
    }
    Millrace__Processor__EpochStats *stats = progress->stats;
    stats->read_us = (uint64_t)(epoch->read_ns / NS_PER_US);
    stats->compute_us = (uint64_t)(epoch->compute_ns / NS_PER_US);
    stats->commit_us = (uint64_t)(epoch->last_commit_ns / NS_PER_US);
    stats->duration_us =
        (uint64_t)((now_of(self) - epoch->began_ns + epoch->last_commit_ns) / NS_PER_US);
    progress->totals = arena_take(arena, sizeof *progress->totals);
    if (progress->totals == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__processor__epoch_stats__init(progress->totals);
    if (self->progress != NULL && self->progress->totals != NULL) {
        task_progress_add(progress->totals, self->progress->totals);
    }
    task_progress_add(progress->totals, stats);
    return STATUS_OK;
}

static enum status describe(struct task_attempt *self, Millrace__Processor__Progress *progress)
{
    struct arena *arena = &self->epoch.arena;
    millrace__processor__progress__init(progress);
    progress->version = PROGRESS_VERSION;
    progress->query_id = self->setup->plan->query_id;
    progress->run = self->setup->options.run;
    progress->epoch = self->progress == NULL ? 1 : self->progress->epoch + 1;
    progress->is_final = self->wants_stop;
    progress->watermark_us = INT64_MIN;
    progress->committed_ms = clock_wall_ms(self->setup->options.loop->clock);
    TRY(describe_inputs(self, arena, progress));
    TRY(describe_changelogs(self, arena, progress));
    TRY(chain_describe(self->chain, arena, progress));
    return describe_stats(self, arena, progress);
}

enum status task_epoch_on_progress_due(void *context, struct wire_bytes *out_value)
{
    struct task_attempt *self = context;
    struct task_epoch *epoch = &self->epoch;
    check(self->phase == TASK_ATTEMPT_COMMITTING);
    arena_reset(&epoch->arena);
    task_snapshot_note(self);
    TRY(describe(self, &epoch->progress));
    epoch->is_final = epoch->progress.is_final;
    epoch->is_described = true;
    size_t byte_count = millrace__processor__progress__get_packed_size(&epoch->progress);
    uint8_t *bytes = arena_take(&epoch->arena, byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    (void)millrace__processor__progress__pack(&epoch->progress, bytes);
    *out_value = (struct wire_bytes){bytes, (int32_t)byte_count};
    return STATUS_OK;
}

/* ---- committed ---- */

void task_epoch_on_part(void *context, enum commit_epoch_part part)
{
    static const enum task_point points[COMMIT_EPOCH_PART_COUNT] = {
        [COMMIT_EPOCH_OUTPUT] = TASK_POINT_OUTPUT_SENT,
        [COMMIT_EPOCH_CHANGES] = TASK_POINT_CHANGELOG_SENT,
        [COMMIT_EPOCH_PROGRESS] = TASK_POINT_PROGRESS_SENT};
    struct task_attempt *self = context;
    (void)task_attempt_pass(self, points[part]);
}

void task_epoch_on_end_sent(void *context)
{
    struct task_attempt *self = context;
    (void)task_attempt_pass(self, TASK_POINT_END_TXN_SENT);
}

/* The epoch's progress becomes what is committed. */
static enum status keep_progress(struct task_attempt *self)
{
    const Millrace__Processor__Progress *made = &self->epoch.progress;
    Millrace__Processor__Progress *kept = message_copy(&made->base);
    if (kept == NULL) {
        return STATUS_NO_MEMORY;
    }
    message_copy_free(self->progress);
    self->progress = kept;
    return STATUS_OK;
}

void task_epoch_on_committed(void *context, const struct commit_epoch_outcome *outcome)
{
    struct task_attempt *self = context;
    struct task_epoch *epoch = &self->epoch;
    check(outcome->status == STATUS_OK);
    if (!task_attempt_is_on(self)) {
        return;
    }
    check(self->phase == TASK_ATTEMPT_COMMITTING);
    check(epoch->is_described);
    epoch->last_commit_ns = now_of(self) - epoch->commit_began_ns;
    bool is_final = epoch->is_final;
    if (!task_attempt_pass(self, is_final ? TASK_POINT_FINAL_COMMITTED : TASK_POINT_COMMITTED)) {
        return;
    }
    if (keep_progress(self) != STATUS_OK) {
        task_attempt_break(self, "out of memory");
        return;
    }
    self->phase = TASK_ATTEMPT_WAITING;
    if (sink_progress_offset(self->sink) >= 0) {
        self->progress_offset = sink_progress_offset(self->sink);
    }
    task_snapshot_trim(self);
    self->events.on_progress(self->events.context, self->progress);
    if (!task_attempt_is_on(self)) {
        return;
    }
    if (is_final) {
        task_attempt_end_stopped(self);
    } else {
        task_epoch_consider(self);
    }
}
