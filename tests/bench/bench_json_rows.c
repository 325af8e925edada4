/* What it costs to make columns of JSON records, and to compute with them, on one core.
 *
 * The records are lines of a file (by default the project's flights), in batches as a processor
 * takes them. Limits measured in the same run: walking the bytes with memchr(), and copying them.
 * "searched" is the reader without guessing, which parses every key. Every figure is the best of
 * several rounds of processor time, since other work on the machine can only make it slower.
 * Usage: bench_json_rows [FILE [ROWS_PER_BATCH]] */
#include "processor/format/json_rows.h"
#include "processor/plan/expr.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUND_COUNT 25
#define ARENA_BYTES ((size_t)64 << 20)

static const struct json_column asked[] = {
    {"scheduled_at", VALUE_TIMESTAMPTZ, false},
    {"delay_min", VALUE_INT, false},
    {"distance_mi", VALUE_INT, false},
};
static const struct json_column asked_all[] = {
    {"flight", VALUE_BIGINT, false},           {"scheduled_at", VALUE_TIMESTAMPTZ, false},
    {"departed_at", VALUE_TIMESTAMPTZ, false}, {"delay_min", VALUE_INT, false},
    {"distance_mi", VALUE_INT, false},         {"origin", VALUE_TEXT, false},
    {"destination", VALUE_TEXT, false},
};
#define COLUMNS_MAX 8U

struct bench {
    uint8_t *bytes;
    size_t byte_count;
    struct wire_bytes *values;
    uint32_t row_count;
    uint32_t batch_rows;
    struct arena arena;
    struct json_reader *reader;
    struct expr *haul;
    struct expr *filter;
    struct column columns[COLUMNS_MAX];
    uint8_t misfits[ROW_BATCH_ROWS_MAX / 8];
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
    return best;
}

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
    bench.bytes = malloc(bench.byte_count + 1);
    check(bench.bytes != NULL);
    size_t got = fread(bench.bytes, 1, bench.byte_count, file);
    check(got == bench.byte_count);
    fclose(file);
    bench.values = malloc((bench.byte_count + 1) * sizeof *bench.values / 2);
    check(bench.values != NULL);
    for (size_t start = 0; start < bench.byte_count;) {
        const uint8_t *end = memchr(bench.bytes + start, '\n', bench.byte_count - start);
        size_t byte_count =
            end == NULL ? bench.byte_count - start : (size_t)(end - bench.bytes) - start;
        bench.values[bench.row_count++] =
            (struct wire_bytes){.bytes = bench.bytes + start, .byte_count = (int32_t)byte_count};
        start += byte_count + 1;
    }
}

static void run_memchr(void)
{
    for (size_t start = 0; start < bench.byte_count;) {
        const uint8_t *end = memchr(bench.bytes + start, '\n', bench.byte_count - start);
        if (end == NULL) {
            break;
        }
        sink += 1;
        start = (size_t)(end - bench.bytes) + 1;
    }
}

static void run_copy(void)
{
    static uint8_t *copy;
    copy = copy == NULL ? malloc(bench.byte_count) : copy;
    check(copy != NULL);
    memcpy(copy, bench.bytes, bench.byte_count);
    sink += copy[bench.byte_count / 2];
}

static void read_batch(uint32_t first, uint32_t row_count)
{
    memset(bench.misfits, 0, sizeof bench.misfits);
    enum status status = json_reader_read(bench.reader, bench.values + first, row_count,
                                          &bench.arena, bench.misfits, bench.columns);
    check(status == STATUS_OK);
}

static uint32_t batch_rows(uint32_t first)
{
    uint32_t left = bench.row_count - first;
    return left < bench.batch_rows ? left : bench.batch_rows;
}

static void run_read(void)
{
    for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
        read_batch(first, batch_rows(first));
        sink += (uint64_t)bench.columns[1].row_count;
        arena_reset(&bench.arena);
    }
}

static struct row_batch batch_of(uint32_t row_count)
{
    return (struct row_batch){.arena = &bench.arena,
                              .row_count = row_count,
                              .column_count = sizeof asked / sizeof asked[0],
                              .columns = bench.columns};
}

static void run_read_and_case(void)
{
    for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
        struct column haul;
        read_batch(first, batch_rows(first));
        struct row_batch rows = batch_of(batch_rows(first));
        enum status status = expr_evaluate(bench.haul, &rows, &bench.arena, bench.misfits, &haul);
        check(status == STATUS_OK);
        sink += (uint64_t)haul.values.text_ends[rows.row_count];
        arena_reset(&bench.arena);
    }
}

static void run_read_filter_and_case(void)
{
    for (uint32_t first = 0; first < bench.row_count; first += bench.batch_rows) {
        struct column keep;
        struct column haul;
        struct row_batch kept;
        read_batch(first, batch_rows(first));
        struct row_batch rows = batch_of(batch_rows(first));
        enum status status = expr_evaluate(bench.filter, &rows, &bench.arena, bench.misfits, &keep);
        check(status == STATUS_OK && keep.validity == NULL);
        status = row_batch_select(&rows, keep.values.bools, &bench.arena, &kept);
        check(status == STATUS_OK);
        status = expr_evaluate(bench.haul, &kept, &bench.arena, bench.misfits, &haul);
        check(status == STATUS_OK);
        sink += kept.row_count;
        arena_reset(&bench.arena);
    }
}

/* ------------------------------------------------------------------ plans */

typedef Millrace__Plan__TypedExpr plan_expr;

static void *take(size_t byte_count)
{
    void *taken = calloc(1, byte_count);
    check(taken != NULL);
    return taken;
}

static plan_expr *plan_column(uint32_t column, enum value_type type)
{
    plan_expr *plan = take(sizeof *plan);
    millrace__plan__typed_expr__init(plan);
    plan->type = (Millrace__Plan__Type)type;
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_COLUMN;
    plan->column = column;
    return plan;
}

static plan_expr *plan_literal(enum value_type type)
{
    plan_expr *plan = plan_column(0, type);
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_LITERAL;
    plan->literal = take(sizeof *plan->literal);
    millrace__plan__literal__init(plan->literal);
    return plan;
}

static plan_expr *plan_int(int64_t value)
{
    plan_expr *plan = plan_literal(VALUE_INT);
    plan->literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_INTEGER;
    plan->literal->integer = value;
    return plan;
}

static plan_expr *plan_text(const char *text)
{
    plan_expr *plan = plan_literal(VALUE_TEXT);
    plan->literal->value_case = MILLRACE__PLAN__LITERAL__VALUE_TEXT;
    plan->literal->text = strdup(text);
    return plan;
}

static plan_expr *plan_call(enum value_type type, Millrace__Plan__Operation operation,
                            plan_expr *const *arguments, size_t count)
{
    plan_expr *plan = plan_column(0, type);
    plan->kind_case = MILLRACE__PLAN__TYPED_EXPR__KIND_CALL;
    plan->call = take(sizeof *plan->call);
    millrace__plan__typed_call__init(plan->call);
    plan->call->operation = operation;
    plan->call->n_arguments = count;
    plan->call->arguments = take(count * sizeof(plan_expr *));
    memcpy(plan->call->arguments, arguments, count * sizeof(plan_expr *));
    return plan;
}

static plan_expr *plan_compare(Millrace__Plan__Operation operation, uint32_t column, int64_t value)
{
    plan_expr *const arguments[] = {plan_column(column, VALUE_INT), plan_int(value)};
    return plan_call(VALUE_BOOL, operation, arguments, 2);
}

static void make_plans(void)
{
    plan_expr *const arguments[] = {plan_compare(MILLRACE__PLAN__OPERATION__OPERATION_LT, 2, 500),
                                    plan_text("short"),
                                    plan_compare(MILLRACE__PLAN__OPERATION__OPERATION_LT, 2, 1500),
                                    plan_text("medium"), plan_text("long")};
    plan_expr *haul =
        plan_call(VALUE_TEXT, MILLRACE__PLAN__OPERATION__OPERATION_CASE, arguments, 5);
    plan_expr *filter = plan_compare(MILLRACE__PLAN__OPERATION__OPERATION_GT, 1, 0);
    const enum value_type types[] = {VALUE_TIMESTAMPTZ, VALUE_INT, VALUE_INT};
    enum status one = expr_new(haul, types, 3, &bench.haul);
    enum status other = expr_new(filter, types, 3, &bench.filter);
    check(one == STATUS_OK && other == STATUS_OK);
}

static void use_reader(const struct json_column *columns, uint32_t column_count, bool is_learning)
{
    json_reader_free(bench.reader);
    enum status status = json_reader_new(columns, column_count, &bench.reader);
    check(status == STATUS_OK);
    json_reader_set_learning(bench.reader, is_learning);
}

static void report(const char *what, double seconds, double limit)
{
    printf("%-28s %7.1f ns/row %7.2f M rows/s %6.2f GB/s %7.1fx memchr\n", what,
           seconds / bench.row_count * 1e9, bench.row_count / seconds / 1e6,
           (double)bench.byte_count / seconds / 1e9, seconds / limit);
}

int main(int argc, char **argv)
{
    load(argc > 1 ? argv[1] : BENCH_FLIGHTS);
    bench.batch_rows = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 4096;
    check(bench.batch_rows > 0 && bench.batch_rows <= ROW_BATCH_ROWS_MAX);
    arena_init(&bench.arena, ARENA_BYTES);
    make_plans();
    printf("%u rows of %.0f bytes, batches of %u\n", bench.row_count,
           (double)bench.byte_count / bench.row_count, bench.batch_rows);
    double limit = best_of(run_memchr);
    report("memchr", limit, limit);
    report("copy", best_of(run_copy), limit);
    use_reader(asked, 3, true);
    double guessed = best_of(run_read);
    report("3 of 7 columns", guessed, limit);
    struct json_reader_stats stats = json_reader_stats(bench.reader);
    printf("  keys searched: %.4f of a row; misfits: %.4f of a row\n",
           (double)stats.members_searched / (double)stats.rows,
           (double)stats.misfits / (double)stats.rows);
    report("3 columns, CASE", best_of(run_read_and_case), limit);
    report("3 columns, filter, CASE", best_of(run_read_filter_and_case), limit);
    use_reader(asked, 3, false);
    double searched = best_of(run_read);
    report("3 columns, searched", searched, limit);
    printf("  guessing takes %.2f of the time of searching\n", guessed / searched);
    use_reader(asked_all, 7, true);
    report("7 of 7 columns", best_of(run_read), limit);
    json_reader_free(bench.reader);
    expr_free(bench.haul);
    expr_free(bench.filter);
    arena_done(&bench.arena);
    return 0;
}
