#include "tests/sim/log_reader.h"

#include "proto/record/batch.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

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
        if (is_same && !part->model.is_damaged &&
            read->ingested_ms[batch_count] < wanted->ingested_ms) {
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
        if (!is_cut && self->status != STATUS_BUSY &&
            !log_user_is_excused(self->part, self->status)) {
            log_user_fail(self->part, "read", self->status);
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
        log_user_fail(self->part, "slices of a read do not add up", STATUS_OK);
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

void log_reader_begin(struct log_part *part)
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

bool log_reader_release(struct log_part *part)
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
            log_user_fail(part, "pinned bytes changed", STATUS_OK);
        }
        log_read_release(&self->read);
        part->reads[i] = NULL;
        free(self);
    }
    return is_clear;
}

/* --- Searching --- */

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
        if (!is_cut && status != STATUS_BUSY && !log_user_is_excused(part, status)) {
            log_user_fail(part, "search by time", status);
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
        offset = offset < now->start ? now->start : offset;
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
        log_user_fail(part, "a time beyond all was found", status);
    }
    free(self);
}

static void on_search(struct log_time_search *search, enum status status)
{
    search_check(container_of(search, struct log_user_search, search), status);
}

void log_reader_search(struct log_part *part)
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
