#include "client/shell/shell_produce.h"

#include "client/shell/line_reader.h"
#include "client/shell/progress_bar.h"
#include "client/shell/record_json.h"
#include "client/shell/shell_client.h"
#include "client/shell/shell_error.h"
#include "client/shell/shell_options.h"
#include "client/shell/shell_output.h"
#include "proto/sys/host/host_clock.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define DELIVERY_MS_MAX 120000
#define SEND_MS_MAX 1000 /* Then the bar is drawn and the send tried again. */

struct producing {
    const struct shell_call *call;
    struct millrace_client *client;
    struct millrace_producer *producer;
    struct line_reader reader;
    struct progress_bar bar;
    bool is_json;
    struct millrace_record template; /* What the options say of every record. */
    uint64_t line_count;
    /* Written by the reports, on the client's thread. */
    _Atomic uint64_t delivered_count;
    _Atomic uint64_t failed_line;       /* The first one; 0: none. Set last. */
    struct millrace_error failed_error; /* Valid once failed_line is set. */
    uint64_t refused_line;              /* By the client itself; 0: none. */
    struct millrace_error refused_error;
};

static int64_t now_ns(void)
{
    return clock_monotonic_ns(host_clock());
}

static void producing_on_delivery(void *context, const struct millrace_delivery *delivery)
{
    struct producing *self = context;
    if (delivery->error == NULL) {
        (void)atomic_fetch_add(&self->delivered_count, 1);
    } else if (atomic_load(&self->failed_line) == 0) {
        self->failed_error = *delivery->error;
        atomic_store(&self->failed_line, (uint64_t)(uintptr_t)delivery->tag);
    }
}

static enum shell_exit fail_line(struct producing *self, uint64_t line,
                                 const struct millrace_error *error)
{
    struct shell_cause cause = {error->name, error->why, error->fix};
    if (error->code == MILLRACE_INVALID_ARGUMENT) { /* The rest was checked with the line. */
        cause.why = "the topic has no partition of this number";
        cause.fix = "see millrace topic describe";
    }
    return shell_fail(self->call, cause, "line %" PRIu64 " was not written, %" PRIu64 " were: %s",
                      line, atomic_load(&self->delivered_count), error->what);
}

static enum shell_exit send(struct producing *self, const struct millrace_record *record)
{
    struct millrace_error error;
    int64_t deadline_ns = now_ns() + (int64_t)DELIVERY_MS_MAX * CLOCK_NS_PER_MS;
    void *tag = (void *)(uintptr_t)self->line_count;
    for (;;) {
        int code = millrace_producer_send(self->producer, record, tag, SEND_MS_MAX, &error);
        progress_bar_show(&self->bar, atomic_load(&self->delivered_count), now_ns());
        if (atomic_load(&self->failed_line) != 0) {
            return SHELL_FAILED; /* The reason is told at the end. */
        }
        if (code == 0) {
            return SHELL_DONE;
        }
        bool is_full = code == MILLRACE_TIMEOUT || code == MILLRACE_BUFFER_FULL;
        if (!is_full || now_ns() > deadline_ns) {
            self->refused_line = self->line_count;
            self->refused_error = error;
            return SHELL_FAILED; /* Told when it is known how many lines were written. */
        }
    }
}

static enum shell_exit send_json(struct producing *self)
{
    struct record_json *parsed = malloc(sizeof *parsed);
    if (parsed == NULL) {
        return shell_fail(self->call,
                          (struct shell_cause){"NO_MEMORY", "the system gives none", "free some"},
                          "line %" PRIu64 " cannot be read", self->line_count);
    }
    enum shell_exit exit = SHELL_DONE;
    if (record_json_read(parsed, self->reader.line, self->reader.line_bytes)) {
        struct millrace_record record = parsed->record;
        record.topic = self->template.topic;
        if (record.key.data == NULL) {
            record.key = self->template.key;
        }
        if (!record.has_partition) {
            record.has_partition = self->template.has_partition;
            record.partition = self->template.partition;
        }
        exit = send(self, &record);
    } else {
        exit = shell_fail(
            self->call,
            (struct shell_cause){"BAD_LINE", parsed->fault,
                                 "a line is {\"key\",\"value\",\"headers\",\"partition\","
                                 "\"timestamp\"}; without --json it is a value"},
            "line %" PRIu64 " is no record", self->line_count);
    }
    record_json_done(parsed);
    free(parsed);
    return exit;
}

static enum shell_exit send_line(struct producing *self)
{
    self->line_count += 1;
    if (self->is_json) {
        return send_json(self);
    }
    struct millrace_record record = self->template;
    record.value = (struct millrace_bytes){self->reader.line, self->reader.line_bytes};
    return send(self, &record);
}

static enum shell_exit send_lines(struct producing *self)
{
    for (;;) {
        enum shell_exit exit = SHELL_DONE;
        switch (line_reader_next(&self->reader)) {
        case LINE_READER_LINE:
            exit = send_line(self);
            break;
        case LINE_READER_END:
            return SHELL_DONE;
        case LINE_READER_TOO_LONG:
            return shell_fail(self->call,
                              (struct shell_cause){"BAD_LINE", "no record is that long",
                                                   "cut the input into lines"},
                              "line %" PRIu64 " is longer than %u bytes", self->line_count + 1,
                              LINE_READER_BYTES_MAX);
        case LINE_READER_FAILED:
            return shell_fail(self->call,
                              (struct shell_cause){"INPUT", "the system or its memory fails",
                                                   "look where standard input comes from"},
                              "line %" PRIu64 " cannot be read", self->line_count + 1);
        }
        if (exit != SHELL_DONE) {
            return exit;
        }
    }
}

/* Waits in short steps, so that the bar moves. */
static enum shell_exit flush(struct producing *self)
{
    struct millrace_error error;
    int64_t deadline_ns = now_ns() + (int64_t)DELIVERY_MS_MAX * CLOCK_NS_PER_MS * 2;
    for (;;) {
        int code = millrace_producer_flush(self->producer, 100, &error);
        progress_bar_show(&self->bar, atomic_load(&self->delivered_count), now_ns());
        if (atomic_load(&self->failed_line) != 0) {
            return SHELL_FAILED;
        }
        if (code == 0) {
            return SHELL_DONE;
        }
        if (code != MILLRACE_TIMEOUT || now_ns() > deadline_ns) {
            return shell_client_fail(self->call, &error);
        }
    }
}

static enum shell_exit print_count(const struct producing *self)
{
    const char *topic = self->call->operands[0];
    uint64_t count = atomic_load(&self->delivered_count);
    if (self->call->format == SHELL_JSON) {
        return shell_output_json(
            self->call, json_pack("{s:s,s:I}", "topic", topic, "records", (json_int_t)count));
    }
    printf("%" PRIu64 " records written to %s\n", count, topic);
    return SHELL_DONE;
}

static enum shell_exit produce(struct producing *self)
{
    struct millrace_error error;
    const struct millrace_producer_options options = {.size = sizeof options,
                                                      .delivery_timeout_ms = DELIVERY_MS_MAX,
                                                      .record_bytes_max = LINE_READER_BYTES_MAX,
                                                      .on_delivery = producing_on_delivery,
                                                      .context = self};
    if (millrace_producer_open(self->client, &options, &self->producer, &error) != 0) {
        return shell_client_fail(self->call, &error);
    }
    enum shell_exit exit = send_lines(self);
    if (exit == SHELL_DONE || atomic_load(&self->failed_line) == 0) {
        enum shell_exit flushed = flush(self);
        exit = exit == SHELL_DONE ? flushed : exit;
    }
    progress_bar_done(&self->bar, atomic_load(&self->delivered_count), now_ns());
    if (atomic_load(&self->failed_line) != 0) {
        exit = fail_line(self, atomic_load(&self->failed_line), &self->failed_error);
    } else if (self->refused_line != 0) {
        exit = fail_line(self, self->refused_line, &self->refused_error);
    }
    (void)millrace_producer_close(self->producer, exit == SHELL_DONE ? SHELL_CLIENT_MS_MAX : 0,
                                  NULL);
    return exit == SHELL_DONE ? print_count(self) : exit;
}

static enum shell_exit read_options(struct producing *self)
{
    const struct shell_call *call = self->call;
    int64_t partition = 0;
    int64_t line_count = 0;
    enum shell_exit exit = shell_options_number(call, "--partition",
                                                (struct shell_range){-1, 0, INT32_MAX}, &partition);
    if (exit == SHELL_DONE) {
        exit = shell_options_number(call, "--lines", (struct shell_range){0, 1, INT64_MAX},
                                    &line_count);
    }
    self->is_json = shell_options_has(call, "--json");
    self->bar.count_max = (uint64_t)line_count;
    self->template =
        (struct millrace_record){.size = sizeof self->template,
                                 .topic = millrace_text(call->operands[0]),
                                 .key = millrace_text(shell_options_text(call, "--key")),
                                 .has_partition = partition >= 0,
                                 .partition = partition < 0 ? 0 : (int32_t)partition};
    return exit;
}

static enum shell_exit produce_run(struct shell_call *call)
{
    struct producing *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return shell_fail(call,
                          (struct shell_cause){"NO_MEMORY", "the system gives none", "free some"},
                          "there is no memory to begin with");
    }
    self->call = call;
    progress_bar_init(&self->bar, isatty(STDERR_FILENO) == 1 ? stderr : NULL, "records", now_ns());
    line_reader_init(&self->reader, stdin);
    enum shell_exit exit = read_options(self);
    if (exit == SHELL_DONE) {
        exit = shell_client_open(call, &self->client);
    }
    if (exit == SHELL_DONE) {
        exit = produce(self);
        (void)millrace_client_close(self->client, SHELL_CLIENT_MS_MAX, NULL);
    }
    line_reader_done(&self->reader);
    free(self);
    return exit;
}

static const struct shell_option produce_options[] = {
    {"--key", "K", "the key of every record that has none of its own", false},
    {"--partition", "N", "the partition of every record that has none of its own", false},
    {"--json", NULL, "a line is an object, see above", false},
    {"--lines", "N", "how many lines will come, for the progress bar", false},
    {NULL, NULL, NULL, false},
};

const struct shell_command shell_produce_commands[] = {
    {.words = "produce",
     .operands = "TOPIC",
     .operand_count = 1,
     .summary = "write lines of standard input as records",
     .notes = "A line is a value. With --json a line is an object, all of whose members may be\n"
              "missing: {\"key\":\"k\",\"value\":\"v\",\"headers\":{\"h\":\"x\"},\"partition\":0,"
              "\"timestamp\":MS}.\n"
              "Bytes that are no text are {\"base64\":\"...\"}. Returns when every record is\n"
              "acknowledged; each is written once, in order per partition, whatever breaks.",
     .options = produce_options,
     .examples = (const char *const[]){"millrace produce flights < flights.ndjson",
                                       "seq 3 | millrace produce numbers --key k",
                                       "millrace produce flights --json < records.ndjson", NULL},
     .run = produce_run},
    {.words = NULL},
};
