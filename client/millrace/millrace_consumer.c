/* The blocking side of a consumer.
 *
 * The loop puts what was fetched into an inbox; a poll takes one piece, opens it on its own thread,
 * and sends the empty piece back, which makes room for more. */
#include "client/consumer_core.h"
#include "client/millrace/received_batch.h"
#include "client/millrace/session.h"
#include "client/millrace/trouble.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define BUFFER_BYTES_DEFAULT ((size_t)32 << 20)
#define PARTITION_BYTES_DEFAULT ((size_t)1 << 20)
#define FETCH_BYTES_MAX ((size_t)50 << 20)
#define FETCH_WAIT_MS_DEFAULT 500
#define FETCH_WAIT_MS_MAX 60000
#define FAULTS_MAX 64U
#define TOPIC_BYTES_MAX 249U

struct fault {
    char topic[TOPIC_BYTES_MAX + 1];
    int32_t partition;
    enum status status;
    int16_t error_code;
};

struct millrace_consumer {
    struct session_handle handle;
    struct host_gate gate;
    struct consumer_core core;        /* The loop's. */
    struct decompressor decompressor; /* The polling thread's. */
    struct mail returned_mail;
    /* The gate guards what follows. */
    struct list inbox;
    struct list returned; /* On their way back to the core. */
    bool is_returned_posted;
    bool is_polling;
    bool is_closed;
    bool is_placed;
    struct fault faults[FAULTS_MAX];
    uint32_t fault_count;
};

static int explain_fault(const struct fault *fault, struct millrace_error *error)
{
    char what[320];
    if (fault->partition < 0) {
        (void)snprintf(what, sizeof what, "cannot read topic %s", fault->topic);
    } else {
        (void)snprintf(what, sizeof what, "cannot read %s, partition %d", fault->topic,
                       fault->partition);
    }
    return trouble_either(error, fault->status, fault->error_code, what);
}

/* ---- from the core: on the loop ---- */

static void core_on_fetched(void *context, struct consumer_fetched *fetched)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    list_append(&self->inbox, &fetched->in_line);
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

/* Takes out of the inbox what is of no use any more: all, or one partition's. */
static void purge(struct millrace_consumer *self, const struct consumer_partition *partition)
{
    struct list dropped;
    list_init(&dropped);
    host_gate_enter(&self->gate);
    list_for_each_removable(link, &self->inbox)
    {
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        if (partition == NULL || fetched->partition == partition) {
            list_remove(link);
            list_append(&dropped, link);
        }
    }
    host_gate_leave(&self->gate);
    struct list *link;
    while ((link = list_take_first(&dropped)) != NULL) {
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        fetched->generation -= 1; /* It was not read, so it must not move the reader. */
        consumer_core_give_back(&self->core, fetched);
    }
}

static void core_on_fault(void *context, const struct consumer_fault *fault)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    if (self->fault_count < FAULTS_MAX) {
        struct fault *place = &self->faults[self->fault_count++];
        *place = (struct fault){.partition = fault->partition,
                                .status = fault->status,
                                .error_code = fault->error_code};
        (void)snprintf(place->topic, sizeof place->topic, "%.*s", fault->topic.byte_count,
                       fault->topic.bytes);
    }
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static void core_on_placed(void *context)
{
    struct millrace_consumer *self = context;
    host_gate_enter(&self->gate);
    self->is_placed = true;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static void returned_deliver(struct mail *mail)
{
    struct millrace_consumer *self = container_of(mail, struct millrace_consumer, returned_mail);
    struct list taken;
    list_init(&taken);
    host_gate_enter(&self->gate);
    self->is_returned_posted = false;
    struct list *link;
    while ((link = list_take_first(&self->returned)) != NULL) {
        list_append(&taken, link);
    }
    host_gate_leave(&self->gate);
    while ((link = list_take_first(&taken)) != NULL) {
        struct consumer_fetched *fetched = container_of(link, struct consumer_fetched, in_line);
        const struct consumer_partition *partition = fetched->partition;
        bool has_fault =
            fetched->fault != STATUS_OK && fetched->generation == partition->generation;
        consumer_core_give_back(&self->core, fetched);
        if (has_fault) {
            purge(self, partition);
        }
    }
}

/* ---- polling ---- */

static void give_back(struct millrace_consumer *self, struct consumer_fetched *fetched)
{
    host_gate_enter(&self->gate);
    list_append(&self->returned, &fetched->in_line);
    if (!self->is_returned_posted) {
        self->is_returned_posted = true;
        self->returned_mail = (struct mail){.deliver = returned_deliver};
        mailbox_post(&self->handle.session->host.loop.mailbox, &self->returned_mail);
    }
    self->is_polling = false;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
}

static struct fault take_fault(struct millrace_consumer *self)
{
    struct fault first = self->faults[0];
    self->fault_count -= 1;
    memmove(&self->faults[0], &self->faults[1], self->fault_count * sizeof *self->faults);
    return first;
}

int millrace_consumer_poll(struct millrace_consumer *self, int64_t timeout_ms,
                           struct millrace_batch **out_batch, struct millrace_error *error)
{
    *out_batch = NULL;
    int64_t until_ns = session_until_ns(timeout_ms);
    host_gate_enter(&self->gate);
    if (self->is_polling) {
        host_gate_leave(&self->gate);
        return trouble_argument(error, "another thread polls this consumer",
                                "poll a consumer from one thread at a time");
    }
    bool is_in_time = true;
    while (list_is_empty(&self->inbox) && self->fault_count == 0 && !self->is_closed &&
           is_in_time) {
        is_in_time = host_gate_wait(&self->gate, until_ns);
    }
    bool is_closed = self->is_closed;
    struct fault fault = {0};
    bool has_fault = !is_closed && self->fault_count > 0;
    struct list *first = NULL;
    if (has_fault) {
        fault = take_fault(self);
    } else if (!is_closed) {
        first = list_take_first(&self->inbox);
    }
    self->is_polling = first != NULL;
    host_gate_leave(&self->gate);
    if (is_closed) {
        return trouble_closed(error);
    }
    if (has_fault) {
        return explain_fault(&fault, error);
    }
    if (first == NULL) {
        return trouble_none(error);
    }
    struct consumer_fetched *fetched = container_of(first, struct consumer_fetched, in_line);
    enum status status = received_batch_open(fetched, &self->decompressor, out_batch);
    fetched->fault = status != STATUS_OK ? status : fetched->fault;
    if (status != STATUS_OK) {
        fetched->next_offset = fetched->source.position;
    }
    give_back(self, fetched);
    return status == STATUS_OK ? trouble_none(error)
                               : trouble_status(error, status, "cannot open what was fetched");
}

/* ---- moving ---- */

enum consumer_verb { OPEN, ASSIGN, SEEK, PAUSE, POSITIONS, LOOK, CLOSE };

struct consumer_call {
    struct session_call call;
    struct millrace_consumer *consumer;
    enum consumer_verb verb;
    const struct consumer_core_options *options;
    const struct millrace_assignment *assignments;
    size_t assignment_count;
    bool is_paused;
    struct positions *positions;
    enum status status;
};

struct positions {
    struct millrace_positions list;
    struct millrace_position *rows;            /* Owned, with the texts. */
    const struct millrace_position **pointers; /* Owned. */
};

static struct wire_text text_of(struct millrace_bytes bytes)
{
    return (struct wire_text){bytes.data, (int32_t)bytes.size};
}

static struct consumer_start start_of(const struct millrace_start *start)
{
    switch (start->kind) {
    case MILLRACE_START_EARLIEST:
        return (struct consumer_start){.kind = CONSUMER_START_EARLIEST};
    case MILLRACE_START_OFFSET:
        return (struct consumer_start){CONSUMER_START_OFFSET, start->value};
    case MILLRACE_START_TIME:
        return (struct consumer_start){CONSUMER_START_TIME, start->value};
    case MILLRACE_START_LATEST:
    case MILLRACE_START_COMMITTED:
        break;
    }
    return (struct consumer_start){.kind = CONSUMER_START_LATEST};
}

static void run_assign(struct consumer_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    consumer_core_unassign(&self->core);
    purge(self, NULL);
    host_gate_enter(&self->gate);
    self->fault_count = 0;
    self->is_placed = mine->assignment_count == 0;
    host_gate_leave(&self->gate);
    for (size_t i = 0; i < mine->assignment_count && mine->status == STATUS_OK; i++) {
        const struct millrace_assignment *one = &mine->assignments[i];
        mine->status = consumer_core_assign(&self->core, text_of(one->topic), one->partition,
                                            start_of(&one->start));
    }
}

static void run_seek(struct consumer_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    const struct millrace_assignment *one = mine->assignments;
    host_gate_enter(&self->gate);
    self->is_placed = false;
    host_gate_leave(&self->gate);
    mine->status =
        consumer_core_seek(&self->core, text_of(one->topic), one->partition, start_of(&one->start));
    if (mine->status == STATUS_OK) {
        purge(self, consumer_core_find(&self->core, text_of(one->topic), one->partition));
    }
}

static enum status list_positions(struct millrace_consumer *self, struct positions **out)
{
    size_t count = 0;
    size_t text_bytes = 0;
    list_for_each(link, &self->core.partitions)
    {
        count += 1;
        text_bytes +=
            (size_t)container_of(link, struct consumer_partition, in_core)->topic->name_bytes;
    }
    struct positions *positions = calloc(1, sizeof *positions);
    struct millrace_position *rows = calloc(1, count * sizeof *rows + text_bytes + 1);
    const struct millrace_position **pointers = calloc(count + 1, sizeof *pointers);
    if (positions == NULL || rows == NULL || pointers == NULL) {
        free(positions);
        free(rows);
        free(pointers);
        return STATUS_NO_MEMORY;
    }
    char *text = (char *)(rows + count);
    size_t i = 0;
    list_for_each(link, &self->core.partitions)
    {
        const struct consumer_partition *partition =
            container_of(link, struct consumer_partition, in_core);
        if (partition->state == CONSUMER_IDLE) {
            continue;
        }
        size_t byte_count = (size_t)partition->topic->name_bytes;
        memcpy(text, partition->topic->name, byte_count);
        rows[i] = (struct millrace_position){.topic = {text, byte_count},
                                             .partition = partition->index,
                                             .offset = partition->read_position,
                                             .end = partition->high_watermark,
                                             .stable_end = partition->stable_end,
                                             .log_start = partition->log_start};
        pointers[i] = &rows[i];
        text += byte_count;
        i += 1;
    }
    *positions = (struct positions){{pointers, i}, rows, pointers};
    *out = positions;
    return STATUS_OK;
}

static void core_on_closed(void *context)
{
    struct consumer_call *mine = context;
    session_end(&mine->call);
}

static void run_close(struct consumer_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    if (self->core.magic == 0) {
        session_end(&mine->call);
        return;
    }
    consumer_core_unassign(&self->core);
    purge(self, NULL);
    self->core.options.context = mine;
    consumer_core_close(&self->core);
}

static void consumer_run(struct session_call *call)
{
    struct consumer_call *mine = container_of(call, struct consumer_call, call);
    struct millrace_consumer *self = mine->consumer;
    host_gate_enter(&self->gate);
    bool is_closed = self->is_closed;
    host_gate_leave(&self->gate);
    if (mine->verb == CLOSE) {
        run_close(mine);
        return;
    }
    mine->status = STATUS_OK;
    if (is_closed) {
        mine->status = STATUS_CLOSED;
    } else if (mine->verb == OPEN) {
        consumer_core_init(&self->core, mine->options);
    } else if (mine->verb == ASSIGN) {
        run_assign(mine);
    } else if (mine->verb == SEEK) {
        run_seek(mine);
    } else if (mine->verb == PAUSE) {
        mine->status = consumer_core_pause(&self->core, text_of(mine->assignments->topic),
                                           mine->assignments->partition, mine->is_paused);
    } else if (mine->verb == LOOK) {
        mine->status = self->core.cluster.has_refreshed ? self->core.cluster.refresh_status
                                                        : STATUS_UNREACHABLE;
    } else {
        mine->status = list_positions(self, &mine->positions);
    }
    session_end(call);
}

static enum status run(struct millrace_consumer *self, struct consumer_call *mine)
{
    mine->call.run = consumer_run;
    mine->consumer = self;
    return session_run(self->handle.session, &mine->call) ? mine->status : STATUS_CLOSED;
}

/* Time is up: because nobody answers at all, or because a partition has no leader? */
static int explain_unplaced(struct millrace_consumer *self, struct millrace_error *error)
{
    const char *what = "the partitions' offsets did not come in time";
    struct consumer_call look = {.verb = LOOK};
    if (run(self, &look) == STATUS_UNREACHABLE) {
        return session_nobody(self->handle.session, what, error);
    }
    int code = trouble_timeout(error, what);
    trouble_explain(error, "a partition has no leader, or its leader does not answer",
                    "look with millrace cluster status and millrace topic describe");
    return code;
}

static int await_placed(struct millrace_consumer *self, int64_t until_ns,
                        struct millrace_error *error)
{
    host_gate_enter(&self->gate);
    bool is_in_time = true;
    while (!self->is_placed && self->fault_count == 0 && !self->is_closed && is_in_time) {
        is_in_time = host_gate_wait(&self->gate, until_ns);
    }
    bool is_closed = self->is_closed;
    bool is_placed = self->is_placed;
    bool has_fault = !is_closed && self->fault_count > 0;
    struct fault fault = {0};
    if (has_fault) {
        fault = take_fault(self);
    }
    host_gate_leave(&self->gate);
    if (is_closed) {
        return trouble_closed(error);
    }
    if (has_fault) {
        return explain_fault(&fault, error);
    }
    return is_placed ? trouble_none(error) : explain_unplaced(self, error);
}

static bool is_topic(struct millrace_bytes topic)
{
    return topic.data != NULL && topic.size > 0 && topic.size <= TOPIC_BYTES_MAX;
}

int millrace_consumer_assign(struct millrace_consumer *self,
                             const struct millrace_assignment *assignments, size_t assignment_count,
                             int64_t timeout_ms, struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    for (size_t i = 0; i < assignment_count; i++) {
        if (!is_topic(assignments[i].topic) || assignments[i].partition < -1 ||
            (assignments[i].start.kind == MILLRACE_START_OFFSET &&
             assignments[i].start.value < 0)) {
            return trouble_argument(error, "an assignment has no topic or a negative number",
                                    "see struct millrace_assignment");
        }
    }
    struct consumer_call call = {
        .verb = ASSIGN, .assignments = assignments, .assignment_count = assignment_count};
    enum status status = run(self, &call);
    if (status != STATUS_OK) {
        return trouble_status(error, status, "cannot assign");
    }
    return await_placed(self, until_ns, error);
}

int millrace_consumer_seek(struct millrace_consumer *self, struct millrace_bytes topic,
                           int32_t partition, struct millrace_start start, int64_t timeout_ms,
                           struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    struct millrace_assignment one = {topic, partition, start};
    if (!is_topic(topic) || (start.kind == MILLRACE_START_OFFSET && start.value < 0)) {
        return trouble_argument(error, "a seek needs a topic and an offset of 0 or more",
                                "see millrace_consumer_seek()");
    }
    struct consumer_call call = {.verb = SEEK, .assignments = &one};
    enum status status = run(self, &call);
    if (status == STATUS_NOT_FOUND) {
        return trouble_argument(error, "the partition is not assigned", "assign it first");
    }
    if (status != STATUS_OK) {
        return trouble_status(error, status, "cannot seek");
    }
    return await_placed(self, until_ns, error);
}

int millrace_consumer_pause(struct millrace_consumer *self, struct millrace_bytes topic,
                            int32_t partition, bool is_paused, struct millrace_error *error)
{
    struct millrace_assignment one = {.topic = topic, .partition = partition};
    struct consumer_call call = {.verb = PAUSE, .assignments = &one, .is_paused = is_paused};
    enum status status = is_topic(topic) ? run(self, &call) : STATUS_NOT_FOUND;
    if (status == STATUS_NOT_FOUND) {
        return trouble_argument(error, "the partition is not assigned", "assign it first");
    }
    return status == STATUS_OK ? trouble_none(error)
                               : trouble_status(error, status, "cannot pause");
}

int millrace_consumer_positions(struct millrace_consumer *self,
                                struct millrace_positions **out_positions,
                                struct millrace_error *error)
{
    *out_positions = NULL;
    struct consumer_call call = {.verb = POSITIONS};
    enum status status = run(self, &call);
    if (status != STATUS_OK) {
        return trouble_status(error, status, "cannot list the positions");
    }
    *out_positions = &call.positions->list;
    return trouble_none(error);
}

void millrace_positions_free(struct millrace_positions *list)
{
    if (list != NULL) {
        struct positions *self = container_of(list, struct positions, list);
        free(self->rows);
        free(self->pointers);
        free(self);
    }
}

/* ---- life ---- */

static int handle_close(struct session_handle *handle, int64_t until_ns,
                        struct millrace_error *error)
{
    struct millrace_consumer *self = container_of(handle, struct millrace_consumer, handle);
    (void)until_ns; /* Nothing here waits for a broker. */
    host_gate_enter(&self->gate);
    self->is_closed = true;
    host_gate_tell(&self->gate);
    while (self->is_polling) {
        (void)host_gate_wait(&self->gate, INT64_MAX);
    }
    host_gate_leave(&self->gate);
    struct consumer_call close = {.verb = CLOSE};
    check(run(self, &close) == STATUS_OK);
    return trouble_none(error);
}

int millrace_consumer_close(struct millrace_consumer *self, int64_t timeout_ms,
                            struct millrace_error *error)
{
    int code = trouble_none(error);
    if (self == NULL) {
        return code;
    }
    if (session_detach(&self->handle)) {
        code = handle_close(&self->handle, session_until_ns(timeout_ms), error);
    }
    session_unref(self->handle.session);
    decompressor_done(&self->decompressor);
    host_gate_done(&self->gate);
    free(self);
    return code;
}

static int read_options(const struct millrace_consumer_options *given,
                        struct consumer_core_options *core, struct millrace_error *error)
{
    struct millrace_consumer_options options = {0};
    if (given != NULL && !trouble_options(&options, sizeof options, given, given->size)) {
        return trouble_argument(error, "the options have a size that cannot be",
                                "set .size = sizeof the struct");
    }
    static const enum consumer_reset resets[] = {CONSUMER_RESET_FAIL, CONSUMER_RESET_EARLIEST,
                                                 CONSUMER_RESET_LATEST};
    if ((unsigned)options.reset >= sizeof resets / sizeof *resets ||
        options.partition_bytes > FETCH_BYTES_MAX || options.fetch_wait_ms < 0 ||
        options.fetch_wait_ms > FETCH_WAIT_MS_MAX) {
        return trouble_argument(error, "an option of the consumer is outside its range",
                                "see struct millrace_consumer_options");
    }
    size_t buffer_bytes = options.buffer_bytes > 0 ? options.buffer_bytes : BUFFER_BYTES_DEFAULT;
    size_t partition_bytes =
        options.partition_bytes > 0 ? options.partition_bytes : PARTITION_BYTES_DEFAULT;
    *core = (struct consumer_core_options){
        .is_committed = options.isolation == MILLRACE_READ_COMMITTED,
        .reset = resets[options.reset],
        .buffer_bytes_max = buffer_bytes,
        .partition_bytes_max = (int32_t)partition_bytes,
        .fetch_bytes_max =
            (int32_t)(buffer_bytes < FETCH_BYTES_MAX ? buffer_bytes : FETCH_BYTES_MAX),
        .fetch_wait_ms = options.fetch_wait_ms > 0 ? options.fetch_wait_ms : FETCH_WAIT_MS_DEFAULT,
        .on_fetched = core_on_fetched,
        .on_fault = core_on_fault,
        .on_placed = core_on_placed,
        .on_closed = core_on_closed};
    return MILLRACE_OK;
}

int millrace_consumer_open(struct millrace_client *client,
                           const struct millrace_consumer_options *options,
                           struct millrace_consumer **out_consumer, struct millrace_error *error)
{
    *out_consumer = NULL;
    struct consumer_core_options core;
    int code = read_options(options, &core, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct millrace_consumer *self = calloc(1, sizeof *self);
    if (self == NULL || host_gate_init(&self->gate) != STATUS_OK) {
        free(self);
        return trouble_status(error, STATUS_NO_MEMORY, "cannot open the consumer");
    }
    list_init(&self->inbox);
    list_init(&self->returned);
    decompressor_init(&self->decompressor, NULL);
    core.loop = &client->host.loop;
    core.bootstrap = client->bootstrap;
    core.bootstrap_count = client->bootstrap_count;
    core.client_id = client->client_id;
    core.request_timeout_ms = client->request_timeout_ms;
    core.context = self;
    self->handle.close = handle_close;
    if (!session_attach(client, &self->handle)) {
        host_gate_done(&self->gate);
        free(self);
        return trouble_closed(error);
    }
    struct consumer_call open = {.verb = OPEN, .options = &core};
    status_ignore(run(self, &open), "a handle that was closed meanwhile says so at its next call");
    *out_consumer = self;
    return trouble_none(error);
}
