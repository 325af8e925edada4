#include "client/millrace/processor_wait.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"

#include <stdio.h>
#include <stdlib.h>

struct wait {
    struct session_call call;
    struct processor_ask ask;
    enum status status;
    Millrace__Control__Answer *answer;
};

static void ask_on_done(struct processor_ask *ask, enum status status)
{
    struct wait *self = container_of(ask, struct wait, ask);
    self->status = status;
    if (status == STATUS_OK) {
        self->answer = millrace__control__answer__unpack(NULL, (size_t)ask->answer.byte_count,
                                                         ask->answer.bytes);
        self->status = self->answer == NULL ? STATUS_MALFORMED : STATUS_OK;
    }
    processor_core_ask_done(ask);
    session_end(&self->call);
}

enum status processor_wait_core(struct millrace_client *client, struct processor_core **out_core)
{
    if (client->is_admin_closed) {
        return STATUS_CLOSED;
    }
    if (client->processors == NULL) {
        client->processors = calloc(1, sizeof *client->processors);
        if (client->processors == NULL) {
            return STATUS_NO_MEMORY;
        }
        struct processor_core_options options = {.loop = &client->host.loop,
                                                 .bootstrap = client->bootstrap,
                                                 .bootstrap_count = client->bootstrap_count,
                                                 .client_id = client->client_id,
                                                 .request_timeout_ms = client->request_timeout_ms};
        processor_core_init(client->processors, &options);
    }
    *out_core = client->processors;
    return STATUS_OK;
}

static void call_run(struct session_call *call)
{
    struct wait *self = container_of(call, struct wait, call);
    struct processor_core *core = NULL;
    self->status = processor_wait_core(call->session, &core);
    if (self->status != STATUS_OK) {
        session_end(call);
        return;
    }
    self->ask.on_done = ask_on_done;
    processor_core_run(core, &self->ask);
}

static int tell_fault(struct millrace_error *error, const Millrace__Plan__Fault *fault)
{
    if (error != NULL) {
        *error = (struct millrace_error){.code = MILLRACE_REFUSED};
        (void)snprintf(error->name, sizeof error->name, "%s", fault->code);
        (void)snprintf(error->what, sizeof error->what, "%s", fault->what);
        (void)snprintf(error->why, sizeof error->why, "%s", fault->why);
        (void)snprintf(error->fix, sizeof error->fix, "%s", fault->fix);
    }
    return MILLRACE_REFUSED;
}

int processor_wait_tell(struct millrace_client *client, enum status status, const char *what,
                        struct millrace_error *error)
{
    if (status == STATUS_OK) {
        return trouble_none(error);
    }
    if (status == STATUS_CLOSED) {
        return trouble_closed(error);
    }
    if (status == STATUS_NOT_FOUND) {
        int code = trouble_status(error, STATUS_UNREACHABLE, what);
        trouble_explain(error, "no processor has joined the cluster",
                        "start one: millrace-processor --set bootstrap.servers=HOST:PORT");
        return code;
    }
    return status == STATUS_UNREACHABLE ? session_nobody(client, what, error)
                                        : trouble_status(error, status, what);
}

int processor_wait_ask(struct millrace_client *client, const struct processor_wait *wait,
                       Millrace__Control__Answer **out_answer, struct millrace_error *error)
{
    *out_answer = NULL;
    int64_t left_ms = (wait->until_ns - clock_monotonic_ns(host_clock())) / CLOCK_NS_PER_MS;
    wait->request->version = 1;
    wait->request->deadline_ms = left_ms > 1 ? left_ms : 1;
    size_t byte_count = millrace__control__request__get_packed_size(wait->request);
    uint8_t *bytes = byte_count > INT32_MAX ? NULL : malloc(byte_count + 1);
    if (bytes == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, wait->what);
    }
    (void)millrace__control__request__pack(wait->request, bytes);
    struct wait self = {.call = {.run = call_run},
                        .ask = {.question = {bytes, (int32_t)byte_count},
                                .deadline_ns = wait->until_ns,
                                .is_repeatable = wait->is_repeatable}};
    bool has_run = session_run(client, &self.call);
    free(bytes);
    if (!has_run) {
        return trouble_closed(error);
    }
    if (self.status != STATUS_OK) {
        return processor_wait_tell(client, self.status, wait->what, error);
    }
    *out_answer = self.answer;
    return self.answer->fault != NULL ? tell_fault(error, self.answer->fault) : trouble_none(error);
}
