/* Processors: who is a member of the cluster, and who of them answers. */
#include "client/millrace/admin_wait.h"
#include "client/millrace/processor_wait.h"
#include "client/survey.h"
#include "client/topic_calls.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"

#include <stdlib.h>
#include <string.h>

#define RESULT_BYTES_MAX ((size_t)1 << 20)
#define GROUPS_TOPIC "__consumer_offsets"
#define WHAT "cannot list the processors"

struct processors_result {
    struct millrace_processors list;
    struct arena arena;
};

/* ---- is there any group? ---- */

struct groups_call {
    struct admin_wait admin;
    bool has_groups;
};

static enum status groups_take(struct admin_op *op)
{
    struct groups_call *self = container_of(op, struct groups_call, admin.op);
    struct kafka_metadata_response answer;
    TRY(topic_calls_read(op, &answer));
    self->has_groups = op->error_code != ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    op->error_code = ERROR_CODE_NONE;
    return STATUS_OK;
}

/* Looking for a group's coordinator makes the brokers create the topic of all groups, and to list
 * what is there must not change the cluster. */
static int ask_groups(struct millrace_client *client, int64_t until_ns, bool *out_has_groups,
                      struct millrace_error *error)
{
    struct groups_call call = {
        .admin = {.op = topic_calls_look(wire_text_of(GROUPS_TOPIC), groups_take)}};
    int code = admin_wait_run(client, &call.admin, until_ns, WHAT, error);
    *out_has_groups = call.has_groups;
    return code;
}

/* ---- who is there ---- */

static int compare_processors(const void *left, const void *right)
{
    const struct millrace_processor *const *one = left;
    const struct millrace_processor *const *other = right;
    int order = strcmp((*one)->host.data, (*other)->host.data);
    return order != 0 ? order : ((*one)->port > (*other)->port) - ((*one)->port < (*other)->port);
}

struct survey_call {
    struct session_call call;
    struct survey survey;
    enum status status;
};

static void survey_on_done(struct survey *survey)
{
    struct survey_call *self = container_of(survey, struct survey_call, survey);
    self->status = survey->look_status;
    session_end(&self->call);
}

static void survey_run(struct session_call *call)
{
    struct survey_call *self = container_of(call, struct survey_call, call);
    self->status = processor_wait_core(call->session, &self->survey.peers);
    if (self->status != STATUS_OK) {
        session_end(call);
        return;
    }
    self->survey.loop = &call->session->host.loop;
    self->survey.on_done = survey_on_done;
    survey_start(&self->survey);
}

static enum status keep(struct processors_result *result, const struct survey *survey)
{
    struct arena *arena = &result->arena;
    void **rows = admin_wait_rows(arena, survey->part_count, sizeof(struct millrace_processor));
    for (uint32_t i = 0; rows != NULL && i < survey->part_count; i++) {
        const struct survey_part *part = &survey->parts[i];
        struct millrace_processor *row = rows[i];
        row->host = admin_wait_keep(arena, wire_text_of(part->address.host));
        row->port = part->address.port;
        row->is_answering = part->answer != NULL;
        row->task_count = part->answer != NULL ? (int32_t)part->answer->n_tasks : -1;
        rows = row->host.data == NULL ? NULL : rows;
    }
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    qsort(rows, survey->part_count, sizeof *rows, compare_processors);
    result->list.processors = (const struct millrace_processor *const *)rows;
    result->list.processor_count = survey->part_count;
    return STATUS_OK;
}

static int survey_all(struct millrace_client *client, int64_t until_ns,
                      struct processors_result *result, struct millrace_error *error)
{
    int64_t left_ms = (until_ns - clock_monotonic_ns(host_clock())) / CLOCK_NS_PER_MS;
    int64_t half_ms = left_ms > 2 ? left_ms / 2 : 1;
    struct survey_call self = {.call = {.run = survey_run},
                               .survey = {.look_ms = half_ms, .answer_ms = half_ms}};
    if (!session_run(client, &self.call)) {
        return trouble_closed(error);
    }
    enum status status = self.status == STATUS_OK ? keep(result, &self.survey) : self.status;
    survey_done(&self.survey);
    return processor_wait_tell(client, status, WHAT, error);
}

int millrace_processors_list(struct millrace_client *client, int64_t timeout_ms,
                             struct millrace_processors **out_processors,
                             struct millrace_error *error)
{
    *out_processors = NULL;
    int64_t until_ns = session_until_ns(timeout_ms);
    struct processors_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, WHAT);
    }
    arena_init(&result->arena, RESULT_BYTES_MAX);
    bool has_groups = false;
    int code = ask_groups(client, until_ns, &has_groups, error);
    if (code == MILLRACE_OK && has_groups) {
        code = survey_all(client, until_ns, result, error);
    }
    if (code != MILLRACE_OK) {
        millrace_processors_free(&result->list);
        return code;
    }
    *out_processors = &result->list;
    return code;
}

void millrace_processors_free(struct millrace_processors *processors)
{
    if (processors != NULL) {
        struct processors_result *result = container_of(processors, struct processors_result, list);
        arena_done(&result->arena);
        free(result);
    }
}
