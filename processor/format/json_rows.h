/* JSON records to columns, only the columns that a job needs; and rows to JSON.
 *
 * Reading goes straight from bytes into typed columns. It learns the order of keys and the shape of
 * a topic's records and checks rather than searches; whatever does not fit what was learnt takes an
 * exact parser, with the same result. A record is a misfit when it is not one JSON object, a column
 * has a value of another type (a number with a fraction for an int, a string that is no RFC 3339
 * time for a timestamptz …), is beyond its type's range, or is missing or null where NOT NULL is
 * declared. Members that are not asked for are checked for JSON's grammar only. Numbers count by
 * their value: 1e5 and 7.0 are whole. Of a key that comes twice the last one counts, as in Spark.
 *
 * Owner: the source's task. Loop: its. Limits: JSON_DEPTH_MAX levels of nesting. */
#pragma once

#include "processor/row/row_batch.h"

#define JSON_DEPTH_MAX 64U
#define JSON_REASON_BYTES_MAX 160U

struct json_column {
    const char *name; /* Borrowed for life. */
    enum value_type type;
    bool is_not_null;
};

struct json_reader;

MUST_USE enum status json_reader_new(const struct json_column *columns, uint32_t column_count,
                                     struct json_reader **out_reader);
void json_reader_free(struct json_reader *self); /* Accepts NULL. */
/* `values` are the records' bytes; columns come in the order given to _new. Of a misfit all columns
 * are null and its bit in `misfits` is set. NO_MEMORY: the arena. */
MUST_USE enum status json_reader_read(struct json_reader *self, const struct wire_bytes *values,
                                      uint32_t row_count, struct arena *arena, uint8_t *misfits,
                                      struct column *out_columns);
/* Why one record is a misfit: a sentence fragment with column and value, NUL-terminated. */
void json_reader_explain(struct json_reader *self, struct wire_bytes value,
                         char out_reason[static JSON_REASON_BYTES_MAX]);
/* On when made. Off, every key is searched: the same results, for measuring and for proving it. */
void json_reader_set_learning(struct json_reader *self, bool is_learning);

struct json_reader_stats {
    uint64_t rows;
    uint64_t misfits;
    uint64_t members_searched; /* Keys that were not where they were guessed. */
};

struct json_reader_stats json_reader_stats(const struct json_reader *self);

/* Appends row `row` as one object, columns in order; FULL: `capacity` is too small (then try with
 * more; nothing is promised of the bytes). Doubles are the shortest text that reads back,
 * timestamps RFC 3339 in UTC with a fraction only where it is not zero; NaN and infinities are
 * null, JSON has no word for them. */
MUST_USE enum status json_row_write(const struct column *columns, const char *const *names,
                                    uint32_t column_count, uint32_t row, uint8_t *bytes,
                                    size_t capacity, size_t *out_byte_count);
/* The same as an array, without names: the key of an aggregated record. */
MUST_USE enum status json_array_write(const struct column *columns, uint32_t column_count,
                                      uint32_t row, uint8_t *bytes, size_t capacity,
                                      size_t *out_byte_count);
