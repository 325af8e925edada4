#include "client/shell/shell_consume.h"

#include "client/shell/from_text.h"
#include "client/shell/record_json.h"
#include "client/shell/shell_client.h"
#include "client/shell/shell_error.h"
#include "client/shell/shell_options.h"
#include "client/shell/shell_output.h"
#include "proto/sys/host/host_clock.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#define POLL_MS 200
/* With --until-end something is known to be there, so silence for so long is a failure. */
#define SILENCE_MS_MAX 60000

#define COMMIT_PERIOD_MS 1000

/* How far one partition is, and where it ends for --until-end. */
struct span {
    int32_t partition;
    int64_t position;  /* The next to print; -1: not known yet. */
    int64_t end;       /* INT64_MAX: it does not end. */
    int64_t committed; /* -1: nothing, by us. */
    bool is_ours;      /* With a group: it is assigned to us. */
};

struct consuming {
    const struct shell_call *call;
    struct millrace_client *client;
    struct millrace_consumer *consumer;
    struct millrace_start start;
    enum millrace_isolation isolation;
    bool is_until_end;
    int64_t record_count_max; /* INT64_MAX: all. */
    int64_t record_count;
    struct span *spans; /* Owned. For --until-end and --group only. */
    size_t span_count;
    const char *group; /* NULL: none. */
    bool is_assigned;  /* By the group. */
    bool is_news;      /* Which partitions are ours has changed. */
    int64_t committed_ms;
    bool has_head; /* The head of the table is printed. */
};

static int64_t now_ms(void)
{
    return clock_monotonic_ns(host_clock()) / CLOCK_NS_PER_MS;
}

static enum shell_exit fail_memory(const struct shell_call *call)
{
    return shell_fail(call, (struct shell_cause){"NO_MEMORY", "the system gives none", "free some"},
                      "the records cannot be read");
}

static enum shell_exit read_options(struct consuming *self)
{
    const struct shell_call *call = self->call;
    const char *from = shell_options_text(call, "--from");
    if (!from_text_parse(from == NULL ? "latest" : from, &self->start)) {
        return shell_fail(
            call,
            (struct shell_cause){"USAGE", "it is earliest, latest, an offset or a time",
                                 "for example --from earliest or --from 2001-01-01T00:00:00Z"},
            "--from '%.100s' is no place to begin", from);
    }
    const char *isolation = shell_options_text(call, "--isolation");
    if (isolation == NULL || strcmp(isolation, "read_committed") == 0) {
        self->isolation = MILLRACE_READ_COMMITTED;
    } else if (strcmp(isolation, "read_uncommitted") == 0) {
        self->isolation = MILLRACE_READ_UNCOMMITTED;
    } else {
        return shell_fail(call,
                          (struct shell_cause){"USAGE",
                                               "there are read_committed and read_uncommitted",
                                               "use one of them"},
                          "--isolation '%.100s' is not known", isolation);
    }
    self->is_until_end = shell_options_has(call, "--until-end");
    self->group = shell_options_text(call, "--group");
    bool is_plain_start =
        self->start.kind == MILLRACE_START_EARLIEST || self->start.kind == MILLRACE_START_LATEST;
    if (self->group != NULL &&
        (!is_plain_start || shell_options_text(call, "--partition") != NULL)) {
        return shell_fail(call,
                          (struct shell_cause){"USAGE",
                                               "the group decides who reads what from where",
                                               "use --from earliest or --from latest, for where "
                                               "the group has no offset yet"},
                          "--group '%.100s' goes neither with --partition nor with a place to "
                          "begin",
                          self->group);
    }
    return shell_options_number(call, "--max", (struct shell_range){INT64_MAX, 1, INT64_MAX},
                                &self->record_count_max);
}

static uint32_t count_given(const struct shell_call *call, const char *name)
{
    uint32_t count = 0;
    while (shell_options_text_at(call, name, count) != NULL) {
        count += 1;
    }
    return count;
}

static enum shell_exit read_assignments(struct consuming *self,
                                        struct millrace_assignment *assignments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *text = shell_options_text_at(self->call, "--partition", i);
        int64_t partition = 0;
        if (!shell_options_parse_number(text, &partition) || partition < 0 ||
            partition > INT32_MAX) {
            return shell_fail(self->call,
                              (struct shell_cause){"USAGE", "partitions are numbered from 0",
                                                   "write digits only"},
                              "--partition '%.100s' is no partition", text);
        }
        assignments[i] = (struct millrace_assignment){millrace_text(self->call->operands[0]),
                                                      (int32_t)partition, self->start};
    }
    return SHELL_DONE;
}

static enum shell_exit assign(struct consuming *self)
{
    uint32_t count = count_given(self->call, "--partition");
    struct millrace_assignment *assignments = calloc((size_t)count + 1, sizeof *assignments);
    if (assignments == NULL) {
        return fail_memory(self->call);
    }
    enum shell_exit exit = read_assignments(self, assignments, count);
    if (count == 0) {
        assignments[0] = (struct millrace_assignment){millrace_text(self->call->operands[0]),
                                                      MILLRACE_ALL_PARTITIONS, self->start};
        count = 1;
    }
    struct millrace_error error;
    if (exit == SHELL_DONE && millrace_consumer_assign(self->consumer, assignments, count,
                                                       SHELL_CLIENT_MS_MAX, &error) != 0) {
        exit = shell_client_fail(self->call, &error);
    }
    free(assignments);
    return exit;
}

static enum shell_exit ask_ends(struct consuming *self)
{
    struct millrace_offset_query *queries = calloc(self->span_count, sizeof *queries);
    if (queries == NULL) {
        return fail_memory(self->call);
    }
    for (size_t i = 0; i < self->span_count; i++) {
        queries[i] = (struct millrace_offset_query){.topic = millrace_text(self->call->operands[0]),
                                                    .partition = self->spans[i].partition,
                                                    .start = {.kind = MILLRACE_START_LATEST}};
    }
    struct millrace_error error;
    enum shell_exit exit = SHELL_DONE;
    if (millrace_offsets_list(self->client, queries, self->span_count, self->isolation,
                              SHELL_CLIENT_MS_MAX, &error) != 0) {
        exit = shell_client_fail(self->call, &error);
    }
    for (size_t i = 0; exit == SHELL_DONE && i < self->span_count; i++) {
        self->spans[i].end = queries[i].offset;
    }
    free(queries);
    return exit;
}

/* Which partitions there are, where each begins for us and where it ends at this moment. */
static enum shell_exit find_spans(struct consuming *self)
{
    struct millrace_positions *positions = NULL;
    struct millrace_error error;
    if (millrace_consumer_positions(self->consumer, &positions, &error) != 0) {
        return shell_client_fail(self->call, &error);
    }
    self->span_count = positions->position_count;
    self->spans = calloc(self->span_count + 1, sizeof *self->spans);
    for (size_t i = 0; self->spans != NULL && i < self->span_count; i++) {
        self->spans[i] = (struct span){.partition = positions->positions[i]->partition,
                                       .position = positions->positions[i]->offset};
    }
    millrace_positions_free(positions);
    return self->spans == NULL ? fail_memory(self->call) : ask_ends(self);
}

static struct span *span_of(struct consuming *self, int32_t partition)
{
    for (size_t i = 0; i < self->span_count; i++) {
        if (self->spans[i].partition == partition) {
            return &self->spans[i];
        }
    }
    return NULL;
}

static bool is_at_end(const struct consuming *self)
{
    if (!self->is_until_end) {
        return false;
    }
    for (size_t i = 0; i < self->span_count; i++) {
        bool is_read = self->group == NULL || self->spans[i].is_ours;
        if (is_read && self->spans[i].position < self->spans[i].end) {
            return false;
        }
    }
    return self->group == NULL || self->is_assigned;
}

/* ---- as a member of a group ---- */

/* All partitions of the topic, as none is assigned yet. */
static enum shell_exit find_topic_spans(struct consuming *self)
{
    struct millrace_topic *topic = NULL;
    struct millrace_error error;
    if (millrace_topic_describe(self->client, millrace_text(self->call->operands[0]),
                                SHELL_CLIENT_MS_MAX, &topic, &error) != 0) {
        return shell_client_fail(self->call, &error);
    }
    self->span_count = topic->partition_count;
    self->spans = calloc(self->span_count + 1, sizeof *self->spans);
    for (size_t i = 0; self->spans != NULL && i < self->span_count; i++) {
        self->spans[i] = (struct span){.partition = topic->partitions[i]->partition,
                                       .position = -1,
                                       .end = INT64_MAX,
                                       .committed = -1};
    }
    millrace_topic_free(topic);
    if (self->spans == NULL) {
        return fail_memory(self->call);
    }
    return self->is_until_end ? ask_ends(self) : SHELL_DONE;
}

/* Exactly what was printed. */
static enum shell_exit commit(struct consuming *self, int64_t timeout_ms)
{
    struct millrace_offset *offsets = calloc(self->span_count + 1, sizeof *offsets);
    if (offsets == NULL) {
        return fail_memory(self->call);
    }
    size_t count = 0;
    for (size_t i = 0; i < self->span_count; i++) {
        struct span *span = &self->spans[i];
        if (span->is_ours && span->position >= 0 && span->position != span->committed) {
            offsets[count++] = (struct millrace_offset){millrace_text(self->call->operands[0]),
                                                        span->partition, span->position, -1};
            span->committed = span->position;
        }
    }
    struct millrace_error error;
    enum shell_exit exit = SHELL_DONE;
    if (count > 0 &&
        millrace_consumer_commit(self->consumer, offsets, count, timeout_ms, &error) != 0) {
        exit = shell_client_fail(self->call, &error);
    }
    free(offsets);
    self->committed_ms = now_ms();
    return exit;
}

/* Which partitions are ours now, and where they begin for us. */
static enum shell_exit learn_assigned(struct consuming *self)
{
    struct millrace_positions *positions = NULL;
    struct millrace_error error;
    if (millrace_consumer_positions(self->consumer, &positions, &error) != 0) {
        return shell_client_fail(self->call, &error);
    }
    self->is_news = false;
    for (size_t i = 0; i < positions->position_count; i++) {
        const struct millrace_position *position = positions->positions[i];
        struct span *span = span_of(self, position->partition);
        if (span == NULL) {
            continue; /* The topic has grown since. */
        }
        span->position = span->position < 0 ? position->offset : span->position;
        span->is_ours = true;
        self->is_news |= span->position < 0; /* Its offset is still being asked for. */
    }
    millrace_positions_free(positions);
    return SHELL_DONE;
}

static void on_partitions(void *context, enum millrace_partitions_event event)
{
    struct consuming *self = context;
    if (event == MILLRACE_PARTITIONS_REVOKED) {
        (void)commit(self, SHELL_CLIENT_MS_MAX / 2);
    }
    for (size_t i = 0; i < self->span_count; i++) {
        self->spans[i].is_ours = false;
        self->spans[i].position = -1;
        self->spans[i].committed = -1;
    }
    self->is_assigned = event == MILLRACE_PARTITIONS_ASSIGNED;
    if (self->is_assigned) {
        (void)learn_assigned(self); /* Before the first batch moves anything. */
    }
}

static enum shell_exit subscribe(struct consuming *self)
{
    enum shell_exit exit = find_topic_spans(self);
    if (exit != SHELL_DONE) {
        return exit;
    }
    struct millrace_bytes topic = millrace_text(self->call->operands[0]);
    struct millrace_error error;
    if (millrace_consumer_subscribe(self->consumer, &topic, 1, &error) != 0) {
        return shell_client_fail(self->call, &error);
    }
    self->committed_ms = now_ms();
    return SHELL_DONE;
}

/* What is due between two polls. */
static enum shell_exit keep_group(struct consuming *self)
{
    enum shell_exit exit = self->is_news && self->is_assigned ? learn_assigned(self) : SHELL_DONE;
    bool is_due = now_ms() - self->committed_ms >= COMMIT_PERIOD_MS;
    return exit == SHELL_DONE && is_due ? commit(self, SHELL_CLIENT_MS_MAX) : exit;
}

/* ---- printing ---- */

/* Control bytes would move the reader's cursor; programs read JSON. */
static void print_bytes(struct millrace_bytes bytes)
{
    const unsigned char *text = bytes.data;
    if (text == NULL) {
        (void)putchar('-');
    }
    for (size_t i = 0; text != NULL && i < bytes.size; i++) {
        (void)putchar(text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
    }
}

static void print_row(struct consuming *self, const struct millrace_received *received)
{
    if (!self->has_head) {
        printf("%9s  %10s  %-24s  KEY  VALUE\n", "PARTITION", "OFFSET", "TIMESTAMP");
        self->has_head = true;
    }
    char time[32];
    from_text_format_time(received->timestamp_ms, time);
    printf("%9d  %10" PRId64 "  %-24s  ", (int)received->partition, received->offset, time);
    print_bytes(received->key);
    (void)fputs("  ", stdout);
    print_bytes(received->value);
    (void)putchar('\n');
}

static enum shell_exit print_record(struct consuming *self,
                                    const struct millrace_received *received)
{
    self->record_count += 1;
    if (self->call->format == SHELL_JSON) {
        return shell_output_json(self->call, record_json_of(received));
    }
    print_row(self, received);
    return SHELL_DONE;
}

static enum shell_exit print_batch(struct consuming *self, const struct millrace_batch *batch)
{
    struct span *span = span_of(self, millrace_batch_partition(batch));
    enum shell_exit exit = SHELL_DONE;
    size_t count = millrace_batch_count(batch);
    int64_t next_offset = millrace_batch_next_offset(batch);
    for (size_t i = 0; exit == SHELL_DONE && i < count; i++) {
        const struct millrace_received *received = millrace_batch_record(batch, i);
        bool is_behind_end = span != NULL && received->offset >= span->end;
        if (self->record_count == self->record_count_max || is_behind_end) {
            next_offset = received->offset;
            break;
        }
        exit = print_record(self, received);
    }
    if (span != NULL) {
        span->position = next_offset;
    }
    /* A reader that follows sees each batch as it comes. */
    return exit == SHELL_DONE ? shell_output_finish(self->call) : exit;
}

static enum shell_exit fail_silence(const struct consuming *self)
{
    return shell_fail(self->call,
                      (struct shell_cause){"TIMEOUT", "a partition may have no leader",
                                           "see millrace topic describe and millrace cluster "
                                           "status"},
                      "nothing came for %d s before the end of '%.200s'", SILENCE_MS_MAX / 1000,
                      self->call->operands[0]);
}

/* Ctrl-C is how a member ends that has no other end: it is to say what was printed and to leave, or
 * the group would wait for it and print that again. A second signal ends it at once. */
static volatile sig_atomic_t stop_number;

static void stop_on_signal(int number)
{
    stop_number = number;
}

static void hear_stop(int number)
{
    struct sigaction before;
    struct sigaction action = {.sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    action.sa_handler = stop_on_signal;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler == SIG_DFL) {
        (void)sigaction(number, &action, NULL);
    }
}

static enum shell_exit poll_all(struct consuming *self)
{
    int64_t heard_ms = now_ms();
    while (stop_number == 0 && !is_at_end(self) && self->record_count < self->record_count_max) {
        struct millrace_batch *batch = NULL;
        struct millrace_error error;
        int code = millrace_consumer_poll(self->consumer, POLL_MS, &batch, &error);
        if (code != 0 && !error.is_retriable) {
            return shell_client_fail(self->call, &error);
        }
        enum shell_exit exit = SHELL_DONE;
        if (batch != NULL) {
            heard_ms = now_ms();
            exit = print_batch(self, batch);
            millrace_batch_free(batch);
        }
        if (exit == SHELL_DONE && self->group != NULL) {
            exit = keep_group(self);
        }
        if (exit != SHELL_DONE) {
            return exit;
        }
        if (batch == NULL && self->is_until_end && now_ms() - heard_ms > SILENCE_MS_MAX) {
            return fail_silence(self);
        }
    }
    return SHELL_DONE;
}

static enum shell_exit consume(struct consuming *self)
{
    struct millrace_error error;
    const struct millrace_consumer_options options = {
        .size = sizeof options,
        .isolation = self->isolation,
        .group = millrace_text(self->group),
        .group_start = self->group == NULL ? MILLRACE_START_LATEST : self->start.kind,
        .on_partitions = on_partitions,
        .context = self};
    if (millrace_consumer_open(self->client, &options, &self->consumer, &error) != 0) {
        return shell_client_fail(self->call, &error);
    }
    if (self->group != NULL) {
        hear_stop(SIGINT);
        hear_stop(SIGTERM);
    }
    enum shell_exit exit = self->group != NULL ? subscribe(self) : assign(self);
    if (exit == SHELL_DONE && self->is_until_end && self->group == NULL) {
        exit = find_spans(self);
    }
    if (exit == SHELL_DONE) {
        exit = poll_all(self);
    }
    if (exit == SHELL_DONE && self->group != NULL) {
        exit = commit(self, SHELL_CLIENT_MS_MAX);
    }
    (void)millrace_consumer_close(self->consumer, SHELL_CLIENT_MS_MAX, NULL);
    return exit;
}

static enum shell_exit consume_run(struct shell_call *call)
{
    struct consuming self = {.call = call};
    enum shell_exit exit = read_options(&self);
    if (exit == SHELL_DONE) {
        exit = shell_client_open(call, &self.client);
    }
    if (exit == SHELL_DONE) {
        exit = consume(&self);
        (void)millrace_client_close(self.client, SHELL_CLIENT_MS_MAX, NULL);
    }
    free(self.spans);
    if (stop_number != 0) {
        (void)raise(stop_number); /* Whoever started it is told what ended it. */
    }
    return exit;
}

static const struct shell_option consume_options[] = {
    {"--from", "WHERE", "earliest, latest, an offset or a time; latest", false},
    {"--until-end", NULL, "stop at the end that is seen at the start", false},
    {"--max", "N", "stop after N records", false},
    {"--partition", "N", "only this partition", true},
    {"--group", "GROUP", "share the topic with the group's others, and commit", false},
    {"--isolation", "LEVEL", "read_committed or read_uncommitted; read_committed", false},
    {NULL, NULL, NULL, false},
};

const struct shell_command shell_consume_commands[] = {
    {.words = "consume",
     .operands = "TOPIC",
     .operand_count = 1,
     .summary = "read records, a line each",
     .notes =
         "In JSON a line has topic, partition, offset, timestamp and ingested (ms), key,\n"
         "value and headers; bytes that are no text are {\"base64\":\"...\"}.\n"
         "A time is RFC 3339, as 2001-01-01T00:00:00Z. With --group it begins where the group\n"
         "has committed, else at --from; what was printed is committed once a second and at\n"
         "the end, Ctrl-C included.",
     .options = consume_options,
     .examples =
         (const char *const[]){"millrace consume flights",
                               "millrace consume flights --from earliest --until-end -o json",
                               "millrace consume flights --from 2001-01-01T00:00:00Z --max 10",
                               "millrace consume flights --group billing --from earliest", NULL},
     .run = consume_run},
    {.words = NULL},
};
