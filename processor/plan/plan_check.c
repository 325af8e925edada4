#include "processor/plan/plan_check.h"

#include "processor/plan/plan_copy.h"
#include "processor/plan/query_check.h"
#include "processor/plan/sink_check.h"
#include "processor/plan/stage_cut.h"
#include "processor/plan/table_options.h"
#include "proto/sys/check.h"

#include <string.h>

#define TABLE_VERSION 1U
#define PLAN_VERSION 1U
#define TABLE_NAME_BYTES_MAX 200U
#define NAMES_LOOKED_AT_MAX 1000U

static enum status raise(struct plan_fault *fault, const char *code, uint32_t position,
                         const char *what, const char *why, const char *fix)
{
    return plan_fault_raise(
        fault, &(struct plan_fault_text){
                   .code = code, .position = position, .what = what, .why = why, .fix = fix});
}

/* ------------------------------------------------------------------ tables */

static enum status read_column(const Millrace__Plan__CreateTable *asked, size_t place,
                               struct plan_fault *fault, Millrace__Plan__Column *column)
{
    const Millrace__Plan__ColumnDefinition *given = asked->columns[place];
    millrace__plan__column__init(column);
    column->type = given->type;
    column->is_not_null = given->is_not_null;
    if (given->type < MILLRACE__PLAN__TYPE__TYPE_BOOL ||
        given->type > MILLRACE__PLAN__TYPE__TYPE_INTERVAL || given->name[0] == '\0') {
        return raise(fault, "SYNTAX", given->position, "a column without name or type",
                     "every column has both", "write name type");
    }
    for (size_t i = 0; i < place; i++) {
        if (strcmp(asked->columns[i]->name, given->name) == 0) {
            return raise(
                fault, "DUPLICATE", given->position,
                plan_fault_print(fault, "column \"%s\" specified more than once", given->name),
                "names would not tell them apart", "give one of them another name");
        }
    }
    return plan_copy_text(fault->arena, given->name, &column->name);
}

static enum status read_columns(const Millrace__Plan__CreateTable *asked, struct plan_fault *fault,
                                Millrace__Plan__Table *table)
{
    size_t count = asked->n_columns;
    if (count == 0 || count > PLAN_CHECK_COLUMNS_MAX) {
        return raise(fault, "COLUMN_COUNT", count == 0 ? 0 : asked->columns[0]->position,
                     count == 0 ? "a table without columns" : "too many columns",
                     "a table has 1 to 1,000 columns", "name the columns that you need");
    }
    Millrace__Plan__Column *columns = arena_take_array(fault->arena, count, sizeof *columns);
    table->columns = arena_take_array(fault->arena, count, sizeof *table->columns);
    if (columns == NULL || table->columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(read_column(asked, i, fault, &columns[i]));
        table->columns[i] = &columns[i];
    }
    table->n_columns = count;
    return STATUS_OK;
}

enum status plan_check_table(const Millrace__Plan__CreateTable *asked, struct plan_fault *fault,
                             Millrace__Plan__Table **out_table)
{
    Millrace__Plan__Table *table = arena_take(fault->arena, sizeof *table);
    if (table == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__table__init(table);
    table->version = TABLE_VERSION;
    TRY(read_columns(asked, fault, table));
    size_t name_bytes = strnlen(asked->name, TABLE_NAME_BYTES_MAX + 1);
    if (name_bytes == 0 || name_bytes > TABLE_NAME_BYTES_MAX) {
        return raise(fault, "SYNTAX", asked->columns[0]->position, "a table without a good name",
                     "a name has 1 to 200 bytes", "give it a shorter name");
    }
    TRY(plan_copy_text(fault->arena, asked->name, &table->name));
    TRY(table_options_apply(asked, fault, table));
    *out_table = table;
    return STATUS_OK;
}

/* ------------------------------------------------------------------ jobs */

struct checker {
    const Millrace__Plan__Insert *asked;
    const struct plan_check_options *options;
    struct plan_fault *fault;
    Millrace__Plan__JobPlan *plan;
};

static enum status refuse_table(struct checker *self, const char *name, uint32_t position)
{
    const struct plan_tables *tables = self->options->tables;
    const char *fix = "make it first: CREATE TABLE name (columns) WITH (topic = '…')";
    const char **names = arena_take_array(self->fault->arena, NAMES_LOOKED_AT_MAX, sizeof *names);
    if (names == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t count = 0;
    while (tables->name_at != NULL && count < NAMES_LOOKED_AT_MAX) {
        names[count] = tables->name_at(tables->context, count);
        if (names[count] == NULL) {
            break;
        }
        count++;
    }
    const char *near = plan_fault_nearest(name, names, count);
    if (near != NULL) {
        fix = plan_fault_print(self->fault, "did you mean %s?", near);
    }
    return raise(self->fault, "UNKNOWN_TABLE", position,
                 plan_fault_print(self->fault, "relation \"%s\" does not exist", name),
                 "a job reads and writes tables that were created", fix);
}

static enum status find_table(struct checker *self, const char *name, uint32_t position,
                              const Millrace__Plan__Table **out_table)
{
    const struct plan_tables *tables = self->options->tables;
    const Millrace__Plan__Table *table = tables->find(tables->context, name);
    if (table == NULL) {
        return refuse_table(self, name, position);
    }
    check(table->n_columns > 0);
    *out_table = table;
    return STATUS_OK;
}

static enum status read_tables(struct checker *self)
{
    const Millrace__Plan__Table *source = NULL;
    const Millrace__Plan__Table *sink = NULL;
    const Millrace__Plan__Select *select = self->asked->select;
    if (select == NULL || select->from == NULL) {
        return raise(self->fault, "SYNTAX", self->asked->position,
                     "an INSERT without SELECT … FROM", "a job reads a table",
                     "write INSERT INTO table SELECT … FROM …");
    }
    TRY(find_table(self, select->from->table, select->from->position, &source));
    TRY(find_table(self, self->asked->table, self->asked->position, &sink));
    if (strcmp(source->topic, sink->topic) == 0) {
        return raise(self->fault, "UNSUPPORTED", self->asked->position,
                     "a job that writes the topic it reads", "it would never come to an end",
                     "write to a table of another topic");
    }
    TRY(plan_copy_table(self->fault->arena, source, &self->plan->source));
    TRY(plan_copy_table(self->fault->arena, sink, &self->plan->sink));
    const struct plan_tables *tables = self->options->tables;
    uint32_t partition_count = tables->partition_count(tables->context, source);
    self->plan->source_partition_count = partition_count == 0 ? 1 : partition_count;
    return STATUS_OK;
}

static enum status name_job(struct checker *self)
{
    const struct plan_settings *settings = self->options->settings;
    const char *name = settings->job_name[0] != '\0' ? settings->job_name : self->plan->sink->name;
    if (!plan_settings_is_job_name(name)) {
        return raise(self->fault, "BAD_SETTING", self->asked->position,
                     plan_fault_print(self->fault, "a job cannot be called '%s'", name),
                     "without SET job.name it is called as its table; topics are named after it: "
                     "letters, digits, '.', '_' and '-', at most 128 of them",
                     "write SET job.name = 'my-job' before it");
    }
    return plan_copy_text(self->fault->arena, name, &self->plan->name);
}

static enum status copy_statement(struct checker *self)
{
    const struct plan_check_options *options = self->options;
    if (options->text == NULL) {
        return STATUS_OK;
    }
    self->plan->text = arena_copy_text(self->fault->arena, options->text, options->text_bytes);
    return self->plan->text == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* Append gives a group once, when nothing can be added to it any more. */
static enum status check_mode(struct checker *self, const struct query_check *query)
{
    const Millrace__Plan__Table *source = self->plan->source;
    const Millrace__Plan__Select *select = self->asked->select;
    bool is_append = self->plan->output_mode == MILLRACE__PLAN__OUTPUT_MODE__OUTPUT_APPEND;
    if (!is_append || !query->is_grouped) {
        return STATUS_OK;
    }
    if (query->window_time == NULL) {
        return raise(
            self->fault, "OUTPUT_MODE", select->position,
            "append mode cannot give groups that are never closed",
            "without a window a group may always get another row",
            "group by a window (FROM tumble(table, time, interval '1 hour')), or write SET "
            "job.output_mode = 'update' before it");
    }
    if (!source->has_watermark) {
        return raise(self->fault, "OUTPUT_MODE", select->from->window->position,
                     "append mode needs a watermark to close windows",
                     plan_fault_print(self->fault, "table %s has none", source->name),
                     "create it with event_time = '…', watermark = '…', or write SET "
                     "job.output_mode = 'update' before it");
    }
    return STATUS_OK;
}

static enum status check_query(struct checker *self)
{
    const Millrace__Plan__From *from = self->asked->select->from;
    struct query_check *query = arena_take_array(self->fault->arena, 1, sizeof *query);
    struct typed_expr **columns = NULL;
    if (query == NULL) {
        return STATUS_NO_MEMORY;
    }
    query->fault = self->fault;
    query->select = self->asked->select;
    query->scope.table = self->plan->source;
    query->scope.alias = from->alias[0] != '\0' ? from->alias : self->plan->source->name;
    TRY(query_check_read(query));
    TRY(check_mode(self, query));
    TRY(sink_check_assign(self->asked, self->plan->sink, query, &columns));
    return stage_cut_make(query, self->options->settings, columns, self->plan);
}

enum status plan_check_insert(const Millrace__Plan__Insert *asked,
                              const struct plan_check_options *options, struct plan_fault *fault,
                              Millrace__Plan__JobPlan **out_plan)
{
    struct checker self = {.asked = asked, .options = options, .fault = fault};
    if (asked == NULL) {
        return raise(fault, "SYNTAX", 0, "an EXPLAIN of nothing", "it explains an INSERT",
                     "write EXPLAIN INSERT INTO table SELECT … FROM …");
    }
    self.plan = arena_take(fault->arena, sizeof *self.plan);
    if (self.plan == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__job_plan__init(self.plan);
    self.plan->version = PLAN_VERSION;
    self.plan->output_mode = options->settings->output_mode;
    self.plan->epoch_us = options->settings->epoch_us;
    TRY(read_tables(&self));
    TRY(name_job(&self));
    TRY(copy_statement(&self));
    TRY(check_query(&self));
    if (millrace__plan__job_plan__get_packed_size(self.plan) > PLAN_CHECK_PACKED_BYTES_MAX) {
        return raise(fault, "TOO_COMPLEX", asked->position, "the plan is too large",
                     "with its tables and constants it must fit a record of 900,000 bytes",
                     "use shorter constants, or write several jobs");
    }
    *out_plan = self.plan;
    return STATUS_OK;
}
