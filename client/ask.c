#include "client/ask.h"

#include "proto/sys/check.h"

/* Requests are bounded by what their senders gather; answers by the link's frames. */
#define ASK_ARENA_BYTES_MAX ((size_t)256 << 20)
#define FEATURE_NAME "millrace.version"
#define FEATURE_TXN "transaction.version"

void ask_done(struct ask *self)
{
    check(!self->is_waiting);
    link_call_done(&self->call);
    arena_done(&self->arena);
}

static void call_on_done(struct link_call *call, enum status status)
{
    struct ask *self = container_of(call, struct ask, call);
    self->on_done(self, status);
}

enum status ask_send(struct ask *self, struct link *link, int64_t now_ns)
{
    self->version = link_version(link, self->api_key, self->version_min, self->version_max);
    if (self->version < 0) {
        return STATUS_UNSUPPORTED;
    }
    self->is_millrace = link_supported_feature(link, FEATURE_NAME) > 0;
    self->txn_level = link_feature_level(link, FEATURE_TXN);
    arena_done(&self->arena);
    arena_init(&self->arena, ASK_ARENA_BYTES_MAX);
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    self->encode(self, &writer);
    TRY(wire_writer_status(&writer));
    int64_t left_ms = (self->deadline_ns - now_ns) / CLOCK_NS_PER_MS;
    self->call = (struct link_call){.api_key = self->api_key,
                                    .api_version = self->version,
                                    .body = writer.slices,
                                    .body_count = writer.slice_count,
                                    .timeout_ms = left_ms > 0 ? left_ms : 1,
                                    .on_done = call_on_done};
    return link_send(link, &self->call);
}
