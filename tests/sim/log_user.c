#include "tests/sim/log_user.h"

#include "broker/log/snapshot_file.h"
#include "proto/record/batch_builder.h"
#include "proto/sys/check.h"
#include "tests/sim/sim_disk.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define APPEND_BYTES_MAX 65536U
#define APPEND_BATCHES_MAX 3U
#define RECORDS_MAX 20U
#define VALUE_BYTES_MAX 6000U
#define ABORTED_MAX 256U

static void fail(const struct log_part *part, const char *what, enum status status)
{
    sim_world_fail(part->user->world, "log %u: %s: %s", part->index, what, status_text(status));
}

/* A store that has met a failing disk may refuse everything; the node stops soon. */
static bool is_excused(const struct log_part *part, enum status status)
{
    return part->user->has_failed_store || part->user->may_be_damaged ||
           (status == STATUS_IO &&
            part->user->node->disk->failure_count > part->user->failure_count_at_start);
}

static uint64_t change(struct log_part *part, struct log_model_change change)
{
    static const char *const kinds[] = {"create",     "append", "truncate", "reset",
                                        "move start", "epoch",  "aborted",  "delete"};
    struct sim_heap *node_heap = sim_node_step_out();
    part->user->sequence += 1;
    change.sequence = part->user->sequence;
    log_model_apply(&part->model, &change);
    sim_world_note(
        part->user->world, "log %u %s %lld: [%lld, %lld), change %llu", part->index,
        kinds[change.kind],
        (long long)(change.kind == LOG_MODEL_APPEND ? change.batch.base_offset : change.offset),
        (long long)part->model.now.start, (long long)part->model.now.end,
        (unsigned long long)change.sequence);
    sim_node_step_in(node_heap);
    return change.sequence;
}

/* One journal per shard: what was put before something durable is durable, in all its logs. */
static void flush_others(const struct log_part *part, uint64_t sequence)
{
    for (uint32_t i = 0; i < part->user->part_count; i++) {
        struct log_part *other = &part->user->parts[i];
        if (other->shard == part->shard && !other->config.is_memory_durable) {
            log_model_flush_sequence(&other->model, sequence);
        }
    }
}

/* --- Events of the log
 * ----------------------------------------------------------------------------- */

static void on_flushed(void *context, int64_t flushed_end)
{
    struct log_part *part = context;
    part->user->flush_count += 1;
    if (part->user->has_failed_store && !part->config.is_memory_durable) {
        fail(part, "acknowledges after the store has failed", STATUS_IO);
    }
    if (flushed_end > part->model.now.end || flushed_end < part->flushed_told) {
        sim_world_fail(part->user->world, "log %u: flushed end %lld after %lld, end %lld",
                       part->index, (long long)flushed_end, (long long)part->flushed_told,
                       (long long)part->model.now.end);
    }
    part->flushed_told = flushed_end;
    sim_world_note(part->user->world, "log %u flushed to %lld", part->index,
                   (long long)flushed_end);
    if (!part->config.is_memory_durable) {
        log_model_flush(&part->model, flushed_end);
        flush_others(part, log_model_durable_sequence(&part->model));
    }
}

/* A snapshot is a function of log and offset, so that any one can be checked. */
static void snapshot_make(const struct log_part *part, int64_t end, uint8_t **out_bytes,
                          size_t *out_byte_count)
{
    struct snapshot_file_row row = {.producer_id = part->index,
                                    .last_offset = end - 1,
                                    .timestamp_ms = end,
                                    .txn_first_offset = -1,
                                    .coordinator_epoch = -1};
    check(snapshot_file_encode(&row, 1, out_bytes, out_byte_count) == STATUS_OK);
}

static void on_snapshot_wanted(void *context, int64_t end, uint8_t **out_bytes,
                               size_t *out_byte_count)
{
    const struct log_part *part = context;
    if (end != part->model.now.end) {
        sim_world_fail(part->user->world, "log %u: snapshot wanted at %lld, the end is %lld",
                       part->index, (long long)end, (long long)part->model.now.end);
    }
    snapshot_make(part, end, out_bytes, out_byte_count);
}

static void on_start_moved(void *context, int64_t start)
{
    struct log_part *part = context;
    if (start > part->model.now.start && start != part->moving_to) {
        if (start > part->model.retention_limit_max) {
            sim_world_fail(part->user->world, "log %u: start moved to %lld by itself", part->index,
                           (long long)start);
        }
        change(part, (struct log_model_change){.kind = LOG_MODEL_MOVE_START, .offset = start});
    }
}

/* --- Opening
 * --------------------------------------------------------------------------------------- */

struct walk {
    struct log_part *part;
    struct log_model_found found;
    size_t room;
    bool is_bad;
};

static void on_batch(void *context, const uint8_t *bytes, size_t byte_count, int64_t ingested_ms)
{
    struct walk *walk = context;
    struct sim_heap *node_heap = sim_node_step_out();
    struct log_model_state *state = &walk->found.state;
    struct batch_view batch;
    if (batch_view_init(&batch, bytes, byte_count) != STATUS_OK || batch.byte_count != byte_count ||
        !batch_has_right_checksum(&batch)) {
        walk->is_bad = true;
    } else {
        if (state->batch_count == walk->room) {
            walk->room = walk->room == 0 ? 64 : walk->room * 2;
            state->batches = realloc(state->batches, walk->room * sizeof *state->batches);
            walk->found.ingested_ms =
                realloc(walk->found.ingested_ms, walk->room * sizeof *walk->found.ingested_ms);
            check(state->batches != NULL && walk->found.ingested_ms != NULL);
        }
        walk->found.ingested_ms[state->batch_count] = ingested_ms;
        state->batches[state->batch_count] =
            (struct log_model_batch){.base_offset = batch_base_offset(&batch),
                                     .last_offset = batch_last_offset(&batch),
                                     .content_hash = XXH3_64bits(bytes, byte_count)};
        state->batch_count += 1;
    }
    sim_node_step_in(node_heap);
}

static void check_snapshot(struct log_part *part)
{
    int64_t offset = 0;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status = log_load_snapshot(part->log, &offset, &bytes, &byte_count);
    if (status != STATUS_OK) {
        if (!is_excused(part, status)) {
            fail(part, "snapshot", status);
        }
        return;
    }
    if (bytes == NULL) {
        return;
    }
    uint8_t *wanted = NULL;
    size_t wanted_count = 0;
    snapshot_make(part, offset, &wanted, &wanted_count);
    if (offset > log_end(part->log) || byte_count != wanted_count ||
        memcmp(bytes, wanted, wanted_count) != 0) {
        sim_world_fail(part->user->world, "log %u: wrong snapshot at %lld, end %lld", part->index,
                       (long long)offset, (long long)log_end(part->log));
    }
    free(bytes);
    free(wanted);
}

/* Fills `walk` from what the log answers. False: it did not. */
static bool look(struct log_part *part, struct walk *walk)
{
    struct log_model_state *state = &walk->found.state;
    *state = (struct log_model_state){
        .is_there = true, .start = log_start(part->log), .end = log_end(part->log)};
    enum status status = log_replay(part->log, state->start, on_batch, walk);
    if (status != STATUS_OK || walk->is_bad) {
        if (!is_excused(part, status)) {
            fail(part, walk->is_bad ? "replay gives damaged batches" : "replay", status);
        }
        return false;
    }
    static struct log_aborted_txn listed[ABORTED_MAX];
    static struct log_model_aborted aborted[ABORTED_MAX];
    static struct log_model_epoch epoch;
    uint32_t count = 0;
    status =
        log_list_aborted_txns(part->log, state->start, state->end, listed, ABORTED_MAX, &count);
    if (status != STATUS_OK && status != STATUS_FULL) {
        if (!is_excused(part, status)) {
            fail(part, "aborted transactions", status);
        }
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        aborted[i] = (struct log_model_aborted){.producer_id = listed[i].producer_id,
                                                .first_offset = listed[i].first_offset,
                                                .last_offset = listed[i].last_offset,
                                                .last_stable_offset = listed[i].last_stable_offset};
    }
    state->aborted = aborted;
    state->aborted_count = count;
    epoch.epoch = log_latest_leader_epoch(part->log);
    state->epochs = &epoch;
    state->epoch_count = epoch.epoch >= 0;
    return true;
}

static void compare(struct log_part *part, bool is_recovered)
{
    struct walk walk = {.part = part};
    if (look(part, &walk)) {
        struct sim_heap *node_heap = sim_node_step_out();
        char why[200] = "";
        size_t durable_count = part->model.durable_count;
        size_t change_count = part->model.change_count;
        bool is_right = is_recovered ? log_model_recover(&part->model, &walk.found, why, sizeof why)
                                     : log_model_is_now(&part->model, &walk.found, why, sizeof why);
        if (!is_right) {
            sim_world_fail(part->user->world,
                           "log %u after %s: %s (%zu changes, %zu of them durable)", part->index,
                           is_recovered ? "a start" : "opening it again", why, change_count,
                           durable_count);
        }
        free(walk.found.state.batches);
        free(walk.found.ingested_ms);
        sim_node_step_in(node_heap);
    }
    if (!part->model.now.is_there) {
        change(part, (struct log_model_change){.kind = LOG_MODEL_CREATE});
    }
    int64_t flushed_end = log_flushed_end(part->log);
    if (is_recovered && flushed_end != log_end(part->log)) {
        sim_world_fail(part->user->world, "log %u recovered with flushed end %lld, end %lld",
                       part->index, (long long)flushed_end, (long long)log_end(part->log));
    }
    part->flushed_told = flushed_end;
    check_snapshot(part);
}

void log_user_open(struct log_part *part, struct log_store *store, struct loop *loop,
                   bool is_recovered)
{
    struct log_options options = {.topic_name = part->topic_name,
                                  .topic_id = part->topic_id,
                                  .partition = (int32_t)part->index,
                                  .config = part->config,
                                  .events = {.on_flushed = on_flushed,
                                             .on_snapshot_wanted = on_snapshot_wanted,
                                             .on_start_moved = on_start_moved,
                                             .context = part}};
    part->loop = loop;
    enum status status = log_open(store, &options, &part->log);
    if (status != STATUS_OK) {
        part->log = NULL;
        bool is_full = status == STATUS_NO_SPACE || status == STATUS_BUSY;
        if (!is_full && !is_excused(part, status)) {
            fail(part, "open", status);
        }
        part->user->refused_count += 1;
        if (is_recovered) {
            sim_node_exit(part->user->node);
        }
        return;
    }
    compare(part, is_recovered);
}

void log_user_name_part(struct log_part *part, struct prng *prng)
{
    snprintf(part->topic_name, sizeof part->topic_name, "topic-%u", part->index % 3);
    prng_fill(prng, part->topic_id.bytes, sizeof part->topic_id.bytes);
    int64_t retention_limit_max = part->model.retention_limit_max;
    log_model_done(&part->model);
    log_model_init(&part->model);
    part->model.retention_limit_max = retention_limit_max < 0 ? -1 : 0;
    part->version += 1;
}

/* --- Appending
 * --------------------------------------------------------------------------------------- */

/* Gives the bytes of a batch at `bytes`. */
static size_t batch_make(struct log_part *part, uint8_t *bytes, int64_t base_offset,
                         struct log_model_batch *out_batch)
{
    struct prng *prng = &part->loop->prng;
    struct batch_builder builder;
    batch_builder_init_over(&builder, bytes, APPEND_BYTES_MAX / APPEND_BATCHES_MAX);
    static uint8_t value[VALUE_BYTES_MAX];
    uint32_t record_count = (uint32_t)prng_below(prng, RECORDS_MAX) + 1;
    size_t byte_count = (size_t)prng_below(prng, VALUE_BYTES_MAX / record_count);
    int64_t timestamp_ms = clock_wall_ms(part->loop->clock) - (int64_t)prng_below(prng, 100);
    for (uint32_t i = 0; i < record_count; i++) {
        /* Enough to tell every record from all others. */
        uint64_t mark = prng_next(prng);
        memset(value, (int)(mark & 255), byte_count);
        memcpy(value, &mark, byte_count < sizeof mark ? byte_count : sizeof mark);
        struct batch_builder_record record = {
            .timestamp_ms = timestamp_ms + i,
            .value = {.bytes = value, .byte_count = (int32_t)byte_count}};
        check(batch_builder_append(&builder, &record) == STATUS_OK);
    }
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.base_offset = base_offset;
    finish.leader_epoch = log_latest_leader_epoch(part->log);
    struct batch_view batch;
    check(batch_builder_finish(&builder, &finish, NULL, &batch) == STATUS_OK);
    *out_batch =
        (struct log_model_batch){.base_offset = base_offset,
                                 .last_offset = batch_last_offset(&batch),
                                 .content_hash = XXH3_64bits(batch.bytes, batch.byte_count),
                                 .base_timestamp_ms = timestamp_ms,
                                 .byte_count = batch.byte_count};
    size_t total = batch.byte_count;
    batch_builder_done(&builder);
    return total;
}

enum status log_user_append(struct log_part *part)
{
    static uint8_t bytes[APPEND_BYTES_MAX];
    struct log_model_batch batches[APPEND_BATCHES_MAX];
    uint32_t batch_count = (uint32_t)prng_below(&part->loop->prng, APPEND_BATCHES_MAX) + 1;
    struct log_append append = {.bytes = bytes, .ingested_ms = clock_wall_ms(part->loop->clock)};
    int64_t offset = log_end(part->log);
    for (uint32_t i = 0; i < batch_count; i++) {
        append.byte_count += batch_make(part, bytes + append.byte_count, offset, &batches[i]);
        batches[i].ingested_ms = append.ingested_ms;
        offset = batches[i].last_offset + 1;
    }
    enum status status = log_append(part->log, &append);
    if (status != STATUS_OK) {
        part->user->refused_count += 1;
        part->waits_for_room |= status == STATUS_BUSY;
        if (status != STATUS_BUSY && status != STATUS_NO_SPACE && !is_excused(part, status)) {
            fail(part, "append", status);
        }
        if (log_end(part->log) != part->model.now.end) {
            fail(part, "an append that was refused moved the end", status);
        }
        return status;
    }
    for (uint32_t i = 0; i < batch_count; i++) {
        change(part, (struct log_model_change){.kind = LOG_MODEL_APPEND, .batch = batches[i]});
    }
    part->user->append_count += 1;
    if (log_end(part->log) != part->model.now.end) {
        fail(part, "the end is not where the append put it", status);
    }
    return STATUS_OK;
}

/* --- Reading
 * ----------------------------------------------------------------------------------------- */

struct log_user_read {
    struct log_part *part;
    struct log_read read;
    uint32_t version;
    bool is_done;
    enum status status;
    uint64_t content_hash; /* Pinned bytes must not change. */
};

static uint64_t read_hash(const struct log_read *read)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < read->slice_count; i++) {
        hash = XXH3_64bits_withSeed(read->slices[i].base, read->slices[i].byte_count, hash);
    }
    return hash;
}

/* The batches of a read, one after another. */
static void read_check_bytes(const struct log_user_read *self, const uint8_t *bytes)
{
    const struct log_part *part = self->part;
    const struct log_read *read = &self->read;
    bool is_same = self->version == part->version;
    int64_t next_offset = read->offset;
    uint32_t batch_count = 0;
    for (size_t place = 0; place < read->byte_count;) {
        struct batch_view batch;
        if (batch_view_init(&batch, bytes + place, read->byte_count - place) != STATUS_OK ||
            !batch_has_right_checksum(&batch)) {
            sim_world_fail(part->user->world, "log %u: damaged batch served at %lld", part->index,
                           (long long)next_offset);
            return;
        }
        const struct log_model_batch *wanted =
            log_model_batch_at(&part->model.now, batch_base_offset(&batch));
        bool is_right = wanted != NULL && wanted->base_offset == batch_base_offset(&batch) &&
                        wanted->content_hash == XXH3_64bits(batch.bytes, batch.byte_count);
        bool is_placed = batch_count == 0 ? batch_base_offset(&batch) <= read->offset &&
                                                batch_last_offset(&batch) >= read->offset
                                          : batch_base_offset(&batch) == next_offset;
        if ((is_same && !is_right) || !is_placed ||
            batch_last_offset(&batch) >= read->offset_limit) {
            sim_world_fail(
                part->user->world, "log %u: read at %lld (limit %lld) gave [%lld, %lld], %s",
                part->index, (long long)read->offset, (long long)read->offset_limit,
                (long long)batch_base_offset(&batch), (long long)batch_last_offset(&batch),
                is_right ? "out of place" : "which was not appended");
            return;
        }
        if (is_same && read->ingested_ms[batch_count] < wanted->ingested_ms) {
            sim_world_fail(part->user->world, "log %u: batch at %lld ingested at %lld, not %lld",
                           part->index, (long long)wanted->base_offset,
                           (long long)read->ingested_ms[batch_count],
                           (long long)wanted->ingested_ms);
        }
        next_offset = batch_last_offset(&batch) + 1;
        place += batch.byte_count;
        batch_count += 1;
    }
    if (batch_count != read->batch_count || (batch_count > 0 && next_offset != read->next_offset)) {
        sim_world_fail(part->user->world, "log %u: read says %u batches up to %lld, has %u, %lld",
                       part->index, read->batch_count, (long long)read->next_offset, batch_count,
                       (long long)next_offset);
    }
    bool must_have_one =
        is_same && read->at_least_one &&
        log_model_batch_at(&part->model.now, read->offset) != NULL &&
        log_model_batch_at(&part->model.now, read->offset)->last_offset < read->offset_limit;
    if (must_have_one && batch_count == 0) {
        sim_world_fail(part->user->world, "log %u: empty read at %lld of %lld", part->index,
                       (long long)read->offset, (long long)part->model.now.end);
    }
}

static void read_check(struct log_user_read *self)
{
    self->is_done = true;
    if (self->status != STATUS_OK) {
        /* It lost what it was after. */
        bool is_cut =
            self->version != self->part->version || self->read.offset < self->part->model.now.start;
        if (!is_cut && self->status != STATUS_BUSY && !is_excused(self->part, self->status)) {
            fail(self->part, "read", self->status);
        }
        return;
    }
    uint8_t *bytes = malloc(self->read.byte_count + 1);
    check(bytes != NULL);
    size_t place = 0;
    for (uint32_t i = 0; i < self->read.slice_count; i++) {
        memcpy(bytes + place, self->read.slices[i].base, self->read.slices[i].byte_count);
        place += self->read.slices[i].byte_count;
    }
    if (place != self->read.byte_count) {
        fail(self->part, "slices of a read do not add up", STATUS_OK);
    } else {
        read_check_bytes(self, bytes);
    }
    free(bytes);
    self->content_hash = read_hash(&self->read);
}

static void on_read(struct log_read *read, enum status status)
{
    struct log_user_read *self = container_of(read, struct log_user_read, read);
    self->status = status;
    self->part->user->cold_read_count += 1;
    read_check(self);
}

static void read_begin(struct log_part *part)
{
    uint32_t place = 0;
    while (place < LOG_USER_READS_MAX && part->reads[place] != NULL) {
        place += 1;
    }
    if (place == LOG_USER_READS_MAX) {
        return;
    }
    struct prng *prng = &part->loop->prng;
    struct log_user_read *self = calloc(1, sizeof *self);
    check(self != NULL);
    part->reads[place] = self;
    part->user->read_count += 1;
    self->part = part;
    self->version = part->version;
    int64_t start = log_start(part->log);
    int64_t end = log_end(part->log);
    self->read = (struct log_read){.offset = sim_world_between(prng, start, end),
                                   .offset_limit = end,
                                   .byte_count_max = (size_t)prng_below(prng, 40000),
                                   .at_least_one = prng_below(prng, 4) > 0,
                                   .on_done = on_read};
    if (prng_below(prng, 4) == 0) {
        self->read.offset_limit = sim_world_between(prng, self->read.offset, end);
    }
    self->status = log_read(part->log, &self->read);
    if (self->status != STATUS_PENDING) {
        read_check(self);
    }
}

bool log_user_release_reads(struct log_part *part)
{
    bool is_clear = true;
    for (uint32_t i = 0; i < LOG_USER_READS_MAX; i++) {
        struct log_user_read *self = part->reads[i];
        if (self == NULL) {
            continue;
        }
        if (!self->is_done) {
            is_clear = false;
            continue;
        }
        if (self->status == STATUS_OK && read_hash(&self->read) != self->content_hash) {
            fail(part, "pinned bytes changed", STATUS_OK);
        }
        log_read_release(&self->read);
        part->reads[i] = NULL;
        free(self);
    }
    return is_clear;
}

/* --- Searching
 * --------------------------------------------------------------------------------------- */

struct log_user_search {
    struct log_part *part;
    struct log_time_search search;
    uint32_t version;
    int64_t start;
};

static void search_check(struct log_user_search *self, enum status status)
{
    const struct log_part *part = self->part;
    const struct log_time_search *search = &self->search;
    if (status != STATUS_OK) {
        bool is_cut = self->version != part->version || self->start != part->model.now.start;
        if (!is_cut && status != STATUS_BUSY && !is_excused(part, status)) {
            fail(part, "search by time", status);
        }
        free(self);
        return;
    }
    bool is_same = self->version == part->version && self->start == part->model.now.start;
    const struct log_model_state *now = &part->model.now;
    for (size_t i = 0; i < now->batch_count && is_same; i++) {
        const struct log_model_batch *batch = &now->batches[i];
        int64_t last_ms = batch->base_timestamp_ms + (batch->last_offset - batch->base_offset);
        if (batch->last_offset < now->start || last_ms < search->timestamp_ms) {
            continue;
        }
        int64_t skipped = search->timestamp_ms - batch->base_timestamp_ms;
        int64_t offset = batch->base_offset + (skipped > 0 ? skipped : 0);
        bool wants = offset < search->offset_limit;
        if (wants != search->found || (wants && search->offset != offset)) {
            sim_world_fail(part->user->world, "log %u: time %lld is at %lld, found %d at %lld",
                           part->index, (long long)search->timestamp_ms, (long long)offset,
                           search->found, (long long)search->offset);
        }
        free(self);
        return;
    }
    if (is_same && search->found) {
        fail(part, "a time beyond all was found", status);
    }
    free(self);
}

static void on_search(struct log_time_search *search, enum status status)
{
    search_check(container_of(search, struct log_user_search, search), status);
}

static void search_begin(struct log_part *part)
{
    struct log_user_search *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->part = part;
    self->version = part->version;
    self->start = part->model.now.start;
    int64_t now_ms = clock_wall_ms(part->loop->clock);
    self->search = (struct log_time_search){
        .timestamp_ms = now_ms - (int64_t)prng_below(&part->loop->prng, 3000),
        .offset_limit = log_end(part->log),
        .on_done = on_search};
    enum status status = log_search_time(part->log, &self->search);
    if (status != STATUS_PENDING) {
        search_check(self, status);
    }
}

/* --- Other changes
 * ------------------------------------------------------------------------------------ */

struct start_change {
    struct log_change change;
    struct log_part *part;
    uint64_t sequence;
};

static void on_start_durable(struct log_change *log_change, enum status status)
{
    struct start_change *self = container_of(log_change, struct start_change, change);
    if (status == STATUS_OK) {
        if (self->part->user->has_failed_store) {
            fail(self->part, "acknowledges a start after the store has failed", status);
        }
        log_model_flush_sequence(&self->part->model, self->sequence);
        flush_others(self->part, self->sequence);
    }
    free(self);
}

/* A batch border in [start, end]. */
static int64_t pick_border(struct log_part *part)
{
    const struct log_model_state *now = &part->model.now;
    if (now->batch_count == 0) {
        return now->end;
    }
    size_t newest = now->batch_count < 20 ? now->batch_count : 20; /* Mostly near the end. */
    size_t back = (size_t)prng_below(
        &part->loop->prng, prng_below(&part->loop->prng, 8) == 0 ? now->batch_count : newest);
    int64_t border = now->batches[now->batch_count - 1 - back].base_offset;
    return border < now->start ? now->end : border;
}

static void move_start(struct log_part *part)
{
    int64_t limit = log_flushed_end(part->log);
    log_set_retention_limit(part->log, limit);
    if (part->model.retention_limit_max >= 0) {
        part->model.retention_limit_max =
            part->model.retention_limit_max > limit ? part->model.retention_limit_max : limit;
    }
    int64_t offset = pick_border(part);
    struct start_change *self = calloc(1, sizeof *self);
    check(self != NULL);
    self->part = part;
    self->change.on_done = on_start_durable;
    part->moving_to = offset;
    enum status status = log_move_start(part->log, offset, &self->change);
    part->moving_to = -1;
    if (status != STATUS_OK) {
        bool is_beyond = status == STATUS_OUT_OF_RANGE && offset > limit;
        if (!is_beyond && status != STATUS_BUSY && status != STATUS_NO_SPACE &&
            !is_excused(part, status)) {
            fail(part, "move start", status);
        }
        free(self);
        return;
    }
    self->sequence =
        change(part, (struct log_model_change){.kind = LOG_MODEL_MOVE_START, .offset = offset});
}

static void cut(struct log_part *part, bool is_reset)
{
    int64_t offset = is_reset ? part->model.now.end + 100 : pick_border(part);
    enum status status = is_reset ? log_reset(part->log, offset) : log_truncate(part->log, offset);
    if (status != STATUS_OK) {
        if (status != STATUS_BUSY && status != STATUS_NO_SPACE && !is_excused(part, status)) {
            fail(part, is_reset ? "reset" : "truncate", status);
        }
        return;
    }
    part->version += 1;
    change(part, (struct log_model_change){.kind = is_reset ? LOG_MODEL_RESET : LOG_MODEL_TRUNCATE,
                                           .offset = offset});
    int64_t flushed_end = log_flushed_end(part->log);
    part->flushed_told = flushed_end < part->flushed_told ? flushed_end : part->flushed_told;
    if (log_end(part->log) != offset || log_start(part->log) != part->model.now.start) {
        fail(part, "the cut left another start or end", status);
    }
}

static void assign_epoch(struct log_part *part)
{
    int32_t epoch = log_latest_leader_epoch(part->log) + 1;
    int64_t end = log_end(part->log);
    log_assign_leader_epoch(part->log, epoch, end);
    if (log_latest_leader_epoch(part->log) == epoch) { /* Else the journal had no room. */
        change(part,
               (struct log_model_change){.kind = LOG_MODEL_EPOCH, .epoch = epoch, .offset = end});
    }
}

/* As a leader does: the batch with the marker first. */
static void append_aborted(struct log_part *part)
{
    if (log_user_append(part) != STATUS_OK) {
        return;
    }
    const struct log_model_state *now = &part->model.now;
    bool is_after =
        now->aborted_count == 0 || now->aborted[now->aborted_count - 1].last_offset < now->end - 1;
    if (now->batch_count == 0 || now->end - 1 < now->start || !is_after ||
        now->aborted_count >= ABORTED_MAX / 2) {
        return;
    }
    /* Transactions that end later began at or behind the stable offset of those before. */
    int64_t first_min = now->start;
    if (now->aborted_count > 0) {
        int64_t stable = now->aborted[now->aborted_count - 1].last_stable_offset;
        first_min = stable > first_min ? stable : first_min;
    }
    if (first_min > now->end - 2) {
        return;
    }
    struct log_aborted_txn aborted = {
        .producer_id = (int64_t)prng_below(&part->loop->prng, 100),
        .first_offset = sim_world_between(&part->loop->prng, first_min, now->end - 2),
        .last_offset = now->end - 1,
        .last_stable_offset = now->end};
    enum status status = log_append_aborted_txn(part->log, &aborted);
    if (status != STATUS_OK) {
        if (status != STATUS_BUSY && status != STATUS_NO_SPACE && !is_excused(part, status)) {
            fail(part, "aborted transaction", status);
        }
        return;
    }
    change(part, (struct log_model_change){
                     .kind = LOG_MODEL_ABORTED,
                     .aborted = {.producer_id = aborted.producer_id,
                                 .first_offset = aborted.first_offset,
                                 .last_offset = aborted.last_offset,
                                 .last_stable_offset = aborted.last_stable_offset}});
}

static void delete_or_forget(struct log_part *part, struct log_store *store, bool is_deleted)
{
    if (!log_user_release_reads(part)) {
        return;
    }
    part->version += 1; /* Searches under way are canceled. */
    if (!is_deleted) {
        sim_world_note(part->user->world, "log %u is forgotten and opened again", part->index);
        log_forget(part->log);
        log_user_open(part, store, part->loop, false);
        return;
    }
    log_delete(part->log);
    part->log = NULL;
    change(part, (struct log_model_change){.kind = LOG_MODEL_DELETE});
    if (prng_below(&part->loop->prng, 2) == 0) {
        struct sim_heap *node_heap = sim_node_step_out();
        log_user_name_part(part, &part->loop->prng);
        sim_node_step_in(node_heap);
    }
}

void log_user_act(struct log_part *part, struct log_store *store)
{
    struct prng *prng = &part->loop->prng;
    if (part->user->world->has_failed) {
        return;
    }
    if (part->log == NULL) {
        if (prng_below(prng, 4) == 0) {
            log_user_open(part, store, part->loop, false);
        }
        return;
    }
    uint64_t what = prng_below(prng, 1000);
    if (what < 700) {
        if (!part->waits_for_room || prng_below(prng, 10) == 0) {
            status_ignore(log_user_append(part), "it was looked at");
        }
    } else if (what < 850) {
        read_begin(part);
    } else if (what < 900) {
        log_user_release_reads(part);
    } else if (what < 920) {
        search_begin(part);
    } else if (what < 940) {
        move_start(part);
    } else if (what < 960) {
        cut(part, false);
    } else if (what < 963) {
        cut(part, true);
    } else if (what < 975) {
        assign_epoch(part);
    } else if (what < 990) {
        append_aborted(part);
    } else {
        delete_or_forget(part, store, what < 994);
    }
}

void log_user_forget(struct log_part *part)
{
    part->log = NULL;
    part->loop = NULL;
    part->moving_to = -1;
    part->waits_for_room = false;
    memset(part->reads, 0, sizeof part->reads);
}
