#include "processor/operator/partial_aggregation.h"

#include "processor/state/group_key.h"
#include "processor/time/window.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

static enum status init_exprs(struct partial_aggregation *self, const enum value_type *inputs,
                              uint32_t input_count)
{
    const Millrace__Plan__Aggregation *plan = self->aggregation.plan;
    if (self->aggregation.has_window) {
        TRY(expr_new(plan->time, inputs, input_count, &self->time));
        if (expr_type(self->time) != VALUE_TIMESTAMPTZ) {
            return STATUS_INVALID;
        }
    }
    for (size_t i = 0; i < plan->n_keys; i++) {
        TRY(expr_new(plan->keys[i], inputs, input_count, &self->keys[i]));
    }
    for (size_t i = 0; i < plan->n_calls; i++) {
        const Millrace__Plan__AggregateCall *call = plan->calls[i];
        if (call->argument != NULL) {
            TRY(expr_new(call->argument, inputs, input_count, &self->calls[i].argument));
        }
        if (call->filter != NULL) {
            TRY(expr_new(call->filter, inputs, input_count, &self->calls[i].filter));
            if (expr_type(self->calls[i].filter) != VALUE_BOOL) {
                return STATUS_INVALID;
            }
        }
    }
    return STATUS_OK;
}

enum status partial_aggregation_init(struct partial_aggregation *self, uint32_t operator_id,
                                     const Millrace__Plan__Aggregation *plan,
                                     const enum value_type *inputs, uint32_t input_count)
{
    *self = (struct partial_aggregation){0};
    TRY(aggregation_init(&self->aggregation, operator_id, plan));
    self->keys = calloc(plan->n_keys + 1, sizeof *self->keys);
    self->calls = calloc(plan->n_calls + 1, sizeof *self->calls);
    if (self->keys == NULL || self->calls == NULL) {
        return STATUS_NO_MEMORY;
    }
    group_table_init(&self->groups, self->aggregation.codec.aggregate_count,
                     CHAIN_SCRATCH_BYTES_MAX);
    return init_exprs(self, inputs, input_count);
}

void partial_aggregation_done(struct partial_aggregation *self)
{
    for (uint32_t i = 0; self->keys != NULL && i < self->aggregation.codec.key_count; i++) {
        expr_free(self->keys[i]);
    }
    for (uint32_t i = 0; self->calls != NULL && i < self->aggregation.codec.aggregate_count; i++) {
        expr_free(self->calls[i].argument);
        expr_free(self->calls[i].filter);
    }
    expr_free(self->time);
    free(self->keys);
    free(self->calls);
    free(self->sorted);
    group_table_done(&self->groups);
    aggregation_done(&self->aggregation);
    *self = (struct partial_aggregation){0};
}

static uint64_t columns_of(const struct expr *expr)
{
    return expr == NULL ? 0 : expr_step_count(expr);
}

uint64_t partial_aggregation_column_count(const struct partial_aggregation *self)
{
    const struct state_codec *codec = &self->aggregation.codec;
    uint64_t count = columns_of(self->time);
    for (uint32_t i = 0; i < codec->key_count; i++) {
        count += columns_of(self->keys[i]) + 2; /* Encoded, and kept. */
    }
    for (uint32_t i = 0; i < codec->aggregate_count; i++) {
        count += columns_of(self->calls[i].argument) + columns_of(self->calls[i].filter) + 1;
    }
    return count;
}

/* ---- one batch: evaluate all, leave misfits out, find groups, take up columns */

struct batch_values {
    struct column time;
    struct column *keys;
    struct column *arguments;
    uint8_t **keeps; /* Per call; NULL: all rows. */
    int64_t *window_starts;
    struct group_keys encoded;
    struct group **groups;
    uint8_t *misfits;
};

static enum status values_take_room(const struct partial_aggregation *self,
                                    const struct row_batch *rows, struct batch_values *values)
{
    const struct state_codec *codec = &self->aggregation.codec;
    struct arena *arena = rows->arena;
    values->keys = arena_take_array(arena, codec->key_count, sizeof *values->keys);
    values->arguments = arena_take_array(arena, codec->aggregate_count, sizeof(struct column));
    values->keeps = arena_take_array(arena, codec->aggregate_count, sizeof(uint8_t *));
    values->window_starts = arena_take(arena, rows->row_count * sizeof(int64_t));
    values->groups = arena_take_array(arena, rows->row_count, sizeof(struct group *));
    values->misfits = arena_take_array(arena, row_bits_byte_count(rows->row_count), 1);
    bool has_room = values->keys != NULL && values->arguments != NULL && values->keeps != NULL &&
                    values->window_starts != NULL && values->groups != NULL &&
                    values->misfits != NULL;
    return has_room ? STATUS_OK : STATUS_NO_MEMORY;
}

/* An argument's failure counts only for rows that the call's filter lets pass. */
static enum status evaluate_call(const struct partial_call *call, const struct row_batch *rows,
                                 struct batch_values *values, size_t index)
{
    size_t byte_count = row_bits_byte_count(rows->row_count);
    uint8_t *unfit = values->misfits;
    if (call->filter != NULL) {
        struct column passes;
        TRY(expr_evaluate(call->filter, rows, rows->arena, values->misfits, &passes));
        uint8_t *keep = arena_take(rows->arena, byte_count);
        unfit = arena_take_array(rows->arena, byte_count, 1);
        if (keep == NULL || unfit == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (size_t i = 0; i < byte_count; i++) {
            uint8_t valid = passes.validity == NULL ? 0xff : passes.validity[i];
            keep[i] = passes.values.bools[i] & valid;
        }
        values->keeps[index] = keep;
    }
    if (call->argument != NULL) {
        TRY(expr_evaluate(call->argument, rows, rows->arena, unfit, &values->arguments[index]));
    }
    for (size_t i = 0; call->filter != NULL && i < byte_count; i++) {
        values->misfits[i] = (uint8_t)(values->misfits[i] | (unfit[i] & values->keeps[index][i]));
    }
    return STATUS_OK;
}

static enum status evaluate_all(const struct partial_aggregation *self,
                                const struct row_batch *rows, struct batch_values *values)
{
    const struct state_codec *codec = &self->aggregation.codec;
    for (uint32_t i = 0; i < codec->key_count; i++) {
        TRY(expr_evaluate(self->keys[i], rows, rows->arena, values->misfits, &values->keys[i]));
    }
    for (uint32_t i = 0; i < codec->aggregate_count; i++) {
        TRY(evaluate_call(&self->calls[i], rows, values, i));
    }
    return STATUS_OK;
}

static enum status evaluate_windows(const struct partial_aggregation *self,
                                    const struct row_batch *rows, struct batch_values *values,
                                    uint8_t *untimed)
{
    if (self->time == NULL) {
        for (uint32_t i = 0; i < rows->row_count; i++) {
            values->window_starts[i] = GROUP_TABLE_NO_WINDOW;
        }
        return STATUS_OK;
    }
    TRY(expr_evaluate(self->time, rows, rows->arena, untimed, &values->time));
    window_tumble(values->time.values.bigints, rows->row_count, self->aggregation.size_us,
                  values->window_starts, untimed);
    for (uint32_t i = 0; values->time.validity != NULL && i < rows->row_count; i++) {
        if (column_is_null(&values->time, i)) {
            row_bits_set(untimed, i);
        }
    }
    return STATUS_OK;
}

static enum status tell_misfits(const struct row_batch *rows, const uint8_t *misfits,
                                const char *reason, struct row_steps_report *report)
{
    if (!row_bits_any(misfits, rows->row_count)) {
        return STATUS_OK;
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (row_bits_get(misfits, i)) {
            TRY(report->on_misfit(report->context, rows, i, reason));
        }
    }
    return STATUS_OK;
}

/* Values of all rows; those that have none are told and keep their bit in `misfits`. */
static enum status evaluate(const struct partial_aggregation *self, const struct row_batch *rows,
                            struct row_steps_report *report, struct batch_values *values)
{
    TRY(values_take_room(self, rows, values));
    size_t byte_count = row_bits_byte_count(rows->row_count);
    uint8_t *untimed = arena_take_array(rows->arena, byte_count, 1);
    if (untimed == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(evaluate_windows(self, rows, values, untimed));
    TRY(evaluate_all(self, rows, values));
    for (size_t i = 0; i < byte_count; i++) {
        values->misfits[i] = (uint8_t)(values->misfits[i] & ~untimed[i]); /* Told once. */
    }
    TRY(tell_misfits(rows, untimed, "the event time is null or in no window", report));
    TRY(tell_misfits(rows, values->misfits, "an aggregate's or a key's expression has no value",
                     report));
    for (size_t i = 0; i < byte_count; i++) {
        values->misfits[i] = (uint8_t)(values->misfits[i] | untimed[i]);
    }
    return group_key_encode(values->keys, self->aggregation.codec.key_count, rows->row_count,
                            rows->arena, &values->encoded);
}

static int64_t later(int64_t left, int64_t right)
{
    return left > right ? left : right;
}

/* Each row gets its group, `alone` those that travel by themselves. */
static enum status find_groups(struct partial_aggregation *self, const struct row_batch *rows,
                               int64_t bound_us, struct batch_values *values, uint8_t *alone)
{
    const struct aggregation *aggregation = &self->aggregation;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (row_bits_get(values->misfits, i)) {
            continue;
        }
        uint32_t start = values->encoded.ends[i];
        struct wire_bytes key = {.bytes = values->encoded.bytes + start,
                                 .byte_count = (int32_t)(values->encoded.ends[i + 1] - start)};
        int64_t window_start = values->window_starts[i];
        uint64_t hash = values->encoded.hashes[i];
        if (aggregation_is_over(aggregation, window_start, bound_us)) {
            row_bits_set(alone, i);
            values->groups[i] = group_table_make_loose(aggregation->codec.aggregate_count,
                                                       window_start, hash, key, rows->arena);
            if (values->groups[i] == NULL) {
                return STATUS_NO_MEMORY;
            }
        } else {
            TRY(group_table_find_or_add(&self->groups, window_start, hash, key,
                                        &values->groups[i]));
        }
        struct group *group = values->groups[i];
        group->input_count += 1;
        group->created_max_ms = later(group->created_max_ms, rows->origin->created_ms[i]);
        group->ingested_max_ms = later(group->ingested_max_ms, rows->origin->ingested_ms[i]);
    }
    return STATUS_OK;
}

static struct late_row origin_of_row(const struct row_batch *rows, uint32_t row)
{
    const struct row_origin *origin = rows->origin;
    return (struct late_row){.key = origin->keys[row],
                             .value = origin->values[row],
                             .timestamp_ms = origin->created_ms[row],
                             .partition = origin->partition,
                             .offset = origin->offsets[row],
                             .headers = origin->headers[row],
                             .headers_end = origin->headers_ends[row],
                             .header_count = origin->header_counts[row]};
}

enum status partial_aggregation_push(struct partial_aggregation *self, const struct row_batch *rows,
                                     int64_t bound_us, struct row_steps_report *report,
                                     struct route_record_writer *writer)
{
    check(rows->origin != NULL);
    if (group_table_bytes(&self->groups) > PARTIAL_AGGREGATION_BYTES) {
        TRY(partial_aggregation_flush(self, writer));
    }
    struct batch_values values = {0};
    TRY(evaluate(self, rows, report, &values));
    uint8_t *alone = arena_take_array(rows->arena, row_bits_byte_count(rows->row_count), 1);
    if (alone == NULL) {
        return STATUS_NO_MEMORY;
    }
    TRY(find_groups(self, rows, bound_us, &values, alone));
    const struct state_codec *codec = &self->aggregation.codec;
    for (uint32_t i = 0; i < codec->aggregate_count; i++) {
        bool has_argument = self->calls[i].argument != NULL;
        struct aggregate_rows taken = {.argument = has_argument ? &values.arguments[i] : NULL,
                                       .groups = values.groups,
                                       .keep = values.keeps[i],
                                       .row_count = rows->row_count,
                                       .index = i};
        TRY(aggregate_take(&codec->aggregates[i], &taken, &self->groups.arena));
    }
    for (uint32_t i = 0; i < rows->row_count; i++) {
        if (row_bits_get(alone, i)) {
            struct late_row record = origin_of_row(rows, i);
            TRY(route_record_put_row(writer, values.groups[i], &record));
        }
    }
    return STATUS_OK;
}

enum status partial_aggregation_flush(struct partial_aggregation *self,
                                      struct route_record_writer *writer)
{
    uint32_t count = self->groups.group_count;
    if (count > self->sorted_capacity) {
        free(self->sorted);
        self->sorted_capacity = 0;
        self->sorted = calloc(count, sizeof(struct group *));
        if (self->sorted == NULL) {
            return STATUS_NO_MEMORY;
        }
        self->sorted_capacity = count;
    }
    /* In order, so that the same rows make the same bytes. */
    if (count > 0) {
        group_table_list(&self->groups, self->sorted);
        group_table_sort(self->sorted, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        TRY(route_record_put_group(writer, self->sorted[i]));
    }
    group_table_reset(&self->groups);
    return STATUS_OK;
}
