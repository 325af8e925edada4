#include "processor/control/control.h"

#include "processor/control/control_call.h"
#include "processor/control/run_script.h"
#include "processor/control/serve_jobs.h"
#include "processor/control/serve_tasks.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/api_versions.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define CONTROL_MAGIC 0xc0117601U
#define VERSIONS_ARENA_BYTES ((size_t)16 << 10)
#define API_VERSIONS_VERSION_MAX 4

/* ---- ApiVersions ---- */

struct versions_answer {
    struct answer answer;
    struct arena arena;
    struct wire_writer writer;
};

static void versions_on_sent(struct answer *answer)
{
    struct versions_answer *self = container_of(answer, struct versions_answer, answer);
    arena_done(&self->arena);
    free(self);
}

static void encode_versions(const struct kafka_request_header *header, struct wire_writer *writer)
{
    struct kafka_api_versions_response out;
    kafka_api_versions_response_defaults(&out);
    struct kafka_api_versions_response_api_version keys[] = {
        {.api_key = API_KEY_API_VERSIONS, .max_version = API_VERSIONS_VERSION_MAX},
        {.api_key = processor_core_api_key()}};
    out.api_keys = keys;
    out.api_keys_count = 2;
    struct kafka_request_header asked = *header;
    if (asked.request_api_version < 0 || asked.request_api_version > API_VERSIONS_VERSION_MAX) {
        out.error_code = ERROR_CODE_UNSUPPORTED_VERSION;
        asked.request_api_version = 0;
    }
    request_header_encode_response(&asked, writer);
    kafka_api_versions_response_encode(&out, asked.request_api_version, writer);
}

static bool answer_versions(const struct kafka_request_header *header, struct ticket *ticket)
{
    struct versions_answer *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return false;
    }
    arena_init(&self->arena, VERSIONS_ARENA_BYTES);
    wire_writer_init(&self->writer, &self->arena);
    encode_versions(header, &self->writer);
    if (wire_writer_status(&self->writer) != STATUS_OK) {
        versions_on_sent(&self->answer);
        return false;
    }
    self->answer = (struct answer){.slices = self->writer.slices,
                                   .slice_count = self->writer.slice_count,
                                   .on_sent = versions_on_sent};
    connection_answer(ticket, &self->answer);
    return true;
}

/* ---- questions ---- */

static void serve(struct control_call *call)
{
    switch (call->request->kind_case) {
    case MILLRACE__CONTROL__REQUEST__KIND_RUN:
        run_script_serve(call);
        break;
    case MILLRACE__CONTROL__REQUEST__KIND_LIST_JOBS:
    case MILLRACE__CONTROL__REQUEST__KIND_DESCRIBE_JOB:
    case MILLRACE__CONTROL__REQUEST__KIND_JOB_PROGRESS:
    case MILLRACE__CONTROL__REQUEST__KIND_STOP_JOB:
        serve_jobs(call);
        break;
    case MILLRACE__CONTROL__REQUEST__KIND_LIST_TABLES:
        serve_tasks_tables(call);
        break;
    case MILLRACE__CONTROL__REQUEST__KIND_TASK_STATUS:
        serve_tasks(call);
        break;
    case MILLRACE__CONTROL__REQUEST__KIND__NOT_SET:
    case _MILLRACE__CONTROL__REQUEST__KIND__CASE_IS_INT_SIZE:
    default:
        control_call_fail(call, control_call_fault(call,
                                                   (struct control_fault){
                                                       "UNSUPPORTED", 0,
                                                       "the caller is newer than this processor",
                                                       "update the processors"},
                                                   "the question is not known here"));
        break;
    }
}

static void refuse(struct connection *connection, struct frame *frame, struct ticket *ticket,
                   const char *why)
{
    connection_close(connection, why);
    connection_forget(ticket);
    frame_unref(frame);
}

void control_on_frame(struct connection *connection, struct frame *frame, struct ticket *ticket)
{
    struct control *self = connection_context(connection);
    check(self->magic == CONTROL_MAGIC);
    struct wire_reader reader;
    wire_reader_init(&reader, frame->bytes, frame->byte_count);
    struct kafka_request_header header;
    if (request_header_decode(&reader, &header) != STATUS_OK) {
        refuse(connection, frame, ticket, "malformed request header");
        return;
    }
    if (header.request_api_key == API_KEY_API_VERSIONS) {
        if (answer_versions(&header, ticket)) {
            frame_unref(frame);
        } else {
            refuse(connection, frame, ticket, "no memory for its answer");
        }
        return;
    }
    if (header.request_api_key != processor_core_api_key() || header.request_api_version != 0) {
        refuse(connection, frame, ticket, "this is a processor, its API key is not served here");
        return;
    }
    struct control_call *call = NULL;
    if (self->is_closing || self->call_count >= CONTROL_CALLS_MAX) {
        refuse(connection, frame, ticket, self->is_closing ? "closing" : "too many calls at once");
    } else if (control_call_new(self, frame, ticket, &call) != STATUS_OK) {
        refuse(connection, frame, ticket, "its question cannot be read");
    } else {
        serve(call);
    }
}

void control_init(struct control *self, const struct control_options *options)
{
    *self = (struct control){.magic = CONTROL_MAGIC, .options = *options};
    list_init(&self->calls);
}

void control_close(struct control *self, void (*on_closed)(void *context), void *context)
{
    check(self->magic == CONTROL_MAGIC);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->context = context;
    if (self->call_count == 0) {
        on_closed(context);
    }
}
