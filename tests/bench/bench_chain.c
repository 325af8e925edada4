/* What the quickstart's query costs in a processor, on one core: JSON to columns, then the chain of
 * stage 0 (CASE, windows, keys, three aggregates) up to the records of the route, then stage 1.
 *
 * Each round takes the file REPEATS times as one epoch of a new chain, in batches as a source gives
 * them. Every figure is the best of several rounds of processor time, since other work on the
 * machine can only make it slower. The limit measured in the same run is reading the bytes once.
 * Usage: bench_chain [FILE [ROWS_PER_BATCH]] */
#include "processor/format/json_rows.h"
#include "processor/operator/chain.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUND_COUNT 15
#define REPEATS 10U
#define ARENA_BYTES ((size_t)256 << 20)

typedef Millrace__Plan__TypedExpr plan_expr;

static const struct json_column asked[] = {{"scheduled_at", VALUE_TIMESTAMPTZ, false},
                                           {"delay_min", VALUE_INT, false},
                                           {"distance_mi", VALUE_INT, false}};

struct bench {
    uint8_t *bytes;
    size_t byte_count;
    struct wire_bytes *values;
    uint32_t row_count;
    uint32_t batch_rows;
    struct row_origin origin;
    struct arena arena;
    struct json_reader *reader;
    Millrace__Plan__JobPlan plan;
    struct column columns[3];
    struct column *decoded; /* Of all batches, three each. */
    uint8_t misfits[ROW_BATCH_ROWS_MAX / 8];
    struct wire_bytes route; /* The last record of stage 0. */
};

static struct bench bench;
static volatile uint64_t sink; /* Keeps results from being optimised away. */

static double cpu_seconds(void)
{
    struct timespec now;
    int code = clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    check(code == 0);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double best_of(void (*call)(void))
{
    double best = 1e9;
    for (int round = 0; round < ROUND_COUNT; round++) {
        double start = cpu_seconds();
        call();
        double each = cpu_seconds() - start;
        best = each < best ? each : best;
    }
    return best / (double)REPEATS;
}

static void must(enum status status)
{
    check(status == STATUS_OK);
}

static void *take(size_t byte_count)
{
    void *taken = calloc(1, byte_count);
    check(taken != NULL);
    return taken;
}

/* ---- input */

static void load(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "cannot open %s\n", path);
        exit(2);
    }
    fseek(file, 0, SEEK_END);
    bench.byte_count = (size_t)ftell(file);
    rewind(file);
    bench.bytes = take(bench.byte_count + 1);
    size_t got = fread(bench.bytes, 1, bench.byte_count, file);
    check(got == bench.byte_count);
    fclose(file);
    bench.values = take((bench.byte_count / 2 + 1) * sizeof *bench.values);
    for (size_t start = 0; start < bench.byte_count;) {
        const uint8_t *end = memchr(bench.bytes + start, '\n', bench.byte_count - start);
        size_t stop = end == NULL ? bench.byte_count : (size_t)(end - bench.bytes);
        bench.values[bench.row_count++] = (struct wire_bytes){
            .bytes = bench.bytes + start, .byte_count = (int32_t)(stop - start)};
        start = stop + 1;
    }
    struct row_origin *origin = &bench.origin;
    origin->offsets = take(bench.row_count * sizeof(int64_t));
    origin->created_ms = take(bench.row_count * sizeof(int64_t));
    origin->ingested_ms = take(bench.row_count * sizeof(int64_t));
    origin->keys = take(bench.row_count * sizeof(struct wire_bytes));
    origin->values = bench.values;
    origin->headers = take(bench.row_count * sizeof(uint8_t *));
    origin->headers_ends = take(bench.row_count * sizeof(uint8_t *));
    origin->header_counts = take(bench.row_count * sizeof(int32_t));
}

static uint32_t batch_rows(uint32_t first)
{
    uint32_t left = bench.row_count - first;
    return left < bench.batch_rows ? left : bench.batch_rows;
}

/* ---- the plan of the query */

static plan_expr *plan_make(Millrace__Plan__TypedExpr__KindCase kind, enum value_type type)
{
    plan_expr *plan = take(sizeof *plan);
    millrace__plan__typed_expr__init(plan);
    plan->type = (Millrace__Plan__Type)type;
    plan->kind_case = kind;
    return plan;
}

static plan_expr *plan_column(uint32_t column, enum value_type type)
{
    plan_expr *plan = plan_make(MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN, type);
    plan->column = column;
    return plan;
}

static plan_expr *plan_literal(const char *text, int64_t number)
{
    plan_expr *plan =
        plan_make(MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL, text != NULL ? VALUE_TEXT : VALUE_INT);
    plan->literal = take(sizeof *plan->literal);
    millrace__plan__literal__init(plan->literal);
    plan->literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
    plan->literal->integer = number;
    if (text != NULL) {
        plan->literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TEXT;
        plan->literal->text = strdup(text);
    }
    return plan;
}

static plan_expr *plan_call(Millrace__Plan__Operation operation, enum value_type type, size_t count,
                            plan_expr *const *arguments)
{
    plan_expr *plan = plan_make(MILLRACE__PLAN__TYPED_EXPR__KIND_CALL, type);
    plan->call = take(sizeof *plan->call);
    millrace__plan__typed_call__init(plan->call);
    plan->call->operation = operation;
    plan->call->n_arguments = count;
    plan->call->arguments = take(count * sizeof *arguments);
    memcpy(plan->call->arguments, arguments, count * sizeof *arguments);
    return plan;
}

static plan_expr *plan_below(int64_t bound)
{
    plan_expr *arguments[2] = {plan_column(2, VALUE_INT), plan_literal(NULL, bound)};
    return plan_call(MILLRACE__PLAN__OPERATION__OPERATION_LT, VALUE_BOOL, 2, arguments);
}

static plan_expr *plan_haul(void)
{
    plan_expr *arguments[5] = {plan_below(500), plan_literal("short", 0), plan_below(1500),
                               plan_literal("medium", 0), plan_literal("long", 0)};
    return plan_call(MILLRACE__PLAN__OPERATION__OPERATION_CASE, VALUE_TEXT, 5, arguments);
}

static Millrace__Plan__AggregateCall *plan_aggregate(Millrace__Plan__AggregateFunction function,
                                                     plan_expr *argument, enum value_type type)
{
    Millrace__Plan__AggregateCall *call = take(sizeof *call);
    millrace__plan__aggregate_call__init(call);
    call->function = function;
    call->argument = argument;
    call->type = (Millrace__Plan__Type)type;
    return call;
}

static Millrace__Plan__Aggregation *plan_aggregation(void)
{
    Millrace__Plan__Aggregation *plan = take(sizeof *plan);
    millrace__plan__aggregation__init(plan);
    plan->window = MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE;
    plan->time = plan_column(0, VALUE_TIMESTAMPTZ);
    plan->size_us = INT64_C(3) * 3600 * 1000000;
    plan->n_keys = 1;
    plan->keys = take(sizeof *plan->keys);
    plan->keys[0] = plan_haul();
    plan->n_calls = 3;
    plan->calls = take(3 * sizeof *plan->calls);
    plan->calls[0] = plan_aggregate(MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR, NULL,
                                    VALUE_BIGINT);
    plan->calls[1] = plan_aggregate(MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_AVG,
                                    plan_column(1, VALUE_INT), VALUE_DOUBLE);
    plan->calls[2] = plan_aggregate(MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX,
                                    plan_column(1, VALUE_INT), VALUE_INT);
    return plan;
}

static Millrace__Plan__Stage *plan_stage(uint32_t index, Millrace__Plan__Aggregation *aggregation)
{
    Millrace__Plan__Operator *made = take(sizeof *made);
    millrace__plan__operator__init(made);
    made->id = 1;
    made->kind_case =
        index == 0 ? MILLRACE__PLAN__OPERATOR__KIND_PARTIAL : MILLRACE__PLAN__OPERATOR__KIND_MERGE;
    made->partial = aggregation;
    Millrace__Plan__Stage *stage = take(sizeof *stage);
    millrace__plan__stage__init(stage);
    stage->index = index;
    stage->task_count = 1;
    stage->input_partition_count = 1;
    stage->n_operators = 1;
    stage->operators = take(sizeof *stage->operators);
    stage->operators[0] = made;
    if (index == 0) {
        static uint32_t columns[3] = {0, 1, 2};
        stage->n_source_columns = 3;
        stage->source_columns = columns;
        stage->route_partition_count = 1;
    }
    return stage;
}

static void plan_job(void)
{
    Millrace__Plan__Table *source = take(sizeof *source);
    millrace__plan__table__init(source);
    source->columns = take(3 * sizeof *source->columns);
    source->n_columns = 3;
    for (int i = 0; i < 3; i++) {
        source->columns[i] = take(sizeof **source->columns);
        millrace__plan__column__init(source->columns[i]);
        source->columns[i]->name = strdup(asked[i].name);
        source->columns[i]->type = (Millrace__Plan__Type)asked[i].type;
    }
    source->event_time = source->columns[0]->name;
    source->has_watermark = true;
    source->watermark_delay_us = INT64_C(3600) * 1000000;
    millrace__plan__job_plan__init(&bench.plan);
    bench.plan.version = 1;
    bench.plan.source = source;
    bench.plan.source_partition_count = 1;
    Millrace__Plan__Aggregation *aggregation = plan_aggregation();
    bench.plan.n_stages = 2;
    bench.plan.stages = take(2 * sizeof *bench.plan.stages);
    bench.plan.stages[0] = plan_stage(0, aggregation);
    bench.plan.stages[1] = plan_stage(1, aggregation);
}

/* ---- what the chain gives */

static enum status on_rows(void *context, const struct row_batch *rows)
{
    (void)context;
    sink += rows->row_count;
    return STATUS_OK;
}

static enum status on_route(void *context, uint32_t partition, struct wire_bytes value)
{
    (void)context;
    check(partition == 0);
    uint8_t *copy = realloc((void *)(uintptr_t)bench.route.bytes, (size_t)value.byte_count);
    check(copy != NULL);
    memcpy(copy, value.bytes, (size_t)value.byte_count);
    bench.route = (struct wire_bytes){.bytes = copy, .byte_count = value.byte_count};
    return STATUS_OK;
}

static enum status on_change(void *context, uint32_t partition, struct wire_bytes key,
                             struct wire_bytes value)
{
    (void)context;
    (void)partition;
    sink += (uint64_t)(key.byte_count + value.byte_count);
    return STATUS_OK;
}

static enum status on_late(void *context, const struct chain_late *late)
{
    (void)context;
    (void)late;
    return STATUS_INVALID;
}

static enum status on_misfit(void *context, const struct chain_misfit *misfit)
{
    (void)context;
    (void)misfit;
    return STATUS_INVALID;
}

static struct chain *open_chain(uint32_t stage)
{
    struct chain_options options = {.plan = &bench.plan,
                                    .stage = stage,
                                    .state_bytes_max = (size_t)64 << 20,
                                    .on_rows = on_rows,
                                    .on_route = on_route,
                                    .on_change = on_change,
                                    .on_late = on_late,
                                    .on_misfit = on_misfit};
    struct chain *chain = NULL;
    must(chain_new(&options, &chain));
    must(chain_resume(chain, NULL));
    chain_begin_epoch(chain, 1);
    return chain;
}

static void push(struct chain *chain, uint32_t first, struct column *columns)
{
    struct row_origin origin = bench.origin;
    origin.offsets += first;
    origin.created_ms += first;
    origin.ingested_ms += first;
    origin.keys += first;
    origin.values += first;
    origin.headers += first;
    origin.headers_ends += first;
    origin.header_counts += first;
    struct row_batch rows = {.arena = &bench.arena,
                             .row_count = batch_rows(first),
                             .column_count = 3,
                             .columns = columns,
                             .origin = &origin};
    must(chain_push_rows(chain, &rows, bench.misfits));
}

static void decode(uint32_t first, struct column *columns)
{
    memset(bench.misfits, 0, sizeof bench.misfits);
    must(json_reader_read(bench.reader, bench.values + first, batch_rows(first), &bench.arena,
                          bench.misfits, columns));
}

/* ---- rounds */

static void run_bytes(void)
{
    for (uint32_t i = 0; i < REPEATS; i++) {
        const uint8_t *end = memchr(bench.bytes, 0x01, bench.byte_count);
        sink += end == NULL ? 1 : 2;
    }
}

static void run_decode(void)
{
    for (uint32_t i = 0; i < REPEATS; i++) {
        for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
            decode(first, bench.columns);
            sink += bench.columns[1].row_count;
            arena_reset(&bench.arena);
        }
    }
}

static void run_chain(void)
{
    struct chain *chain = open_chain(0);
    for (uint32_t i = 0; i < REPEATS; i++) {
        struct column *columns = bench.decoded;
        for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
            push(chain, first, columns);
            columns += 3;
        }
    }
    must(chain_end_epoch(chain));
    chain_free(chain);
}

static void run_both(void)
{
    struct chain *chain = open_chain(0);
    for (uint32_t i = 0; i < REPEATS; i++) {
        for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
            decode(first, bench.columns);
            push(chain, first, bench.columns);
            arena_reset(&bench.arena);
        }
    }
    must(chain_end_epoch(chain));
    chain_free(chain);
}

/* One route record of all groups, as often as there would be epochs. */
static void run_merge(void)
{
    struct chain *chain = open_chain(1);
    for (uint32_t i = 0; i < REPEATS; i++) {
        must(chain_push_route(chain, 0, bench.route));
        must(chain_end_epoch(chain));
        chain_free(chain);
        chain = open_chain(1);
    }
    chain_free(chain);
}

static void tell(const char *what, double seconds, double bytes_seconds)
{
    double rows = (double)bench.row_count;
    printf("%-34s %7.1f ns/row %7.2f M rows/s  %6.1f x one pass over the bytes\n", what,
           seconds / rows * 1e9, rows / seconds / 1e6, seconds / bytes_seconds);
}

int main(int argument_count, char **arguments)
{
    load(argument_count > 1 ? arguments[1] : BENCH_FLIGHTS);
    bench.batch_rows = argument_count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 4096;
    check(bench.batch_rows > 0);
    check(bench.batch_rows <= ROW_BATCH_ROWS_MAX);
    arena_init(&bench.arena, ARENA_BYTES);
    must(json_reader_new(asked, 3, &bench.reader));
    plan_job();

    double bytes = best_of(run_bytes);
    tell("reading the bytes", bytes, bytes);
    tell("JSON to three columns", best_of(run_decode), bytes);
    tell("JSON and stage 0", best_of(run_both), bytes);
    bench.decoded = take(3 * (bench.row_count / bench.batch_rows + 1) * sizeof *bench.decoded);
    struct column *columns = bench.decoded;
    for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
        decode(first, columns);
        columns += 3;
    }
    tell("stage 0 alone", best_of(run_chain), bytes);
    double merge = best_of(run_merge);
    printf("stage 1: %.1f us for an epoch's record of %d bytes\n", merge * 1e6,
           bench.route.byte_count);
    printf("The bar: 2 M rows/s per core for the whole query.\n");
    return 0;
}
