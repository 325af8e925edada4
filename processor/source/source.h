/* Partitions of one topic as rows: what is committed, in order, a few thousand records at a time.
 *
 * Fetched parts wait in order of arrival, up to `buffer_bytes_max`. source_seal() draws the line of
 * an epoch behind (some of) them, source_take() opens them slice by slice up to that line, and
 * fetching goes on behind it all the while. Positions move with what is taken; whatever a committed
 * reader does not see (aborted records, markers) moves them too, without a row.
 *
 * A bounded source asks for the ends first and is done when it has come there: everything that was
 * committed, or was being committed, when it was opened (an open transaction is waited for). So the
 * reading of progress and changelog is no special case.
 *
 * Owner: the task. Loop: the options'. Limits: the buffer; SOURCE_ROWS_MAX rows of a slice
 * and about SOURCE_SLICE_BYTES; SOURCE_BATCH_BYTES_MAX of one record batch when it is opened. */
#pragma once

#include "client/consumer_core.h"
#include "processor/row/row_batch.h"

#define SOURCE_ROWS_MAX 16384U
#define SOURCE_SLICE_BYTES ((size_t)2 << 20) /* The row that reaches it is the last one. */
#define SOURCE_BATCH_BYTES_MAX ((size_t)64 << 20)
#define SOURCE_PARTITIONS_MAX 10000U

struct source;

struct source_start {
    int32_t partition;
    struct consumer_start start;
    /* Bounded: the end lies there or behind; 0: anywhere. Who tells one before it is a leader that
     * the others went on without, or is behind: asked again, with fresh metadata. */
    int64_t end_min;
};

/* What is known of a partition. */
struct source_view {
    int32_t partition;
    int64_t next_offset;    /* Behind what was taken; -1: it has no position yet. */
    int64_t high_watermark; /* As last heard; -1: not yet, as the next. */
    int64_t stable_end;
    int64_t log_start;
    int64_t end_offset; /* Bounded: it is done there; -1: not known yet. */
    int64_t heard_ns;   /* When a broker last told its ends. */
    int64_t record_ns;  /* When bytes last came; before the first ones, when it was opened. */
    bool is_at_end;     /* All that is in the log, as last heard, was taken. */
    bool is_unwritten;  /* There was never a record. */
};

struct source_fault {
    int32_t partition;  /* -1: of all. */
    int64_t offset;     /* Where it stands; -1: nowhere yet. */
    enum status status; /* CORRUPT, MALFORMED, FULL …: this record batch; NOT_FOUND: no topic;
                         * FENCED: another topic than the options name. */
    int16_t error_code; /* The broker's; 0: none. */
};

struct source_options {
    struct loop *loop;
    const struct address *bootstrap; /* Copied. */
    uint32_t bootstrap_count;
    const char *client_id; /* Borrowed for life, as the topic. */
    const char *topic;
    struct wire_uuid topic_id;         /* Another topic of this name is a fault; zero: none is. */
    const struct source_start *starts; /* Copied. */
    uint32_t start_count;
    bool is_bounded;
    /* Bounded: begins so many offsets before the end instead of at the starts (0: at them), or
     * where the log begins. */
    int64_t back_count;
    size_t buffer_bytes_max;
    /* Of a slice; 0: SOURCE_ROWS_MAX and SOURCE_SLICE_BYTES, which it cannot exceed. */
    struct row_batch_room slice;
    size_t part_bytes_max; /* As fetched at once of a partition; 0: 1 MiB. */
    int64_t fetch_wait_ms;
    int64_t request_timeout_ms;
    /* Something new: parts, ends, positions. From the loop, never from inside a call. */
    void (*on_news)(void *context);
    void (*on_fault)(void *context, const struct source_fault *fault);
    void (*on_closed)(void *context);
    void *context;
};

/* A slice of one partition's records. All memory is the source's, until source_release(). */
struct source_rows {
    uint32_t row_count; /* Not 0. */
    size_t byte_count;  /* Of keys, values and headers. */
    struct row_origin origin;
};

MUST_USE enum status source_open(const struct source_options *options, struct source **out_source);
/* Then on_closed, and it is freed. */
void source_close(struct source *self);

/* Fetched and not sealed yet. */
size_t source_ready_bytes(const struct source *self);
/* Not all that was sealed was taken. */
bool source_has_sealed(const struct source *self);
/* What is ready now, in order, up to about `byte_count_max` (at least one part), may be taken. */
void source_seal(struct source *self, size_t byte_count_max);
/* The next slice; what was taken before must be released. NOT_FOUND: all that was sealed was taken.
 * NO_MEMORY. A part that cannot be read is a fault, told by on_fault in a later turn. */
MUST_USE enum status source_take(struct source *self, struct source_rows *out_rows);
/* Gives the slice's memory back. */
void source_release(struct source *self);

uint32_t source_partition_count(const struct source *self);
/* By place, as in the options' starts. Valid until the next call. */
const struct source_view *source_view(const struct source *self, uint32_t index);
/* Every partition has a position. */
bool source_is_placed(const struct source *self);
/* Bounded: all that was asked for was taken. */
bool source_is_done(const struct source *self);
