#include "processor/operator/chain.h"

#include "processor/operator/emission.h"
#include "processor/operator/merging_aggregation.h"
#include "processor/operator/partial_aggregation.h"
#include "processor/operator/row_steps.h"
#include "processor/operator/source_marks.h"
#include "processor/operator/system_columns.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAGIC 0xc4a19077U
#define FAULT_BYTES 200U

struct event_times {
    uint64_t count;
    int64_t min_us;
    int64_t max_us;
    double sum_us;
};

struct chain {
    uint32_t magic;
    struct chain_options options;
    const Millrace__Plan__Stage *stage;
    bool has_partial;
    bool has_merge;
    uint32_t event_time_column; /* Of the input row; UINT32_MAX: none. */
    struct row_steps steps;     /* In front of the route, or behind the merge. */
    struct partial_aggregation partial;
    struct merging_aggregation merging;
    struct route_record_writer writer;
    struct source_marks marks;
    struct arena scratch;
    int64_t now_ms;
    struct row_steps_report report;
    Millrace__Processor__EpochStats stats;
    struct event_times event_times;
    char fault[FAULT_BYTES];
};

static enum status fail(struct chain *self, enum status status, const char *why)
{
    snprintf(self->fault, sizeof self->fault, "%s", why);
    return status;
}

/* Rows that need more room than there may be would need it the next time, too: no reason to begin
 * again from what is committed. */
static enum status scratch_result(struct chain *self, enum status status)
{
    bool is_for_good = self->scratch.is_exhausted || self->partial.groups.arena.is_exhausted;
    if (status == STATUS_NO_MEMORY && is_for_good) {
        return fail(self, STATUS_INVALID, "what is made of these rows at once exceeds 256 MiB");
    }
    return status;
}

_Static_assert(CHAIN_SCRATCH_BYTES_MAX == (size_t)256 << 20, "as the fault says");

/* ---- what operators call */

static enum status report_misfit(void *context, const struct row_batch *rows, uint32_t row,
                                 const char *reason)
{
    struct chain *self = context;
    struct chain_misfit misfit = {.partition = -1, .offset = -1, .reason = reason};
    if (rows->origin != NULL) {
        misfit.partition = rows->origin->partition;
        misfit.offset = rows->origin->offsets[row];
    }
    self->stats.misfit_rows += 1;
    return self->options.on_misfit(self->options.context, &misfit);
}

static enum status give_rows(struct chain *self, const struct row_batch *rows)
{
    struct row_batch made;
    TRY(row_steps_run(&self->steps, rows, &self->scratch, &self->report, &made));
    if (made.row_count == 0) {
        return STATUS_OK;
    }
    self->stats.output_rows += made.row_count;
    return self->options.on_rows(self->options.context, &made);
}

static enum status emit_on_groups(void *context, struct group *const *groups, uint32_t group_count)
{
    struct chain *self = context;
    arena_reset(&self->scratch);
    struct row_batch rows;
    struct emission_fault fault = {0};
    enum status status = emission_make_rows(&self->merging.aggregation, groups, group_count,
                                            &self->scratch, &rows, &fault);
    if (status == STATUS_INVALID) {
        snprintf(self->fault, sizeof self->fault,
                 "the sum of aggregate %u is beyond bigint in the window that starts at %lld us",
                 fault.call + 1, (long long)groups[fault.row]->window_start);
    }
    TRY(status);
    return give_rows(self, &rows);
}

static enum status route_on_record(void *context, uint32_t partition, struct wire_bytes value)
{
    struct chain *self = context;
    return self->options.on_route(self->options.context, partition, value);
}

static enum status merge_on_change(void *context, uint32_t partition, struct wire_bytes key,
                                   struct wire_bytes value)
{
    struct chain *self = context;
    return self->options.on_change(self->options.context, partition, key, value);
}

static enum status merge_on_late(void *context, const struct late_row *late)
{
    struct chain *self = context;
    return self->options.on_late(self->options.context, late);
}

/* ---- from the plan */

static bool is_step(const Millrace__Plan__Operator *operator)
{
    return operator->kind_case == MILLRACE__PLAN__OPERATOR__KIND_FILTER || operator->kind_case ==
        MILLRACE__PLAN__OPERATOR__KIND_PROJECTION;
}

static enum status source_types(struct chain *self, enum value_type *out_types)
{
    const Millrace__Plan__Table *source = self->options.plan->source;
    self->event_time_column = UINT32_MAX;
    for (uint32_t i = 0; i < self->stage->n_source_columns; i++) {
        uint32_t column = self->stage->source_columns[i];
        if (column >= CHAIN_SYSTEM_COLUMN_BASE) {
            TRY(system_columns_type(column - CHAIN_SYSTEM_COLUMN_BASE, &out_types[i]));
            continue;
        }
        if (column >= source->n_columns) {
            return STATUS_INVALID;
        }
        out_types[i] = (enum value_type)source->columns[column]->type;
        bool is_time = source->event_time != NULL && source->event_time[0] != '\0' &&
                       strcmp(source->columns[column]->name, source->event_time) == 0;
        if (is_time && out_types[i] == VALUE_TIMESTAMPTZ && source->has_watermark) {
            self->event_time_column = i;
        }
    }
    return STATUS_OK;
}

static enum status init_partial(struct chain *self, const Millrace__Plan__Operator *last)
{
    const Millrace__Plan__Aggregation *plan = last->partial;
    if (plan->window != MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE &&
        self->options.plan->source->has_watermark && self->event_time_column == UINT32_MAX) {
        return STATUS_INVALID; /* No mark could ever be made. */
    }
    self->has_partial = true;
    TRY(partial_aggregation_init(&self->partial, last->id, plan, self->steps.types,
                                 self->steps.type_count));
    TRY(route_record_writer_init(&self->writer, &self->partial.aggregation.codec,
                                 self->stage->route_partition_count));
    self->writer.on_record = route_on_record;
    self->writer.context = self;
    return STATUS_OK;
}

/* Stage 0: steps, then in front of a route the partial aggregation. */
static enum status init_first(struct chain *self)
{
    const Millrace__Plan__Stage *stage = self->stage;
    struct source_marks_options marks = {
        .partition_count = self->options.plan->source_partition_count,
        .task = self->options.task,
        .task_count = stage->task_count,
        .delay_us = self->options.plan->source->watermark_delay_us};
    TRY(source_marks_init(&self->marks, &marks));
    enum value_type *types = calloc(stage->n_source_columns + 1, sizeof *types);
    if (types == NULL) {
        return STATUS_NO_MEMORY;
    }
    uint32_t step_count = 0;
    while (step_count < stage->n_operators && is_step(stage->operators[step_count])) {
        step_count += 1;
    }
    enum status status = source_types(self, types);
    if (status == STATUS_OK) {
        status = row_steps_init(&self->steps, stage->operators, step_count, types,
                                (uint32_t)stage->n_source_columns);
    }
    free(types);
    TRY(status);
    if (step_count == stage->n_operators) {
        /* Rows by themselves to another task: joins will need it. */
        return stage->route_partition_count == 0 ? STATUS_OK : STATUS_UNSUPPORTED;
    }
    const Millrace__Plan__Operator *last = stage->operators[step_count];
    if (last->kind_case != MILLRACE__PLAN__OPERATOR__KIND_PARTIAL ||
        step_count + 1 != stage->n_operators || stage->route_partition_count == 0) {
        return STATUS_INVALID;
    }
    return init_partial(self, last);
}

/* Later stages: the merging aggregation, then steps. */
static enum status init_later(struct chain *self)
{
    const Millrace__Plan__Stage *stage = self->stage;
    if (stage->n_operators == 0 ||
        stage->operators[0]->kind_case != MILLRACE__PLAN__OPERATOR__KIND_MERGE ||
        stage->input_partition_count == 0) {
        return STATUS_INVALID;
    }
    if (stage->index != 1 || stage->route_partition_count != 0) {
        return STATUS_UNSUPPORTED; /* Marks of tasks instead of partitions are not known here. */
    }
    struct merging_aggregation_options options = {
        .operator_id = stage->operators[0]->id,
        .plan = stage->operators[0]->merge,
        .source_partition_count = self->options.plan->source_partition_count,
        .input_partition_count = stage->input_partition_count,
        .task = self->options.task,
        .task_count = stage->task_count,
        .state_bytes_max = self->options.state_bytes_max,
        .on_groups = emit_on_groups,
        .on_change = merge_on_change,
        .on_late = merge_on_late,
        .context = self};
    self->has_merge = true;
    TRY(merging_aggregation_init(&self->merging, &options));
    uint32_t count = aggregation_column_count(&self->merging.aggregation);
    enum value_type *types = calloc(count, sizeof *types);
    if (types == NULL) {
        return STATUS_NO_MEMORY;
    }
    aggregation_column_types(&self->merging.aggregation, types);
    enum status status = row_steps_init(&self->steps, stage->operators + 1,
                                        (uint32_t)stage->n_operators - 1, types, count);
    free(types);
    self->merging.room =
        emission_room(&self->merging.aggregation, row_steps_column_count(&self->steps, count));
    return status;
}

static enum status check_plan(const struct chain_options *options)
{
    const Millrace__Plan__JobPlan *plan = options->plan;
    if (plan->version > 1) {
        return STATUS_UNSUPPORTED;
    }
    if (plan->version != 1 || plan->source == NULL || options->stage >= plan->n_stages) {
        return STATUS_INVALID;
    }
    const Millrace__Plan__Stage *stage = plan->stages[options->stage];
    bool is_sound = stage->index == options->stage && options->task < stage->task_count;
    return is_sound ? STATUS_OK : STATUS_INVALID;
}

enum status chain_new(const struct chain_options *options, struct chain **out_chain)
{
    TRY(check_plan(options));
    struct chain *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = CHAIN_MAGIC;
    self->options = *options;
    self->stage = options->plan->stages[options->stage];
    self->report = (struct row_steps_report){.on_misfit = report_misfit, .context = self};
    millrace__processor__epoch_stats__init(&self->stats);
    arena_init(&self->scratch, CHAIN_SCRATCH_BYTES_MAX);
    enum status status = options->stage == 0 ? init_first(self) : init_later(self);
    if (status != STATUS_OK) {
        chain_free(self);
        return status;
    }
    *out_chain = self;
    return STATUS_OK;
}

void chain_free(struct chain *self)
{
    if (self == NULL) {
        return;
    }
    check(self->magic == CHAIN_MAGIC);
    row_steps_done(&self->steps);
    route_record_writer_done(&self->writer);
    partial_aggregation_done(&self->partial);
    merging_aggregation_done(&self->merging);
    source_marks_done(&self->marks);
    arena_done(&self->scratch);
    self->magic = 0;
    free(self);
}

/* ---- from what is committed */

static void resume_first(struct chain *self, const Millrace__Processor__Progress *progress)
{
    for (size_t i = 0; i < progress->n_marks; i++) {
        const Millrace__Processor__Mark *mark = progress->marks[i];
        if (source_marks_find(&self->marks, mark->partition) != NULL) {
            struct watermark_mark held = {.state = mark->state, .us = mark->watermark_us};
            source_marks_resume(&self->marks, mark->partition, held);
        }
    }
    for (size_t i = 0; i < progress->n_inputs; i++) {
        struct source_mark *mark = source_marks_find(&self->marks, progress->inputs[i]->partition);
        if (mark != NULL) {
            mark->was_excluded = mark->was_excluded || progress->inputs[i]->was_excluded;
        }
    }
}

static enum status resume_later(struct chain *self, const Millrace__Processor__Progress *progress)
{
    for (size_t i = 0; i < progress->n_marks; i++) {
        const Millrace__Processor__Mark *mark = progress->marks[i];
        struct watermark *watermark =
            merging_aggregation_watermark(&self->merging, mark->input_partition);
        if (watermark == NULL) {
            continue;
        }
        if (mark->partition < 0 || (uint32_t)mark->partition >= watermark->partition_count) {
            return fail(self, STATUS_CORRUPT, "progress knows a partition that there is not");
        }
        struct watermark_mark held = {.state = mark->state, .us = mark->watermark_us};
        watermark_set(watermark, (uint32_t)mark->partition, held);
    }
    for (size_t i = 0; i < progress->n_inputs; i++) {
        const Millrace__Processor__InputProgress *input = progress->inputs[i];
        struct watermark *watermark =
            merging_aggregation_watermark(&self->merging, input->partition);
        if (watermark != NULL) {
            watermark_resume(watermark, input->watermark_us);
        }
    }
    return STATUS_OK;
}

enum status chain_resume(struct chain *self, const Millrace__Processor__Progress *progress)
{
    check(self->magic == CHAIN_MAGIC);
    if (progress == NULL) {
        return STATUS_OK;
    }
    if (self->has_merge) {
        return resume_later(self, progress);
    }
    resume_first(self, progress);
    return STATUS_OK;
}

/* What the merge says of its failure. */
static enum status merge_result(struct chain *self, enum status status)
{
    if (status != STATUS_OK && self->merging.fault != NULL) {
        return fail(self, status, self->merging.fault);
    }
    return status;
}

enum status chain_restore(struct chain *self, struct wire_bytes key, struct wire_bytes value)
{
    check(self->magic == CHAIN_MAGIC);
    if (!self->has_merge) {
        return fail(self, STATUS_CORRUPT, "this stage keeps no groups");
    }
    return merge_result(self, merging_aggregation_restore(&self->merging, key, value));
}

/* ---- an epoch */

struct row_batch_room chain_push_room(const struct chain *self, struct row_batch_room most)
{
    check(self->magic == CHAIN_MAGIC);
    uint32_t input_count = (uint32_t)self->stage->n_source_columns;
    /* As decoded, and as they are left when misfits have been dropped. */
    uint64_t count = 2 * (uint64_t)input_count + row_steps_column_count(&self->steps, input_count);
    count += self->has_partial ? partial_aggregation_column_count(&self->partial) : 0;
    return row_batch_room_of(count, most);
}

void chain_begin_epoch(struct chain *self, int64_t now_ms)
{
    check(self->magic == CHAIN_MAGIC);
    self->now_ms = now_ms;
    millrace__processor__epoch_stats__init(&self->stats);
    self->report.filtered_count = 0;
    self->merging.stats = (struct merging_aggregation_stats){0};
    self->event_times = (struct event_times){0};
    self->fault[0] = '\0';
}

/* The row as the plan sees it: decoded columns, and the system's between them. */
static enum status push_widen(struct chain *self, const struct row_batch *rows,
                              struct row_batch *out_rows)
{
    struct row_batch wide = *rows;
    wide.arena = &self->scratch;
    wide.column_count = (uint32_t)self->stage->n_source_columns;
    wide.columns = arena_take_array(&self->scratch, wide.column_count, sizeof *wide.columns);
    if (wide.columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct system_columns_of of = {.topic = self->options.plan->source->topic,
                                   .processed_ms = self->now_ms};
    uint32_t decoded_count = 0;
    for (uint32_t i = 0; i < wide.column_count; i++) {
        uint32_t column = self->stage->source_columns[i];
        if (column >= CHAIN_SYSTEM_COLUMN_BASE) {
            TRY(system_columns_make(column - CHAIN_SYSTEM_COLUMN_BASE, rows, &of, &self->scratch,
                                    &wide.columns[i]));
        } else {
            check(decoded_count < rows->column_count);
            wide.columns[i] = rows->columns[decoded_count];
            decoded_count += 1;
        }
    }
    check(decoded_count == rows->column_count);
    *out_rows = wide;
    return STATUS_OK;
}

/* The task has told them. */
static enum status push_drop_misfits(struct chain *self, const uint8_t *misfits,
                                     struct row_batch *rows)
{
    if (misfits == NULL || !row_bits_any(misfits, rows->row_count)) {
        return STATUS_OK;
    }
    size_t byte_count = row_bits_byte_count(rows->row_count);
    uint8_t *keep = arena_take(&self->scratch, byte_count);
    if (keep == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < byte_count; i++) {
        keep[i] = (uint8_t)~misfits[i];
    }
    self->stats.misfit_rows += row_bits_count(misfits, rows->row_count);
    struct row_batch kept;
    TRY(row_batch_select(rows, keep, &self->scratch, &kept));
    *rows = kept;
    return STATUS_OK;
}

/* All rows of the source count for its mark, also those that a filter leaves out. */
static void push_take_times(struct chain *self, const struct row_batch *rows)
{
    if (self->event_time_column == UINT32_MAX) {
        return;
    }
    const struct column *time = &rows->columns[self->event_time_column];
    struct event_times seen = {.min_us = INT64_MAX, .max_us = INT64_MIN};
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (!column_is_null(time, i)) {
            int64_t us = time->values.bigints[i];
            seen.min_us = us < seen.min_us ? us : seen.min_us;
            seen.max_us = us > seen.max_us ? us : seen.max_us;
            seen.sum_us += (double)us;
            seen.count += 1;
        }
    }
    if (seen.count == 0) {
        return;
    }
    source_marks_take(&self->marks, rows->origin->partition, seen.max_us);
    struct event_times *times = &self->event_times;
    bool is_first = times->count == 0;
    times->min_us = is_first || seen.min_us < times->min_us ? seen.min_us : times->min_us;
    times->max_us = is_first || seen.max_us > times->max_us ? seen.max_us : times->max_us;
    times->sum_us += seen.sum_us;
    times->count += seen.count;
}

static enum status push_rows(struct chain *self, const struct row_batch *rows,
                             const uint8_t *misfits)
{
    const struct source_mark *mark = source_marks_find(&self->marks, rows->origin->partition);
    check(mark != NULL);
    arena_reset(&self->scratch);
    self->stats.input_rows += rows->row_count;
    if (rows->kinds != NULL) {
        return fail(self, STATUS_UNSUPPORTED, "rows that take others back are not known here");
    }
    struct row_batch wide;
    TRY(push_widen(self, rows, &wide));
    TRY(push_drop_misfits(self, misfits, &wide));
    push_take_times(self, &wide);
    if (wide.row_count == 0) {
        return STATUS_OK;
    }
    if (!self->has_partial) {
        return give_rows(self, &wide);
    }
    struct row_batch passed;
    TRY(row_steps_run(&self->steps, &wide, &self->scratch, &self->report, &passed));
    if (passed.row_count == 0) {
        return STATUS_OK;
    }
    return partial_aggregation_push(&self->partial, &passed,
                                    source_marks_bound_us(&self->marks, mark), &self->report,
                                    &self->writer);
}

enum status chain_push_rows(struct chain *self, const struct row_batch *rows,
                            const uint8_t *misfits)
{
    check(self->magic == CHAIN_MAGIC);
    check(!self->has_merge);
    check(rows->origin != NULL);
    check(rows->row_count <= ROW_BATCH_ROWS_MAX);
    return scratch_result(self, push_rows(self, rows, misfits));
}

void chain_set_mark_state(struct chain *self, int32_t partition,
                          Millrace__Processor__MarkState state)
{
    check(self->magic == CHAIN_MAGIC);
    check(!self->has_merge);
    source_marks_set_state(&self->marks, partition, state);
}

enum status chain_push_route(struct chain *self, uint32_t partition, struct wire_bytes value)
{
    check(self->magic == CHAIN_MAGIC);
    check(self->has_merge);
    self->merging.fault = NULL;
    return merge_result(self, merging_aggregation_push(&self->merging, partition, value));
}

bool chain_is_due(const struct chain *self)
{
    check(self->magic == CHAIN_MAGIC);
    if (self->has_merge) {
        return merging_aggregation_is_due(&self->merging);
    }
    return self->partial.groups.group_count > 0 || source_marks_are_due(&self->marks);
}

enum status chain_end_epoch(struct chain *self)
{
    check(self->magic == CHAIN_MAGIC);
    self->merging.fault = NULL;
    if (self->has_merge) {
        enum status status = merging_aggregation_end_epoch(&self->merging);
        return scratch_result(self, merge_result(self, status));
    }
    if (!self->has_partial) {
        return source_marks_end_epoch(&self->marks, NULL);
    }
    TRY(partial_aggregation_flush(&self->partial, &self->writer));
    TRY(source_marks_end_epoch(&self->marks, &self->writer));
    return route_record_flush(&self->writer);
}

enum status chain_snapshot(struct chain *self, uint32_t partition)
{
    check(self->magic == CHAIN_MAGIC);
    check(self->has_merge);
    return merging_aggregation_snapshot(&self->merging, partition);
}

const char *chain_fault(const struct chain *self)
{
    check(self->magic == CHAIN_MAGIC);
    return self->fault;
}

/* ---- progress */

static enum status describe_stats(const struct chain *self, struct arena *arena,
                                  Millrace__Processor__Progress *progress)
{
    Millrace__Processor__EpochStats *stats = arena_take_array(arena, 1, sizeof *stats);
    if (stats == NULL) {
        return STATUS_NO_MEMORY;
    }
    *stats = self->stats;
    stats->filtered_rows = self->report.filtered_count;
    if (self->event_times.count > 0) {
        stats->event_time_min_us = self->event_times.min_us;
        stats->event_time_max_us = self->event_times.max_us;
        stats->event_time_avg_us = self->event_times.sum_us / (double)self->event_times.count;
    }
    if (self->has_merge) {
        const struct merging_aggregation *merging = &self->merging;
        stats->input_rows = merging->stats.input_rows;
        stats->late_rows = merging->stats.late_rows;
        stats->state_updated_rows = merging->stats.updated_rows;
        stats->state_removed_rows = merging->stats.removed_rows;
        stats->state_rows = merging->store.group_count;
        stats->state_bytes = merging->store.byte_count;
        bool is_append = !merging->aggregation.is_update;
        stats->open_input_rows = is_append ? (uint64_t)merging->store.input_count : 0;
    }
    progress->stats = stats;
    return STATUS_OK;
}

/* Has `progress->marks` room for so many? */
static enum status describe_take_marks(size_t mark_count, struct arena *arena,
                                       Millrace__Processor__Progress *progress)
{
    progress->marks = arena_take_array(arena, mark_count, sizeof *progress->marks);
    Millrace__Processor__Mark *marks = arena_take_array(arena, mark_count, sizeof *marks);
    if (progress->marks == NULL || marks == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < mark_count; i++) {
        millrace__processor__mark__init(&marks[i]);
        progress->marks[i] = &marks[i];
    }
    progress->n_marks = 0;
    return STATUS_OK;
}

static void describe_add_mark(Millrace__Processor__Progress *progress, uint32_t partition,
                              uint32_t input_partition, struct watermark_mark mark)
{
    Millrace__Processor__Mark *place = progress->marks[progress->n_marks];
    place->partition = (int32_t)partition;
    place->input_partition = (int32_t)input_partition;
    place->state = mark.state;
    place->watermark_us = mark.us;
    progress->n_marks += 1;
}

static enum status describe_first(const struct chain *self, struct arena *arena,
                                  Millrace__Processor__Progress *progress)
{
    const struct source_marks *marks = &self->marks;
    TRY(describe_take_marks(marks->mark_count, arena, progress));
    for (uint32_t i = 0; i < marks->mark_count; i++) {
        describe_add_mark(progress, marks->task + i * marks->task_count, 0, marks->marks[i].held);
    }
    for (size_t i = 0; i < progress->n_inputs; i++) {
        const struct source_mark *mark = source_marks_find(marks, progress->inputs[i]->partition);
        progress->inputs[i]->was_excluded = mark != NULL && mark->was_excluded;
    }
    progress->watermark_us = marks->watermark.us;
    return STATUS_OK;
}

/* What is unknown is not said. */
static enum status describe_later(const struct chain *self, struct arena *arena,
                                  Millrace__Processor__Progress *progress)
{
    const struct merging_aggregation *merging = &self->merging;
    uint32_t source_count = merging->options.source_partition_count;
    TRY(describe_take_marks((size_t)merging->watermark_count * source_count, arena, progress));
    for (uint32_t i = 0; i < merging->watermark_count; i++) {
        for (uint32_t k = 0; k < source_count; k++) {
            struct watermark_mark mark = merging->watermarks[i].marks[k];
            if (mark.state != MILLRACE__PROCESSOR__MARK_STATE__MARK_UNKNOWN) {
                uint32_t input = merging->options.task + i * merging->options.task_count;
                describe_add_mark(progress, k, input, mark);
            }
        }
    }
    for (size_t i = 0; i < progress->n_inputs; i++) {
        const struct watermark *watermark =
            merging_aggregation_watermark(merging, progress->inputs[i]->partition);
        progress->inputs[i]->watermark_us = watermark == NULL ? WATERMARK_NONE : watermark->us;
    }
    progress->watermark_us = merging_aggregation_watermark_us(merging);
    return STATUS_OK;
}

enum status chain_describe(const struct chain *self, struct arena *arena,
                           Millrace__Processor__Progress *progress)
{
    check(self->magic == CHAIN_MAGIC);
    TRY(describe_stats(self, arena, progress));
    return self->has_merge ? describe_later(self, arena, progress)
                           : describe_first(self, arena, progress);
}
