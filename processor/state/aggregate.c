#include "processor/state/aggregate.h"

#include "processor/state/group_table.h"
#include "proto/sys/check.h"

#include <math.h>
#include <string.h>

#define DOUBLE_EXACT_MAX (INT64_C(1) << 53)

__extension__ typedef unsigned __int128 wide;

enum status aggregate_check(const struct aggregate *self)
{
    bool is_number = self->argument_type == VALUE_INT || self->argument_type == VALUE_BIGINT ||
                     self->argument_type == VALUE_DOUBLE;
    switch (self->function) {
    case AGGREGATE_COUNT_STAR:
        return STATUS_OK;
    case AGGREGATE_SUM:
    case AGGREGATE_AVG:
        return is_number ? STATUS_OK : STATUS_INVALID;
    case AGGREGATE_COUNT:
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        return self->argument_type >= VALUE_BOOL && self->argument_type <= VALUE_INTERVAL
                   ? STATUS_OK
                   : STATUS_INVALID;
    }
    return STATUS_INVALID;
}

enum value_type aggregate_result_type(const struct aggregate *self)
{
    switch (self->function) {
    case AGGREGATE_COUNT_STAR:
    case AGGREGATE_COUNT:
        return VALUE_BIGINT;
    case AGGREGATE_SUM:
        return self->argument_type == VALUE_DOUBLE ? VALUE_DOUBLE : VALUE_BIGINT;
    case AGGREGATE_AVG:
        return VALUE_DOUBLE;
    case AGGREGATE_MIN:
    case AGGREGATE_MAX:
        return self->argument_type;
    }
    check_unreachable("an aggregate was checked when the plan was read");
}

static bool is_count(const struct aggregate *self)
{
    return self->function == AGGREGATE_COUNT_STAR || self->function == AGGREGATE_COUNT;
}

static bool is_sum(const struct aggregate *self)
{
    return self->function == AGGREGATE_SUM || self->function == AGGREGATE_AVG;
}

/* ---- order of values */

/* NaN above all, -0 below 0: a total order, so that the result does not depend on the rows'. */
static int compare_doubles(double left, double right)
{
    if (isnan(left) || isnan(right)) {
        return (isnan(left) ? 1 : 0) - (isnan(right) ? 1 : 0);
    }
    if (left == 0 && right == 0) {
        return (signbit(right) ? 1 : 0) - (signbit(left) ? 1 : 0);
    }
    return (left > right) - (left < right);
}

/* Days and microseconds within the day: no sum can overflow. */
static int compare_intervals(struct interval left, struct interval right)
{
    const int64_t day_us = INT64_C(86400000000);
    struct interval *both[2] = {&left, &right};
    int64_t days[2];
    int64_t micros[2];
    for (int i = 0; i < 2; i++) {
        micros[i] = both[i]->micros % day_us;
        days[i] = both[i]->micros / day_us + both[i]->days + (int64_t)both[i]->months * 30;
        if (micros[i] < 0) {
            micros[i] += day_us;
            days[i] -= 1;
        }
    }
    if (days[0] != days[1]) {
        return days[0] < days[1] ? -1 : 1;
    }
    if (micros[0] != micros[1]) {
        return micros[0] < micros[1] ? -1 : 1;
    }
    if (left.months != right.months) {
        return left.months < right.months ? -1 : 1;
    }
    return (left.days > right.days) - (left.days < right.days);
}

static int compare_texts(struct aggregate_text left, struct aggregate_text right)
{
    uint32_t shorter = left.byte_count < right.byte_count ? left.byte_count : right.byte_count;
    int order = shorter > 0 ? memcmp(left.bytes, right.bytes, shorter) : 0;
    if (order != 0) {
        return order;
    }
    return (left.byte_count > right.byte_count) - (left.byte_count < right.byte_count);
}

static int compare_values(enum value_type type, const struct aggregate_state *left,
                          const struct aggregate_state *right)
{
    switch (type) {
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        return (left->value.integer > right->value.integer) -
               (left->value.integer < right->value.integer);
    case VALUE_DOUBLE:
        return compare_doubles(left->value.real, right->value.real);
    case VALUE_INTERVAL:
        return compare_intervals(left->value.interval, right->value.interval);
    case VALUE_TEXT:
        return compare_texts(left->value.text, right->value.text);
    }
    check_unreachable("a value has a type");
}

/* ---- one state into another */

static void add_sum(struct aggregate_state *into, uint64_t low, int64_t high)
{
    uint64_t sum = into->value.sum.low + low;
    uint64_t carry = sum < low ? 1 : 0;
    into->value.sum.low = sum;
    into->value.sum.high = (int64_t)((uint64_t)into->value.sum.high + (uint64_t)high + carry);
}

/* A text that grows moves to a place of twice its size, so that not each change takes new bytes. */
static enum status set_text(struct aggregate_state *into, struct aggregate_text text,
                            struct arena *arena)
{
    uint32_t capacity = into->count > 0 ? into->value.text.capacity : 0;
    uint8_t *place = capacity > 0 ? (uint8_t *)(uintptr_t)into->value.text.bytes : NULL;
    if (capacity < text.byte_count || place == NULL) {
        uint64_t wanted = capacity == 0 ? text.byte_count : (uint64_t)text.byte_count * 2;
        capacity = wanted > UINT32_MAX ? text.byte_count : (uint32_t)wanted;
        capacity = capacity == 0 ? 1 : capacity;
        place = arena_take(arena, capacity);
        if (place == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    if (text.byte_count > 0) {
        memcpy(place, text.bytes, text.byte_count);
    }
    into->value.text = (struct aggregate_text){
        .bytes = place, .byte_count = text.byte_count, .capacity = capacity};
    return STATUS_OK;
}

static enum status merge_extreme(const struct aggregate *self, struct aggregate_state *into,
                                 const struct aggregate_state *from, struct arena *arena)
{
    if (into->count > 0) {
        int order = compare_values(self->argument_type, from, into);
        if (self->function == AGGREGATE_MIN ? order >= 0 : order <= 0) {
            return STATUS_OK;
        }
    }
    if (self->argument_type == VALUE_TEXT) {
        return set_text(into, from->value.text, arena);
    }
    into->value = from->value;
    return STATUS_OK;
}

enum status aggregate_merge(const struct aggregate *self, struct aggregate_state *into,
                            const struct aggregate_state *from, struct arena *arena)
{
    if (from->count == 0) {
        return STATUS_OK;
    }
    if (is_sum(self)) {
        if (self->argument_type == VALUE_DOUBLE) {
            into->value.real = (into->count > 0 ? into->value.real : 0) + from->value.real;
        } else {
            add_sum(into, from->value.sum.low, from->value.sum.high);
        }
    } else if (!is_count(self)) {
        TRY(merge_extreme(self, into, from, arena));
    }
    into->count += from->count;
    return STATUS_OK;
}

/* ---- rows, one loop per kind of value */

static inline struct aggregate_state *state_of_row(const struct aggregate_rows *rows, uint32_t row)
{
    struct group *group = rows->groups[row];
    bool is_in = group != NULL && (rows->keep == NULL || row_bits_get(rows->keep, row)) &&
                 (rows->argument == NULL || !column_is_null(rows->argument, row));
    return is_in ? &group->states[rows->index] : NULL;
}

static void take_counts(const struct aggregate_rows *rows)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct aggregate_state *state = state_of_row(rows, i);
        if (state != NULL) {
            state->count += 1;
        }
    }
}

static void take_sums(const struct aggregate_rows *rows)
{
    const struct column *argument = rows->argument;
    bool is_int = argument->type == VALUE_INT;
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct aggregate_state *state = state_of_row(rows, i);
        if (state != NULL) {
            int64_t value = is_int ? argument->values.ints[i] : argument->values.bigints[i];
            add_sum(state, (uint64_t)value, value >> 63);
            state->count += 1;
        }
    }
}

static void take_double_sums(const struct aggregate_rows *rows)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct aggregate_state *state = state_of_row(rows, i);
        if (state != NULL) {
            double earlier = state->count > 0 ? state->value.real : 0;
            state->value.real = earlier + rows->argument->values.doubles[i];
            state->count += 1;
        }
    }
}

static int64_t integer_at(const struct column *argument, uint32_t row)
{
    if (argument->type == VALUE_INT) {
        return argument->values.ints[row];
    }
    if (argument->type == VALUE_BOOL) {
        return column_bool(argument, row) ? 1 : 0;
    }
    return argument->values.bigints[row];
}

static void take_integer_extremes(const struct aggregate_rows *rows, bool is_max)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct aggregate_state *state = state_of_row(rows, i);
        if (state != NULL) {
            int64_t value = integer_at(rows->argument, i);
            bool is_better = is_max ? value > state->value.integer : value < state->value.integer;
            state->value.integer = state->count == 0 || is_better ? value : state->value.integer;
            state->count += 1;
        }
    }
}

static struct aggregate_state state_of_value(const struct column *argument, uint32_t row)
{
    struct aggregate_state state = {.count = 1};
    if (argument->type == VALUE_DOUBLE) {
        state.value.real = argument->values.doubles[row];
    } else if (argument->type == VALUE_INTERVAL) {
        state.value.interval = argument->values.intervals[row];
    } else {
        check(argument->type == VALUE_TEXT);
        struct column_text text = column_text(argument, row);
        state.value.text =
            (struct aggregate_text){.bytes = text.bytes, .byte_count = (uint32_t)text.byte_count};
    }
    return state;
}

static enum status take_extremes(const struct aggregate *self, const struct aggregate_rows *rows,
                                 struct arena *arena)
{
    for (uint32_t i = 0; i < rows->row_count; i++) {
        struct aggregate_state *state = state_of_row(rows, i);
        if (state != NULL) {
            struct aggregate_state one = state_of_value(rows->argument, i);
            TRY(aggregate_merge(self, state, &one, arena));
        }
    }
    return STATUS_OK;
}

enum status aggregate_take(const struct aggregate *self, const struct aggregate_rows *rows,
                           struct arena *arena)
{
    check((rows->argument == NULL) == (self->function == AGGREGATE_COUNT_STAR));
    check(rows->argument == NULL || rows->argument->type == self->argument_type);
    if (is_count(self)) {
        take_counts(rows);
        return STATUS_OK;
    }
    bool is_double = self->argument_type == VALUE_DOUBLE;
    if (is_sum(self) && !is_double) {
        take_sums(rows);
        return STATUS_OK;
    }
    if (is_sum(self)) {
        take_double_sums(rows);
        return STATUS_OK;
    }
    if (is_double || self->argument_type == VALUE_INTERVAL || self->argument_type == VALUE_TEXT) {
        return take_extremes(self, rows, arena);
    }
    take_integer_extremes(rows, self->function == AGGREGATE_MAX);
    return STATUS_OK;
}

/* ---- bytes */

static void encode_extreme(enum value_type type, const struct aggregate_state *state,
                           struct grow_buffer *buffer)
{
    switch (type) {
    case VALUE_BOOL:
        grow_buffer_put_uint8(buffer, state->value.integer != 0 ? 1 : 0);
        break;
    case VALUE_INT:
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        grow_buffer_put_varint(buffer, state->value.integer);
        break;
    case VALUE_DOUBLE:
        grow_buffer_put_double(buffer, state->value.real);
        break;
    case VALUE_INTERVAL:
        grow_buffer_put_uint32(buffer, (uint32_t)state->value.interval.months);
        grow_buffer_put_uint32(buffer, (uint32_t)state->value.interval.days);
        grow_buffer_put_int64(buffer, state->value.interval.micros);
        break;
    case VALUE_TEXT:
        grow_buffer_put_uvarint(buffer, state->value.text.byte_count);
        grow_buffer_put_raw(buffer, state->value.text.bytes, state->value.text.byte_count);
        break;
    }
}

void aggregate_encode(const struct aggregate *self, const struct aggregate_state *state,
                      struct grow_buffer *buffer)
{
    check(state->count >= 0);
    grow_buffer_put_uvarint(buffer, (uint64_t)state->count);
    if (state->count == 0 || is_count(self)) {
        return;
    }
    if (!is_sum(self)) {
        encode_extreme(self->argument_type, state, buffer);
    } else if (self->argument_type == VALUE_DOUBLE) {
        grow_buffer_put_double(buffer, state->value.real);
    } else {
        grow_buffer_put_int64(buffer, state->value.sum.high);
        grow_buffer_put_uint64(buffer, state->value.sum.low);
    }
}

static void decode_extreme(enum value_type type, struct wire_reader *reader,
                           struct aggregate_state *state)
{
    switch (type) {
    case VALUE_BOOL:
        state->value.integer = wire_read_bool(reader) ? 1 : 0;
        break;
    case VALUE_INT:
        state->value.integer = wire_read_varint64(reader);
        if (state->value.integer < INT32_MIN || state->value.integer > INT32_MAX) {
            wire_reader_fail(reader, STATUS_MALFORMED);
        }
        break;
    case VALUE_BIGINT:
    case VALUE_TIMESTAMPTZ:
        state->value.integer = wire_read_varint64(reader);
        break;
    case VALUE_DOUBLE:
        state->value.real = wire_read_float64(reader);
        break;
    case VALUE_INTERVAL:
        state->value.interval.months = wire_read_int32(reader);
        state->value.interval.days = wire_read_int32(reader);
        state->value.interval.micros = wire_read_int64(reader);
        break;
    case VALUE_TEXT:
        state->value.text.byte_count = wire_read_uvarint32(reader);
        state->value.text.bytes = wire_read_raw(reader, state->value.text.byte_count);
        state->value.text.capacity = 0;
        break;
    }
}

void aggregate_decode(const struct aggregate *self, struct wire_reader *reader,
                      struct aggregate_state *out_state)
{
    struct aggregate_state state = {0};
    uint64_t count = wire_read_uvarint64(reader);
    if (count > AGGREGATE_COUNT_MAX) {
        wire_reader_fail(reader, STATUS_MALFORMED);
    }
    if (wire_reader_status(reader) == STATUS_OK && count > 0) {
        state.count = (int64_t)count;
        if (is_sum(self) && self->argument_type == VALUE_DOUBLE) {
            state.value.real = wire_read_float64(reader);
        } else if (is_sum(self)) {
            state.value.sum.high = wire_read_int64(reader);
            state.value.sum.low = (uint64_t)wire_read_int64(reader);
        } else if (!is_count(self)) {
            decode_extreme(self->argument_type, reader, &state);
        }
    }
    *out_state = wire_reader_status(reader) == STATUS_OK ? state : (struct aggregate_state){0};
}

/* ---- results */

static bool sum_fits(const struct aggregate_state *state)
{
    return state->value.sum.high == (int64_t)state->value.sum.low >> 63;
}

/* The double next to the quotient. Dividing two doubles would round twice, for a sum beyond 2^53
 * was rounded before. */
static double divide(const struct aggregate_state *state)
{
    uint64_t count = (uint64_t)state->count;
    wide low = (wide)state->value.sum.low;
    wide sum = ((wide)(uint64_t)state->value.sum.high << 64) | low;
    bool is_negative = state->value.sum.high < 0;
    wide rest = is_negative ? 0 - sum : sum;
    if (rest == 0) {
        return 0;
    }
    /* The higher the dividend, the more bits the quotient has: 64 here, where 55 will do. */
    int shift = 0;
    while (rest >> 127 == 0) {
        rest <<= 1;
        shift += 1;
    }
    wide quotient = rest / count;
    quotient |= rest % count != 0; /* More than half stays more than half. */
    double mean = ldexp((double)quotient, -shift);
    return is_negative ? -mean : mean;
}

static double mean_of(const struct aggregate *self, const struct aggregate_state *state)
{
    if (self->argument_type == VALUE_DOUBLE) {
        return state->value.real / (double)state->count;
    }
    int64_t sum = (int64_t)state->value.sum.low;
    bool is_exact = sum_fits(state) && sum <= DOUBLE_EXACT_MAX && sum >= -DOUBLE_EXACT_MAX &&
                    state->count <= DOUBLE_EXACT_MAX;
    return is_exact ? (double)sum / (double)state->count : divide(state);
}

/* Of a state that has a value, for every type but text. */
static bool put_result(const struct aggregate *self, const struct aggregate_state *state,
                       struct column *column, uint32_t row)
{
    if (is_count(self)) {
        column->values.bigints[row] = state->count;
    } else if (self->function == AGGREGATE_AVG) {
        column->values.doubles[row] = mean_of(self, state);
    } else if (column->type == VALUE_DOUBLE) {
        column->values.doubles[row] = state->value.real;
    } else if (self->function == AGGREGATE_SUM) {
        column->values.bigints[row] = (int64_t)state->value.sum.low;
        return sum_fits(state);
    } else if (column->type == VALUE_INTERVAL) {
        column->values.intervals[row] = state->value.interval;
    } else if (column->type == VALUE_INT) {
        column->values.ints[row] = (int32_t)state->value.integer;
    } else if (column->type != VALUE_BOOL) {
        column->values.bigints[row] = state->value.integer;
    } else if (state->value.integer != 0) {
        row_bits_set(column->values.bools, row);
    }
    return true;
}

static enum status take_text_room(const struct aggregate_rows *groups, struct arena *arena,
                                  struct column *column)
{
    uint64_t byte_count = 0;
    for (uint32_t i = 0; i < groups->row_count; i++) {
        const struct aggregate_state *state = &groups->groups[i]->states[groups->index];
        byte_count += state->count > 0 ? state->value.text.byte_count : 0;
    }
    if (byte_count > INT32_MAX) {
        return STATUS_FULL;
    }
    column->text_bytes = arena_take(arena, (size_t)byte_count);
    return column->text_bytes == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

static void put_text(const struct aggregate_state *state, struct column *column, uint32_t row)
{
    int32_t start = column->values.text_ends[row];
    uint32_t byte_count = state->count > 0 ? state->value.text.byte_count : 0;
    if (byte_count > 0) {
        memcpy(column->text_bytes + start, state->value.text.bytes, byte_count);
    }
    column->values.text_ends[row + 1] = start + (int32_t)byte_count;
}

enum status aggregate_result(const struct aggregate *self, const struct aggregate_rows *groups,
                             struct arena *arena, uint8_t *misfits, struct column *out_column)
{
    struct column column;
    TRY(column_init(&column, aggregate_result_type(self), groups->row_count, arena));
    if (column.type == VALUE_TEXT) {
        TRY(take_text_room(groups, arena, &column));
    }
    for (uint32_t i = 0; i < groups->row_count; i++) {
        const struct aggregate_state *state = &groups->groups[i]->states[groups->index];
        bool is_null = state->count == 0 && !is_count(self);
        if (column.type == VALUE_TEXT) {
            put_text(state, &column, i);
        } else if (!is_null && !put_result(self, state, &column, i)) {
            row_bits_set(misfits, i);
            is_null = true;
        }
        if (is_null) {
            TRY(column_set_null(&column, i, arena));
        }
    }
    *out_column = column;
    return STATUS_OK;
}
