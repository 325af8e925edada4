#include "tests/sim/log_user.h"

#include "broker/log/snapshot_file.h"
#include "proto/record/batch_builder.h"
#include "proto/sys/check.h"
#include "tests/sim/log_reader.h"
#include "tests/sim/sim_disk.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define APPEND_BYTES_MAX 65536U
#define APPEND_BATCHES_MAX 3U
#define RECORDS_MAX 20U
#define VALUE_BYTES_MAX 6000U
#define ABORTED_MAX 256U

void log_user_fail(const struct log_part *part, const char *what, enum status status)
{
    sim_world_fail(part->user->world, "log %u: %s: %s", part->index, what, status_text(status));
}

bool log_user_has_failed(const struct log_part *part)
{
    return part->shard < 32 && (part->user->failed_shards >> part->shard & 1) != 0;
}

/* A store that has met a failing disk may refuse everything; the node stops soon. */
bool log_user_is_excused(const struct log_part *part, enum status status)
{
    return log_user_has_failed(part) || part->user->may_be_damaged ||
           ((status == STATUS_IO || status == STATUS_CLOSED) &&
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
        bool is_known = !other->is_unreadable && !other->config.is_memory_durable;
        if (other->shard == part->shard && is_known) {
            log_model_flush_sequence(&other->model, sequence);
        }
    }
}

/* --- Events of the log --- */

static void on_flushed(void *context, int64_t flushed_end)
{
    struct log_part *part = context;
    part->user->flush_count += 1;
    if (log_user_has_failed(part) && !part->config.is_memory_durable) {
        log_user_fail(part, "acknowledges after the store has failed", STATUS_IO);
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
    if (end != part->model.now.end && !part->is_unreadable) {
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

/* --- Opening --- */

struct walk {
    struct log_part *part;
    struct log_model_found found;
    size_t room;
    bool is_bad;
};

static enum status on_batch(void *context, const uint8_t *bytes, size_t byte_count,
                            int64_t ingested_ms)
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
    return STATUS_OK;
}

static void walk_done(struct walk *walk)
{
    struct sim_heap *node_heap = sim_node_step_out();
    free(walk->found.state.batches);
    free(walk->found.ingested_ms);
    sim_node_step_in(node_heap);
}

static void check_snapshot(struct log_part *part)
{
    int64_t offset = 0;
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status = log_load_snapshot(part->log, &offset, &bytes, &byte_count);
    if (status != STATUS_OK) {
        if (!log_user_is_excused(part, status)) {
            log_user_fail(part, "snapshot", status);
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
        if (!log_user_is_excused(part, status)) {
            log_user_fail(part, walk->is_bad ? "replay gives damaged batches" : "replay", status);
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
        if (!log_user_is_excused(part, status)) {
            log_user_fail(part, "aborted transactions", status);
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
    if (!look(part, &walk)) {
        part->is_unreadable = true;
        part->must_recover = is_recovered;
        log_forget(part->log);
        part->log = NULL;
        walk_done(&walk);
        return;
    }
    struct sim_heap *node_heap = sim_node_step_out();
    char why[200] = "";
    size_t durable_count = part->model.durable_count;
    size_t change_count = part->model.change_count;
    bool is_right = is_recovered ? log_model_recover(&part->model, &walk.found, why, sizeof why)
                                 : log_model_is_now(&part->model, &walk.found, why, sizeof why);
    if (!is_right) {
        sim_world_fail(part->user->world, "log %u after %s: %s (%zu changes, %zu of them durable)",
                       part->index, is_recovered ? "a start" : "opening it again", why,
                       change_count, durable_count);
    }
    sim_node_step_in(node_heap);
    walk_done(&walk);
    part->is_unreadable = false;
    part->must_recover = false;
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
        if (!is_full && !log_user_is_excused(part, status)) {
            log_user_fail(part, "open", status);
        }
        part->user->refused_count += 1;
        if (is_recovered) {
            sim_node_exit(part->user->node);
        }
        return;
    }
    compare(part, is_recovered || part->must_recover);
}

void log_user_name_part(struct log_part *part, struct prng *prng)
{
    snprintf(part->topic_name, sizeof part->topic_name, "topic-%u", part->index % 3);
    prng_fill(prng, part->topic_id.bytes, sizeof part->topic_id.bytes);
    bool has_retention = part->model.retention_limit_max >= 0;
    bool is_damaged = part->model.is_damaged;
    log_model_done(&part->model);
    log_model_init(&part->model);
    part->model.retention_limit_max = has_retention ? 0 : -1;
    part->model.is_damaged = is_damaged;
    part->version += 1;
}

/* --- Appending --- */

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
        if (status != STATUS_BUSY && status != STATUS_NO_SPACE &&
            !log_user_is_excused(part, status)) {
            log_user_fail(part, "append", status);
        }
        if (log_end(part->log) != part->model.now.end) {
            log_user_fail(part, "an append that was refused moved the end", status);
        }
        return status;
    }
    for (uint32_t i = 0; i < batch_count; i++) {
        change(part, (struct log_model_change){.kind = LOG_MODEL_APPEND, .batch = batches[i]});
    }
    part->user->append_count += 1;
    if (log_end(part->log) != part->model.now.end) {
        log_user_fail(part, "the end is not where the append put it", status);
    }
    return STATUS_OK;
}

/* --- Other changes --- */

struct start_change {
    struct log_change change;
    struct log_part *part;
    uint64_t sequence;
};

static void on_start_durable(struct log_change *log_change, enum status status)
{
    struct start_change *self = container_of(log_change, struct start_change, change);
    if (status == STATUS_OK) {
        if (log_user_has_failed(self->part)) {
            log_user_fail(self->part, "acknowledges a start after the store has failed", status);
        }
        log_model_flush_sequence(&self->part->model, self->sequence);
        flush_others(self->part, self->sequence);
    }
    free(self);
}

/* In [start, end]; mostly where a batch begins. */
static int64_t pick_offset(struct log_part *part)
{
    const struct log_model_state *now = &part->model.now;
    struct prng *prng = &part->loop->prng;
    if (now->batch_count == 0) {
        return now->end;
    }
    size_t newest = now->batch_count < 20 ? now->batch_count : 20; /* Mostly near the end. */
    size_t back = (size_t)prng_below(prng, prng_below(prng, 8) == 0 ? now->batch_count : newest);
    const struct log_model_batch *batch = &now->batches[now->batch_count - 1 - back];
    bool is_inside = prng_below(prng, 4) == 0;
    uint64_t room = is_inside ? (uint64_t)(batch->last_offset - batch->base_offset) + 1 : 1;
    int64_t offset = batch->base_offset + (int64_t)prng_below(prng, room);
    return offset < now->start ? now->end : offset;
}

static void move_start(struct log_part *part)
{
    int64_t limit = log_flushed_end(part->log);
    log_set_retention_limit(part->log, limit);
    if (part->model.retention_limit_max >= 0) {
        part->model.retention_limit_max =
            part->model.retention_limit_max > limit ? part->model.retention_limit_max : limit;
    }
    int64_t offset = pick_offset(part);
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
            !log_user_is_excused(part, status)) {
            log_user_fail(part, "move start", status);
        }
        free(self);
        return;
    }
    self->sequence =
        change(part, (struct log_model_change){.kind = LOG_MODEL_MOVE_START, .offset = offset});
}

/* A batch is cut away whole, and with the one that holds the start all that may be read. */
static struct log_model_change cut_at(const struct log_part *part, int64_t offset)
{
    const struct log_model_state *now = &part->model.now;
    const struct log_model_batch *batch = log_model_batch_at(now, offset);
    struct log_model_change cut = {.kind = LOG_MODEL_TRUNCATE,
                                   .offset = batch == NULL ? offset : batch->base_offset};
    if (cut.offset < now->start) {
        cut.kind = LOG_MODEL_RESET;
        cut.offset = now->start;
    }
    return cut;
}

static void cut(struct log_part *part, bool is_reset)
{
    int64_t offset = is_reset ? part->model.now.end + 100 : pick_offset(part);
    enum status status = is_reset ? log_reset(part->log, offset) : log_truncate(part->log, offset);
    if (status != STATUS_OK) {
        if (status != STATUS_BUSY && status != STATUS_NO_SPACE &&
            !log_user_is_excused(part, status)) {
            log_user_fail(part, is_reset ? "reset" : "truncate", status);
        }
        return;
    }
    part->version += 1;
    struct log_model_change made = {.kind = LOG_MODEL_RESET, .offset = offset};
    if (!is_reset) {
        made = cut_at(part, offset);
    }
    change(part, made);
    int64_t flushed_end = log_flushed_end(part->log);
    part->flushed_told = flushed_end < part->flushed_told ? flushed_end : part->flushed_told;
    if (log_end(part->log) != made.offset || log_start(part->log) != part->model.now.start) {
        log_user_fail(part, "the cut left another start or end", status);
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
        if (status != STATUS_BUSY && status != STATUS_NO_SPACE &&
            !log_user_is_excused(part, status)) {
            log_user_fail(part, "aborted transaction", status);
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
    if (!log_reader_release(part)) {
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
    if (part->user->world->has_failed || part->is_unreadable) {
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
        log_reader_begin(part);
    } else if (what < 900) {
        log_reader_release(part);
    } else if (what < 920) {
        log_reader_search(part);
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
    part->must_recover = false;
    part->is_unreadable = false;
    part->waits_for_room = false;
    memset(part->reads, 0, sizeof part->reads);
}
