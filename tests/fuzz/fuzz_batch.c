/* Batches from outside: iterators, checks, codecs.
 *
 * The first byte chooses what is done to the rest: whether checksum and length of the first batch
 * are put right (else hardly any input would come past them), which rules hold, how large the
 * window is. Beyond not crashing, several answers to one question must agree: the walk through a
 * window with the walk in memory, full validation with what the record iterator finds, a rebuilt
 * batch with the records it was made of. */
#include "proto/record/batch_builder.h"
#include "proto/record/batch_check.h"
#include "proto/record/batch_iterator.h"
#include "proto/record/control_record.h"
#include "proto/sys/check.h"
#include "tests/rig/batch_seal.h"

#include <stdlib.h>

#define DECOMPRESSED_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WINDOW_COUNT 8U

static struct decompressor wide;
static struct decompressor narrow[WINDOW_COUNT]; /* Windows of 1, 2, 4 ... bytes. */
static struct decompressor_output output;
static struct compressor compressor;
static struct batch_builder builder;

static void set_up_once(void)
{
    if (output.byte_count_max == 0) {
        decompressor_init(&wide, NULL);
        decompressor_output_init(&output, NULL, DECOMPRESSED_BYTES_MAX);
        compressor_init(&compressor);
        batch_builder_init(&builder, NULL, 4 * DECOMPRESSED_BYTES_MAX);
        for (size_t i = 0; i < WINDOW_COUNT; i++) {
            decompressor_init(&narrow[i], NULL);
            narrow[i].window_bytes = (size_t)1 << i;
        }
    }
}

/* Counts the records and touches all that they point to; false: malformed. */
static bool iterate(const struct batch_view *batch, int32_t *out_count, uint64_t *out_sum)
{
    struct record_iterator iterator;
    struct record record;
    *out_count = 0;
    *out_sum = 0;
    if (record_iterator_init(&iterator, batch, &wide, &output) != STATUS_OK) {
        return false;
    }
    enum status status = record_iterator_next(&iterator, &record);
    while (status == STATUS_OK) {
        struct record_header header;
        *out_count += 1;
        *out_sum = *out_sum * 31 + (uint64_t)record.offset + (uint64_t)record.timestamp_ms;
        for (int32_t i = 0; i < record.key.byte_count; i++) {
            *out_sum = *out_sum * 31 + record.key.bytes[i];
        }
        for (int32_t i = 0; i < record.value.byte_count; i++) {
            *out_sum = *out_sum * 31 + record.value.bytes[i];
        }
        record_header_init(&header, &record);
        while (record_header_next(&header)) {
            *out_sum = *out_sum * 31 + (uint64_t)header.key.byte_count + 7;
            *out_sum += (uint64_t)(header.value.byte_count + 1);
        }
        status = record_iterator_next(&iterator, &record);
    }
    return status == STATUS_NOT_FOUND;
}

static void walk_run(const uint8_t *bytes, size_t byte_count)
{
    struct batch_iterator iterator;
    struct batch_view batch;
    batch_iterator_init(&iterator, bytes, byte_count);
    while (batch_iterator_next(&iterator, &batch) == STATUS_OK) {
        struct batch_verdict verdict;
        struct control_record control;
        int32_t record_count = 0;
        uint64_t sum = 0;
        status_ignore(batch_check_stored(&batch, &verdict), "only that it ends");
        iterate(&batch, &record_count, &sum);
        if (batch_is_control(&batch)) {
            status_ignore(control_record_of_batch(&batch, &control), "only that it ends");
        }
    }
}

/* What passed every rule reads back, and reads the same when it is written again. */
static void expect_good(const struct batch_view *batch, enum compression_codec codec)
{
    struct record_iterator iterator;
    struct record record;
    struct batch_view made;
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    int32_t record_count = 0;
    uint64_t sum = 0;
    bool is_whole = iterate(batch, &record_count, &sum);
    check(is_whole);
    check(record_count == batch_record_count(batch));

    batch_builder_reset(&builder);
    batch_builder_set_base_timestamp(&builder, batch_base_timestamp(batch));
    enum status status = record_iterator_init(&iterator, batch, &wide, &output);
    check(status == STATUS_OK);
    iterator.has_append_time = false;
    while (record_iterator_next(&iterator, &record) == STATUS_OK) {
        const struct batch_builder_record copy = {
            .timestamp_ms = record.timestamp_ms, .key = record.key, .value = record.value};
        if (record.header_count > 0) {
            record_count = -1; /* Headers are not copied, so there is nothing to compare. */
        }
        status = batch_builder_append(&builder, &copy);
        check(status == STATUS_OK);
    }
    options.codec = codec;
    status = batch_builder_finish(&builder, &options, &compressor, &made);
    check(status == STATUS_OK);
    if (record_count > 0 && !batch_has_append_time(batch)) {
        uint64_t made_sum = 0;
        is_whole = iterate(&made, &record_count, &made_sum);
        check(is_whole);
        check(made_sum == sum);
    }
}

static void judge(const uint8_t *bytes, size_t byte_count, uint8_t choice)
{
    struct batch_rules rules = {
        .byte_count_max = DECOMPRESSED_BYTES_MAX,
        .decompressed_bytes_max = DECOMPRESSED_BYTES_MAX,
        .timestamp_ms_max = (choice & 2) != 0 ? INT64_MAX : 2000000000000,
        .is_append_time = (choice & 4) != 0,
        .is_full = true,
        .is_compacted = (choice & 8) != 0,
        .has_transactional_id = true,
        .decompressor = &wide,
    };
    struct batch_verdict verdict;
    struct batch_verdict other;
    enum status status = batch_check_produce(bytes, byte_count, &rules, &verdict);

    rules.decompressor = &narrow[choice >> 5];
    enum status other_status = batch_check_produce(bytes, byte_count, &rules, &other);
    /* Which fault comes first in a damaged stream depends on how far a piece reaches. */
    check((status == STATUS_OK) == (other_status == STATUS_OK));
    if (status == STATUS_OK) {
        check(verdict.max_timestamp_ms == other.max_timestamp_ms);
        check(verdict.max_timestamp_index == other.max_timestamp_index);
        expect_good(&verdict.batch, (enum compression_codec)(choice % COMPRESSION_CODEC_COUNT));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    set_up_once();
    uint8_t choice = data[0];
    size_t byte_count = size - 1;
    uint8_t *bytes = malloc(byte_count); /* Of the very size, so that reads beyond it are seen. */
    check(bytes != NULL);
    memcpy(bytes, data + 1, byte_count);
    if ((choice & 1) != 0 && byte_count >= BATCH_HEADER_BYTES) {
        bytes[16] = BATCH_MAGIC;
        batch_seal(bytes, byte_count);
    }
    walk_run(bytes, byte_count);
    judge(bytes, byte_count, choice);
    free(bytes);
    return 0;
}
