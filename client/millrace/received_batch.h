/* One partition's part of a fetch answer, opened: an array of records for the application.
 *
 * Opening runs on the application's thread; the loop has no part in it. Records point into the
 * answer's memory or into what was decompressed, which both live as long as the batch.
 *
 * Owner: the application. Loop: any thread, one at a time. Limits: RECEIVED_BATCH_BYTES_MAX of one
 * compressed batch when it is opened. */
#pragma once

#include "client/client.h"
#include "client/consumer_core.h"

#define RECEIVED_BATCH_BYTES_MAX ((size_t)256 << 20)

struct millrace_batch {
    struct fetch_memory *memory; /* Counted. */
    char *topic;                 /* Owned. */
    size_t topic_bytes;
    int32_t partition;
    int64_t next_offset;
    struct millrace_received *records; /* Owned. */
    size_t record_count;
    size_t record_room;
    struct millrace_header *headers; /* Owned. */
    size_t header_count;
    size_t header_room;
    struct decompressor_output *outputs; /* Owned. */
    size_t output_count;
    size_t output_room;
};

/* Takes the memory out of `fetched`, and says in it how far the walk came and what ended it, for
 * consumer_core_give_back(). NO_MEMORY: nothing was done. */
MUST_USE enum status received_batch_open(struct consumer_fetched *fetched,
                                         struct decompressor *decompressor,
                                         struct millrace_batch **out_batch);
