#include "client/millrace/admin_wait.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

static void op_on_done(struct admin_op *op, enum status status)
{
    struct admin_wait *self = container_of(op, struct admin_wait, op);
    self->status = status;
    session_end(&self->call);
}

static void call_run(struct session_call *call)
{
    struct admin_wait *self = container_of(call, struct admin_wait, call);
    struct millrace_client *client = call->session;
    if (client->is_admin_closed) {
        self->status = STATUS_CLOSED;
        session_end(call);
        return;
    }
    if (client->admin == NULL) {
        client->admin = calloc(1, sizeof *client->admin);
        if (client->admin == NULL) {
            self->status = STATUS_NO_MEMORY;
            session_end(call);
            return;
        }
        struct admin_core_options options = {.loop = &client->host.loop,
                                             .bootstrap = client->bootstrap,
                                             .bootstrap_count = client->bootstrap_count,
                                             .client_id = client->client_id,
                                             .request_timeout_ms = client->request_timeout_ms};
        admin_core_init(client->admin, &options);
    }
    self->op.on_done = op_on_done;
    admin_core_run(client->admin, &self->op);
}

int admin_wait_run(struct millrace_client *client, struct admin_wait *self, int64_t until_ns,
                   const char *what, struct millrace_error *error)
{
    self->op.deadline_ns = until_ns;
    self->call.run = call_run;
    if (!session_run(client, &self->call)) {
        return trouble_closed(error);
    }
    if (self->status == STATUS_CLOSED) {
        return trouble_closed(error);
    }
    if (self->status == STATUS_OK && self->op.error_code != ERROR_CODE_NONE) {
        return trouble_broker(error, self->op.error_code, what, self->op.message);
    }
    if (self->status == STATUS_OK) {
        return trouble_none(error);
    }
    return self->status == STATUS_UNREACHABLE ? session_nobody(client, what, error)
                                              : trouble_status(error, self->status, what);
}

struct millrace_bytes admin_wait_keep(struct arena *arena, struct wire_text text)
{
    struct millrace_bytes kept = {NULL, 0};
    if (text.byte_count >= 0) {
        kept.data =
            arena_copy_text(arena, text.byte_count > 0 ? text.bytes : "", (size_t)text.byte_count);
        kept.size = kept.data == NULL ? 0 : (size_t)text.byte_count;
    }
    return kept;
}

struct wire_text admin_wait_text(struct millrace_bytes bytes)
{
    return (struct wire_text){bytes.data, bytes.data == NULL ? -1 : (int32_t)bytes.size};
}

int admin_wait_compare(struct millrace_bytes one, struct millrace_bytes other)
{
    size_t shorter = one.size < other.size ? one.size : other.size;
    int order = shorter > 0 ? memcmp(one.data, other.data, shorter) : 0;
    return order != 0 ? order : (one.size > other.size) - (one.size < other.size);
}

void **admin_wait_rows(struct arena *arena, size_t count, size_t size)
{
    void **pointers = arena_take_array(arena, count + 1, sizeof *pointers);
    uint8_t *rows = arena_take_array(arena, count + 1, size);
    if (pointers == NULL || rows == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        pointers[i] = rows + i * size;
    }
    return pointers;
}
