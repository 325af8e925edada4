#include "client/accumulator.h"

#include "proto/sys/check.h"

#include <stdlib.h>

#define RETRY_FLOOR_MS 20
#define RETRY_CEILING_MS 1000
#define RECORD_ROOM_FIRST 16U

static struct accumulator_batch *batch_of(struct list *link)
{
    return container_of(link, struct accumulator_batch, in_line);
}

void accumulator_init(struct accumulator *self, const struct accumulator_options *options)
{
    check(options->batch_bytes_max > BATCH_HEADER_BYTES);
    *self = (struct accumulator){.options = *options, .producer_id = -1, .producer_epoch = -1};
    list_init(&self->waiting);
    list_init(&self->in_flight);
    retry_init(&self->retry, RETRY_FLOOR_MS, RETRY_CEILING_MS);
}

void accumulator_done(struct accumulator *self)
{
    check(self->waiting.next == NULL || accumulator_is_empty(self));
    *self = (struct accumulator){0};
}

void accumulator_identify(struct accumulator *self, int64_t producer_id, int16_t producer_epoch)
{
    check(producer_id >= 0);
    check(self->in_flight_count == 0);
    check(self->again_count == 0);
    self->producer_id = producer_id;
    self->producer_epoch = producer_epoch;
    self->next_sequence = 0;
    self->needs_epoch = false;
    self->has_doubt = false;
    self->not_before_ns = 0;
}

/* ---- appending ---- */

static struct accumulator_batch *open_batch(const struct accumulator *self)
{
    if (list_is_empty(&self->waiting)) {
        return NULL;
    }
    struct accumulator_batch *last = batch_of(self->waiting.previous);
    return last->is_sealed ? NULL : last;
}

bool accumulator_is_full_for(const struct accumulator *self, size_t byte_count)
{
    const struct accumulator_batch *open = open_batch(self);
    return open != NULL && open->builder.byte_count + byte_count > self->options.batch_bytes_max;
}

bool accumulator_is_open(const struct accumulator *self)
{
    return open_batch(self) != NULL;
}

/* A record larger than a batch should be gets one of its own. */
static struct accumulator_batch *batch_new(const struct accumulator *self, size_t record_bytes,
                                           int64_t now_ns)
{
    size_t alone_bytes = BATCH_HEADER_BYTES + record_bytes;
    size_t byte_count_max = self->options.batch_bytes_max;
    byte_count_max = byte_count_max > alone_bytes ? byte_count_max : alone_bytes;
    struct accumulator_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return NULL;
    }
    batch_builder_init(&batch->builder, NULL, byte_count_max);
    batch->opened_ns = now_ns;
    batch->producer_id = -1;
    list_init(&batch->in_line);
    return batch;
}

void accumulator_batch_free(struct accumulator_batch *batch)
{
    batch_builder_done(&batch->builder);
    free(batch->records);
    free(batch);
}

static enum status batch_append(struct accumulator_batch *batch,
                                const struct batch_builder_record *record,
                                const struct accumulator_record *entry)
{
    if (batch->record_count == batch->record_room) {
        uint32_t room = batch->record_room == 0 ? RECORD_ROOM_FIRST : batch->record_room * 2;
        struct accumulator_record *grown = realloc(batch->records, room * sizeof *grown);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        batch->records = grown;
        batch->record_room = room;
    }
    TRY(batch_builder_append(&batch->builder, record));
    batch->records[batch->record_count++] = *entry;
    return STATUS_OK;
}

enum status accumulator_append(struct accumulator *self, const struct batch_builder_record *record,
                               const struct accumulator_record *entry, int64_t now_ns)
{
    struct accumulator_batch *batch = open_batch(self);
    if (batch != NULL) {
        enum status status = batch_append(batch, record, entry);
        if (status != STATUS_FULL) {
            return status;
        }
        batch->is_urgent = true; /* Nothing more fits, so it has nothing to wait for. */
    }
    batch = batch_new(self, batch_builder_record_bytes_max(record), now_ns);
    if (batch == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = batch_append(batch, record, entry);
    if (status != STATUS_OK) {
        accumulator_batch_free(batch);
        return status;
    }
    list_append(&self->waiting, &batch->in_line);
    return STATUS_OK;
}

void accumulator_hurry(struct accumulator *self)
{
    list_for_each(link, &self->waiting)
    {
        batch_of(link)->is_urgent = true;
    }
}

bool accumulator_is_empty(const struct accumulator *self)
{
    return list_is_empty(&self->waiting) && list_is_empty(&self->in_flight);
}

/* ---- taking ---- */

int64_t accumulator_ready_ns(const struct accumulator *self)
{
    if (list_is_empty(&self->waiting) || self->needs_epoch || self->is_exhausted ||
        self->in_flight_count >= ACCUMULATOR_IN_FLIGHT_MAX) {
        return INT64_MAX;
    }
    if (self->again_count > 0) {
        /* One at a time, until all that has been out once is in the log. */
        return self->in_flight_count > 0 ? INT64_MAX : self->not_before_ns;
    }
    const struct accumulator_batch *first = batch_of(self->waiting.next);
    int64_t ready_ns = first->opened_ns;
    if (!first->is_urgent && self->waiting.previous == self->waiting.next) {
        ready_ns += self->options.linger_ns;
    }
    return ready_ns > self->not_before_ns ? ready_ns : self->not_before_ns;
}

static int32_t next_sequence(struct accumulator *self, const struct accumulator_batch *batch)
{
    int32_t sequence = self->next_sequence;
    self->next_sequence = (int32_t)(((uint32_t)sequence + batch->record_count) & INT32_MAX);
    return sequence;
}

static enum status seal(struct accumulator *self, struct accumulator_batch *batch)
{
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.codec = self->options.codec;
    finish.producer_id = self->producer_id;
    finish.producer_epoch = self->producer_epoch;
    finish.base_sequence = self->next_sequence;
    finish.is_transactional = self->options.is_transactional;
    TRY(batch_builder_finish(&batch->builder, &finish, self->options.compressor, &batch->view));
    batch->is_sealed = true;
    (void)next_sequence(self, batch);
    return STATUS_OK;
}

enum status accumulator_take(struct accumulator *self, struct accumulator_batch **out_batch)
{
    check(self->producer_id >= 0);
    check(!list_is_empty(&self->waiting));
    check(!self->needs_epoch);
    check(self->in_flight_count < ACCUMULATOR_IN_FLIGHT_MAX);
    struct accumulator_batch *batch = batch_of(self->waiting.next);
    if (!batch->is_sealed) {
        TRY(seal(self, batch));
    } else if (batch->producer_id != self->producer_id ||
               batch->producer_epoch != self->producer_epoch) {
        check(!batch->is_doubtful);
        batch_stamp_producer(batch->builder.bytes, self->producer_id, self->producer_epoch,
                             next_sequence(self, batch));
    }
    if (batch->attempt_count > 0) {
        self->again_count -= 1;
    }
    batch->producer_id = self->producer_id;
    batch->producer_epoch = self->producer_epoch;
    batch->attempt_count += 1;
    list_remove(&batch->in_line);
    list_append(&self->in_flight, &batch->in_line);
    self->in_flight_count += 1;
    *out_batch = batch;
    return STATUS_OK;
}

/* ---- answers ---- */

static bool is_earlier(const struct accumulator_batch *one, const struct accumulator_batch *other)
{
    /* Five batches at most are compared, so the distance tells even where sequences wrap. */
    uint32_t distance =
        (uint32_t)batch_base_sequence(&other->view) - (uint32_t)batch_base_sequence(&one->view);
    return (distance & INT32_MAX) < (1U << 30) && distance != 0;
}

void accumulator_give_back(struct accumulator *self, struct accumulator_batch *batch,
                           bool is_doubtful)
{
    check(self->in_flight_count > 0);
    check(batch->is_sealed);
    batch->is_doubtful |= is_doubtful;
    list_remove(&batch->in_line);
    self->in_flight_count -= 1;
    self->again_count += 1;
    struct list *place = self->waiting.next;
    while (place != &self->waiting && batch_of(place)->attempt_count > 0 &&
           is_earlier(batch_of(place), batch)) {
        place = place->next;
    }
    list_insert_before(place, &batch->in_line);
}

bool accumulator_is_oldest(const struct accumulator *self, const struct accumulator_batch *batch)
{
    list_for_each(link, &self->in_flight)
    {
        if (is_earlier(batch_of(link), batch)) {
            return false;
        }
    }
    if (list_is_empty(&self->waiting)) {
        return true;
    }
    const struct accumulator_batch *first = batch_of(self->waiting.next);
    return first == batch || first->attempt_count == 0 || !is_earlier(first, batch);
}

static bool is_in_flight(const struct accumulator *self, const struct accumulator_batch *batch)
{
    list_for_each(link, &self->in_flight)
    {
        if (batch_of(link) == batch) {
            return true;
        }
    }
    return false;
}

void accumulator_remove(struct accumulator *self, struct accumulator_batch *batch)
{
    if (is_in_flight(self, batch)) {
        self->in_flight_count -= 1;
    } else if (batch->attempt_count > 0) {
        self->again_count -= 1;
    }
    list_remove(&batch->in_line);
}

void accumulator_fail(struct accumulator *self, struct accumulator_batch *batch)
{
    if (batch->attempt_count > 0) {
        self->needs_epoch = true;
        self->has_doubt |= batch->is_doubtful;
    }
    accumulator_remove(self, batch);
}

void accumulator_renew(struct accumulator *self)
{
    self->needs_epoch = true;
}

struct accumulator_batch *accumulator_expired(struct accumulator *self, int64_t opened_before_ns)
{
    if (self->in_flight_count > 0 || list_is_empty(&self->waiting)) {
        return NULL;
    }
    struct accumulator_batch *first = batch_of(self->waiting.next);
    return first->opened_ns < opened_before_ns ? first : NULL;
}

void accumulator_settle(struct accumulator *self, struct list *out_failed)
{
    if (!self->needs_epoch || self->in_flight_count > 0) {
        return;
    }
    list_for_each_removable(link, &self->waiting)
    {
        struct accumulator_batch *batch = batch_of(link);
        if (self->has_doubt && batch->is_doubtful) {
            accumulator_remove(self, batch);
            list_append(out_failed, &batch->in_line);
        } else {
            batch->is_doubtful = false; /* What came before it is not in the log, nor is it. */
        }
    }
    self->needs_epoch = false;
    self->has_doubt = false;
    if (self->producer_epoch == INT16_MAX) {
        self->is_exhausted = true;
        return;
    }
    self->producer_epoch += 1;
    self->next_sequence = 0;
}

struct accumulator_batch *accumulator_first(struct accumulator *self)
{
    return list_is_empty(&self->waiting) ? NULL : batch_of(self->waiting.next);
}
