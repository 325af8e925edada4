/* Goal: batches mean to us what they mean to Kafka, and what Kafka's reader refuses, we refuse.
 * Method: every case of the golden file is read, rebuilt and judged as a client's; what differs
 * from Kafka on purpose stands in a table with its reason, and an entry that is not needed fails.
 */
#include "proto/record/batch_builder.h"
#include "proto/record/batch_check.h"
#include "proto/record/batch_iterator.h"
#include "proto/record/control_record.h"
#include "tests/rig/golden_lines.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define DECOMPRESSED_BYTES_MAX ((size_t)64 << 20)
/* What the broker's clock let pass when the file was made. */
#define TIMESTAMP_MS_MAX 1795346918807

static struct golden_lines lines;
static struct decompressor decompressor;
static struct decompressor_output output;
static struct compressor compressor;

static void set_up(void)
{
    golden_lines_open(&lines, "batches.jsonl.gz");
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, DECOMPRESSED_BYTES_MAX);
    compressor_init(&compressor);
}

static void tear_down(void)
{
    compressor_done(&compressor);
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    golden_lines_close(&lines);
}

TestSuite(batch_golden, .init = set_up, .fini = tear_down);

struct golden_case {
    const char *name;
    const char *source;
    bool is_valid;
    const json_t *json;
    uint8_t *bytes;
    size_t byte_count;
};

/* The next line; its bytes are the case's to free. */
static bool next_case(struct golden_case *out_case)
{
    const json_t *json = golden_lines_next(&lines);
    if (json == NULL) {
        return false;
    }
    int64_t byte_count = 0;
    *out_case = (struct golden_case){
        .name = golden_lines_text(json, "name"),
        .source = golden_lines_text(json, "source"),
        .is_valid = strcmp(golden_lines_text(json, "kind"), "valid") == 0,
        .json = json,
        .bytes = golden_lines_hex(golden_lines_member(json, "hex"), &byte_count),
    };
    out_case->byte_count = (size_t)byte_count;
    return true;
}

static void expect_bytes(const char *name, struct wire_bytes ours, const json_t *expected)
{
    int64_t byte_count = 0;
    uint8_t *bytes = golden_lines_hex(expected, &byte_count);
    cr_expect_eq(ours.byte_count, byte_count, "%s", name);
    if (byte_count > 0 && ours.byte_count == byte_count) {
        cr_expect_arr_eq(ours.bytes, bytes, (size_t)byte_count, "%s", name);
    }
    free(bytes);
}

static struct wire_bytes bytes_of_text(struct wire_text text)
{
    return (struct wire_bytes){.bytes = (const uint8_t *)text.bytes, .byte_count = text.byte_count};
}

static void expect_record(const char *name, const struct record *record, const json_t *expected)
{
    cr_expect_eq(record->offset, golden_lines_number(expected, "offset"), "%s", name);
    cr_expect_eq(record->timestamp_ms, golden_lines_number(expected, "timestamp"), "%s", name);
    expect_bytes(name, record->key, golden_lines_member(expected, "key"));
    expect_bytes(name, record->value, golden_lines_member(expected, "value"));

    const json_t *headers = golden_lines_member(expected, "headers");
    struct record_header header;
    size_t header_count = 0;
    record_header_init(&header, record);
    while (record_header_next(&header)) {
        const json_t *pair = json_array_get(headers, header_count++);
        /* Kafka shows a key that is no UTF-8 with other characters than its bytes are. */
        if (strcmp(name, "header-key-not-utf8") != 0) {
            expect_bytes(name, bytes_of_text(header.key), json_array_get(pair, 0));
        }
        expect_bytes(name, header.value, json_array_get(pair, 1));
    }
    cr_expect_eq(header_count, json_array_size(headers), "%s", name);
}

/* All fields but the records. */
static void expect_header(const char *name, const struct batch_view *batch, const json_t *expected)
{
    const struct {
        const char *member;
        int64_t ours;
    } fields[] = {
        {"baseOffset", batch_base_offset(batch)},
        {"lastOffset", batch_last_offset(batch)},
        {"size", batch->byte_count},
        {"partitionLeaderEpoch", batch_leader_epoch(batch)},
        {"magic", BATCH_MAGIC},
        {"crc", batch_crc(batch)},
        {"attributes", batch_attributes(batch)},
        {"lastOffsetDelta", batch_last_offset_delta(batch)},
        {"baseTimestamp", batch_base_timestamp(batch)},
        {"maxTimestamp", batch_max_timestamp(batch)},
        {"producerId", batch_producer_id(batch)},
        {"producerEpoch", batch_producer_epoch(batch)},
        {"baseSequence", batch_base_sequence(batch)},
        {"lastSequence", batch_last_sequence(batch)},
        {"count", batch_record_count(batch)},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        cr_expect_eq(fields[i].ours, golden_lines_number(expected, fields[i].member), "%s %s", name,
                     fields[i].member);
    }
    cr_expect_str_eq(compression_text(batch_codec(batch)),
                     golden_lines_text(expected, "compression"), "%s", name);
    const char *time_type = batch_has_append_time(batch) ? "LogAppendTime" : "CreateTime";
    cr_expect_str_eq(time_type, golden_lines_text(expected, "timestampType"), "%s", name);
    cr_expect_eq(batch_is_transactional(batch),
                 json_is_true(golden_lines_member(expected, "transactional")), "%s", name);
    cr_expect_eq(batch_is_control(batch), json_is_true(golden_lines_member(expected, "control")),
                 "%s", name);
    const json_t *horizon = golden_lines_member(expected, "deleteHorizonMs");
    cr_expect_eq(batch_has_delete_horizon(batch), json_is_integer(horizon), "%s", name);
    if (json_is_integer(horizon)) {
        cr_expect_eq(batch_base_timestamp(batch), json_integer_value(horizon), "%s", name);
    }
}

static void expect_control(const char *name, const struct batch_view *batch, const json_t *expected)
{
    static const char *const types[] = {"ABORT",           "COMMIT",          "LEADER_CHANGE",
                                        "SNAPSHOT_HEADER", "SNAPSHOT_FOOTER", "KRAFT_VERSION",
                                        "KRAFT_VOTERS"};
    const json_t *type = json_object_get(expected, "controlType");
    struct control_record control = {0};
    if (type == NULL) {
        return;
    }
    cr_assert_eq(control_record_of_batch(batch, &control), STATUS_OK, "%s", name);
    if (strcmp(json_string_value(type), "UNKNOWN") == 0) {
        cr_expect_eq(control.type, CONTROL_RECORD_UNKNOWN, "%s", name);
        return;
    }
    cr_assert(control.type >= CONTROL_RECORD_ABORT, "%s", name);
    cr_expect_str_eq(types[control.type], json_string_value(type), "%s", name);
    if (control.type <= CONTROL_RECORD_COMMIT) {
        cr_expect_eq(control.coordinator_epoch, golden_lines_number(expected, "coordinatorEpoch"),
                     "%s", name);
    }
}

/* How a plain reader fares: the first failure, and what it saw. */
struct reading {
    enum status status;
    size_t batch_count;
    size_t record_count;
};

static enum status read_records(const struct golden_case *test, const struct batch_view *batch,
                                const json_t *expected, struct reading *reading)
{
    struct batch_verdict verdict;
    struct record_iterator iterator;
    struct record record;
    TRY(batch_check_header(batch, &verdict));
    TRY(record_iterator_init(&iterator, batch, &decompressor, &output));
    const json_t *records = json_object_get(expected, "records");
    enum status status = record_iterator_next(&iterator, &record);
    for (size_t i = 0; status == STATUS_OK; i++) {
        reading->record_count += 1;
        if (records != NULL) {
            expect_record(test->name, &record, json_array_get(records, i));
        }
        status = record_iterator_next(&iterator, &record);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static struct reading read_case(const struct golden_case *test)
{
    struct reading reading = {0};
    struct batch_iterator iterator;
    struct batch_view batch;
    const json_t *batches = json_object_get(test->json, "batches");
    batch_iterator_init(&iterator, test->bytes, test->byte_count);
    reading.status = batch_iterator_next(&iterator, &batch);
    while (reading.status == STATUS_OK) {
        const json_t *expected = json_array_get(batches, reading.batch_count);
        if (expected != NULL) {
            expect_header(test->name, &batch, expected);
            expect_control(test->name, &batch, expected);
        }
        reading.status = read_records(test, &batch, expected, &reading);
        if (reading.status == STATUS_OK) {
            reading.batch_count += 1;
            reading.status = batch_iterator_next(&iterator, &batch);
        }
    }
    return reading;
}

Test(batch_golden, valid_sets_hold_what_kafka_reads_in_them)
{
    struct golden_case test;
    unsigned case_count = 0;
    while (next_case(&test)) {
        if (test.is_valid) {
            struct reading reading = read_case(&test);
            const json_t *batches = golden_lines_member(test.json, "batches");
            size_t record_count = 0;
            for (size_t i = 0; i < json_array_size(batches); i++) {
                record_count +=
                    json_array_size(golden_lines_member(json_array_get(batches, i), "records"));
            }

            cr_expect_eq(reading.status, STATUS_NOT_FOUND, "%s", test.name);
            cr_expect_eq(reading.batch_count, json_array_size(batches), "%s", test.name);
            cr_expect_eq(reading.record_count, record_count, "%s", test.name);
            case_count += 1;
        }
        free(test.bytes);
    }
    cr_expect_eq(case_count, 93);
}

/* Sets that Kafka reads and we do not, each with its reason. */
static const struct {
    const char *name;
    enum status status;
} refused_readings[] = {
    /* Formats 0 and 1 are read from old data directories only, which we have none of. */
    {"legacy-message-set-magic-0", STATUS_UNSUPPORTED},
    {"legacy-message-set-magic-1", STATUS_UNSUPPORTED},
};

static enum status refused_reading_of(const char *name)
{
    for (size_t i = 0; i < sizeof refused_readings / sizeof refused_readings[0]; i++) {
        if (strcmp(name, refused_readings[i].name) == 0) {
            return refused_readings[i].status;
        }
    }
    return STATUS_NOT_FOUND;
}

Test(batch_golden, what_kafkas_reader_refuses_ours_refuses)
{
    struct golden_case test;
    unsigned case_count = 0;
    while (next_case(&test)) {
        if (!test.is_valid) {
            const json_t *read = golden_lines_member(test.json, "read");
            struct reading reading = read_case(&test);
            if (json_object_get(read, "fails") != NULL) {
                cr_expect(reading.status != STATUS_NOT_FOUND && reading.status != STATUS_OK,
                          "%s is read", test.name);
            } else {
                enum status expected = refused_reading_of(test.name);
                cr_expect_eq(reading.status, expected, "%s: %s", test.name,
                             status_text(reading.status));
            }
            if (reading.status == STATUS_NOT_FOUND && json_object_get(read, "fails") == NULL) {
                cr_expect_eq(reading.batch_count, golden_lines_number(read, "batches"), "%s",
                             test.name);
                cr_expect_eq(reading.record_count, golden_lines_number(read, "records"), "%s",
                             test.name);
            }
            case_count += 1;
        }
        free(test.bytes);
    }
    cr_expect_eq(case_count, 116);
}

/* Appends all records of `batch`, which the builder copies. */
static void rebuild_append(struct batch_builder *builder, const struct batch_view *batch)
{
    struct record_iterator iterator;
    struct record record;
    cr_assert_eq(record_iterator_init(&iterator, batch, &decompressor, &output), STATUS_OK);
    iterator.has_append_time = false; /* The records' own times, not what readers see. */
    batch_builder_set_base_timestamp(builder, batch_base_timestamp(batch));
    while (record_iterator_next(&iterator, &record) == STATUS_OK) {
        struct batch_builder_header headers[256];
        struct record_header header;
        int32_t header_count = 0;
        record_header_init(&header, &record);
        while (record_header_next(&header)) {
            cr_assert(header_count < 256);
            headers[header_count++] =
                (struct batch_builder_header){.key = header.key, .value = header.value};
        }
        struct batch_builder_record copy = {.timestamp_ms = record.timestamp_ms,
                                            .key = record.key,
                                            .value = record.value,
                                            .headers = headers,
                                            .header_count = header_count};
        int32_t delta = (int32_t)(record.offset - batch_base_offset(batch));
        cr_assert_eq(batch_builder_append_at(builder, &copy, delta), STATUS_OK);
    }
}

/* The same batch again, written by us. */
static struct batch_view rebuild(struct batch_builder *builder, const struct batch_view *batch,
                                 enum compression_codec codec)
{
    struct batch_view made;
    batch_builder_reset(builder);
    rebuild_append(builder, batch);
    const struct batch_builder_keep keep = {
        .last_offset_delta = batch_last_offset_delta(batch),
        .max_timestamp_ms = batch_max_timestamp(batch),
        .has_delete_horizon = batch_has_delete_horizon(batch),
    };
    const struct batch_builder_finish options = {
        .codec = codec,
        .compression_level = COMPRESSOR_LEVEL_DEFAULT,
        .base_offset = batch_base_offset(batch),
        .leader_epoch = batch_leader_epoch(batch),
        .producer_id = batch_producer_id(batch),
        .producer_epoch = batch_producer_epoch(batch),
        .base_sequence = batch_base_sequence(batch),
        .is_transactional = batch_is_transactional(batch),
        .is_control = batch_is_control(batch),
        .keep = &keep,
    };
    cr_assert_eq(batch_builder_finish(builder, &options, &compressor, &made), STATUS_OK);
    if (batch_has_append_time(batch)) {
        batch_stamp_append_time(builder->bytes, batch_max_timestamp(batch));
    }
    return made;
}

Test(batch_golden, uncompressed_sets_are_written_as_kafka_writes_them)
{
    struct golden_case test;
    struct batch_builder builder;
    unsigned batch_count = 0;
    batch_builder_init(&builder, NULL, (size_t)1 << 20);
    while (next_case(&test)) {
        struct batch_iterator iterator;
        struct batch_view batch;
        bool is_kafkas = test.is_valid && strcmp(test.source, "handmade") != 0;
        batch_iterator_init(&iterator, test.bytes, is_kafkas ? test.byte_count : 0);
        while (batch_iterator_next(&iterator, &batch) == STATUS_OK) {
            if (batch_codec(&batch) == COMPRESSION_NONE) {
                struct batch_view made = rebuild(&builder, &batch, COMPRESSION_NONE);

                cr_assert_eq(made.byte_count, batch.byte_count, "%s", test.name);
                cr_expect_arr_eq(made.bytes, batch.bytes, batch.byte_count, "%s", test.name);
                batch_count += 1;
            }
        }
        free(test.bytes);
    }
    batch_builder_done(&builder);
    cr_expect_eq(batch_count, 40);
}

Test(batch_golden, compressed_sets_are_written_so_that_the_same_records_come_back)
{
    struct golden_case test;
    struct batch_builder builder;
    unsigned batch_count = 0;
    batch_builder_init(&builder, NULL, (size_t)1 << 20);
    while (next_case(&test)) {
        struct batch_iterator iterator;
        struct batch_view batch;
        batch_iterator_init(&iterator, test.bytes, test.is_valid ? test.byte_count : 0);
        for (size_t i = 0; batch_iterator_next(&iterator, &batch) == STATUS_OK; i++) {
            if (batch_codec(&batch) != COMPRESSION_NONE && batch_record_count(&batch) > 0) {
                struct reading reading = {0};
                const json_t *expected =
                    json_array_get(golden_lines_member(test.json, "batches"), i);
                struct batch_view made = rebuild(&builder, &batch, batch_codec(&batch));

                cr_expect_eq(read_records(&test, &made, expected, &reading), STATUS_OK, "%s",
                             test.name);
                cr_expect_eq(reading.record_count, (size_t)batch_record_count(&batch), "%s",
                             test.name);
                /* Twice what Kafka needed would be a codec that does not compress. */
                cr_expect(made.byte_count < 2 * batch.byte_count, "%s", test.name);
                batch_count += 1;
            }
        }
        free(test.bytes);
    }
    batch_builder_done(&builder);
    cr_expect_eq(batch_count, 52);
}

/* What we answer to Produce where Kafka answers something else. */
static const struct produce_difference {
    const char *name;
    int kafka_code;
    enum batch_fault fault;
} produce_differences[] = {
    /* Whether a transaction is open is for the partition to say, not for the batch. */
    {"none-transactional", 49, BATCH_FAULT_NONE},
    {"gzip-transactional", 49, BATCH_FAULT_NONE},
    {"snappy-transactional", 49, BATCH_FAULT_NONE},
    {"lz4-transactional", 49, BATCH_FAULT_NONE},
    {"zstd-transactional", 49, BATCH_FAULT_NONE},
    /* Refused for what it is before anybody asks who sent it. */
    {"commit-marker-epoch-0", 49, BATCH_FAULT_CONTROL},
    {"commit-marker-epoch-7", 49, BATCH_FAULT_CONTROL},
    {"commit-marker-epoch-2147483647", 49, BATCH_FAULT_CONTROL},
    {"abort-marker-epoch-0", 49, BATCH_FAULT_CONTROL},
    {"abort-marker-epoch-7", 49, BATCH_FAULT_CONTROL},
    {"abort-marker-epoch-2147483647", 49, BATCH_FAULT_CONTROL},
    {"empty-transactional", 49, BATCH_FAULT_RECORD_COUNT},
    {"cleaned-marker-with-delete-horizon", 49, BATCH_FAULT_CONTROL},
    {"control-batch-from-client", 49, BATCH_FAULT_CONTROL},
    {"control-batch-unknown-type", 49, BATCH_FAULT_CONTROL},
    /* facts 5.2: leftover bytes. They may be the start of a batch that would be lost silently. */
    {"one-batch-and-eleven-bytes", 0, BATCH_FAULT_BYTES_AFTER_BATCH},
    {"bytes-after-batch", 0, BATCH_FAULT_BYTES_AFTER_BATCH},
    /* facts 5.2: negative timestamps, -1 (none) apart. */
    {"negative-base-timestamp", 0, BATCH_FAULT_TIMESTAMP},
    /* facts 5.2: a length beyond what is there is a corrupt message. */
    {"cut-to-1", 87, BATCH_FAULT_CUT},
    {"cut-to-8", 87, BATCH_FAULT_CUT},
    {"cut-to-11", 87, BATCH_FAULT_CUT},
    {"cut-to-12", 87, BATCH_FAULT_CUT},
    {"cut-to-16", 87, BATCH_FAULT_CUT},
    {"cut-to-17", 87, BATCH_FAULT_CUT},
    {"cut-to-21", 87, BATCH_FAULT_CUT},
    {"cut-to-60", 87, BATCH_FAULT_CUT},
    {"cut-to-61", 87, BATCH_FAULT_CUT},
    {"cut-to-62", 87, BATCH_FAULT_CUT},
    {"cut-to-98", 87, BATCH_FAULT_CUT},
    {"length-says-99", 87, BATCH_FAULT_CUT},
    {"length-says-2147483647", -1, BATCH_FAULT_LENGTH},
    /* facts 5.2: an unknown codec has a word of its own, and so have bytes that are not the
       codec's. */
    {"codec-5", -1, BATCH_FAULT_CODEC},
    {"codec-6", -1, BATCH_FAULT_CODEC},
    {"codec-7", -1, BATCH_FAULT_CODEC},
    {"not-compressed-codec-1", -1, BATCH_FAULT_COMPRESSED_BYTES},
    {"not-compressed-codec-2", -1, BATCH_FAULT_COMPRESSED_BYTES},
    {"not-compressed-codec-3", -1, BATCH_FAULT_COMPRESSED_BYTES},
    {"not-compressed-codec-4", -1, BATCH_FAULT_COMPRESSED_BYTES},
    /* facts 5.2: any other magic is an invalid record. */
    {"magic-3", 2, BATCH_FAULT_MAGIC},
    {"magic--1", 2, BATCH_FAULT_MAGIC},
    {"magic-127", 2, BATCH_FAULT_MAGIC},
    /* facts 5.2: offset deltas are 0..n-1. */
    {"offset-delta-not-zero", 0, BATCH_FAULT_OFFSET_DELTA},
    {"offset-delta-negative", 0, BATCH_FAULT_OFFSET_DELTA},
    {"offset-deltas-repeat", 0, BATCH_FAULT_OFFSET_DELTA},
    /* Other clients' readers stop at such a length for good. */
    {"header-value-minus-two", 0, BATCH_FAULT_RECORD_FRAME},
    /* Only the cleaner may say when tombstones go. */
    {"delete-horizon-from-client", 0, BATCH_FAULT_DELETE_HORIZON},
    /* Nobody could tell such a batch's transaction, or its place in it. */
    {"transactional-without-producer", 0, BATCH_FAULT_TXN_WITHOUT_PRODUCER},
    {"producer-id-minus-two", 0, BATCH_FAULT_PRODUCER},
    {"producer-epoch-negative", 0, BATCH_FAULT_PRODUCER},
};

static const struct produce_difference *difference_of(const char *name)
{
    size_t count = sizeof produce_differences / sizeof produce_differences[0];
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, produce_differences[i].name) == 0) {
            return &produce_differences[i];
        }
    }
    return NULL;
}

static struct batch_rules rules_of(const json_t *produce)
{
    return (struct batch_rules){
        .byte_count_max = 1048588,
        .decompressed_bytes_max = DECOMPRESSED_BYTES_MAX,
        .timestamp_ms_min = INT64_MIN,
        .timestamp_ms_max = TIMESTAMP_MS_MAX,
        .is_full = true,
        .has_transactional_id = json_is_string(golden_lines_member(produce, "transactionalId")),
        .decompressor = &decompressor,
    };
}

Test(batch_golden, produce_answers_as_kafka_does_or_as_the_table_says)
{
    struct golden_case test;
    size_t difference_count = 0;
    while (next_case(&test)) {
        const json_t *produce = golden_lines_member(test.json, "produce");
        if (test.is_valid) {
            batch_stamp_offset(test.bytes, 0, 0); /* As the file's were sent. */
        }
        struct batch_rules rules = rules_of(produce);
        struct batch_verdict verdict;
        enum status status = batch_check_produce(test.bytes, test.byte_count, &rules, &verdict);
        const struct produce_difference *difference = difference_of(test.name);
        int code = (int)golden_lines_number(produce, "code");

        cr_expect_eq(status == STATUS_OK, verdict.fault == BATCH_FAULT_NONE, "%s", test.name);
        if (difference != NULL) {
            difference_count += 1;
            cr_expect_eq(verdict.fault, difference->fault, "%s: %s", test.name,
                         batch_fault_text(verdict.fault));
            cr_expect_eq(code, difference->kafka_code, "%s", test.name);
            cr_expect_neq(batch_fault_code(verdict.fault), code, "%s is no difference", test.name);
        } else {
            cr_expect_eq(batch_fault_code(verdict.fault), code, "%s: %s, Kafka %d", test.name,
                         batch_fault_text(verdict.fault), code);
        }
        free(test.bytes);
    }
    cr_expect_eq(difference_count, sizeof produce_differences / sizeof produce_differences[0]);
}

/* Damage inside a compressed batch, which only full validation sees. */
static const struct {
    const char *name;
    enum batch_fault fault;
} inside_faults[] = {
    {"not-compressed-codec-1", BATCH_FAULT_COMPRESSED_BYTES},
    {"not-compressed-codec-2", BATCH_FAULT_COMPRESSED_BYTES},
    {"not-compressed-codec-3", BATCH_FAULT_COMPRESSED_BYTES},
    {"not-compressed-codec-4", BATCH_FAULT_COMPRESSED_BYTES},
    {"gzip-cut", BATCH_FAULT_COMPRESSED_BYTES},
    {"gzip-noise-after", BATCH_FAULT_BYTES_AFTER_STREAM},
    {"gzip-noise-inside", BATCH_FAULT_COMPRESSED_BYTES},
    {"gzip-empty-payload", BATCH_FAULT_COMPRESSED_BYTES},
    {"gzip-count-says-2", BATCH_FAULT_RECORDS_MISSING},
    {"snappy-cut", BATCH_FAULT_COMPRESSED_BYTES},
    {"snappy-noise-after", BATCH_FAULT_COMPRESSED_BYTES},
    {"snappy-noise-inside", BATCH_FAULT_COMPRESSED_BYTES},
    {"snappy-empty-payload", BATCH_FAULT_COMPRESSED_BYTES},
    {"snappy-count-says-2", BATCH_FAULT_RECORDS_MISSING},
    {"lz4-cut", BATCH_FAULT_COMPRESSED_BYTES},
    {"lz4-noise-after", BATCH_FAULT_BYTES_AFTER_STREAM},
    {"lz4-noise-inside", BATCH_FAULT_COMPRESSED_BYTES},
    {"lz4-empty-payload", BATCH_FAULT_COMPRESSED_BYTES},
    {"lz4-count-says-2", BATCH_FAULT_RECORDS_MISSING},
    {"zstd-cut", BATCH_FAULT_COMPRESSED_BYTES},
    {"zstd-noise-after", BATCH_FAULT_COMPRESSED_BYTES},
    {"zstd-noise-inside", BATCH_FAULT_COMPRESSED_BYTES},
    {"zstd-empty-payload", BATCH_FAULT_RECORDS_MISSING},
    {"zstd-count-says-2", BATCH_FAULT_RECORDS_MISSING},
};

static enum batch_fault inside_fault_of(const char *name)
{
    for (size_t i = 0; i < sizeof inside_faults / sizeof inside_faults[0]; i++) {
        if (strcmp(name, inside_faults[i].name) == 0) {
            return inside_faults[i].fault;
        }
    }
    return BATCH_FAULT_NONE;
}

Test(batch_golden, the_inside_of_a_compressed_batch_is_judged_only_when_asked)
{
    struct golden_case test;
    size_t case_count = 0;
    while (next_case(&test)) {
        enum batch_fault fault = inside_fault_of(test.name);
        if (fault != BATCH_FAULT_NONE) {
            struct batch_rules rules = rules_of(golden_lines_member(test.json, "produce"));
            struct batch_verdict verdict;
            batch_stamp_offset(test.bytes, 0, 0);

            cr_expect_neq(batch_check_produce(test.bytes, test.byte_count, &rules, &verdict),
                          STATUS_OK, "%s", test.name);
            cr_expect_eq(verdict.fault, fault, "%s: %s", test.name,
                         batch_fault_text(verdict.fault));
            rules.is_full = false;
            enum status status = batch_check_produce(test.bytes, test.byte_count, &rules, &verdict);
            cr_expect_eq(status, STATUS_OK, "%s: %s", test.name, batch_fault_text(verdict.fault));
            case_count += 1;
        }
        free(test.bytes);
    }
    cr_expect_eq(case_count, sizeof inside_faults / sizeof inside_faults[0]);
}

Test(batch_golden, a_window_of_any_size_gives_the_same_verdict)
{
    static const size_t window_sizes[] = {1, 2, 3, 7, 61, 1000};
    struct golden_case test;
    unsigned case_count = 0;
    while (next_case(&test)) {
        struct batch_view batch;
        if (batch_view_init(&batch, test.bytes, test.byte_count) == STATUS_OK) {
            struct batch_rules rules = rules_of(golden_lines_member(test.json, "produce"));
            struct batch_verdict wide;
            batch_stamp_offset(test.bytes, 0, 0);
            enum status status = batch_check_produce(test.bytes, test.byte_count, &rules, &wide);
            for (size_t i = 0; i < sizeof window_sizes / sizeof window_sizes[0]; i++) {
                struct decompressor narrow_one;
                struct batch_verdict narrow;
                decompressor_init(&narrow_one, NULL);
                narrow_one.window_bytes = window_sizes[i];
                rules.decompressor = &narrow_one;

                cr_expect_eq(batch_check_produce(test.bytes, test.byte_count, &rules, &narrow),
                             status, "%s", test.name);
                cr_expect_eq(narrow.fault, wide.fault, "%s %zu: %s", test.name, window_sizes[i],
                             batch_fault_text(narrow.fault));
                cr_expect_eq(narrow.record_index, wide.record_index, "%s", test.name);
                if (status == STATUS_OK) {
                    cr_expect_eq(narrow.max_timestamp_ms, wide.max_timestamp_ms, "%s", test.name);
                }
                decompressor_done(&narrow_one);
            }
            case_count += 1;
        }
        free(test.bytes);
    }
    cr_expect(case_count > 150);
}
