/* What checking, walking, building and opening batches costs, beside the bare checksum's speed.
 *
 * Every figure is the best of several rounds of processor time, since other work on the machine can
 * only make it slower. "of crc" is the share of the bare checksum's speed over the same bytes. */
#include "proto/record/batch_builder.h"
#include "proto/record/batch_check.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUND_COUNT 15
#define ROUND_BYTES ((size_t)64 << 20)

static struct batch_builder builder;
static struct compressor compressor;
static struct decompressor decompressor;
static struct decompressor_output output;
static struct batch_rules rules;
static struct batch_view batch;
static int64_t record_count;
static volatile uint64_t sink; /* Keeps results from being optimised away. */

static double cpu_seconds(void)
{
    struct timespec now;
    int code = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    check(code == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Seconds for one call. */
static double best_of(void (*call)(void), size_t byte_count)
{
    size_t repeat_count = ROUND_BYTES / byte_count + 1;
    double best = 1e9;
    for (int round = 0; round < ROUND_COUNT; round++) {
        double start = cpu_seconds();
        for (size_t i = 0; i < repeat_count; i++) {
            call();
        }
        double each = (cpu_seconds() - start) / (double)repeat_count;
        best = each < best ? each : best;
    }
    return best;
}

static void run_crc(void)
{
    sink += crc32c(0, batch.bytes, batch.byte_count);
}

static void run_check(void)
{
    struct batch_verdict verdict;
    enum status status = batch_check_produce(batch.bytes, batch.byte_count, &rules, &verdict);
    check(status == STATUS_OK);
}

static void run_iterate(void)
{
    struct record_iterator iterator;
    struct record record;
    enum status status = record_iterator_init(&iterator, &batch, &decompressor, &output);
    check(status == STATUS_OK);
    while (record_iterator_next(&iterator, &record) == STATUS_OK) {
        sink += (uint64_t)record.value.byte_count;
    }
}

static void run_stamp(void)
{
    static int64_t now_ms = 1;
    batch_stamp_append_time(builder.bytes, now_ms++);
}

/* Values like lines of JSON, so that codecs have something to find. */
static void build(size_t batch_bytes, int32_t value_bytes, enum compression_codec codec)
{
    static uint8_t text[1 << 16];
    uint32_t noise = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        noise = noise * 1664525U + 1013904223U;
        text[i] = (uint8_t)(i % 24 < 16 ? "\"carrier\":\"UA\",\""
                                        : "0123456789abcdef")[i % 24 < 16 ? i % 24 : noise >> 28];
    }
    batch_builder_done(&builder);
    batch_builder_init(&builder, NULL, batch_bytes);
    struct batch_builder_record record = {.value = {.byte_count = value_bytes}};
    struct batch_builder_finish options = BATCH_BUILDER_FINISH_PLAIN;
    options.codec = codec;
    do {
        size_t place = ((size_t)builder.record_count * 97) % (sizeof text - (size_t)value_bytes);
        record.timestamp_ms = 1760000000000 + builder.record_count / 3;
        record.key = (struct wire_bytes){.bytes = text + place, .byte_count = 8};
        record.value.bytes = text + place;
    } while (batch_builder_append(&builder, &record) == STATUS_OK);
    record_count = builder.record_count;
    enum status status = batch_builder_finish(&builder, &options, &compressor, &batch);
    check(status == STATUS_OK);
    check(batch_codec(&batch) == codec);
}

static void print_figure(const char *what, double seconds, size_t byte_count, double crc_seconds)
{
    printf("  %-28s %8.0f MB/s  %5.2f of crc  %6.1f ns/record\n", what,
           (double)byte_count / seconds * 1e-6, crc_seconds / seconds,
           seconds / (double)record_count * 1e9);
}

static void bench_uncompressed(size_t batch_bytes, int32_t value_bytes)
{
    build(batch_bytes, value_bytes, COMPRESSION_NONE);
    size_t byte_count = batch.byte_count;
    double crc = best_of(run_crc, byte_count);
    double checked = best_of(run_check, byte_count);
    double iterated = best_of(run_iterate, byte_count);
    printf("%zu KiB batch of %lld records, values of %d bytes\n", batch_bytes >> 10,
           (long long)record_count, value_bytes);
    print_figure("crc32c alone", crc, byte_count, crc);
    print_figure("check: crc and walk", checked, byte_count, crc);
    print_figure("walk (the difference)", checked - crc, byte_count, crc);
    print_figure("iterate over records", iterated, byte_count, crc);
    printf("  %-28s %8.3f us\n", "stamp append time", best_of(run_stamp, byte_count) * 1e6);
}

static void bench_compressed(enum compression_codec codec)
{
    build((size_t)1 << 20, 200, codec);
    size_t byte_count = (size_t)1 << 20;
    double crc = best_of(run_crc, byte_count);
    rules.is_full = false;
    double closed = best_of(run_check, byte_count);
    rules.is_full = true;
    double opened = best_of(run_check, byte_count);
    double iterated = best_of(run_iterate, byte_count);
    printf("%s, 1 MiB before, %u bytes after compression\n", compression_text(codec),
           batch.byte_count);
    print_figure("check, not opened", closed, byte_count, crc);
    print_figure("check, full", opened, byte_count, crc);
    print_figure("iterate over records", iterated, byte_count, crc);
}

int main(void)
{
    compressor_init(&compressor);
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, (size_t)64 << 20);
    rules = (struct batch_rules){
        .byte_count_max = (size_t)64 << 20,
        .decompressed_bytes_max = (size_t)64 << 20,
        .timestamp_ms_max = INT64_MAX,
        .decompressor = &decompressor,
    };
    bench_uncompressed((size_t)64 << 10, 100);
    bench_uncompressed((size_t)64 << 10, 1024);
    bench_uncompressed((size_t)1 << 20, 100);
    bench_uncompressed((size_t)1 << 20, 1024);
    for (int codec = COMPRESSION_GZIP; codec <= COMPRESSION_ZSTD; codec++) {
        bench_compressed((enum compression_codec)codec);
    }
    batch_builder_done(&builder);
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    compressor_done(&compressor);
    return 0;
}
