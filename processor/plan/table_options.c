#include "processor/plan/table_options.h"

#include "processor/text/time_text.h"
#include "proto/sys/check.h"

#include <string.h>

#define US_PER_DAY INT64_C(86400000000)
#define US_PER_MONTH (30 * US_PER_DAY) /* As PostgreSQL compares intervals. */
#define TOPIC_BYTES_MAX 249U

struct reader {
    const Millrace__Plan__CreateTable *asked;
    struct plan_fault *fault;
    Millrace__Plan__Table *table;
};

static enum status refuse(struct reader *self, const Millrace__Plan__Option *option,
                          const char *why, const char *fix)
{
    return plan_fault_raise(
        self->fault,
        &(struct plan_fault_text){
            .code = "BAD_OPTION",
            .position = option->position,
            .what = plan_fault_print(self->fault, "%s cannot be '%s'", option->name, option->value),
            .why = why,
            .fix = fix});
}

static enum status copy(struct reader *self, const char *text, char **out_text)
{
    char *made = arena_copy_text(self->fault->arena, text, strlen(text));
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    *out_text = made;
    return STATUS_OK;
}

static enum status take_topic_name(struct reader *self, const Millrace__Plan__Option *option,
                                   char **out_name)
{
    const char *value = option->value;
    size_t byte_count = strlen(value);
    size_t good =
        strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    bool is_dots = strcmp(value, ".") == 0 || strcmp(value, "..") == 0;
    if (byte_count == 0 || byte_count > TOPIC_BYTES_MAX || good != byte_count || is_dots) {
        return refuse(self, option,
                      "a topic's name is of letters, digits, '.', '_' and '-', at most 249",
                      "write topic = 'my-topic'");
    }
    bool is_own = strncmp(value, "__millrace", strlen("__millrace")) == 0 ||
                  strcmp(value, "__consumer_offsets") == 0 ||
                  strcmp(value, "__transaction_state") == 0;
    if (is_own) {
        return refuse(self, option, "that topic holds what brokers and jobs keep for themselves",
                      "name a topic of your own");
    }
    return copy(self, value, out_name);
}

static enum status take_topic(struct reader *self, const Millrace__Plan__Option *option)
{
    return take_topic_name(self, option, &self->table->topic);
}

static enum status take_late_topic(struct reader *self, const Millrace__Plan__Option *option)
{
    return take_topic_name(self, option, &self->table->late_topic);
}

static enum status take_format(struct reader *self, const Millrace__Plan__Option *option)
{
    if (strcmp(option->value, "json") != 0) {
        return refuse(self, option, "records are read and written as JSON objects only",
                      "write format = 'json'");
    }
    return copy(self, option->value, &self->table->format);
}

static const Millrace__Plan__Column *find_column(const struct reader *self, const char *name)
{
    for (size_t i = 0; i < self->table->n_columns; i++) {
        if (strcmp(self->table->columns[i]->name, name) == 0) {
            return self->table->columns[i];
        }
    }
    return NULL;
}

static enum status take_event_time(struct reader *self, const Millrace__Plan__Option *option)
{
    const Millrace__Plan__Column *column = find_column(self, option->value);
    if (column == NULL) {
        const char **names =
            arena_take_array(self->fault->arena, self->table->n_columns, sizeof *names);
        if (names == NULL) {
            return STATUS_NO_MEMORY;
        }
        for (size_t i = 0; i < self->table->n_columns; i++) {
            names[i] = self->table->columns[i]->name;
        }
        return refuse(
            self, option, "the table has no column of this name",
            plan_fault_choices(self->fault, option->value, names, self->table->n_columns));
    }
    if (column->type != MILLRACE__PLAN__TYPE__TYPE_TIMESTAMPTZ) {
        return refuse(self, option, "an event time is a moment, and this column's type is not",
                      "declare the column as timestamptz");
    }
    return copy(self, option->value, &self->table->event_time);
}

/* A span that is not negative, in microseconds. */
static enum status take_span(struct reader *self, const Millrace__Plan__Option *option,
                             int64_t *out_us)
{
    struct interval interval;
    int64_t days = 0;
    int64_t months = 0;
    int64_t sum = 0;
    if (time_text_parse_interval(option->value, strlen(option->value), &interval) != STATUS_OK) {
        return refuse(self, option, "it is a span of time: a number and a unit",
                      "write '1 hour', '10 minutes' or '500 ms'");
    }
    bool is_too_long = __builtin_mul_overflow((int64_t)interval.days, US_PER_DAY, &days) ||
                       __builtin_mul_overflow((int64_t)interval.months, US_PER_MONTH, &months) ||
                       __builtin_add_overflow(days, months, &sum) ||
                       __builtin_add_overflow(sum, interval.micros, &sum);
    if (is_too_long || sum < 0) {
        return refuse(self, option, "a span of time is not negative, and not above 290,000 years",
                      "write '1 hour', '10 minutes' or '500 ms'");
    }
    *out_us = sum;
    return STATUS_OK;
}

static enum status take_watermark(struct reader *self, const Millrace__Plan__Option *option)
{
    TRY(take_span(self, option, &self->table->watermark_delay_us));
    self->table->has_watermark = true;
    return STATUS_OK;
}

static enum status take_idle_after(struct reader *self, const Millrace__Plan__Option *option)
{
    return take_span(self, option, &self->table->idle_after_us);
}

static enum status take_on_misfit(struct reader *self, const Millrace__Plan__Option *option)
{
    if (strcmp(option->value, "fail") == 0) {
        self->table->on_misfit = MILLRACE__PLAN__ON_MISFIT__ON_MISFIT_FAIL;
    } else if (strcmp(option->value, "skip") == 0) {
        self->table->on_misfit = MILLRACE__PLAN__ON_MISFIT__ON_MISFIT_SKIP;
    } else {
        return refuse(self, option,
                      "a record that does not fit the columns stops the job (fail) or is left out "
                      "and counted (skip)",
                      "write on_misfit = 'fail' or 'skip'");
    }
    return STATUS_OK;
}

static enum status take_start(struct reader *self, const Millrace__Plan__Option *option)
{
    int64_t start_us = 0;
    if (strcmp(option->value, "earliest") == 0) {
        self->table->start = MILLRACE__PLAN__START_KIND__START_EARLIEST;
    } else if (strcmp(option->value, "latest") == 0) {
        self->table->start = MILLRACE__PLAN__START_KIND__START_LATEST;
    } else if (time_text_parse_timestamp(option->value, strlen(option->value), &start_us) ==
               STATUS_OK) {
        self->table->start = MILLRACE__PLAN__START_KIND__START_TIME;
        self->table->start_ms = start_us >= 0 ? start_us / 1000 : -((-start_us + 999) / 1000);
    } else {
        return refuse(self, option, "jobs begin at the earliest or latest record, or at a time",
                      "write start = 'earliest', 'latest' or '2001-01-31T00:00:00Z'");
    }
    return STATUS_OK;
}

struct known_option {
    const char *name;
    enum status (*take)(struct reader *self, const Millrace__Plan__Option *option);
};

static const struct known_option known_options[] = {
    {"topic", take_topic},         {"format", take_format},         {"event_time", take_event_time},
    {"watermark", take_watermark}, {"idle_after", take_idle_after}, {"late_topic", take_late_topic},
    {"on_misfit", take_on_misfit}, {"start", take_start},
};

#define OPTION_COUNT (sizeof known_options / sizeof known_options[0])

static enum status refuse_unknown(struct reader *self, const Millrace__Plan__Option *option)
{
    const char *names[OPTION_COUNT];
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        names[i] = known_options[i].name;
    }
    return plan_fault_raise(
        self->fault,
        &(struct plan_fault_text){
            .code = "UNKNOWN_OPTION",
            .position = option->position,
            .what = plan_fault_print(self->fault, "a table has no option %s", option->name),
            .why = "options are topic, format, event_time, watermark, idle_after, late_topic, "
                   "on_misfit and start",
            .fix = plan_fault_choices(self->fault, option->name, names, OPTION_COUNT)});
}

static enum status take_option(struct reader *self, const Millrace__Plan__Option *option,
                               bool *seen)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (strcmp(known_options[i].name, option->name) != 0) {
            continue;
        }
        if (seen[i]) {
            return plan_fault_raise(
                self->fault,
                &(struct plan_fault_text){
                    .code = "DUPLICATE",
                    .position = option->position,
                    .what = plan_fault_print(self->fault, "option %s is given twice", option->name),
                    .why = "only one of the values could hold",
                    .fix = "leave one of them out"});
        }
        seen[i] = true;
        return known_options[i].take(self, option);
    }
    return refuse_unknown(self, option);
}

/* What one option needs of another. */
static enum status check_together(struct reader *self)
{
    const Millrace__Plan__Table *table = self->table;
    for (size_t i = 0; i < self->asked->n_options; i++) {
        const Millrace__Plan__Option *option = self->asked->options[i];
        if (strcmp(option->name, "watermark") == 0 && table->event_time[0] == '\0') {
            return refuse(self, option, "a watermark follows the event time, and none is named",
                          "add event_time = 'column'");
        }
        if (strcmp(option->name, "late_topic") == 0 && !table->has_watermark) {
            return refuse(self, option, "without a watermark no row is late",
                          "add watermark = '1 hour'");
        }
        if (strcmp(option->name, "late_topic") == 0 &&
            strcmp(table->late_topic, table->topic) == 0) {
            return refuse(self, option, "late rows would be read again, for ever",
                          "name another topic");
        }
    }
    return STATUS_OK;
}

enum status table_options_apply(const Millrace__Plan__CreateTable *asked, struct plan_fault *fault,
                                Millrace__Plan__Table *table)
{
    struct reader self = {.asked = asked, .fault = fault, .table = table};
    bool seen[OPTION_COUNT] = {false};
    check(table->n_columns > 0);
    table->idle_after_us = TABLE_OPTIONS_IDLE_AFTER_US;
    for (size_t i = 0; i < asked->n_options; i++) {
        TRY(take_option(&self, asked->options[i], seen));
    }
    if (!seen[0]) {
        const Millrace__Plan__Option topic = {.name = (char[]){"topic"},
                                              .value = asked->name,
                                              .position = asked->columns[0]->position};
        TRY(take_topic_name(&self, &topic, &table->topic)); /* The table's own name. */
    }
    if (!seen[1]) {
        TRY(copy(&self, "json", &table->format));
    }
    return check_together(&self);
}
