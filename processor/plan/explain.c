#include "processor/plan/explain.h"

#include "processor/plan/expr_text.h"
#include "processor/plan/name_scope.h"
#include "processor/text/text_builder.h"
#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <string.h>

/* What the rows are called that pass through a stage. */
struct row_names {
    const char **names;
    uint32_t count;
};

struct writer {
    const Millrace__Plan__JobPlan *plan;
    struct arena *arena;
    struct text_builder text;
    struct row_names input;
};

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

/* ------------------------------------------------------------------ tables */

static void add_start(struct writer *self, const Millrace__Plan__Table *table)
{
    char time[TIME_TEXT_BYTES_MAX];
    switch ((int)table->start) {
    case MILLRACE__PLAN__START_KIND__START_LATEST:
        text_builder_add(&self->text, "from the latest record");
        return;
    case MILLRACE__PLAN__START_KIND__START_TIME:
        (void)time_text_format_timestamp(table->start_ms * 1000, time);
        text_builder_print(&self->text, "from %s", time);
        return;
    default:
        text_builder_add(&self->text, "from the earliest record");
        return;
    }
}

/* Only what keeps windows can find a row late. */
static bool has_window(const Millrace__Plan__JobPlan *plan)
{
    const Millrace__Plan__Stage *last = plan->stages[plan->n_stages - 1];
    return last->n_operators > 0 &&
           last->operators[0]->kind_case == MILLRACE__PLAN__OPERATOR__KIND_MERGE &&
           last->operators[0]->merge->window != MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
}

static void add_source(struct writer *self)
{
    const Millrace__Plan__Table *table = self->plan->source;
    uint32_t count = self->plan->source_partition_count;
    text_builder_print(&self->text, "source %s: topic %s, %" PRIu32 " partition%s, %s, ",
                       table->name, table->topic, count, plural(count), table->format);
    add_start(self, table);
    text_builder_print(&self->text, "\n  a record that does not fit %s\n",
                       table->on_misfit == MILLRACE__PLAN__ON_MISFIT__ON_MISFIT_SKIP
                           ? "is counted and skipped"
                           : "stops the job");
    if (!table->has_watermark) {
        text_builder_add(&self->text, "  watermark: none\n");
        return;
    }
    text_builder_print(&self->text, "  watermark: greatest %s of each partition less ",
                       table->event_time);
    expr_text_add_span(&self->text, table->watermark_delay_us);
    text_builder_add(&self->text, "; the least of them, without partitions quiet for ");
    expr_text_add_span(&self->text, table->idle_after_us);
    text_builder_add(&self->text, "\n");
    if (!has_window(self->plan)) {
        return;
    }
    text_builder_print(&self->text, "  late rows: counted%s%s\n",
                       table->late_topic[0] == '\0' ? "" : " and sent to topic ",
                       table->late_topic);
}

static void add_sink(struct writer *self)
{
    const Millrace__Plan__Table *table = self->plan->sink;
    text_builder_print(&self->text, "sink %s: topic %s, %s\n", table->name, table->topic,
                       table->format);
}

/* ------------------------------------------------------------------ operators */

static enum status name_input(struct writer *self, const Millrace__Plan__Stage *stage)
{
    const struct name_scope scope = {.table = self->plan->source};
    self->input.count = (uint32_t)stage->n_source_columns;
    self->input.names =
        arena_take_array(self->arena, stage->n_source_columns, sizeof *self->input.names);
    if (self->input.names == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < stage->n_source_columns; i++) {
        struct text_builder name;
        text_builder_init(&name, self->arena);
        expr_text_add_name(&name, name_scope_column_name(&scope, stage->source_columns[i]));
        TRY(text_builder_end(&name, &self->input.names[i]));
    }
    return STATUS_OK;
}

static void add_expr(struct writer *self, const Millrace__Plan__TypedExpr *expr)
{
    expr_text_add(&self->text, expr, self->input.names, self->input.count);
}

static void add_call(struct writer *self, const Millrace__Plan__AggregateCall *call)
{
    static const char *const names[] = {
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_NONE] = "none",
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT_STAR] = "count",
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_COUNT] = "count",
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_SUM] = "sum",
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_AVG] = "avg",
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MIN] = "min",
        [MILLRACE__PLAN__AGGREGATE_FUNCTION__AGGREGATE_MAX] = "max",
    };
    check((size_t)call->function < sizeof names / sizeof names[0]);
    text_builder_print(&self->text, "%s(", names[call->function]);
    if (call->argument == NULL) {
        text_builder_add(&self->text, "*");
    } else {
        add_expr(self, call->argument);
    }
    text_builder_add(&self->text, ")");
    if (call->filter != NULL) {
        text_builder_add(&self->text, " FILTER (WHERE ");
        add_expr(self, call->filter);
        text_builder_add(&self->text, ")");
    }
}

static void add_window(struct writer *self, const Millrace__Plan__Aggregation *aggregation)
{
    static const char *const names[] = {"no window", "tumble", "hop", "session"};
    check((size_t)aggregation->window < sizeof names / sizeof names[0]);
    text_builder_print(&self->text, "%s(", names[aggregation->window]);
    add_expr(self, aggregation->time);
    if (aggregation->window == MILLRACE__PLAN__WINDOW_KIND__WINDOW_HOP) {
        text_builder_add(&self->text, ", interval '");
        expr_text_add_span(&self->text, aggregation->slide_us);
        text_builder_add(&self->text, "'");
    }
    text_builder_add(&self->text, ", interval '");
    expr_text_add_span(&self->text, aggregation->size_us);
    text_builder_add(&self->text, "')");
}

/* "group by window, keys: calls", over the input row. */
static void add_groups(struct writer *self, const Millrace__Plan__Aggregation *aggregation)
{
    bool has_window = aggregation->window != MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE;
    if (has_window) {
        add_window(self, aggregation);
    }
    for (size_t i = 0; i < aggregation->n_keys; i++) {
        text_builder_add(&self->text, i > 0 || has_window ? ", " : "");
        add_expr(self, aggregation->keys[i]);
    }
    if (!has_window && aggregation->n_keys == 0) {
        text_builder_add(&self->text, "nothing: all rows are one group");
    }
    text_builder_add(&self->text, "\n    compute ");
    for (size_t i = 0; i < aggregation->n_calls; i++) {
        text_builder_add(&self->text, i == 0 ? "" : ", ");
        add_call(self, aggregation->calls[i]);
    }
    text_builder_add(&self->text, aggregation->n_calls == 0 ? "nothing\n" : "\n");
}

/* The rows of an aggregation are called as what they were computed from. */
static enum status name_groups(struct writer *self, const Millrace__Plan__Aggregation *aggregation)
{
    size_t count = 2 + aggregation->n_keys + aggregation->n_calls;
    const char **names = arena_take_array(self->arena, count, sizeof *names);
    if (names == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct text_builder outer = self->text;
    names[0] = "window_start";
    names[1] = "window_end";
    enum status status = STATUS_OK;
    for (size_t i = 2; i < count && status == STATUS_OK; i++) {
        text_builder_init(&self->text, self->arena);
        if (i < 2 + aggregation->n_keys) {
            const Millrace__Plan__TypedExpr *key = aggregation->keys[i - 2];
            add_expr(self, key);
        } else {
            add_call(self, aggregation->calls[i - 2 - aggregation->n_keys]);
        }
        status = text_builder_end(&self->text, &names[i]);
    }
    self->text = outer;
    self->input = (struct row_names){.names = names, .count = (uint32_t)count};
    return status;
}

static void add_projection(struct writer *self, const Millrace__Plan__Projection *projection)
{
    text_builder_add(&self->text, "  project\n");
    for (size_t i = 0; i < projection->n_expressions; i++) {
        text_builder_add(&self->text, "    ");
        expr_text_add_name(&self->text, projection->names[i]);
        text_builder_add(&self->text, " = ");
        add_expr(self, projection->expressions[i]);
        text_builder_add(&self->text, "\n");
    }
}

static enum status add_merge(struct writer *self, const Millrace__Plan__Stage *stage,
                             const Millrace__Plan__Aggregation *aggregation)
{
    bool is_append = aggregation->output_mode == MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND;
    bool is_closed = aggregation->window != MILLRACE__PLAN__WINDOW_KIND__WINDOW_NONE &&
                     self->plan->source->has_watermark;
    text_builder_print(&self->text,
                       "  merge groups, kept in topic __millrace-%s-changelog-%" PRIu32 "\n",
                       self->plan->name, stage->index);
    text_builder_print(&self->text, "    a group leaves %s\n",
                       is_append ? "once, when the watermark reaches its window's end"
                       : is_closed
                           ? "in every epoch that changed it, until the watermark reaches its "
                             "window's end"
                           : "in every epoch that changed it, and is kept for ever");
    return name_groups(self, aggregation);
}

static enum status add_operator(struct writer *self, const Millrace__Plan__Stage *stage,
                                const Millrace__Plan__Operator *step)
{
    switch ((int)step->kind_case) {
    case MILLRACE__PLAN__OPERATOR__KIND_FILTER:
        text_builder_add(&self->text, "  filter ");
        add_expr(self, step->filter);
        text_builder_add(&self->text, "\n");
        return STATUS_OK;
    case MILLRACE__PLAN__OPERATOR__KIND_PROJECTION:
        add_projection(self, step->projection);
        return STATUS_OK;
    case MILLRACE__PLAN__OPERATOR__KIND_PARTIAL:
        text_builder_add(&self->text, "  group by ");
        add_groups(self, step->partial);
        return STATUS_OK;
    case MILLRACE__PLAN__OPERATOR__KIND_MERGE:
        return add_merge(self, stage, step->merge);
    default:
        text_builder_add(&self->text, "  an operator of a newer version\n");
        return STATUS_OK;
    }
}

/* ------------------------------------------------------------------ stages */

static void add_inputs(struct writer *self, const Millrace__Plan__Stage *stage)
{
    text_builder_print(&self->text,
                       "stage %" PRIu32 ": %" PRIu32 " task%s over %" PRIu32 " partition%s of ",
                       stage->index, stage->task_count, plural(stage->task_count),
                       stage->input_partition_count, plural(stage->input_partition_count));
    if (stage->index == 0) {
        text_builder_print(&self->text, "topic %s\n  read ", self->plan->source->topic);
        for (uint32_t i = 0; i < self->input.count; i++) {
            text_builder_print(&self->text, "%s%s", i == 0 ? "" : ", ", self->input.names[i]);
        }
        text_builder_add(&self->text, self->input.count == 0 ? "no columns\n" : "\n");
    } else {
        text_builder_print(&self->text, "topic __millrace-%s-route-%" PRIu32 "\n", self->plan->name,
                           stage->index - 1);
    }
}

static enum status add_stage(struct writer *self, const Millrace__Plan__Stage *stage)
{
    if (stage->index == 0) {
        TRY(name_input(self, stage));
    }
    add_inputs(self, stage);
    for (size_t i = 0; i < stage->n_operators; i++) {
        TRY(add_operator(self, stage, stage->operators[i]));
    }
    if (stage->route_partition_count > 0) {
        text_builder_print(&self->text,
                           "  route by key to topic __millrace-%s-route-%" PRIu32 ", %" PRIu32
                           " partition%s\n",
                           self->plan->name, stage->index, stage->route_partition_count,
                           plural(stage->route_partition_count));
    } else {
        text_builder_print(&self->text, "  write to topic %s\n", self->plan->sink->topic);
    }
    return STATUS_OK;
}

/* Every stage reads what the one before has committed, so that commits add up. */
static void add_latency(struct writer *self)
{
    const Millrace__Plan__JobPlan *plan = self->plan;
    text_builder_print(&self->text, "latency: about %zu stage%s x (", plan->n_stages,
                       plural(plan->n_stages));
    expr_text_add_span(&self->text, plan->epoch_us);
    text_builder_add(&self->text, " of epoch + one commit) until a row is seen read_committed\n");
    if (has_window(plan) && plan->output_mode == MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND) {
        text_builder_add(&self->text, "  a window waits for a record ");
        expr_text_add_span(&self->text, plan->source->watermark_delay_us);
        text_builder_add(&self->text, " or more past its end, in every partition that counts\n");
    }
}

enum status explain_plan(const Millrace__Plan__JobPlan *plan, struct arena *arena,
                         const char **out_text)
{
    struct writer self = {.plan = plan, .arena = arena};
    check(plan->source != NULL && plan->sink != NULL && plan->n_stages > 0);
    text_builder_init(&self.text, arena);
    text_builder_print(
        &self.text, "job %s: %s mode, one transaction per task and epoch of ", plan->name,
        plan->output_mode == MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND ? "append" : "update");
    expr_text_add_span(&self.text, plan->epoch_us);
    text_builder_add(&self.text, "\n");
    add_source(&self);
    add_sink(&self);
    for (size_t i = 0; i < plan->n_stages; i++) {
        TRY(add_stage(&self, plan->stages[i]));
    }
    add_latency(&self);
    return text_builder_end(&self.text, out_text);
}
