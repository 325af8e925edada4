/* What the query of the quickstart costs a processor per input row, on one core: JSON to columns,
 * CASE, windowed partial aggregation, route records, merging aggregation, rows to JSON.
 *
 * The text goes through the real parser, checker and plan; one chain per stage does what its tasks
 * would do, fed as a task feeds it: batches of one partition after the other, an epoch now and
 * then. Not measured: fetching and record batches in front of it, the transaction behind it. Rows
 * are the project's flights, several times over, each copy later by the span of the file. "up to"
 * is the time of all that comes before, so that differences are the parts. Every figure is the best
 * of several rounds of processor time. Usage: bench_query [ROWS_PER_BATCH [BATCHES_PER_EPOCH]] */
#include "processor/format/json_rows.h"
#include "processor/format/json_time.h"
#include "processor/operator/chain.h"
#include "processor/parser/sql_script.h"
#include "processor/plan/plan_check.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUND_COUNT 9
#define COPY_COUNT 20
#define PARTITION_COUNT 4U
#define ARENA_BYTES ((size_t)64 << 20)
#define STATE_BYTES ((size_t)256 << 20)
#define COLUMNS_MAX 16U
#define BAR_ROWS 2e6 /* A second and core: what the project has promised. */

static const char sql[] =
    "CREATE TABLE flights (flight bigint, scheduled_at timestamptz, departed_at timestamptz,"
    " delay_min int, distance_mi int, origin text, destination text)"
    " WITH (topic = 'flights', format = 'json', event_time = 'scheduled_at',"
    " watermark = '1 hour', late_topic = 'flights-late');"
    "CREATE TABLE delays (window_start timestamptz, haul text, flights bigint,"
    " mean_delay double precision, worst int) WITH (topic = 'delays', format = 'json');"
    "SET job.tasks = '1';"
    "INSERT INTO delays"
    " SELECT window_start, CASE WHEN distance_mi < 500 THEN 'short' WHEN distance_mi < 1500 THEN"
    " 'medium' ELSE 'long' END AS haul, count(*), avg(delay_min), max(delay_min)"
    " FROM tumble(flights, scheduled_at, interval '3 hours') GROUP BY window_start, haul;";

enum upto { UPTO_DECODE, UPTO_PARTIAL, UPTO_ALL };

struct route_part {
    uint8_t *bytes;
    size_t byte_count;
    size_t capacity;
    uint32_t ends[65536];
    uint32_t count;
};

struct bench {
    struct arena plan_arena;
    Millrace__Plan__Table *tables[2];
    size_t table_count;
    Millrace__Plan__JobPlan *plan;
    struct wire_bytes *values;
    uint32_t row_count;
    size_t byte_count;
    uint32_t batch_rows;
    uint32_t epoch_batches;
    struct json_reader *reader;
    struct arena arena;
    struct row_origin origin;
    struct chain *chains[2];
    struct route_part route[256];
    uint64_t route_bytes;
    uint64_t rows_out;
    uint64_t late;
    const char *names[COLUMNS_MAX];
};

static struct bench bench;

static double cpu_seconds(void)
{
    struct timespec now;
    int code = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    check(code == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void must(enum status status)
{
    check(status == STATUS_OK);
}

static void *take(size_t count, size_t size)
{
    void *taken = calloc(count, size);
    check(taken != NULL);
    return taken;
}

/* ------------------------------------------------------------------ the plan */

static const Millrace__Plan__Table *find_table(void *context, const char *name)
{
    (void)context;
    for (size_t i = 0; i < bench.table_count; i++) {
        if (strcmp(bench.tables[i]->name, name) == 0) {
            return bench.tables[i];
        }
    }
    return NULL;
}

static uint32_t count_partitions(void *context, const Millrace__Plan__Table *table)
{
    (void)context;
    (void)table;
    return PARTITION_COUNT;
}

static void make_plan(void)
{
    const struct plan_tables tables = {.find = find_table, .partition_count = count_partitions};
    struct plan_settings settings;
    struct plan_fault fault;
    Millrace__Plan__Script *script = NULL;
    arena_init(&bench.plan_arena, SQL_SCRIPT_ARENA_BYTES + PLAN_CHECK_ARENA_BYTES);
    plan_settings_init(&settings);
    plan_fault_init(&fault, &bench.plan_arena);
    must(sql_script_parse(sql, sizeof sql - 1, &bench.plan_arena, &script));
    check(script->fault == NULL);
    for (size_t i = 0; i < script->n_statements; i++) {
        const Millrace__Plan__Statement *statement = script->statements[i];
        const struct plan_check_options options = {.tables = &tables, .settings = &settings};
        if (statement->kind_case == MILLRACE__PLAN__STATEMENT__KIND_CREATE_TABLE) {
            must(plan_check_table(statement->create_table, &fault,
                                  &bench.tables[bench.table_count]));
            bench.table_count++;
        } else if (statement->kind_case == MILLRACE__PLAN__STATEMENT__KIND_SETTING) {
            must(plan_settings_apply(&settings, statement->setting, &fault));
        } else {
            must(plan_check_insert(statement->insert, &options, &fault, &bench.plan));
        }
    }
    check(bench.plan != NULL && bench.plan->n_stages == 2);
}

static void make_reader(void)
{
    struct json_column columns[COLUMNS_MAX];
    const Millrace__Plan__Stage *stage = bench.plan->stages[0];
    check(stage->n_source_columns <= COLUMNS_MAX && bench.plan->sink->n_columns <= COLUMNS_MAX);
    for (size_t i = 0; i < stage->n_source_columns; i++) {
        const Millrace__Plan__Column *column =
            bench.plan->source->columns[stage->source_columns[i]];
        columns[i] =
            (struct json_column){.name = column->name, .type = (enum value_type)column->type};
    }
    must(json_reader_new(columns, (uint32_t)stage->n_source_columns, &bench.reader));
    for (size_t i = 0; i < bench.plan->sink->n_columns; i++) {
        bench.names[i] = bench.plan->sink->columns[i]->name;
    }
}

/* ------------------------------------------------------------------ the rows */

static const char time_key[] = "\"scheduled_at\":\"";

/* The place of a line's scheduled time, which is 20 bytes long. */
static uint8_t *find_time(uint8_t *line, size_t byte_count)
{
    uint8_t *key = memmem(line, byte_count, time_key, sizeof time_key - 1);
    check(key != NULL);
    return key + sizeof time_key - 1;
}

static int64_t read_time(uint8_t *line, size_t byte_count)
{
    int64_t us = 0;
    must(json_time_read(find_time(line, byte_count), 20, &us));
    return us;
}

static void put_copy(uint8_t *bytes, size_t byte_count, int64_t shift_us)
{
    for (size_t start = 0; start < byte_count;) {
        uint8_t *line = bytes + start;
        const uint8_t *end = memchr(line, '\n', byte_count - start);
        size_t line_bytes = end == NULL ? byte_count - start : (size_t)(end - line);
        uint8_t time[JSON_TIME_BYTES_MAX];
        size_t time_bytes = json_time_write(read_time(line, line_bytes) + shift_us, time);
        check(time_bytes == 20);
        memcpy(find_time(line, line_bytes), time, time_bytes);
        bench.values[bench.row_count++] =
            (struct wire_bytes){.bytes = line, .byte_count = (int32_t)line_bytes};
        start += line_bytes + 1;
    }
}

static void load(const char *path)
{
    FILE *file = fopen(path, "r");
    check(file != NULL);
    fseek(file, 0, SEEK_END);
    size_t byte_count = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = take(COPY_COUNT, byte_count);
    size_t got = fread(bytes, 1, byte_count, file);
    check(got == byte_count && bytes[byte_count - 1] == '\n');
    fclose(file);
    bench.values = take(COPY_COUNT * byte_count / 32, sizeof *bench.values);
    bench.byte_count = COPY_COUNT * byte_count;
    for (int copy = 1; copy < COPY_COUNT; copy++) {
        memcpy(bytes + (size_t)copy * byte_count, bytes, byte_count);
    }
    const uint8_t *last = memrchr(bytes, '\n', byte_count - 1);
    size_t last_at = (size_t)(last - bytes) + 1;
    int64_t span = read_time(bytes + last_at, byte_count - last_at) - read_time(bytes, byte_count);
    span += INT64_C(6) * 3600 * 1000000; /* Flights are a few hours out of order. */
    for (int copy = 0; copy < COPY_COUNT; copy++) {
        put_copy(bytes + (size_t)copy * byte_count, byte_count, span * copy);
    }
}

/* What the source knows of rows; the same for all batches but for their values. */
static void make_origin(void)
{
    uint32_t rows = bench.batch_rows;
    bench.origin.offsets = take(rows, sizeof(int64_t));
    bench.origin.created_ms = take(rows, sizeof(int64_t));
    bench.origin.ingested_ms = take(rows, sizeof(int64_t));
    bench.origin.keys = take(rows, sizeof(struct wire_bytes));
    bench.origin.headers = take(rows, sizeof(uint8_t *));
    bench.origin.headers_ends = take(rows, sizeof(uint8_t *));
    bench.origin.header_counts = take(rows, sizeof(int32_t));
    for (uint32_t i = 0; i < rows; i++) {
        bench.origin.offsets[i] = i;
        bench.origin.created_ms[i] = 1000 + i;
        bench.origin.ingested_ms[i] = 2000 + i;
    }
}

/* ------------------------------------------------------------------ what chains give */

static enum status on_rows(void *context, const struct row_batch *rows)
{
    (void)context;
    static uint8_t bytes[4096];
    for (uint32_t row = 0; row < rows->row_count; row++) {
        size_t byte_count = 0;
        TRY(json_row_write(rows->columns, bench.names, rows->column_count, row, bytes, sizeof bytes,
                           &byte_count));
        bench.rows_out++;
    }
    return STATUS_OK;
}

static enum status on_route(void *context, uint32_t partition, struct wire_bytes value)
{
    (void)context;
    struct route_part *part = &bench.route[partition];
    size_t byte_count = (size_t)value.byte_count;
    check(part->count < sizeof part->ends / sizeof part->ends[0]);
    if (part->capacity - part->byte_count < byte_count) {
        part->capacity = 2 * (part->capacity + byte_count);
        part->bytes = realloc(part->bytes, part->capacity);
        check(part->bytes != NULL);
    }
    memcpy(part->bytes + part->byte_count, value.bytes, byte_count);
    part->byte_count += byte_count;
    part->ends[part->count++] = (uint32_t)part->byte_count;
    bench.route_bytes += byte_count;
    return STATUS_OK;
}

static enum status on_change(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value)
{
    (void)context;
    (void)partition;
    (void)key;
    (void)value;
    return STATUS_OK;
}

static enum status on_late(void *context, const struct late_row *late)
{
    (void)context;
    (void)late;
    bench.late++;
    return STATUS_OK;
}

static enum status on_misfit(void *context, const struct chain_misfit *misfit)
{
    (void)context;
    (void)misfit;
    return STATUS_INVALID;
}

static void make_chain(uint32_t stage)
{
    struct chain_options options = {.plan = bench.plan,
                                    .stage = stage,
                                    .state_bytes_max = STATE_BYTES,
                                    .on_rows = on_rows,
                                    .on_route = on_route,
                                    .on_change = on_change,
                                    .on_late = on_late,
                                    .on_misfit = on_misfit};
    check(bench.plan->stages[stage]->task_count == 1);
    must(chain_new(&options, &bench.chains[stage]));
    must(chain_resume(bench.chains[stage], NULL));
}

/* ------------------------------------------------------------------ one round */

static void end_epoch(enum upto upto)
{
    must(chain_end_epoch(bench.chains[0]));
    chain_begin_epoch(bench.chains[0], 1);
    for (uint32_t partition = 0; partition < 256; partition++) {
        struct route_part *part = &bench.route[partition];
        for (uint32_t i = 0; upto == UPTO_ALL && i < part->count; i++) {
            uint32_t start = i == 0 ? 0 : part->ends[i - 1];
            struct wire_bytes value = {.bytes = part->bytes + start,
                                       .byte_count = (int32_t)(part->ends[i] - start)};
            must(chain_push_route(bench.chains[1], partition, value));
        }
        part->count = 0;
        part->byte_count = 0;
    }
    if (upto == UPTO_ALL) {
        must(chain_end_epoch(bench.chains[1]));
        chain_begin_epoch(bench.chains[1], 1);
    }
}

static void run_batch(uint32_t first, uint32_t number, enum upto upto)
{
    uint8_t misfits[ROW_BATCH_ROWS_MAX / 8] = {0};
    struct column columns[COLUMNS_MAX];
    uint32_t left = bench.row_count - first;
    uint32_t row_count = left < bench.batch_rows ? left : bench.batch_rows;
    must(json_reader_read(bench.reader, bench.values + first, row_count, &bench.arena, misfits,
                          columns));
    if (upto != UPTO_DECODE) {
        bench.origin.partition = (int32_t)(number % PARTITION_COUNT);
        bench.origin.values = bench.values + first;
        struct row_batch rows = {.arena = &bench.arena,
                                 .row_count = row_count,
                                 .column_count = (uint32_t)bench.plan->stages[0]->n_source_columns,
                                 .columns = columns,
                                 .origin = &bench.origin};
        must(chain_push_rows(bench.chains[0], &rows, misfits));
        if ((number + 1) % bench.epoch_batches == 0) {
            end_epoch(upto);
        }
    }
    arena_reset(&bench.arena);
}

static double run_round(enum upto upto)
{
    bench.rows_out = 0;
    bench.late = 0;
    bench.route_bytes = 0;
    make_chain(0);
    make_chain(1);
    double start = cpu_seconds();
    chain_begin_epoch(bench.chains[0], 1);
    chain_begin_epoch(bench.chains[1], 1);
    uint32_t number = 0;
    for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
        run_batch(first, number++, upto);
    }
    if (upto != UPTO_DECODE) {
        end_epoch(upto);
    }
    double seconds = cpu_seconds() - start;
    chain_free(bench.chains[0]);
    chain_free(bench.chains[1]);
    return seconds;
}

static double report(const char *what, enum upto upto, double before)
{
    double best = 1e9;
    for (int round = 0; round < ROUND_COUNT; round++) {
        double seconds = run_round(upto);
        best = seconds < best ? seconds : best;
    }
    printf("up to %-22s %7.1f ns/row (+%6.1f) %7.2f M rows/s %6.2fx the bar\n", what,
           best / bench.row_count * 1e9, (best - before) / bench.row_count * 1e9,
           bench.row_count / best / 1e6, bench.row_count / best / BAR_ROWS);
    return best;
}

int main(int argc, char **argv)
{
    bench.batch_rows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 4096;
    bench.epoch_batches = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 16;
    check(bench.batch_rows > 0 && bench.batch_rows <= ROW_BATCH_ROWS_MAX);
    check(bench.epoch_batches > 0);
    arena_init(&bench.arena, ARENA_BYTES);
    make_plan();
    load(BENCH_FLIGHTS);
    make_reader();
    make_origin();
    printf("%u rows of %.0f bytes, batches of %u, epochs of %u batches, %u partitions\n",
           bench.row_count, (double)bench.byte_count / bench.row_count, bench.batch_rows,
           bench.epoch_batches, PARTITION_COUNT);
    double decoded = report("columns of JSON", UPTO_DECODE, 0);
    double partial = report("route records", UPTO_PARTIAL, decoded);
    printf("  %.2f bytes of route per row\n", (double)bench.route_bytes / bench.row_count);
    report("rows of the sink", UPTO_ALL, partial);
    printf("  %llu rows out, %llu late\n", (unsigned long long)bench.rows_out,
           (unsigned long long)bench.late);
    json_reader_free(bench.reader);
    arena_done(&bench.arena);
    arena_done(&bench.plan_arena);
    return 0;
}
