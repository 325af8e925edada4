#include "tests/rig/log_rig.h"

#include "proto/record/batch_builder.h"
#include "proto/record/batch_iterator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES_MAX (2U << 20)

void log_rig_init(struct log_rig *self, uint64_t seed)
{
    memset(self, 0, sizeof *self);
    self->world = sim_world_new(
        &(struct sim_world_options){.seed = seed, .is_verbose = getenv("LOG_RIG_VERBOSE") != NULL});
    self->node = sim_node_add(self->world, &(struct sim_node_options){.loop_count = 1});
    budget_init(&self->budget, 64U << 20);
    self->options = (struct log_store_options){.journal_bytes = 512U << 10};
    self->mark = 1;
}

void log_rig_done(struct log_rig *self)
{
    sim_world_free(self->world);
}

static void failed_on_event(void *context, enum status why)
{
    struct log_rig *self = context;
    self->failure = why;
}

static void room_on_event(void *context)
{
    struct log_rig *self = context;
    self->room_count += 1;
}

struct opening {
    struct log_rig *rig;
    enum status status;
};

static void open_inside(void *context)
{
    struct opening *opening = context;
    struct log_rig *self = opening->rig;
    opening->status = log_recover(sim_node_loop(self->node, 0), LOG_RIG_DIRECTORY);
    if (opening->status == STATUS_OK) {
        opening->status = log_store_open(&self->options, &self->store);
    }
}

static void forget_life(struct log_rig *self)
{
    self->store = NULL;
    for (uint32_t i = 0; i < self->log_count; i++) {
        self->logs[i].log = NULL;
        self->logs[i].flushed_end = 0;
    }
}

bool log_rig_open(struct log_rig *self, enum status *out_status)
{
    forget_life(self);
    if (!self->node->is_up && !sim_node_start(self->node)) {
        return false;
    }
    /* Memory of the former life is gone, and with it what it had taken. */
    budget_init(&self->budget, self->budget.limit_bytes);
    self->failure = STATUS_OK;
    self->options.loop = sim_node_loop(self->node, 0);
    self->options.directory = LOG_RIG_DIRECTORY;
    self->options.budget = &self->budget;
    self->options.on_failed = failed_on_event;
    self->options.on_room = room_on_event;
    self->options.context = self;
    struct opening opening = {.rig = self};
    if (!sim_node_run(self->node, open_inside, &opening)) {
        forget_life(self);
        return false;
    }
    *out_status = opening.status;
    return true;
}

static void closed_on_event(void *context)
{
    struct log_rig *self = context;
    self->is_closed = true;
}

static void close_inside(void *context)
{
    struct log_rig *self = context;
    log_store_close(self->store, closed_on_event, self);
}

static bool is_closed(void *context)
{
    const struct log_rig *self = context;
    return self->is_closed || !self->node->is_up;
}

bool log_rig_close(struct log_rig *self)
{
    self->is_closed = false;
    if (!sim_node_run(self->node, close_inside, self)) {
        forget_life(self);
        return false;
    }
    bool is_over = sim_world_run_until(self->world, is_closed, self, 600 * SIM_S);
    forget_life(self);
    return is_over && self->is_closed;
}

void log_rig_kill(struct log_rig *self)
{
    sim_node_kill(self->node);
    forget_life(self);
}

void log_rig_lose_power(struct log_rig *self)
{
    sim_node_lose_power(self->node);
    forget_life(self);
}

static bool is_flushed(void *context)
{
    const struct log_rig *self = context;
    if (!self->node->is_up || self->failure != STATUS_OK) {
        return true;
    }
    for (uint32_t i = 0; i < self->log_count; i++) {
        const struct log_rig_log *log = &self->logs[i];
        if (log->log != NULL && log->flushed_end < log_end(log->log)) {
            return false;
        }
    }
    return true;
}

bool log_rig_flush(struct log_rig *self)
{
    return sim_world_run_until(self->world, is_flushed, self, 60 * SIM_S) && self->node->is_up &&
           self->failure == STATUS_OK;
}

static void flushed_on_event(void *context, int64_t flushed_end)
{
    struct log_rig_log *self = context;
    self->flushed_end = flushed_end;
    if (flushed_end > self->acknowledged) {
        self->acknowledged = flushed_end;
    }
}

static void snapshot_on_event(void *context, int64_t end, uint8_t **out_bytes,
                              size_t *out_byte_count)
{
    struct log_rig_log *self = context;
    (void)end;
    self->snapshot_count += 1;
    if (self->snapshot != NULL) {
        *out_bytes = malloc(self->snapshot_byte_count);
        memcpy(*out_bytes, self->snapshot, self->snapshot_byte_count);
        *out_byte_count = self->snapshot_byte_count;
    }
}

static void start_on_event(void *context, int64_t start)
{
    struct log_rig_log *self = context;
    self->start_told = start;
}

struct log_rig_log *log_rig_add(struct log_rig *self, const char *topic_name, uint8_t id,
                                int32_t partition)
{
    struct log_rig_log *log = &self->logs[self->log_count];
    self->log_count += 1;
    log->rig = self;
    log->options = (struct log_options){
        .topic_name = topic_name,
        .partition = partition,
        .config = {.segment_bytes = 64 << 10,
                   .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
                   .retention_bytes = -1,
                   .retention_ms = -1,
                   .index_interval_bytes = 4096,
                   .file_delete_delay_ms = 1000,
                   .is_delete_policy = true},
        .events = {.on_flushed = flushed_on_event,
                   .on_snapshot_wanted = snapshot_on_event,
                   .on_start_moved = start_on_event,
                   .context = log},
    };
    memset(log->options.topic_id.bytes, id, sizeof log->options.topic_id.bytes);
    return log;
}

struct log_opening {
    struct log_rig_log *log;
    enum status status;
};

static void open_log_inside(void *context)
{
    struct log_opening *opening = context;
    struct log_rig_log *self = opening->log;
    opening->status = log_open(self->rig->store, &self->options, &self->log);
}

bool log_rig_open_log(struct log_rig_log *self, enum status *out_status)
{
    struct log_opening opening = {.log = self};
    if (!sim_node_run(self->rig->node, open_log_inside, &opening)) {
        forget_life(self->rig);
        return false;
    }
    *out_status = opening.status;
    if (opening.status == STATUS_OK) {
        self->flushed_end = log_flushed_end(self->log);
    }
    return true;
}

struct appending {
    struct log_rig_log *log;
    struct log_append append;
    enum status status;
};

static void append_inside(void *context)
{
    struct appending *appending = context;
    appending->status = log_append(appending->log->log, &appending->append);
}

/* The value of the record at `offset`: its mark and offset, over and over. */
static void fill_value(uint8_t *value, uint32_t byte_count, uint32_t mark, int64_t offset)
{
    uint64_t word = (uint64_t)mark * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)offset;
    for (uint32_t i = 0; i < byte_count; i++) {
        value[i] = (uint8_t)(word >> (i % 8 * 8));
    }
}

static size_t make_batch(uint8_t *bytes, const struct log_rig_log *log, uint32_t record_count,
                         uint32_t value_bytes, int32_t leader_epoch, int64_t timestamp_ms)
{
    struct batch_builder builder;
    batch_builder_init_over(&builder, bytes, BATCH_BYTES_MAX);
    uint8_t *value = malloc(value_bytes + 1);
    int64_t base_offset = log_end(log->log);
    for (uint32_t i = 0; i < record_count; i++) {
        uint8_t key[4];
        memcpy(key, &log->rig->mark, sizeof key);
        fill_value(value, value_bytes, log->rig->mark, base_offset + i);
        const struct batch_builder_record record = {
            .timestamp_ms = timestamp_ms,
            .key = {.bytes = key, .byte_count = sizeof key},
            .value = {.bytes = value, .byte_count = (int32_t)value_bytes}};
        if (batch_builder_append(&builder, &record) != STATUS_OK) {
            abort();
        }
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.base_offset = base_offset;
    finish.leader_epoch = leader_epoch;
    struct batch_view view;
    if (batch_builder_finish(&builder, &finish, NULL, &view) != STATUS_OK) {
        abort();
    }
    free(value);
    return view.byte_count;
}

enum status log_rig_append_at(struct log_rig_log *self, uint32_t record_count, uint32_t value_bytes,
                              int32_t leader_epoch, int64_t timestamp_ms)
{
    static uint8_t bytes[BATCH_BYTES_MAX];
    struct log_rig *rig = self->rig;
    int64_t base_offset = log_end(self->log);
    struct appending appending = {.log = self};
    appending.append.bytes = bytes;
    appending.append.byte_count =
        make_batch(bytes, self, record_count, value_bytes, leader_epoch, timestamp_ms);
    appending.append.ingested_ms = clock_wall_ms(rig->options.loop->clock);
    /* It may become durable even when the node dies in the call. */
    uint32_t former[64];
    for (uint32_t i = 0; i < record_count; i++) {
        former[i % 64] = self->marks[base_offset + i];
        self->marks[base_offset + i] = rig->mark;
    }
    rig->mark += 1;
    if (!sim_node_run(rig->node, append_inside, &appending)) {
        self->end = base_offset + record_count > self->end ? base_offset + record_count : self->end;
        forget_life(rig);
        return STATUS_CLOSED;
    }
    if (appending.status != STATUS_OK) {
        for (uint32_t i = 0; i < record_count && record_count <= 64; i++) {
            self->marks[base_offset + i] = former[i];
        }
        return appending.status;
    }
    self->end = base_offset + record_count;
    return STATUS_OK;
}

enum status log_rig_append(struct log_rig_log *self, uint32_t record_count, uint32_t value_bytes)
{
    enum status status = STATUS_BUSY;
    for (int i = 0; i < 1000 && status == STATUS_BUSY; i++) {
        if (i > 0) {
            sim_world_run_for(self->rig->world, 10 * SIM_MS);
        }
        if (!self->rig->node->is_up) {
            return STATUS_CLOSED;
        }
        status = log_rig_append_at(self, record_count, value_bytes, 0,
                                   clock_wall_ms(self->rig->options.loop->clock));
    }
    return status;
}

struct truncating {
    struct log_rig_log *log;
    int64_t offset;
    enum status status;
};

static void truncate_inside(void *context)
{
    struct truncating *truncating = context;
    truncating->status = log_truncate(truncating->log->log, truncating->offset);
}

enum status log_rig_truncate(struct log_rig_log *self, int64_t offset)
{
    struct truncating truncating = {.log = self, .offset = offset};
    if (!sim_node_run(self->rig->node, truncate_inside, &truncating)) {
        forget_life(self->rig);
        return STATUS_CLOSED;
    }
    if (truncating.status == STATUS_OK) {
        self->end = log_end(self->log);
        if (self->acknowledged > self->end) {
            self->acknowledged = self->end;
        }
        if (self->flushed_end > self->end) {
            self->flushed_end = self->end;
        }
    }
    return truncating.status;
}

struct reading {
    struct log_rig_log *log;
    struct log_rig_read *read;
};

static void done_on_read(struct log_read *read, enum status status)
{
    struct log_rig_read *self = container_of(read, struct log_rig_read, read);
    self->status = status;
    self->is_done = true;
}

static void read_inside(void *context)
{
    struct reading *reading = context;
    enum status status = log_read(reading->log->log, &reading->read->read);
    if (status != STATUS_PENDING) {
        reading->read->status = status;
        reading->read->is_done = true;
    }
}

static bool is_read(void *context)
{
    const struct log_rig_read *read = context;
    return read->is_done;
}

enum status log_rig_read(struct log_rig_log *self, struct log_rig_read *read, int64_t offset,
                         size_t byte_count_max)
{
    *read = (struct log_rig_read){.read = {.offset = offset,
                                           .offset_limit = INT64_MAX,
                                           .byte_count_max = byte_count_max,
                                           .at_least_one = true,
                                           .on_done = done_on_read}};
    struct reading reading = {.log = self, .read = read};
    if (!sim_node_run(self->rig->node, read_inside, &reading)) {
        forget_life(self->rig);
        return STATUS_CLOSED;
    }
    if (!sim_world_run_until(self->rig->world, is_read, read, 60 * SIM_S)) {
        return STATUS_TIMEOUT;
    }
    return read->status;
}

/* The records of one batch are those that were appended at its offsets. */
static bool is_right_batch(const struct log_rig_log *self, const struct batch_view *batch)
{
    struct record_iterator records;
    if (record_iterator_init(&records, batch, NULL, NULL) != STATUS_OK) {
        return false;
    }
    struct record record;
    enum status status = STATUS_OK;
    while ((status = record_iterator_next(&records, &record)) == STATUS_OK) {
        uint32_t mark = 0;
        memcpy(&mark, record.key.bytes, sizeof mark);
        if (record.offset >= (int64_t)LOG_RIG_OFFSETS_MAX || mark != self->marks[record.offset]) {
            return false;
        }
        uint8_t *value = malloc((size_t)record.value.byte_count + 1);
        fill_value(value, (uint32_t)record.value.byte_count, mark, record.offset);
        bool is_same = memcmp(value, record.value.bytes, (size_t)record.value.byte_count) == 0;
        free(value);
        if (!is_same) {
            return false;
        }
    }
    return status == STATUS_NOT_FOUND;
}

struct release {
    struct log_read *read;
};

static void release_inside(void *context)
{
    struct release *release = context;
    log_read_release(release->read);
}

int64_t log_rig_verify(struct log_rig_log *self)
{
    int64_t offset = log_start(self->log);
    bool is_right = true;
    while (is_right && offset < log_end(self->log)) {
        struct log_rig_read read;
        enum status status = log_rig_read(self, &read, offset, 30000);
        is_right = status == STATUS_OK && read.read.batch_count > 0;
        for (uint32_t i = 0; i < read.read.slice_count && is_right; i++) {
            struct batch_iterator batches;
            batch_iterator_init(&batches, read.read.slices[i].base, read.read.slices[i].byte_count);
            struct batch_view batch;
            while (is_right && batch_iterator_next(&batches, &batch) == STATUS_OK) {
                is_right = is_right_batch(self, &batch);
                if (!is_right) {
                    printf("wrong batch at offset %lld\n", (long long)batch_base_offset(&batch));
                }
            }
            is_right = is_right && batch_iterator_left(&batches) == 0;
        }
        if (!is_right) {
            printf("read at offset %lld: %s\n", (long long)offset, status_text(status));
        }
        offset = read.read.next_offset;
        struct release release = {.read = &read.read};
        (void)sim_node_run(self->rig->node, release_inside, &release);
    }
    return is_right ? offset : -1;
}
