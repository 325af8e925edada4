/* Goal: what a broker answers a Fetch with, however hostile, is walked within its bytes, and shows
 * only offsets at or behind the position, never a batch twice, never beyond next_offset.
 * Method: the first bytes choose position, isolation and the aborted list, the rest is the records.
 * Checksums are put right, since no changed input would pass them otherwise. */
#include "client/fetch_walk.h"
#include "proto/sys/check.h"
#include "tests/rig/batch_seal.h"

#include <stdlib.h>
#include <string.h>

#define ABORTED_MAX 8U
#define HEAD_BYTES (2 + ABORTED_MAX * 2)
#define OUTPUT_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void seal_all(uint8_t *records, size_t byte_count)
{
    size_t position = 0;
    uint32_t batch_bytes = 0;
    while (batch_measure(records + position, byte_count - position, &batch_bytes) == STATUS_OK &&
           batch_bytes <= byte_count - position) {
        batch_seal(records + position, batch_bytes);
        position += batch_bytes;
    }
}

static void walk_all(const struct fetch_walk_source *source)
{
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, OUTPUT_BYTES_MAX);
    struct fetch_walk walk;
    fetch_walk_init(&walk, source);
    int64_t before = walk.next_offset;
    size_t batch_count = 0;
    while (fetch_walk_batch(&walk, &decompressor, &output) == STATUS_OK) {
        check(walk.next_offset >= before);
        check(!batch_is_control(&walk.batch));
        check(++batch_count <= source->byte_count / BATCH_HEADER_BYTES);
        before = walk.next_offset;
        struct record record;
        while (fetch_walk_record(&walk, &record) == STATUS_OK) {
            check(record.offset >= source->position);
            struct record_header header;
            record_header_init(&header, &record);
            while (record_header_next(&header)) {
                check(header.key.byte_count >= 0);
            }
        }
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < HEAD_BYTES) {
        return 0;
    }
    struct fetch_walk_aborted aborted[ABORTED_MAX];
    for (uint32_t i = 0; i < ABORTED_MAX; i++) {
        aborted[i] = (struct fetch_walk_aborted){.producer_id = bytes[2 + 2 * i],
                                                 .first_offset = bytes[3 + 2 * i]};
    }
    size_t record_bytes = byte_count - HEAD_BYTES;
    uint8_t *records = malloc(record_bytes + 1);
    check(records != NULL);
    memcpy(records, bytes + HEAD_BYTES, record_bytes);
    seal_all(records, record_bytes);
    static const int64_t times[4] = {1, 2, 3, 4};
    struct fetch_walk_source source = {.bytes = records,
                                       .byte_count = record_bytes,
                                       .position = bytes[0],
                                       .is_committed = (bytes[1] & 1) != 0,
                                       .aborted = aborted,
                                       .aborted_count = bytes[1] % (ABORTED_MAX + 1),
                                       .ingested_ms = times,
                                       .ingested_count = 4};
    int64_t next_offset = -1;
    int32_t leader_epoch = -1;
    if (fetch_walk_measure(records, record_bytes, source.position, &next_offset, &leader_epoch) ==
        STATUS_OK) {
        check(next_offset >= source.position);
    }
    walk_all(&source);
    free(records);
    return 0;
}
