/* The blocking side of a consumer.
 *
 * The loop puts what was fetched into an inbox; a poll takes one piece, opens it on its own thread,
 * and sends the empty piece back, which makes room for more. */
#include "client/millrace/consumer_membership.h"
#include "client/millrace/received_batch.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdlib.h>

#define BUFFER_BYTES_DEFAULT ((size_t)32 << 20)
#define PARTITION_BYTES_DEFAULT ((size_t)1 << 20)
#define FETCH_BYTES_MAX ((size_t)50 << 20)
#define FETCH_WAIT_MS_DEFAULT 500
#define FETCH_WAIT_MS_MAX 60000
#define SESSION_TIMEOUT_MS_DEFAULT 10000
#define REBALANCE_TIMEOUT_MS_DEFAULT 60000
#define TIMEOUT_MS_MAX INT32_MAX

/* ---- polling ---- */

/* Waits for something to give. Nothing by then: 0 and neither of both. */
static int await_fetched(struct millrace_consumer *self, int64_t until_ns,
                         struct consumer_fetched **out_fetched, struct millrace_error *error)
{
    bool is_first = true;
    bool is_in_time = true;
    for (;;) {
        consumer_membership_poll(self, is_first);
        is_first = false;
        host_gate_enter(&self->gate);
        bool is_due = consumer_membership_is_due(self); /* Before what it may make void. */
        while (list_is_empty(&self->inbox) && self->fault_count == 0 && !self->is_closed &&
               !is_due && is_in_time) {
            int64_t wake_ns = consumer_membership_wake_ns(self, until_ns);
            is_in_time = host_gate_wait(&self->gate, wake_ns) || wake_ns < until_ns;
            is_due = consumer_membership_is_due(self);
        }
        bool is_closed = self->is_closed;
        struct consumer_handle_fault fault = {0};
        bool has_fault = !is_closed && !is_due && self->fault_count > 0;
        struct list *first = NULL;
        if (has_fault) {
            fault = consumer_handle_take_fault(self);
        } else if (!is_closed && !is_due) {
            first = list_take_first(&self->inbox);
        }
        host_gate_leave(&self->gate);
        if (is_closed) {
            return trouble_closed(error);
        }
        if (has_fault) {
            return consumer_handle_explain(&fault, error);
        }
        if (!is_due) {
            *out_fetched =
                first == NULL ? NULL : container_of(first, struct consumer_fetched, in_line);
            return trouble_none(error);
        }
    }
}

static int poll(struct millrace_consumer *self, int64_t until_ns, struct millrace_batch **out_batch,
                struct millrace_error *error)
{
    struct consumer_fetched *fetched = NULL;
    int code = await_fetched(self, until_ns, &fetched, error);
    if (code != MILLRACE_OK || fetched == NULL) {
        return code;
    }
    enum status status = received_batch_open(fetched, &self->decompressor, out_batch);
    fetched->fault = status != STATUS_OK ? status : fetched->fault;
    if (status != STATUS_OK) {
        fetched->next_offset = fetched->source.position;
    }
    consumer_handle_give_back(self, fetched);
    return status == STATUS_OK ? trouble_none(error)
                               : trouble_status(error, status, "cannot open what was fetched");
}

int millrace_consumer_poll(struct millrace_consumer *self, int64_t timeout_ms,
                           struct millrace_batch **out_batch, struct millrace_error *error)
{
    *out_batch = NULL;
    int64_t until_ns = session_until_ns(timeout_ms);
    host_gate_enter(&self->gate);
    bool is_polling = self->is_polling;
    self->is_polling = true;
    host_gate_leave(&self->gate);
    if (is_polling) {
        return trouble_argument(error, "another thread polls this consumer",
                                "poll a consumer from one thread at a time");
    }
    int code = poll(self, until_ns, out_batch, error);
    host_gate_enter(&self->gate);
    self->is_polling = false;
    host_gate_tell(&self->gate);
    host_gate_leave(&self->gate);
    return code;
}

/* ---- moving ---- */

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

static void run_assign(struct consumer_handle_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    if (self->group.magic != 0 && self->group.topic_count > 0) {
        mine->status = STATUS_BUSY;
        return;
    }
    consumer_core_unassign(&self->core);
    consumer_handle_purge(self, NULL);
    host_gate_enter(&self->gate);
    self->fault_count = 0;
    self->polled_count = 0;
    self->is_placed = mine->assignment_count == 0;
    host_gate_leave(&self->gate);
    for (size_t i = 0; i < mine->assignment_count && mine->status == STATUS_OK; i++) {
        const struct millrace_assignment *one = &mine->assignments[i];
        mine->status = consumer_core_assign(&self->core, text_of(one->topic), one->partition,
                                            start_of(&one->start));
    }
}

static void run_seek(struct consumer_handle_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    const struct millrace_assignment *one = mine->assignments;
    host_gate_enter(&self->gate);
    self->is_placed = false;
    host_gate_leave(&self->gate);
    mine->status =
        consumer_core_seek(&self->core, text_of(one->topic), one->partition, start_of(&one->start));
    if (mine->status == STATUS_OK) {
        consumer_handle_purge(self,
                              consumer_core_find(&self->core, text_of(one->topic), one->partition));
    }
}

static enum status list_positions(struct millrace_consumer *self,
                                  struct consumer_handle_positions **out)
{
    size_t count = 0;
    size_t text_bytes = 0;
    list_for_each(link, &self->core.partitions)
    {
        count += 1;
        text_bytes +=
            (size_t)container_of(link, struct consumer_partition, in_core)->topic->name_bytes;
    }
    struct consumer_handle_positions *positions = calloc(1, sizeof *positions);
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
    *positions = (struct consumer_handle_positions){{pointers, i}, rows, pointers};
    *out = positions;
    return STATUS_OK;
}

static void core_on_closed(void *context)
{
    struct millrace_consumer *self = context;
    session_end(&self->closing->call);
}

static void run_close(struct consumer_handle_call *mine)
{
    struct millrace_consumer *self = mine->consumer;
    if (self->core.magic == 0) {
        session_end(&mine->call);
        return;
    }
    self->closing = mine;
    consumer_membership_close(self, mine->until_ns);
}

static void consumer_run(struct session_call *call)
{
    struct consumer_handle_call *mine = container_of(call, struct consumer_handle_call, call);
    struct millrace_consumer *self = mine->consumer;
    host_gate_enter(&self->gate);
    bool is_closed = self->is_closed;
    host_gate_leave(&self->gate);
    if (mine->verb == CONSUMER_CLOSE) {
        run_close(mine);
        return;
    }
    mine->status = STATUS_OK;
    if (is_closed) {
        mine->status = STATUS_CLOSED;
    } else if (self->core.magic != 0 && consumer_membership_serve(mine)) {
        return; /* It ends the call. */
    } else if (mine->verb == CONSUMER_OPEN) {
        consumer_core_init(&self->core, mine->options);
        consumer_membership_open(self, mine->options);
    } else if (mine->verb == CONSUMER_ASSIGN) {
        run_assign(mine);
    } else if (mine->verb == CONSUMER_SEEK) {
        run_seek(mine);
    } else if (mine->verb == CONSUMER_PAUSE) {
        mine->status = consumer_core_pause(&self->core, text_of(mine->assignments->topic),
                                           mine->assignments->partition, mine->is_paused);
    } else if (mine->verb == CONSUMER_LOOK) {
        mine->status = self->core.cluster.has_refreshed ? self->core.cluster.refresh_status
                                                        : STATUS_UNREACHABLE;
    } else {
        mine->status = list_positions(self, &mine->positions);
    }
    session_end(call);
}

/* Time is up: because nobody answers at all, or because a partition has no leader? */
static int explain_unplaced(struct millrace_consumer *self, struct millrace_error *error)
{
    const char *what = "the partitions' offsets did not come in time";
    struct consumer_handle_call look = {.verb = CONSUMER_LOOK};
    if (consumer_handle_run(self, &look) == STATUS_UNREACHABLE) {
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
    struct consumer_handle_fault fault = {0};
    if (has_fault) {
        fault = consumer_handle_take_fault(self);
    }
    host_gate_leave(&self->gate);
    if (is_closed) {
        return trouble_closed(error);
    }
    if (has_fault) {
        return consumer_handle_explain(&fault, error);
    }
    return is_placed ? trouble_none(error) : explain_unplaced(self, error);
}

static bool is_topic(struct millrace_bytes topic)
{
    return topic.data != NULL && topic.size > 0 && topic.size <= CONSUMER_HANDLE_TOPIC_BYTES_MAX;
}

/* Turns the group's offsets into plain ones, in `copies`. */
static int resolve_committed(struct millrace_consumer *self, struct millrace_assignment *copies,
                             size_t count, int64_t until_ns, struct millrace_error *error)
{
    struct offset_call_row *rows = calloc(count + 1, sizeof *rows);
    struct consumer_handle_call call = {
        .verb = CONSUMER_COMMITTED, .rows = rows, .until_ns = until_ns};
    if (rows == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot assign");
    }
    for (size_t i = 0; i < count; i++) {
        if (copies[i].start.kind == MILLRACE_START_COMMITTED) {
            rows[call.row_count++] = (struct offset_call_row){
                .topic = text_of(copies[i].topic), .partition = copies[i].partition, .offset = -1};
        }
    }
    enum status status = call.row_count == 0 ? STATUS_OK : consumer_handle_run(self, &call);
    uint32_t next = 0;
    for (size_t i = 0; i < count; i++) {
        if (copies[i].start.kind == MILLRACE_START_COMMITTED) {
            int64_t offset = rows[next++].offset;
            copies[i].start.kind = offset < 0 ? MILLRACE_START_LATEST : MILLRACE_START_OFFSET;
            copies[i].start.value = offset < 0 ? 0 : offset;
        }
    }
    free(rows);
    if (status != STATUS_OK || call.error_code != ERROR_CODE_NONE) {
        return trouble_either(error, status, call.error_code, "the group's offsets did not come");
    }
    return MILLRACE_OK;
}

static int check_assignments(const struct millrace_consumer *self,
                             const struct millrace_assignment *assignments, size_t count,
                             struct millrace_error *error)
{
    for (size_t i = 0; i < count; i++) {
        const struct millrace_assignment *one = &assignments[i];
        bool is_committed = one->start.kind == MILLRACE_START_COMMITTED;
        if (!is_topic(one->topic) || one->partition < -1 ||
            (one->start.kind == MILLRACE_START_OFFSET && one->start.value < 0)) {
            return trouble_argument(error, "an assignment has no topic or a negative number",
                                    "see struct millrace_assignment");
        }
        if (is_committed && (self->group_id[0] == '\0' || one->partition < 0)) {
            return trouble_argument(error, "the group's offset needs a group and a partition",
                                    "open the consumer with a group, and name the partition");
        }
    }
    return MILLRACE_OK;
}

static int assign(struct millrace_consumer *self, struct millrace_assignment *copies, size_t count,
                  int64_t until_ns, struct millrace_error *error)
{
    int code = resolve_committed(self, copies, count, until_ns, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct consumer_handle_call call = {
        .verb = CONSUMER_ASSIGN, .assignments = copies, .assignment_count = count};
    enum status status = consumer_handle_run(self, &call);
    if (status == STATUS_BUSY) {
        return trouble_argument(error, "the group assigns the partitions of this consumer",
                                "use another consumer for partitions of your own choice");
    }
    return status == STATUS_OK ? await_placed(self, until_ns, error)
                               : trouble_status(error, status, "cannot assign");
}

int millrace_consumer_assign(struct millrace_consumer *self,
                             const struct millrace_assignment *assignments, size_t assignment_count,
                             int64_t timeout_ms, struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    int code = check_assignments(self, assignments, assignment_count, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct millrace_assignment *copies = calloc(assignment_count + 1, sizeof *copies);
    if (copies == NULL) {
        return trouble_status(error, STATUS_NO_MEMORY, "cannot assign");
    }
    memcpy(copies, assignments, assignment_count * sizeof *copies);
    code = assign(self, copies, assignment_count, until_ns, error);
    free(copies);
    return code;
}

int millrace_consumer_seek(struct millrace_consumer *self, struct millrace_bytes topic,
                           int32_t partition, struct millrace_start start, int64_t timeout_ms,
                           struct millrace_error *error)
{
    int64_t until_ns = session_until_ns(timeout_ms);
    struct millrace_assignment one = {topic, partition, start};
    int code = check_assignments(self, &one, 1, error);
    code = code != MILLRACE_OK ? code : resolve_committed(self, &one, 1, until_ns, error);
    if (code != MILLRACE_OK) {
        return code;
    }
    struct consumer_handle_call call = {.verb = CONSUMER_SEEK, .assignments = &one};
    enum status status = consumer_handle_run(self, &call);
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
    struct consumer_handle_call call = {
        .verb = CONSUMER_PAUSE, .assignments = &one, .is_paused = is_paused};
    enum status status = is_topic(topic) ? consumer_handle_run(self, &call) : STATUS_NOT_FOUND;
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
    struct consumer_handle_call call = {.verb = CONSUMER_POSITIONS};
    enum status status = consumer_handle_run(self, &call);
    if (status != STATUS_OK) {
        return trouble_status(error, status, "cannot list the positions");
    }
    *out_positions = &call.positions->list;
    return trouble_none(error);
}

void millrace_positions_free(struct millrace_positions *list)
{
    if (list != NULL) {
        struct consumer_handle_positions *self =
            container_of(list, struct consumer_handle_positions, list);
        free(self->rows);
        free(self->pointers);
        free(self);
    }
}

/* ---- life ---- */

/* What was polled counts as worked on now. */
static void commit_last(struct millrace_consumer *self, int64_t until_ns)
{
    host_gate_enter(&self->gate);
    bool is_wanted = self->is_subscribed && self->auto_commit_ms > 0 && self->polled_count > 0;
    host_gate_leave(&self->gate);
    struct consumer_handle_call call = {.verb = CONSUMER_COMMIT, .until_ns = until_ns};
    if (is_wanted) {
        status_ignore(consumer_handle_run(self, &call), "else it is read again");
    }
}

static int handle_close(struct session_handle *handle, int64_t until_ns,
                        struct millrace_error *error)
{
    struct millrace_consumer *self = container_of(handle, struct millrace_consumer, handle);
    commit_last(self, until_ns);
    host_gate_enter(&self->gate);
    self->is_closed = true;
    host_gate_tell(&self->gate);
    while (self->is_polling) {
        (void)host_gate_wait(&self->gate, INT64_MAX);
    }
    host_gate_leave(&self->gate);
    struct consumer_handle_call close = {.verb = CONSUMER_CLOSE, .until_ns = until_ns};
    check(consumer_handle_run(self, &close) == STATUS_OK);
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
    free(self->polled);
    free(self);
    return code;
}

static int read_group_options(struct millrace_consumer *self,
                              const struct millrace_consumer_options *options,
                              struct millrace_error *error)
{
    bool is_fit =
        options->group.size < sizeof self->group_id &&
        options->instance_id.size < sizeof self->instance_id &&
        (options->group_start == MILLRACE_START_LATEST ||
         options->group_start == MILLRACE_START_EARLIEST) &&
        options->session_timeout_ms >= 0 && options->session_timeout_ms <= TIMEOUT_MS_MAX &&
        options->rebalance_timeout_ms >= 0 && options->rebalance_timeout_ms <= TIMEOUT_MS_MAX &&
        options->auto_commit_ms >= 0 && options->auto_commit_ms <= TIMEOUT_MS_MAX;
    if (!is_fit) {
        return trouble_argument(error, "an option of the group is outside its range",
                                "see struct millrace_consumer_options");
    }
    if (options->group.size > 0) {
        memcpy(self->group_id, options->group.data, options->group.size);
    }
    if (options->instance_id.size > 0) {
        memcpy(self->instance_id, options->instance_id.data, options->instance_id.size);
    }
    self->group_start = options->group_start == MILLRACE_START_EARLIEST ? CONSUMER_START_EARLIEST
                                                                        : CONSUMER_START_LATEST;
    self->session_timeout_ms =
        options->session_timeout_ms > 0 ? options->session_timeout_ms : SESSION_TIMEOUT_MS_DEFAULT;
    self->rebalance_timeout_ms = options->rebalance_timeout_ms > 0 ? options->rebalance_timeout_ms
                                                                   : REBALANCE_TIMEOUT_MS_DEFAULT;
    self->auto_commit_ms = options->auto_commit_ms;
    self->on_partitions = options->on_partitions;
    self->context = options->context;
    return MILLRACE_OK;
}

static int read_options(struct millrace_consumer *self,
                        const struct millrace_consumer_options *given,
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
        .on_fetched = consumer_handle_on_fetched,
        .on_fault = consumer_handle_on_fault,
        .on_placed = consumer_handle_on_placed,
        .on_closed = core_on_closed};
    return read_group_options(self, &options, error);
}

int millrace_consumer_open(struct millrace_client *client,
                           const struct millrace_consumer_options *options,
                           struct millrace_consumer **out_consumer, struct millrace_error *error)
{
    *out_consumer = NULL;
    struct millrace_consumer *self = calloc(1, sizeof *self);
    if (self == NULL || host_gate_init(&self->gate) != STATUS_OK) {
        free(self);
        return trouble_status(error, STATUS_NO_MEMORY, "cannot open the consumer");
    }
    struct consumer_core_options core;
    int code = read_options(self, options, &core, error);
    list_init(&self->inbox);
    list_init(&self->returned);
    self->place.generation = -1;
    self->told_generation = -1;
    decompressor_init(&self->decompressor, NULL);
    self->serve = consumer_run;
    self->handle.close = handle_close;
    if (code == MILLRACE_OK && !session_attach(client, &self->handle)) {
        code = trouble_closed(error);
    }
    if (code != MILLRACE_OK) {
        host_gate_done(&self->gate);
        free(self);
        return code;
    }
    core.loop = &client->host.loop;
    core.bootstrap = client->bootstrap;
    core.bootstrap_count = client->bootstrap_count;
    core.client_id = client->client_id;
    core.request_timeout_ms = client->request_timeout_ms;
    core.context = self;
    struct consumer_handle_call open = {.verb = CONSUMER_OPEN, .options = &core};
    status_ignore(consumer_handle_run(self, &open),
                  "a handle that was closed meanwhile says so at its next call");
    *out_consumer = self;
    return trouble_none(error);
}
