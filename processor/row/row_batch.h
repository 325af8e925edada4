/* Rows that travel together: columns, and what is known of each row besides.
 *
 * Rows of a source come from one partition and keep their origin: offset, times, and the record's
 * own bytes, so that a late or unfit one can be told and passed on unchanged. Rows that an
 * aggregation made carry the columns of their key apart from what is projected, the greatest times
 * of their inputs, and the time of their record. All memory is the arena's: a batch is used within
 * one turn and dropped as a whole.
 *
 * Owner: who made it. Loop: its. Limits: ROW_BATCH_ROWS_MAX. */
#pragma once

#include "processor/row/column.h"
#include "proto/wire/reader.h"

#define ROW_BATCH_ROWS_MAX 65536U

/* What a row does to the result that it belongs to (only INSERT leaves in append mode). */
enum row_kind { ROW_INSERT = 0, ROW_UPDATE_BEFORE = 1, ROW_UPDATE_AFTER = 2, ROW_DELETE = 3 };

/* Of the records that rows were made of; each array has a place per row. */
struct row_origin {
    int32_t partition;
    int64_t *offsets;
    int64_t *created_ms;
    int64_t *ingested_ms; /* -1: not told. */
    struct wire_bytes *keys;
    struct wire_bytes *values; /* Live as long as the fetched bytes. */
    const uint8_t **headers;   /* Raw, with their counts and ends, for passing on. */
    const uint8_t **headers_ends;
    int32_t *header_counts;
};

struct row_batch {
    struct arena *arena; /* Borrowed. */
    uint32_t row_count;
    uint32_t column_count;
    struct column *columns;
    uint8_t *kinds;            /* enum row_kind; NULL: all INSERT. */
    struct row_origin *origin; /* NULL: not of a source. */
    /* Of rows that an aggregation made, else NULL. */
    struct column *key_columns; /* Grouping columns without the window. */
    uint32_t key_column_count;
    int64_t *created_max_ms; /* -1: not known, as the next. */
    int64_t *ingested_max_ms;
    int64_t *record_time_ms; /* The window's end; without a window created_max_ms. */
};

/* How large a batch may be of which many columns are made. */
struct row_batch_room {
    uint32_t row_count;
    size_t byte_count; /* Of texts, or of the records that the rows are made of. */
};

/* For `column_count` columns at a time, so that they take about 192 MiB when each has a value of 16
 * bytes per row and all bytes of text: not above `most`, and a row at least. */
struct row_batch_room row_batch_room_of(uint64_t column_count, struct row_batch_room most);
/* Rows for which `keep` (a bit per row) is set, in order. NO_MEMORY: the arena. */
MUST_USE enum status row_batch_select(const struct row_batch *self, const uint8_t *keep,
                                      struct arena *arena, struct row_batch *out_batch);
/* Rows `rows[0 .. row_count)`, in that order. NO_MEMORY: the arena. */
MUST_USE enum status row_batch_gather(const struct row_batch *self, const uint32_t *rows,
                                      uint32_t row_count, struct arena *arena,
                                      struct row_batch *out_batch);
