#include "processor/processor.h"

#include "processor/control/control.h"
#include "processor/job/task_group.h"
#include "proto/frame/listener.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSOR_MAGIC 0x9c0ce5a0U
#define CLIENT_ID "millrace-processor"
#define REQUEST_MS 10000
#define FRAMES_BYTES_MAX ((size_t)64 << 20)
#define FRAME_BYTES_MAX ((size_t)4 << 20)
#define CONNECTIONS_MAX 1024U

struct processor {
    uint32_t magic;
    struct processor_options options;
    struct loop *loop;
    struct budget budget;
    char name[ADDRESS_HOST_BYTES_MAX + 8];
    uint16_t port;
    struct admin_core admin;
    struct catalog catalog;
    struct processor_core peers;
    struct parser_process *parser;
    struct local_tasks tasks;
    struct task_group group;
    struct control control;
    struct listener *listener;
    uint64_t passed[TASK_POINT_COUNT];
    uint32_t open_count; /* Parts of the last step that have not closed yet. */
    bool is_closing;
};

/* ---- callbacks of the parts ---- */

static void catalog_on_changed(void *context)
{
    struct processor *self = context;
    check(self->magic == PROCESSOR_MAGIC);
    if (!self->is_closing) {
        local_tasks_review(&self->tasks);
        task_group_review(&self->group);
    }
}

static void group_on_joined(void *context)
{
    struct processor *self = context;
    self->options.on_ready(self->options.context, self->port);
}

static void group_on_failed(void *context, enum status status, int16_t error_code)
{
    struct processor *self = context;
    trace_line(self->loop->trace, TRACE_ERROR, "processor", "group-refused", "why=\"%s\" code=%d",
               status_text(status), error_code);
    self->options.on_failed(self->options.context, status);
}

/* For tests of what a death at this very place leaves behind. */
static void task_on_point(void *context, enum task_point point)
{
    struct local_task *task = context;
    struct processor *self = task->set->options.context;
    const struct processor_config *config = self->options.config;
    self->passed[point] += 1;
    if (strcmp(task_point_name(point), config->kill_point) == 0 &&
        self->passed[point] == (uint64_t)config->kill_count) {
        self->options.on_kill(self->options.context);
    }
}

/* ---- closing, from the door inwards ---- */

static void part_on_closed(void *context)
{
    struct processor *self = context;
    check(self->open_count > 0);
    self->open_count -= 1;
    if (self->open_count > 0) {
        return;
    }
    void (*on_closed)(void *) = self->options.on_closed;
    void *owner = self->options.context;
    self->magic = 0;
    free(self);
    on_closed(owner);
}

static void admin_on_closed(void *context)
{
    part_on_closed(context);
}

/* The catalog asks the admin's core, so that one is the last to go. */
static void catalog_on_closed(void *context)
{
    struct processor *self = context;
    admin_core_close(&self->admin, admin_on_closed, self);
}

static void tasks_on_closed(void *context)
{
    struct processor *self = context;
    self->open_count = 4; /* Catalog with admin, peers, parser, control. */
    control_close(&self->control, part_on_closed, self);
    processor_core_close(&self->peers, part_on_closed, self);
    parser_process_close(self->parser, part_on_closed, self);
    catalog_close(&self->catalog);
}

static void group_on_closed(void *context)
{
    struct processor *self = context;
    local_tasks_close(&self->tasks);
}

static void listener_on_closed(void *context)
{
    struct processor *self = context;
    task_group_close(&self->group);
}

void processor_close(struct processor *self)
{
    check(self->magic == PROCESSOR_MAGIC);
    if (self->is_closing) {
        return;
    }
    self->is_closing = true;
    listener_close(self->listener, listener_on_closed, self);
}

/* ---- opening ---- */

static enum status open_door(struct processor *self)
{
    const struct processor_config *config = self->options.config;
    struct connection_options shard = {.loop = self->loop,
                                       .budget = &self->budget,
                                       .frame_bytes_max = FRAME_BYTES_MAX,
                                       .on_frame = control_on_frame,
                                       .context = &self->control};
    struct listener_options options = {.loop = self->loop,
                                       .address = config->listener,
                                       .shards = &shard,
                                       .shard_count = 1,
                                       .connection_count_max = CONNECTIONS_MAX};
    TRY(listener_open(&options, &self->listener));
    bool is_advertised = config->advertised.host[0] != '\0';
    const char *host = is_advertised ? config->advertised.host : config->listener.host;
    self->port = is_advertised && config->advertised.port != 0 ? config->advertised.port
                                                               : listener_port(self->listener);
    (void)snprintf(self->name, sizeof self->name, "%s:%u", host, self->port);
    return STATUS_OK;
}

static void init_clients(struct processor *self)
{
    const struct processor_config *config = self->options.config;
    struct admin_core_options admin = {.loop = self->loop,
                                       .bootstrap = config->bootstrap,
                                       .bootstrap_count = config->bootstrap_count,
                                       .client_id = CLIENT_ID,
                                       .request_timeout_ms = REQUEST_MS};
    admin_core_init(&self->admin, &admin);
    struct processor_core_options peers = {.loop = self->loop,
                                           .bootstrap = config->bootstrap,
                                           .bootstrap_count = config->bootstrap_count,
                                           .client_id = CLIENT_ID,
                                           .request_timeout_ms = REQUEST_MS};
    processor_core_init(&self->peers, &peers);
    struct catalog_options catalog = {.loop = self->loop,
                                      .bootstrap = config->bootstrap,
                                      .bootstrap_count = config->bootstrap_count,
                                      .client_id = CLIENT_ID,
                                      .admin = &self->admin,
                                      .on_changed = catalog_on_changed,
                                      .on_closed = catalog_on_closed,
                                      .context = self};
    catalog_init(&self->catalog, &catalog);
}

static void init_tasks(struct processor *self)
{
    const struct processor_config *config = self->options.config;
    struct local_tasks_options tasks = {.loop = self->loop,
                                        .bootstrap = config->bootstrap,
                                        .bootstrap_count = config->bootstrap_count,
                                        .client_id = CLIENT_ID,
                                        .catalog = &self->catalog,
                                        .state_bytes_max = (size_t)config->state_bytes_max,
                                        .output_bytes_max = (size_t)config->output_bytes_max,
                                        .on_point =
                                            config->kill_point[0] == '\0' ? NULL : task_on_point,
                                        .on_closed = tasks_on_closed,
                                        .context = self};
    local_tasks_init(&self->tasks, &tasks);
    bool is_advertised = config->advertised.host[0] != '\0';
    struct task_group_options group = {.loop = self->loop,
                                       .bootstrap = config->bootstrap,
                                       .bootstrap_count = config->bootstrap_count,
                                       .client_id = CLIENT_ID,
                                       .host = is_advertised ? config->advertised.host
                                                             : config->listener.host,
                                       .port = self->port,
                                       .catalog = &self->catalog,
                                       .tasks = &self->tasks,
                                       .on_joined = group_on_joined,
                                       .on_failed = group_on_failed,
                                       .on_closed = group_on_closed,
                                       .context = self};
    for (size_t i = 0; i < sizeof group.incarnation_id; i += sizeof(uint64_t)) {
        uint64_t random = prng_next(&self->loop->prng);
        memcpy(group.incarnation_id + i, &random, sizeof random);
    }
    task_group_init(&self->group, &group);
    struct control_options control = {.loop = self->loop,
                                      .catalog = &self->catalog,
                                      .admin = &self->admin,
                                      .peers = &self->peers,
                                      .parser = self->parser,
                                      .tasks = &self->tasks,
                                      .name = self->name};
    control_init(&self->control, &control);
}

enum status processor_open(const struct processor_options *options,
                           struct processor **out_processor)
{
    struct processor *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = PROCESSOR_MAGIC;
    self->options = *options;
    self->loop = &options->loop->loop;
    budget_init(&self->budget, FRAMES_BYTES_MAX);
    struct parser_process_options parsing = {.loop = options->loop,
                                             .program = options->config->parser};
    enum status status = open_door(self);
    if (status == STATUS_OK) {
        status = parser_process_open(&parsing, &self->parser);
    }
    if (status != STATUS_OK) {
        free(self); /* The program ends with it. */
        return status;
    }
    init_clients(self);
    init_tasks(self);
    *out_processor = self;
    return STATUS_OK;
}
