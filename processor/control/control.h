/* The processor's door: frames with questions of proto/internal/control.proto in, answers out.
 *
 * SQL is parsed only here; the command line, the console and the C client are callers. Any
 * processor answers any question: what only another one knows it asks for. ApiVersions is answered
 * too, so that a link opens here as it does at a broker.
 *
 * Owner: the processor. Loop: the options'. Limits: CONTROL_CALLS_MAX at once. */
#pragma once

#include "client/processor_core.h"
#include "processor/job/catalog.h"
#include "processor/job/local_tasks.h"
#include "processor/parser/parser_process.h"
#include "proto/frame/connection.h"

#define CONTROL_CALLS_MAX 256U

struct control_options {
    struct loop *loop;
    struct catalog *catalog; /* Borrowed for life, as all. */
    struct admin_core *admin;
    struct processor_core *peers;
    struct parser_process *parser;
    struct local_tasks *tasks;
    const char *name; /* Of this processor, for people: host:port. */
};

struct control {
    uint32_t magic;
    struct control_options options;
    struct list calls;
    uint32_t call_count;
    bool is_closing;
    void (*on_closed)(void *context);
    void *context;
};

void control_init(struct control *self, const struct control_options *options);
/* No further calls; those under way end as what they wait for ends. Then on_closed. */
void control_close(struct control *self, void (*on_closed)(void *context), void *context);
/* For connection_options.on_frame; the connection's context is the control. */
void control_on_frame(struct connection *connection, struct frame *frame, struct ticket *ticket);
