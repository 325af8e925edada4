/* Goal: records say what they must: keys, times, headers, JSON; late rows travel unchanged.
 * Method: rows made by hand, one epoch on a scripted cluster, and a look at the log's bytes. */
#include "processor/sink/sink.h"
#include "proto/record/batch_iterator.h"
#include "tests/rig/scripted_txn.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 16

static struct scripted_txn cluster;
static struct sink *subject;
static struct arena arena;
static bool is_started;
static bool is_committed;
static bool has_closed;
static enum status progress_status;
static enum status failure;
static const char *const names[] = {"k", "n"};
static char told[RECORDS_MAX][400]; /* key|value|time|header=value;… */
static uint32_t told_count;

static void on_started(void *context, const struct commit_epoch_outcome *outcome)
{
    (void)context;
    is_started = outcome->status == STATUS_OK;
}

static void on_committed(void *context, const struct commit_epoch_outcome *outcome)
{
    (void)context;
    is_committed = outcome->status == STATUS_OK;
}

static void on_failed(void *context, const struct commit_epoch_outcome *outcome)
{
    (void)context;
    failure = outcome->status;
}

static enum status on_progress_due(void *context, struct wire_bytes *out_value)
{
    (void)context;
    *out_value = (struct wire_bytes){(const uint8_t *)"how far", 7};
    return progress_status;
}

static void on_closed(void *context)
{
    (void)context;
    has_closed = true;
}

static bool has_started(void *context)
{
    (void)context;
    return is_started;
}

static void open_subject(size_t buffer_bytes_max)
{
    struct address bootstrap = rig_address(SCRIPTED_LOG_PORT);
    /* One topic stands for all: what is what can be told by the records. */
    struct sink_options options = {.commit = {.loop = rig_loop,
                                              .bootstrap = &bootstrap,
                                              .bootstrap_count = 1,
                                              .client_id = "test",
                                              .transactional_id = SCRIPTED_TXN_ID,
                                              .transaction_timeout_ms = 10000,
                                              .request_timeout_ms = 2000,
                                              .buffer_bytes_max = buffer_bytes_max,
                                              .on_started = on_started,
                                              .on_committed = on_committed,
                                              .on_failed = on_failed},
                                   .topic = SCRIPTED_LOG_TOPIC,
                                   .late_topic = SCRIPTED_LOG_TOPIC,
                                   .progress_topic = SCRIPTED_LOG_TOPIC,
                                   .progress_partition = 3,
                                   .column_names = names,
                                   .column_count = 2,
                                   .on_progress_due = on_progress_due,
                                   .on_closed = on_closed};
    cr_assert_eq(sink_open(&options, &subject), STATUS_OK);
    sink_start(subject);
    cr_assert(rig_run_until(has_started, NULL, 5 * SIM_S));
    sink_begin_epoch(subject, 7777);
}

static void set_up(void)
{
    rig_begin(3);
    scripted_txn_start(&cluster, rig_loop, 2);
    arena_init(&arena, 1 << 20);
    open_subject(1 << 20);
}

static void close_subject(void)
{
    sink_close(subject);
    rig_run_for(5 * SIM_S);
    cr_expect(has_closed);
}

/* Anew, with another bound of bytes. */
static void reopen(size_t buffer_bytes_max)
{
    close_subject();
    has_closed = false;
    is_started = false;
    open_subject(buffer_bytes_max);
}

static void tear_down(void)
{
    close_subject();
    arena_done(&arena);
    scripted_txn_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

TestSuite(sink, .init = set_up, .fini = tear_down);

/* Rows (text, bigint): a 1, b 2, … */
static struct row_batch make_rows(uint32_t row_count)
{
    struct row_batch rows = {.arena = &arena, .row_count = row_count, .column_count = 2};
    rows.columns = arena_take_array(&arena, 2, sizeof *rows.columns);
    cr_assert_eq(column_init(&rows.columns[0], VALUE_TEXT, row_count, &arena), STATUS_OK);
    cr_assert_eq(column_init(&rows.columns[1], VALUE_BIGINT, row_count, &arena), STATUS_OK);
    rows.columns[0].text_bytes = arena_take(&arena, row_count);
    for (uint32_t i = 0; i < row_count; i++) {
        rows.columns[0].text_bytes[i] = (uint8_t)('a' + i);
        rows.columns[0].values.text_ends[i + 1] = (int32_t)i + 1;
        rows.columns[1].values.bigints[i] = (int64_t)i + 1;
    }
    return rows;
}

static size_t print_bytes(char *out, size_t room, struct wire_bytes bytes, char end)
{
    int written = bytes.byte_count < 0 ? snprintf(out, room, "null%c", end)
                                       : snprintf(out, room, "%.*s%c", bytes.byte_count,
                                                  (const char *)bytes.bytes, end);
    return (size_t)written;
}

static void tell_record(const struct record *record)
{
    cr_assert_lt(told_count, RECORDS_MAX);
    char *out = told[told_count++];
    size_t room = sizeof told[0];
    size_t at = print_bytes(out, room, record->key, '|');
    at += print_bytes(out + at, room - at, record->value, '|');
    at += (size_t)snprintf(out + at, room - at, "%lld|", (long long)record->timestamp_ms);
    struct record_header header;
    record_header_init(&header, record);
    while (record_header_next(&header)) {
        at +=
            (size_t)snprintf(out + at, room - at, "%.*s=", header.key.byte_count, header.key.bytes);
        at += print_bytes(out + at, room - at, header.value, ';');
    }
}

static bool is_over(void *context)
{
    (void)context;
    return is_committed || failure != STATUS_OK;
}

/* Commits, and tells the records of all partitions but the progress. */
static void commit(void)
{
    sink_end_epoch(subject);
    cr_assert(rig_run_until(is_over, NULL, 10 * SIM_S));
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    for (int p = 0; p < 4; p++) {
        struct batch_iterator batches;
        batch_iterator_init(&batches, cluster.log.partitions[p].bytes,
                            cluster.log.partitions[p].byte_count);
        struct batch_view view;
        while (batch_iterator_next(&batches, &view) == STATUS_OK) {
            struct record_iterator records;
            cr_assert_eq(record_iterator_init(&records, &view, &decompressor, &output), STATUS_OK);
            struct record record;
            while (record_iterator_next(&records, &record) == STATUS_OK) {
                if (record.key.byte_count != 8 || memcmp(record.key.bytes, "progress", 8) != 0) {
                    tell_record(&record);
                }
            }
        }
    }
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
}

Test(sink, aggregated_row_has_its_keys_times_and_window_end)
{
    struct row_batch rows = make_rows(1);
    rows.key_columns = rows.columns;
    rows.key_column_count = 1;
    int64_t created_ms[] = {1234};
    int64_t ingested_ms[] = {5678};
    int64_t record_ms[] = {9000};
    rows.created_max_ms = created_ms;
    rows.ingested_max_ms = ingested_ms;
    rows.record_time_ms = record_ms;
    cr_assert_eq(sink_add_rows(subject, &rows), STATUS_OK);
    commit();

    cr_assert_eq(told_count, 1);
    cr_expect_str_eq(told[0], "[\"a\"]|{\"k\":\"a\",\"n\":1}|9000|millrace.created=1234;"
                              "millrace.ingested=5678;millrace.processed=7777;");
}

/* A broker takes no time before 1970 (batch_check.h), and its refusal stops the job for good. */
Test(sink, window_that_ends_before_1970_makes_a_record_that_brokers_refuse)
{
    struct row_batch rows = make_rows(2);
    rows.key_columns = rows.columns;
    rows.key_column_count = 1;
    int64_t record_ms[] = {-86400000, 0};
    rows.record_time_ms = record_ms;
    cr_assert_eq(sink_add_rows(subject, &rows), STATUS_OK);
    commit();

    cr_assert_eq(told_count, 2);
    bool is_first = strncmp(told[0], "[\"a\"]", 5) == 0;
    cr_expect_str_eq(told[is_first ? 0 : 1],
                     "[\"a\"]|{\"k\":\"a\",\"n\":1}|-1|millrace.processed=7777;");
    cr_expect_str_eq(told[is_first ? 1 : 0],
                     "[\"b\"]|{\"k\":\"b\",\"n\":2}|0|millrace.processed=7777;");
}

Test(sink, row_of_a_source_keeps_its_key_and_time)
{
    struct row_batch rows = make_rows(1);
    int64_t offsets[] = {5};
    int64_t created_ms[] = {4321};
    int64_t ingested_ms[] = {-1};
    struct wire_bytes keys[] = {{(const uint8_t *)"key", 3}};
    struct row_origin origin = {.partition = 2,
                                .offsets = offsets,
                                .created_ms = created_ms,
                                .ingested_ms = ingested_ms,
                                .keys = keys};
    rows.origin = &origin;
    cr_assert_eq(sink_add_rows(subject, &rows), STATUS_OK);
    commit();

    cr_assert_eq(told_count, 1);
    cr_expect_str_eq(told[0], "key|{\"k\":\"a\",\"n\":1}|4321|millrace.created=4321;"
                              "millrace.processed=7777;");
}

Test(sink, of_an_update_the_new_row_is_written_and_of_a_removal_no_value)
{
    struct row_batch rows = make_rows(3);
    uint8_t kinds[] = {ROW_UPDATE_BEFORE, ROW_UPDATE_AFTER, ROW_DELETE};
    rows.kinds = kinds;
    rows.key_columns = rows.columns;
    rows.key_column_count = 1;
    cr_assert_eq(sink_add_rows(subject, &rows), STATUS_OK);
    commit();

    cr_assert_eq(told_count, 2);
    bool is_first = strncmp(told[0], "[\"b\"]", 5) == 0;
    cr_expect_str_eq(told[is_first ? 0 : 1],
                     "[\"b\"]|{\"k\":\"b\",\"n\":2}|-1|millrace.processed=7777;");
    cr_expect_str_eq(told[is_first ? 1 : 0], "[\"c\"]|null|-1|millrace.processed=7777;");
}

Test(sink, late_row_is_unchanged_but_for_three_headers)
{
    static const uint8_t headers[] = {2, 'h', 4, 'x', 'y'}; /* As records have them: h=xy. */
    struct late_row late = {.key = {(const uint8_t *)"key", 3},
                            .value = {(const uint8_t *)"{not even json", 14},
                            .timestamp_ms = 88,
                            .partition = 6,
                            .offset = 1234567890123,
                            .headers = headers,
                            .headers_end = headers + sizeof headers,
                            .header_count = 1,
                            .reason = "late"};
    cr_assert_eq(sink_add_late(subject, &late), STATUS_OK);
    commit();

    cr_assert_eq(told_count, 1);
    cr_expect_str_eq(told[0], "key|{not even json|88|h=xy;millrace.reason=late;"
                              "millrace.partition=6;millrace.offset=1234567890123;");
}

Test(sink, epoch_whose_progress_cannot_be_made_is_not_committed)
{
    progress_status = STATUS_NO_MEMORY;
    struct row_batch rows = make_rows(1);
    cr_assert_eq(sink_add_rows(subject, &rows), STATUS_OK);
    commit();

    cr_expect_not(is_committed);
    cr_expect_eq(failure, STATUS_NO_MEMORY);
}

Test(sink, late_row_may_have_as_many_headers_as_its_record_holds)
{
    enum { COUNT = 150000 };
    static uint8_t headers[2 * COUNT]; /* Each an empty key and an empty value. */
    struct late_row late = {.key = {NULL, -1},
                            .value = {NULL, -1},
                            .headers = headers,
                            .headers_end = headers + sizeof headers,
                            .header_count = COUNT,
                            .reason = "late"};
    reopen((size_t)8 << 20);

    cr_expect_eq(sink_add_late(subject, &late), STATUS_OK);
    late.header_count = COUNT + 1;
    cr_expect_eq(sink_add_late(subject, &late), STATUS_INVALID);
}

Test(sink, rows_of_another_width_are_refused)
{
    struct row_batch rows = make_rows(1);
    rows.column_count = 1;
    cr_expect_eq(sink_add_rows(subject, &rows), STATUS_INVALID);
}

/* A row whose text makes a value of `byte_count` bytes; {"k":"…","n":1} has 14 others. */
static struct row_batch make_long_row(size_t byte_count)
{
    static const size_t others = 14;
    struct row_batch rows = make_rows(1);
    rows.columns[0].text_bytes = malloc(byte_count);
    memset(rows.columns[0].text_bytes, 'x', byte_count - others);
    rows.columns[0].values.text_ends[1] = (int32_t)(byte_count - others);
    return rows;
}

Test(sink, row_is_refused_only_when_no_record_could_hold_it)
{
    static const struct {
        size_t byte_count;
        enum status status;
    } cases[] = {{1100000, STATUS_OK},
                 {COMMIT_EPOCH_RECORD_BYTES_MAX - 200, STATUS_OK},
                 {COMMIT_EPOCH_RECORD_BYTES_MAX, STATUS_INVALID},
                 {COMMIT_EPOCH_RECORD_BYTES_MAX + 1, STATUS_INVALID}};
    reopen((size_t)64 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct row_batch rows = make_long_row(cases[i].byte_count);
        cr_expect_eq(sink_add_rows(subject, &rows), cases[i].status, "%zu", cases[i].byte_count);
        free(rows.columns[0].text_bytes);
    }
}

Test(sink, half_of_the_room_is_told_before_it_is_full)
{
    reopen((size_t)4 << 20);
    cr_expect_not(sink_is_half_full(subject));
    for (int i = 0; i < 3; i++) {
        struct row_batch rows = make_long_row(1000000);
        cr_expect_eq(sink_add_rows(subject, &rows), STATUS_OK);
        free(rows.columns[0].text_bytes);
        cr_expect_eq(sink_is_half_full(subject), i == 2, "%d", i);
    }
}
