#include "tests/sim/log_model.h"

#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *items, size_t count, size_t *room, size_t item_bytes)
{
    if (count < *room) {
        return items;
    }
    *room = *room == 0 ? 32 : *room * 2;
    void *grown = realloc(items, *room * item_bytes);
    check(grown != NULL);
    return grown;
}

static void state_done(struct log_model_state *self)
{
    free(self->batches);
    free(self->aborted);
    free(self->epochs);
    *self = (struct log_model_state){0};
}

static void *copy_items(const void *items, size_t count, size_t item_bytes, size_t *out_room)
{
    *out_room = count;
    if (count == 0) {
        return NULL;
    }
    void *copy = malloc(count * item_bytes);
    check(copy != NULL);
    memcpy(copy, items, count * item_bytes);
    return copy;
}

static void state_copy(struct log_model_state *self, const struct log_model_state *from)
{
    state_done(self);
    *self = *from;
    self->batches =
        copy_items(from->batches, from->batch_count, sizeof *from->batches, &self->batch_room);
    self->aborted =
        copy_items(from->aborted, from->aborted_count, sizeof *from->aborted, &self->aborted_room);
    self->epochs =
        copy_items(from->epochs, from->epoch_count, sizeof *from->epochs, &self->epoch_room);
}

void log_model_init(struct log_model *self)
{
    *self = (struct log_model){.retention_limit_max = -1};
}

void log_model_done(struct log_model *self)
{
    state_done(&self->base);
    state_done(&self->now);
    free(self->changes);
    *self = (struct log_model){0};
}

/* --- Changes --- */

static void cut_tail(struct log_model_state *self, int64_t end)
{
    while (self->batch_count > 0 && self->batches[self->batch_count - 1].last_offset >= end) {
        self->batch_count -= 1;
    }
    while (self->aborted_count > 0 && self->aborted[self->aborted_count - 1].last_offset >= end) {
        self->aborted_count -= 1;
    }
    while (self->epoch_count > 0 && self->epochs[self->epoch_count - 1].start_offset >= end) {
        self->epoch_count -= 1;
    }
    self->end = end;
}

static void clear(struct log_model_state *self, int64_t offset)
{
    self->batch_count = self->aborted_count = self->epoch_count = 0;
    self->start = self->end = offset;
}

static void append(struct log_model_state *self, const struct log_model_batch *batch)
{
    check(batch->base_offset == self->end);
    self->batches =
        grow(self->batches, self->batch_count, &self->batch_room, sizeof *self->batches);
    self->batches[self->batch_count] = *batch;
    self->batch_count += 1;
    self->end = batch->last_offset + 1;
}

/* An epoch that begins where another one does replaces it: nothing was written under that. */
static void assign_epoch(struct log_model_state *self, int32_t epoch, int64_t start_offset)
{
    while (self->epoch_count > 0 &&
           self->epochs[self->epoch_count - 1].start_offset >= start_offset) {
        self->epoch_count -= 1;
    }
    self->epochs = grow(self->epochs, self->epoch_count, &self->epoch_room, sizeof *self->epochs);
    self->epochs[self->epoch_count] =
        (struct log_model_epoch){.epoch = epoch, .start_offset = start_offset};
    self->epoch_count += 1;
}

/* As Kafka has it: the epoch in which the log begins begins with the log. */
static void move_start(struct log_model_state *self, int64_t start)
{
    if (start <= self->start) {
        return;
    }
    self->start = start;
    size_t before = 0;
    while (before < self->epoch_count && self->epochs[before].start_offset <= start) {
        before += 1;
    }
    if (before > 0) {
        self->epoch_count -= before - 1;
        memmove(self->epochs, self->epochs + before - 1, self->epoch_count * sizeof *self->epochs);
        self->epochs[0].start_offset = start;
    }
}

static void state_apply(struct log_model_state *self, const struct log_model_change *change)
{
    switch (change->kind) {
    case LOG_MODEL_CREATE:
        clear(self, 0);
        self->is_there = true;
        return;
    case LOG_MODEL_APPEND:
        append(self, &change->batch);
        return;
    case LOG_MODEL_TRUNCATE:
        cut_tail(self, change->offset);
        return;
    case LOG_MODEL_RESET:
        clear(self, change->offset);
        return;
    case LOG_MODEL_MOVE_START:
        move_start(self, change->offset);
        return;
    case LOG_MODEL_EPOCH:
        assign_epoch(self, change->epoch, change->offset);
        return;
    case LOG_MODEL_ABORTED:
        self->aborted =
            grow(self->aborted, self->aborted_count, &self->aborted_room, sizeof *self->aborted);
        self->aborted[self->aborted_count] = change->aborted;
        self->aborted_count += 1;
        return;
    case LOG_MODEL_DELETE:
        clear(self, 0);
        self->is_there = false;
        return;
    }
    check_unreachable("a change outside its list");
}

void log_model_apply(struct log_model *self, const struct log_model_change *change)
{
    check(self->change_count == 0 ||
          self->changes[self->change_count - 1].sequence <= change->sequence);
    self->changes =
        grow(self->changes, self->change_count, &self->change_room, sizeof *self->changes);
    self->changes[self->change_count] = *change;
    self->change_count += 1;
    state_apply(&self->now, change);
}

/* --- What is durable --- */

static void durable_up_to(struct log_model *self, size_t count)
{
    self->durable_count = count > self->durable_count ? count : self->durable_count;
}

/* The newest append below the end that still stands: it, and all before it. */
void log_model_flush(struct log_model *self, int64_t flushed_end)
{
    int64_t cut = INT64_MAX; /* What lies at or beyond it was taken away by a later change. */
    for (size_t i = self->change_count; i-- > self->durable_count;) {
        const struct log_model_change *change = &self->changes[i];
        if (change->kind == LOG_MODEL_RESET || change->kind == LOG_MODEL_CREATE ||
            change->kind == LOG_MODEL_DELETE) {
            return;
        }
        if (change->kind == LOG_MODEL_TRUNCATE) {
            cut = change->offset < cut ? change->offset : cut;
        } else if (change->kind == LOG_MODEL_APPEND && change->batch.last_offset < cut &&
                   change->batch.last_offset < flushed_end) {
            durable_up_to(self, i + 1);
            return;
        }
    }
}

void log_model_flush_sequence(struct log_model *self, uint64_t sequence)
{
    for (size_t i = self->durable_count; i < self->change_count; i++) {
        /* A deletion that meets a full journal is put later than it was asked for. */
        if (self->changes[i].sequence > sequence || self->changes[i].kind == LOG_MODEL_DELETE) {
            return;
        }
        durable_up_to(self, i + 1);
    }
}

void log_model_flush_all(struct log_model *self)
{
    self->durable_count = self->change_count;
}

uint64_t log_model_durable_sequence(const struct log_model *self)
{
    return self->durable_count == 0 ? 0 : self->changes[self->durable_count - 1].sequence;
}

const struct log_model_batch *log_model_batch_at(const struct log_model_state *state,
                                                 int64_t offset)
{
    size_t low = 0;
    size_t high = state->batch_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state->batches[middle].last_offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < state->batch_count && state->batches[low].base_offset <= offset
               ? &state->batches[low]
               : NULL;
}

/* --- Recovery --- */

struct answer {
    char *why;
    size_t byte_count;
    int score; /* How far the comparison came with the nearest prefix. */
};

static bool differs(struct answer *answer, int score, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool differs(struct answer *answer, int score, const char *format, ...)
{
    if (score >= answer->score) {
        answer->score = score;
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(answer->why, answer->byte_count, format, arguments);
        va_end(arguments);
    }
    return false;
}

static bool batches_equal(const struct log_model *self, const struct log_model_state *want,
                          const struct log_model_found *found, struct answer *answer)
{
    int64_t start = found->state.start;
    size_t first = 0; /* Batches wholly below the start may be there or not. */
    while (first < want->batch_count && want->batches[first].last_offset < start) {
        first += 1;
    }
    const struct log_model_state *got = &found->state;
    size_t skipped = 0;
    while (skipped < got->batch_count && got->batches[skipped].last_offset < start) {
        skipped += 1;
    }
    if (want->batch_count - first != got->batch_count - skipped) {
        return differs(answer, 3, "%zu batches from %lld on, not %zu", got->batch_count - skipped,
                       (long long)start, want->batch_count - first);
    }
    for (size_t i = 0; i < want->batch_count - first; i++) {
        const struct log_model_batch *wanted = &want->batches[first + i];
        const struct log_model_batch *gotten = &got->batches[skipped + i];
        if (wanted->base_offset != gotten->base_offset ||
            wanted->content_hash != gotten->content_hash) {
            return differs(answer, 4, "another batch at %lld (wanted at %lld)",
                           (long long)gotten->base_offset, (long long)wanted->base_offset);
        }
        if (!self->is_damaged && found->ingested_ms[skipped + i] < wanted->ingested_ms) {
            return differs(answer, 5, "batch at %lld ingested at %lld, not %lld",
                           (long long)wanted->base_offset,
                           (long long)found->ingested_ms[skipped + i],
                           (long long)wanted->ingested_ms);
        }
    }
    return true;
}

/* Entries whose marker is below the start may be gone. */
static bool aborted_equal(const struct log_model_state *want, const struct log_model_state *got,
                          int64_t start, struct answer *answer)
{
    size_t first = 0;
    while (first < want->aborted_count && want->aborted[first].last_offset < start) {
        first += 1;
    }
    size_t skipped = 0;
    while (skipped < got->aborted_count && got->aborted[skipped].last_offset < start) {
        skipped += 1;
    }
    size_t count = want->aborted_count - first;
    if (count != got->aborted_count - skipped) {
        return differs(answer, 6, "%zu aborted transactions, not %zu", got->aborted_count - skipped,
                       count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct log_model_aborted *wanted = &want->aborted[first + i];
        const struct log_model_aborted *gotten = &got->aborted[skipped + i];
        if (memcmp(wanted, gotten, sizeof *wanted) != 0) {
            return differs(answer, 7, "aborted transaction up to %lld differs",
                           (long long)gotten->last_offset);
        }
    }
    return true;
}

static int32_t latest_epoch(const struct log_model_state *self, size_t count)
{
    return count == 0 ? -1 : self->epochs[count - 1].epoch;
}

/* An epoch may be lost until a batch tells it, since a full journal takes batches before epochs. */
static bool is_epoch_untold(const struct log_model_state *self)
{
    return self->epoch_count > 0 && self->epochs[self->epoch_count - 1].start_offset >= self->end;
}

static bool epochs_equal(const struct log_model_state *want, const struct log_model_state *got,
                         struct answer *answer)
{
    int32_t want_epoch = latest_epoch(want, want->epoch_count);
    int32_t got_epoch = latest_epoch(got, got->epoch_count);
    if (want_epoch == got_epoch ||
        (is_epoch_untold(want) && latest_epoch(want, want->epoch_count - 1) == got_epoch)) {
        return true;
    }
    return differs(answer, 8, "latest leader epoch is %d, not %d", got_epoch, want_epoch);
}

static bool looks_like(const struct log_model *self, const struct log_model_state *want,
                       const struct log_model_found *found, struct answer *answer)
{
    const struct log_model_state *got = &found->state;
    if (!want->is_there) {
        /* An empty log with an epoch is not a new one: its deletion was lost. */
        bool is_new = got->start == 0 && got->end == 0 && got->epoch_count == 0;
        return is_new || differs(answer, 0, "deleted, but holds [%lld, %lld) in epoch %d",
                                 (long long)got->start, (long long)got->end,
                                 latest_epoch(got, got->epoch_count));
    }
    if (want->end != got->end) {
        return differs(answer, 1, "ends at %lld, not at %lld", (long long)got->end,
                       (long long)want->end);
    }
    /* Retention moves the start by itself; it may not have told yet. */
    bool is_moved = got->start > want->start && got->start <= self->retention_limit_max;
    if (want->start != got->start && !is_moved) {
        return differs(answer, 2, "starts at %lld, not at %lld (end %lld)", (long long)got->start,
                       (long long)want->start, (long long)got->end);
    }
    return batches_equal(self, want, found, answer) &&
           (self->is_damaged || aborted_equal(want, got, got->start, answer)) &&
           epochs_equal(want, got, answer);
}

bool log_model_recover(struct log_model *self, const struct log_model_found *found, char *out_why,
                       size_t why_byte_count)
{
    struct answer answer = {.why = out_why, .byte_count = why_byte_count, .score = -1};
    struct log_model_state state = {0};
    struct log_model_state best = {0};
    bool is_known = false;
    state_copy(&state, &self->base);
    for (size_t i = 0; i <= self->change_count; i++) {
        if (i > 0) {
            state_apply(&state, &self->changes[i - 1]);
        }
        if (i >= self->durable_count && looks_like(self, &state, found, &answer)) {
            state_copy(&best, &state); /* The longest one; equal states are no matter. */
            is_known = true;
        }
    }
    state_done(&state);
    if (is_known) {
        move_start(&best, found->state.start);
        if (is_epoch_untold(&best) && latest_epoch(&best, best.epoch_count) !=
                                          latest_epoch(&found->state, found->state.epoch_count)) {
            best.epoch_count -= 1;
        }
        state_copy(&self->base, &best);
        state_copy(&self->now, &best);
        self->change_count = self->durable_count = 0;
    }
    state_done(&best);
    return is_known;
}

bool log_model_is_now(const struct log_model *self, const struct log_model_found *found,
                      char *out_why, size_t why_byte_count)
{
    struct answer answer = {.why = out_why, .byte_count = why_byte_count, .score = -1};
    return looks_like(self, &self->now, found, &answer);
}
