#include "chain_rig.h"

#include "chain_rig_plan.h"
#include "processor/time/watermark.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_ROWS 7U /* Of one batch: small, so that there are several. */

/* Makes room for one more. */
static void *grow(void *array, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 16 : 2 * *capacity;
    void *grown = realloc(array, *capacity * item_bytes);
    check(grown != NULL);
    return grown;
}

static void must(enum status status)
{
    check(status == STATUS_OK);
}

/* ---- what chains give */

static struct wire_bytes copy_bytes(struct wire_bytes bytes)
{
    if (bytes.byte_count < 0) {
        return (struct wire_bytes){.byte_count = -1};
    }
    uint8_t *copy = malloc((size_t)bytes.byte_count + 1);
    check(copy != NULL);
    if (bytes.byte_count > 0) {
        memcpy(copy, bytes.bytes, (size_t)bytes.byte_count);
    }
    return (struct wire_bytes){.bytes = copy, .byte_count = bytes.byte_count};
}

static void log_add(struct chain_rig_log *log, struct wire_bytes key, struct wire_bytes value)
{
    log->records =
        grow(log->records, log->record_count, &log->record_capacity, sizeof *log->records);
    log->records[log->record_count] =
        (struct chain_rig_change){.key = copy_bytes(key), .value = copy_bytes(value)};
    log->record_count += 1;
}

static void log_cut(struct chain_rig_log *log)
{
    while (log->record_count > log->committed_count) {
        log->record_count -= 1;
        free((void *)(uintptr_t)log->records[log->record_count].key.bytes);
        free((void *)(uintptr_t)log->records[log->record_count].value.bytes);
    }
}

static enum status on_route(void *context, uint32_t partition, struct wire_bytes value)
{
    struct chain_rig *self = context;
    log_add(&self->route[partition], (struct wire_bytes){.byte_count = -1}, value);
    return STATUS_OK;
}

static enum status on_change(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value)
{
    struct chain_rig *self = context;
    log_add(&self->changelog[partition], key, value);
    return STATUS_OK;
}

/* The bytes of a record, which must come back unchanged when it is late. */
static size_t value_of(uint32_t partition, size_t offset, char *out_text, size_t capacity)
{
    return (size_t)snprintf(out_text, capacity, "{\"p\":%u,\"o\":%zu}", partition, offset);
}

static enum status on_late(void *context, const struct late_row *late)
{
    struct chain_rig *self = context;
    char text[64];
    size_t byte_count =
        value_of((uint32_t)late->partition, (size_t)late->offset, text, sizeof text);
    check((size_t)late->value.byte_count == byte_count);
    check(memcmp(late->value.bytes, text, byte_count) == 0);
    check(late->key.byte_count == (late->offset % 2 == 0 ? -1 : 3));
    check(late->timestamp_ms == 1000 + late->offset);
    check(late->header_count == (int32_t)(late->offset % 2));
    check(late->headers_end - late->headers == (late->offset % 2) * 5);
    check(strcmp(late->reason, "late") == 0);
    self->late = grow(self->late, self->late_count, &self->late_capacity, sizeof *self->late);
    self->late[self->late_count] =
        (struct chain_rig_late){.partition = late->partition, .offset = late->offset};
    self->late_count += 1;
    return STATUS_OK;
}

static enum status on_misfit(void *context, const struct chain_misfit *misfit)
{
    struct chain_rig *self = context;
    self->misfit_count += 1;
    snprintf(self->fault, sizeof self->fault, "%d/%lld %s", misfit->partition,
             (long long)misfit->offset, misfit->reason);
    return self->misfit_status;
}

static int64_t units(const struct chain_rig *self, const struct column *column, uint32_t row)
{
    return column_is_null(column, row) ? INT64_MIN
                                       : column->values.bigints[row] / self->options.unit_us;
}

static void take_result(struct chain_rig *self, const struct row_batch *rows, uint32_t row)
{
    const struct column *columns = rows->columns;
    self->results =
        grow(self->results, self->result_count, &self->result_capacity, sizeof *self->results);
    struct chain_rig_result *result = &self->results[self->result_count];
    self->result_count += 1;
    *result = (struct chain_rig_result){.start = units(self, &columns[0], row),
                                        .end = units(self, &columns[1], row),
                                        .count = columns[3].values.bigints[row],
                                        .sum = columns[4].values.bigints[row],
                                        .min = columns[5].values.bigints[row],
                                        .max = columns[6].values.bigints[row],
                                        .avg = columns[7].values.doubles[row],
                                        .created_max_ms = rows->created_max_ms[row],
                                        .ingested_max_ms = rows->ingested_max_ms[row],
                                        .record_time_ms = rows->record_time_ms[row]};
    result->kind = rows->kinds == NULL ? ROW_INSERT : (enum row_kind)rows->kinds[row];
    struct column_text key = column_text(&rows->key_columns[0], row);
    bool is_null = column_is_null(&rows->key_columns[0], row);
    snprintf(result->k, sizeof result->k, "%.*s", is_null ? 6 : (int)key.byte_count,
             is_null ? "<null>" : (const char *)key.bytes);
    /* The text is v in ten digits, so that the greatest is known. */
    char text[24];
    snprintf(text, sizeof text, "%010lld", (long long)result->max);
    struct column_text last = column_text(&columns[8], row);
    check(last.byte_count == strlen(text) && memcmp(last.bytes, text, last.byte_count) == 0);
}

static enum status on_rows(void *context, const struct row_batch *rows)
{
    check(rows->column_count == 9);
    check(rows->key_column_count == 1);
    for (uint32_t i = 0; i < rows->row_count; i++) {
        take_result(context, rows, i);
    }
    return STATUS_OK;
}

/* ---- tasks */

static void start_chain(struct chain_rig *self, uint32_t stage, uint32_t task)
{
    struct chain_options options = {.plan = &self->plan->job,
                                    .stage = stage,
                                    .task = task,
                                    .state_bytes_max = self->options.state_bytes_max,
                                    .on_rows = on_rows,
                                    .on_route = on_route,
                                    .on_change = on_change,
                                    .on_late = on_late,
                                    .on_misfit = on_misfit,
                                    .context = self};
    must(chain_new(&options, &self->tasks[stage][task].chain));
}

static void resume_chain(struct chain *chain, const struct chain_rig_task *from)
{
    if (from->progress == NULL) {
        must(chain_resume(chain, NULL));
        return;
    }
    Millrace__Processor__Progress *progress =
        millrace__processor__progress__unpack(NULL, from->progress_bytes, from->progress);
    check(progress != NULL);
    must(chain_resume(chain, progress));
    millrace__processor__progress__free_unpacked(progress, NULL);
}

static void restore_chain(struct chain_rig *self, uint32_t task)
{
    uint32_t task_count = self->plan->stages[1].task_count;
    for (uint32_t p = task; p < self->options.route_partition_count; p += task_count) {
        const struct chain_rig_log *log = &self->changelog[p];
        for (size_t i = log->start; i < log->committed_count; i++) {
            must(chain_restore(self->tasks[1][task].chain, log->records[i].key,
                               log->records[i].value));
        }
    }
}

static uint32_t partition_count(const struct chain_rig *self, uint32_t stage)
{
    return stage == 0 ? self->options.source_partition_count : self->options.route_partition_count;
}

/* Whatever was not committed is gone. */
static void drop_uncommitted(struct chain_rig *self, uint32_t stage, uint32_t task)
{
    for (uint32_t p = 0; p < self->options.route_partition_count; p++) {
        log_cut(&self->route[p]);
        log_cut(&self->changelog[p]);
    }
    self->result_count = self->committed_result_count;
    self->late_count = self->committed_late_count;
    uint32_t task_count = self->plan->stages[stage].task_count;
    for (uint32_t p = task; p < partition_count(self, stage); p += task_count) {
        self->taken_offsets[stage][p] = self->next_offsets[stage][p];
    }
}

void chain_rig_restart(struct chain_rig *self, uint32_t stage, uint32_t task)
{
    chain_free(self->tasks[stage][task].chain);
    drop_uncommitted(self, stage, task);
    start_chain(self, stage, task);
    resume_chain(self->tasks[stage][task].chain, &self->tasks[stage][task]);
    if (stage == 1) {
        restore_chain(self, task);
    }
}

void chain_rig_rescale(struct chain_rig *self, uint32_t stage, uint32_t task_count)
{
    check(task_count <= CHAIN_RIG_TASKS_MAX);
    struct chain_rig_task earlier[CHAIN_RIG_TASKS_MAX];
    memcpy(earlier, self->tasks[stage], sizeof earlier);
    memset(self->tasks[stage], 0, sizeof earlier);
    self->plan->stages[stage].task_count = task_count;
    for (uint32_t i = 0; i < task_count; i++) {
        start_chain(self, stage, i);
        for (uint32_t k = 0; k < CHAIN_RIG_TASKS_MAX; k++) {
            resume_chain(self->tasks[stage][i].chain, &earlier[k]);
        }
        if (stage == 1) {
            restore_chain(self, i);
        }
        must(chain_rig_epoch(self, stage, i, 0, false)); /* Its own progress. */
    }
    for (uint32_t k = 0; k < CHAIN_RIG_TASKS_MAX; k++) {
        chain_free(earlier[k].chain);
        free(earlier[k].progress);
    }
}

void chain_rig_init(struct chain_rig *self, const struct chain_rig_options *options)
{
    *self = (struct chain_rig){.options = *options};
    check(options->source_partition_count <= CHAIN_RIG_PARTITIONS_MAX);
    check(options->route_partition_count <= CHAIN_RIG_PARTITIONS_MAX);
    if (self->options.state_bytes_max == 0) {
        self->options.state_bytes_max = (size_t)64 << 20;
    }
    self->plan = calloc(1, sizeof *self->plan);
    check(self->plan != NULL);
    chain_rig_plan_make(self->plan, &self->options);
    arena_init(&self->arena, (size_t)64 << 20);
    for (uint32_t stage = 0; stage < 2; stage++) {
        for (uint32_t task = 0; task < options->task_counts[stage]; task++) {
            start_chain(self, stage, task);
            resume_chain(self->tasks[stage][task].chain, &self->tasks[stage][task]);
        }
    }
}

void chain_rig_done(struct chain_rig *self)
{
    for (uint32_t i = 0; i < CHAIN_RIG_PARTITIONS_MAX; i++) {
        self->route[i].committed_count = 0;
        self->changelog[i].committed_count = 0;
        log_cut(&self->route[i]);
        log_cut(&self->changelog[i]);
        free(self->route[i].records);
        free(self->changelog[i].records);
        free(self->sources[i].rows);
    }
    for (uint32_t stage = 0; stage < 2; stage++) {
        for (uint32_t task = 0; task < CHAIN_RIG_TASKS_MAX; task++) {
            chain_free(self->tasks[stage][task].chain);
            free(self->tasks[stage][task].progress);
        }
    }
    free(self->results);
    free(self->late);
    free(self->plan);
    arena_done(&self->arena);
}

void chain_rig_append(struct chain_rig *self, uint32_t partition, struct chain_rig_row row)
{
    struct chain_rig_source *source = &self->sources[partition];
    source->rows =
        grow(source->rows, source->row_count, &source->row_capacity, sizeof *source->rows);
    source->rows[source->row_count] = row;
    source->row_count += 1;
}

/* ---- batches of rows */

static void fill_text(struct column *column, uint32_t row, const char *text)
{
    int32_t start = column->values.text_ends[row];
    size_t byte_count = text == NULL ? 0 : strlen(text);
    if (byte_count > 0) {
        memcpy(column->text_bytes + start, text, byte_count);
    }
    column->values.text_ends[row + 1] = start + (int32_t)byte_count;
}

static void fill_origin(struct chain_rig *self, struct row_origin *origin, size_t offset,
                        uint32_t row)
{
    static const uint8_t headers[] = {2, 'h', 4, 'x', 'y'};
    char *value = arena_take(&self->arena, 64);
    check(value != NULL);
    size_t byte_count = value_of((uint32_t)origin->partition, offset, value, 64);
    bool is_odd = offset % 2 == 1;
    origin->offsets[row] = (int64_t)offset;
    origin->created_ms[row] = 1000 + (int64_t)offset;
    origin->ingested_ms[row] = 2000 + (int64_t)offset;
    origin->keys[row] =
        (struct wire_bytes){.bytes = (const uint8_t *)"key", .byte_count = is_odd ? 3 : -1};
    origin->values[row] =
        (struct wire_bytes){.bytes = (const uint8_t *)value, .byte_count = (int32_t)byte_count};
    origin->headers[row] = headers;
    origin->headers_ends[row] = headers + (is_odd ? sizeof headers : 0);
    origin->header_counts[row] = is_odd ? 1 : 0;
}

static void take_origin(struct chain_rig *self, struct row_origin *origin, uint32_t count)
{
    struct arena *arena = &self->arena;
    origin->offsets = arena_take_array(arena, count, sizeof *origin->offsets);
    origin->created_ms = arena_take_array(arena, count, sizeof *origin->created_ms);
    origin->ingested_ms = arena_take_array(arena, count, sizeof *origin->ingested_ms);
    origin->keys = arena_take_array(arena, count, sizeof *origin->keys);
    origin->values = arena_take_array(arena, count, sizeof *origin->values);
    origin->headers = arena_take_array(arena, count, sizeof *origin->headers);
    origin->headers_ends = arena_take_array(arena, count, sizeof *origin->headers_ends);
    origin->header_counts = arena_take_array(arena, count, sizeof *origin->header_counts);
}

static void fill_row(struct chain_rig *self, struct column *columns,
                     const struct chain_rig_row *row, uint32_t place)
{
    char text[24];
    snprintf(text, sizeof text, "%010lld", (long long)row->v);
    columns[2].values.bigints[place] = row->v;
    fill_text(&columns[1], place, row->k);
    fill_text(&columns[3], place, text);
    if (row->k == NULL) {
        must(column_set_null(&columns[1], place, &self->arena));
    }
    if (row->ts == INT64_MIN) {
        must(column_set_null(&columns[0], place, &self->arena));
    } else {
        columns[0].values.bigints[place] = row->ts * self->options.unit_us;
    }
}

static enum status push_slice(struct chain_rig *self, struct chain *chain, uint32_t partition,
                              uint32_t count)
{
    arena_reset(&self->arena);
    static const enum value_type types[4] = {VALUE_TIMESTAMPTZ, VALUE_TEXT, VALUE_BIGINT,
                                             VALUE_TEXT};
    struct column columns[4];
    for (int i = 0; i < 4; i++) {
        must(column_init(&columns[i], types[i], count, &self->arena));
        columns[i].text_bytes = arena_take(&self->arena, (size_t)count * 24);
    }
    struct row_origin origin = {.partition = (int32_t)partition};
    take_origin(self, &origin, count);
    size_t *offset = &self->taken_offsets[0][partition];
    for (uint32_t i = 0; i < count; i++) {
        fill_row(self, columns, &self->sources[partition].rows[*offset], i);
        fill_origin(self, &origin, *offset, i);
        *offset += 1;
    }
    struct row_batch batch = {.arena = &self->arena,
                              .row_count = count,
                              .column_count = 4,
                              .columns = columns,
                              .origin = &origin};
    return chain_push_rows(chain, &batch, NULL);
}

static enum status push_source(struct chain_rig *self, struct chain *chain, uint32_t partition,
                               size_t count_max)
{
    size_t left = self->sources[partition].row_count - self->taken_offsets[0][partition];
    left = left > count_max ? count_max : left;
    while (left > 0) {
        uint32_t count = left > SLICE_ROWS ? SLICE_ROWS : (uint32_t)left;
        TRY(push_slice(self, chain, partition, count));
        left -= count;
    }
    return STATUS_OK;
}

static enum status push_route(struct chain_rig *self, struct chain *chain, uint32_t partition,
                              size_t count_max)
{
    const struct chain_rig_log *log = &self->route[partition];
    size_t *offset = &self->taken_offsets[1][partition];
    for (size_t i = 0; i < count_max && *offset < log->committed_count; i++) {
        TRY(chain_push_route(chain, partition, log->records[*offset].value));
        *offset += 1;
    }
    return STATUS_OK;
}

/* ---- epochs */

static void add_totals(Millrace__Processor__EpochStats *totals,
                       const Millrace__Processor__EpochStats *stats)
{
    totals->input_rows += stats->input_rows;
    totals->output_rows += stats->output_rows;
    totals->late_rows += stats->late_rows;
    totals->misfit_rows += stats->misfit_rows;
    totals->filtered_rows += stats->filtered_rows;
}

static void commit_progress(struct chain_rig *self, uint32_t stage, uint32_t task)
{
    arena_reset(&self->arena);
    struct chain_rig_task *kept = &self->tasks[stage][task];
    Millrace__Processor__Progress progress;
    millrace__processor__progress__init(&progress);
    Millrace__Processor__InputProgress inputs[CHAIN_RIG_PARTITIONS_MAX];
    Millrace__Processor__InputProgress *list[CHAIN_RIG_PARTITIONS_MAX];
    progress.inputs = list;
    uint32_t task_count = self->plan->stages[stage].task_count;
    for (uint32_t p = task; p < partition_count(self, stage); p += task_count) {
        Millrace__Processor__InputProgress *input = &inputs[progress.n_inputs];
        millrace__processor__input_progress__init(input);
        input->partition = (int32_t)p;
        list[progress.n_inputs] = input;
        progress.n_inputs += 1;
        self->next_offsets[stage][p] = self->taken_offsets[stage][p];
    }
    must(chain_describe(kept->chain, &self->arena, &progress));
    self->stats[stage] = *progress.stats;
    self->watermark_us[stage] = progress.watermark_us;
    add_totals(&self->totals[stage], progress.stats);
    free(kept->progress);
    kept->progress_bytes = millrace__processor__progress__get_packed_size(&progress);
    kept->progress = malloc(kept->progress_bytes);
    check(kept->progress != NULL);
    millrace__processor__progress__pack(&progress, kept->progress);
}

static void commit(struct chain_rig *self, uint32_t stage, uint32_t task)
{
    commit_progress(self, stage, task);
    for (uint32_t p = 0; p < self->options.route_partition_count; p++) {
        self->route[p].committed_count = self->route[p].record_count;
        self->changelog[p].committed_count = self->changelog[p].record_count;
    }
    self->committed_result_count = self->result_count;
    self->committed_late_count = self->late_count;
}

enum status chain_rig_epoch(struct chain_rig *self, uint32_t stage, uint32_t task,
                            size_t record_count_max, bool dies)
{
    struct chain *chain = self->tasks[stage][task].chain;
    uint32_t task_count = self->plan->stages[stage].task_count;
    chain_begin_epoch(chain, 5000);
    enum status status = STATUS_OK;
    for (uint32_t p = task; status == STATUS_OK && p < partition_count(self, stage);
         p += task_count) {
        status = stage == 0 ? push_source(self, chain, p, record_count_max)
                            : push_route(self, chain, p, record_count_max);
    }
    if (status == STATUS_OK) {
        status = chain_end_epoch(chain);
    }
    if (status != STATUS_OK) {
        if (chain_fault(chain)[0] != '\0') {
            snprintf(self->fault, sizeof self->fault, "%s", chain_fault(chain));
        }
        return status;
    }
    if (dies) {
        chain_rig_restart(self, stage, task);
    } else {
        commit(self, stage, task);
    }
    return STATUS_OK;
}

static bool has_input(const struct chain_rig *self, uint32_t stage)
{
    for (uint32_t p = 0; p < partition_count(self, stage); p++) {
        size_t end = stage == 0 ? self->sources[p].row_count : self->route[p].committed_count;
        if (self->taken_offsets[stage][p] < end) {
            return true;
        }
    }
    return false;
}

void chain_rig_drain(struct chain_rig *self)
{
    for (uint32_t stage = 0; stage < 2; stage++) {
        do {
            for (uint32_t task = 0; task < self->plan->stages[stage].task_count; task++) {
                must(chain_rig_epoch(self, stage, task, 1000, false));
            }
        } while (has_input(self, stage));
    }
}

void chain_rig_copy_route(struct chain_rig *self, const struct chain_rig *from)
{
    for (uint32_t p = 0; p < from->options.route_partition_count; p++) {
        for (size_t i = 0; i < from->route[p].committed_count; i++) {
            log_add(&self->route[p], from->route[p].records[i].key,
                    from->route[p].records[i].value);
        }
        self->route[p].committed_count = self->route[p].record_count;
    }
}

struct chain *chain_rig_chain(struct chain_rig *self, uint32_t stage, uint32_t partition)
{
    return self->tasks[stage][partition % self->plan->stages[stage].task_count].chain;
}

void chain_rig_snapshot(struct chain_rig *self, uint32_t partition)
{
    uint32_t task = partition % self->plan->stages[1].task_count;
    struct chain *chain = self->tasks[1][task].chain;
    size_t start = self->changelog[partition].committed_count;
    chain_begin_epoch(chain, 5000);
    must(chain_snapshot(chain, partition));
    must(chain_end_epoch(chain));
    commit(self, 1, task);
    self->changelog[partition].start = start;
}
