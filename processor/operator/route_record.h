/* Records of a route: what tasks of one stage send to the groups of the next.
 *
 *   value  1 version: 1, then entries to the end, each
 *     1 kind
 *       1 group   8 window start (us, INT64_MIN: none) · uvarint32 n · n encoded key (group_key.h)
 *                 · partial results (state_codec.h) of any number of rows
 *       2 row     the same of one row, then the record that it came from:
 *                 4 partition · 8 offset · 8 timestamp (ms) · uvarint32 n + 1 · n key (0: null)
 *                 · uvarint32 n + 1 · n value (0: null) · uvarint32 header count
 *                 · uvarint32 n · n headers as in the record
 *       3 mark    4 source partition · 1 state (MarkState) · 8 mark (us, INT64_MIN: none)
 *
 * Entries are applied in order: what stands behind a mark comes after it. All of one epoch come in
 * one transaction. A group lies in the partition of its bucket; marks lie in all.
 *
 * Owner: the operator at either end. Loop: its. Limits: records are closed at ROUTE_RECORD_BYTES;
 * only one whose single entry is larger is longer. Golden bytes:
 * tests/unit/processor/operator/test_route_record.c. */
#pragma once

#include "processor/operator/chain.h"
#include "processor/state/state_codec.h"
#include "processor/time/watermark.h"

#define ROUTE_RECORD_BYTES ((size_t)64 << 10)

enum route_record_kind { ROUTE_RECORD_GROUP = 1, ROUTE_RECORD_ROW = 2, ROUTE_RECORD_MARK = 3 };

struct route_record_writer {
    const struct state_codec *codec; /* Borrowed for life. */
    struct grow_buffer *buffers;     /* Owned; one per partition of the route. */
    uint32_t partition_count;
    enum status (*on_record)(void *context, uint32_t partition, struct wire_bytes value);
    void *context;
};

/* On failure `self` may still be passed to route_record_writer_done(). */
MUST_USE enum status route_record_writer_init(struct route_record_writer *self,
                                              const struct state_codec *codec,
                                              uint32_t partition_count);
void route_record_writer_done(struct route_record_writer *self);
/* Failures are NO_MEMORY, FULL (one row of a gigabyte) and what on_record returned. */
MUST_USE enum status route_record_put_group(struct route_record_writer *self,
                                            const struct group *group);
MUST_USE enum status route_record_put_row(struct route_record_writer *self,
                                          const struct group *group, const struct late_row *origin);
MUST_USE enum status route_record_put_mark(struct route_record_writer *self, int32_t partition,
                                           struct watermark_mark mark);
/* Hands out what is left. */
MUST_USE enum status route_record_flush(struct route_record_writer *self);

struct route_record_entry {
    enum route_record_kind kind;
    struct group *group;    /* The codec's, until the next call; NULL for a mark. */
    struct late_row origin; /* Of a row; borrowed from the record. */
    int32_t mark_partition;
    struct watermark_mark mark;
};

/* CORRUPT: it has no head; UNSUPPORTED: a newer version. */
MUST_USE enum status route_record_open(struct wire_reader *reader, struct wire_bytes value);
/* NOT_FOUND: there are no more entries. CORRUPT: it breaks the format; UNSUPPORTED: a kind that is
 * not known here. */
MUST_USE enum status route_record_next(struct wire_reader *reader, struct state_codec *codec,
                                       struct route_record_entry *out_entry);
