/* Aggregates: the partial state of each in a group, taken up row by row, merged, told.
 *
 * Sums and means of integers are exact in 128 bits, so that neither order nor cutting changes them;
 * only the result must fit its type. Doubles are added in the order of the rows. Null is passed
 * over; over no value all but counts are null. Minimum and maximum: NaN above all, -0 below 0, text
 * by its bytes, intervals by their length (a month is 30 days) and then by representation.
 *
 * Encoded state (big endian; it stands in changelogs and routes and never changes):
 *
 *   uvarint64  count of values
 *   then, unless it is 0 or the aggregate is a count:
 *     sum, avg of int and bigint   16 bytes, two's complement
 *     sum, avg of double           8
 *     min, max: bool 1; int, bigint, timestamptz varint64 (zigzag); double 8;
 *               interval 4 months, 4 days, 8 micros; text uvarint32 byte count, bytes
 *
 * Owner: the group that holds the state. Loop: its. */
#pragma once

#include "processor/row/column.h"
#include "processor/state/grow_buffer.h"

/* Of values in what is decoded: no number of merges brings a count near its end. */
#define AGGREGATE_COUNT_MAX ((uint64_t)1 << 48)

/* The numbers are those of plan.proto. */
enum aggregate_function {
    AGGREGATE_COUNT_STAR = 1,
    AGGREGATE_COUNT = 2,
    AGGREGATE_SUM = 3,
    AGGREGATE_AVG = 4,
    AGGREGATE_MIN = 5,
    AGGREGATE_MAX = 6,
};

struct aggregate {
    enum aggregate_function function;
    enum value_type argument_type; /* Of count(*): not looked at. */
};

struct aggregate_text {
    const uint8_t *bytes; /* In the arena of the group, or borrowed when `capacity` is 0. */
    uint32_t byte_count;
    uint32_t capacity;
};

struct aggregate_state {
    int64_t count; /* Of values; 0: `value` is not defined. */
    union {
        struct {
            uint64_t low;
            int64_t high;
        } sum;
        double real;
        int64_t integer; /* Also bool and timestamps. */
        struct interval interval;
        struct aggregate_text text;
    } value;
};

struct group;

/* INVALID: there is no such aggregate. */
MUST_USE enum status aggregate_check(const struct aggregate *self);
enum value_type aggregate_result_type(const struct aggregate *self);

/* Takes up the rows of a batch: row i into state `index` of groups[i] (NULL: into none), if its bit
 * in `keep` (NULL: all) is set. `argument` is NULL for count(*). Texts are copied to `arena`.
 * NO_MEMORY: the arena. */
struct aggregate_rows {
    const struct column *argument;
    struct group *const *groups;
    const uint8_t *keep;
    uint32_t row_count;
    uint32_t index;
};
MUST_USE enum status aggregate_take(const struct aggregate *self, const struct aggregate_rows *rows,
                                    struct arena *arena);
MUST_USE enum status aggregate_merge(const struct aggregate *self, struct aggregate_state *into,
                                     const struct aggregate_state *from, struct arena *arena);
void aggregate_encode(const struct aggregate *self, const struct aggregate_state *state,
                      struct grow_buffer *buffer);
/* Failures stick in the reader; text is borrowed from its input. */
void aggregate_decode(const struct aggregate *self, struct wire_reader *reader,
                      struct aggregate_state *out_state);
/* The results of all groups as a column. A sum beyond bigint is null and its bit in `misfits` is
 * set. NO_MEMORY: the arena; FULL: more text than a column holds. */
MUST_USE enum status aggregate_result(const struct aggregate *self,
                                      const struct aggregate_rows *groups, struct arena *arena,
                                      uint8_t *misfits, struct column *out_column);
