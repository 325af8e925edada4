#include "processor/control/run_script.h"

#include "processor/control/run_job.h"
#include "processor/control/run_table.h"
#include "proto/internal/message_copy.h"
#include "proto/sys/check.h"

#include <string.h>

static void next_statement(struct run_script *self);

struct catalog *run_script_catalog(struct run_script *self)
{
    return self->call->control->options.catalog;
}

/* ---- ends ---- */

static void answer(struct run_script *self, Millrace__Plan__Fault *fault)
{
    Millrace__Control__Answer out;
    millrace__control__answer__init(&out);
    out.fault = fault;
    out.results = self->results;
    out.n_results = self->result_count;
    Millrace__Plan__Script *script = self->is_script_owned ? self->script : NULL;
    control_call_answer(self->call, &out); /* Packed; the run may be gone behind it. */
    if (script != NULL) {
        message_copy_free(script);
    }
}

void run_script_fail(struct run_script *self, Millrace__Plan__Fault *fault)
{
    answer(self, fault);
}

void run_script_trouble(struct run_script *self, enum status status, int16_t error_code,
                        const char *what)
{
    Millrace__Plan__Fault *fault = control_call_trouble(self->call, status, error_code, what);
    fault->position = self->statement == NULL ? 0 : self->statement->position;
    answer(self, fault);
}

Millrace__Plan__Fault *run_script_fault_of(struct run_script *self, enum status status,
                                           const struct plan_fault *fault)
{
    if (status != STATUS_INVALID) {
        return control_call_trouble(self->call, status, 0, "the statement cannot be checked");
    }
    Millrace__Plan__Fault *copy = arena_take(&self->call->arena, sizeof *copy);
    if (copy == NULL) {
        return control_call_trouble(self->call, STATUS_NO_MEMORY, 0, "no memory for an answer");
    }
    *copy = fault->message;
    return copy;
}

bool run_script_is_over(struct run_script *self)
{
    if (!self->call->control->is_closing) {
        return false;
    }
    run_script_trouble(self, STATUS_CLOSED, 0, "the processor is stopping; ask another one");
    return true;
}

static void note_result(struct run_script *self, const char *kind, const char *name,
                        const char *text)
{
    struct control_call *call = self->call;
    Millrace__Control__StatementResult *result = arena_take(&call->arena, sizeof *result);
    if (result == NULL || self->result_count == RUN_SCRIPT_RESULTS_MAX) {
        return; /* It was done; only the line about it is missing. */
    }
    millrace__control__statement_result__init(result);
    result->kind = control_call_print(call, "%s", kind);
    result->name = control_call_print(call, "%s", name);
    if (text != NULL) {
        result->text = arena_copy_text(&call->arena, text, strlen(text));
    }
    self->results[self->result_count] = result;
    self->result_count += 1;
}

void run_script_done(struct run_script *self, const char *kind, const char *name, const char *text)
{
    note_result(self, kind, name, text);
    self->index += 1;
    next_statement(self);
}

/* ---- statements ---- */

static void apply_setting(struct run_script *self)
{
    struct plan_fault fault;
    plan_fault_init(&fault, &self->call->arena);
    enum status status = plan_settings_apply(&self->settings, self->statement->setting, &fault);
    if (status != STATUS_OK) {
        run_script_fail(self, run_script_fault_of(self, status, &fault));
    } else {
        run_script_done(self, "set", self->statement->setting->name, NULL);
    }
}

static void start_statement(struct run_script *self)
{
    const Millrace__Plan__Statement *statement = self->statement;
    switch (statement->kind_case) {
    case MILLRACE__PLAN__STATEMENT__KIND_CREATE_TABLE:
        run_table_create(self);
        break;
    case MILLRACE__PLAN__STATEMENT__KIND_DROP_TABLE:
        run_table_drop(self);
        break;
    case MILLRACE__PLAN__STATEMENT__KIND_INSERT:
        run_job_insert(self, statement->insert);
        break;
    case MILLRACE__PLAN__STATEMENT__KIND_EXPLAIN:
        run_job_insert(self, statement->explain->insert);
        break;
    case MILLRACE__PLAN__STATEMENT__KIND_CALL:
        run_job_call(self);
        break;
    case MILLRACE__PLAN__STATEMENT__KIND_SETTING:
        apply_setting(self);
        break;
    case MILLRACE__PLAN__STATEMENT__KIND__NOT_SET:
    case _MILLRACE__PLAN__STATEMENT__KIND__CASE_IS_INT_SIZE:
    default:
        run_script_trouble(self, STATUS_UNSUPPORTED, 0, "the statement is not known here");
        break;
    }
}

static void barrier_on_done(struct catalog_barrier *barrier, enum status status)
{
    struct run_script *self = container_of(barrier, struct run_script, barrier);
    if (status != STATUS_OK) {
        run_script_trouble(self, status, barrier->op.error_code,
                           "cannot read the catalog of tables and jobs");
        return;
    }
    start_statement(self);
}

/* From the top: what a statement left behind is not the next one's. */
static void next_statement(struct run_script *self)
{
    if (self->index == self->script->n_statements) {
        answer(self, self->script->fault);
        return;
    }
    if (run_script_is_over(self)) {
        return;
    }
    self->statement = self->script->statements[self->index];
    self->fault = NULL;
    self->topic_count = 0;
    self->topic_index = 0;
    self->barrier = (struct catalog_barrier){.deadline_ns = self->call->deadline_ns,
                                             .on_done = barrier_on_done};
    catalog_wait(run_script_catalog(self), &self->barrier);
}

/* ---- beginning ---- */

static void parse_on_done(struct parser_process_ask *ask, enum status status,
                          const Millrace__Plan__Script *script)
{
    struct run_script *self = container_of(ask, struct run_script, parse);
    self->script = status == STATUS_OK ? message_copy(&script->base) : NULL;
    if (self->script == NULL) {
        struct parser_process_reason reason =
            parser_process_reason(status == STATUS_OK ? STATUS_NO_MEMORY : status);
        control_call_fail(
            self->call, control_call_fault(
                            self->call, (struct control_fault){"PARSER", 0, reason.why, reason.fix},
                            "the text cannot be parsed"));
        return;
    }
    self->is_script_owned = true;
    next_statement(self);
}

void run_script_serve(struct control_call *call)
{
    struct run_script *self = arena_take_array(&call->arena, 1, sizeof *self);
    Millrace__Control__StatementResult **results =
        arena_take_array(&call->arena, RUN_SCRIPT_RESULTS_MAX, sizeof *results);
    if (self == NULL || results == NULL) {
        control_call_fail(call, control_call_trouble(call, STATUS_NO_MEMORY, 0, "cannot run it"));
        return;
    }
    self->call = call;
    self->results = results;
    call->state = self;
    plan_settings_init(&self->settings);
    if (call->request->run->script != NULL) {
        self->script = call->request->run->script;
        next_statement(self);
        return;
    }
    self->text = call->request->run->text;
    self->text_bytes = strlen(self->text);
    self->parse = (struct parser_process_ask){.on_done = parse_on_done};
    parser_process_ask(call->control->options.parser, &self->parse, self->text, self->text_bytes);
}
