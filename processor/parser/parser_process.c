#include "processor/parser/parser_process.h"

#include "proto/sys/check.h"
#include "proto/sys/host/host_process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PARSER_PROCESS_MAGIC 0x9a25e12dU
#define DEADLINE_MS_DEFAULT 5000
#define LENGTH_BYTES 4U

struct parser_process {
    uint32_t magic;
    struct host_loop *loop; /* Borrowed. */
    char *program;          /* Owned. */
    int64_t deadline_ms;
    struct list waiting; /* Asks that the child has not seen; at most PARSER_PROCESS_ASKS_MAX. */
    uint32_t waiting_count;
    struct list refused;                /* Asks whose status is known; told in the next turn. */
    struct parser_process_ask *current; /* The child has it. */
    struct mail turn;
    bool is_turn_due;
    struct timer deadline;
    /* The child; it is gone when none of the three is there. */
    struct host_process *process;
    struct socket input;  /* Its standard input. */
    struct socket output; /* Its standard output. */
    bool has_input;
    bool has_output;
    bool is_broken; /* Being taken down. */
    struct socket_write write;
    struct socket_buffer buffers[2];
    uint8_t head[LENGTH_BYTES];
    char *sent_text; /* Owned; of the write that is under way. */
    bool is_writing;
    uint8_t answer_head[LENGTH_BYTES];
    uint8_t *answer; /* Owned; NULL: the length is not read yet. */
    size_t answer_bytes;
    size_t answer_read; /* Of the head, then of the answer. */
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

static void turn(struct mail *mail);

static void need_turn(struct parser_process *self)
{
    if (!self->is_turn_due) {
        self->is_turn_due = true;
        loop_defer(&self->loop->loop, &self->turn);
    }
}

static void tell(struct parser_process_ask *ask, enum status status,
                 const Millrace__Plan__Script *script)
{
    free(ask->text);
    ask->text = NULL;
    ask->on_done(ask, status, script);
}

static void finish_current(struct parser_process *self, enum status status,
                           const Millrace__Plan__Script *script)
{
    struct parser_process_ask *ask = self->current;
    self->current = NULL;
    timer_stop(&self->deadline);
    need_turn(self); /* For the next one. */
    if (ask != NULL) {
        tell(ask, status, script);
    }
}

/* ------------------------------------------------------------------ the child's end */

static void forget_answer(struct parser_process *self)
{
    free(self->answer);
    self->answer = NULL;
    self->answer_bytes = 0;
    self->answer_read = 0;
}

static bool is_child_gone(const struct parser_process *self)
{
    return self->process == NULL && !self->has_input && !self->has_output && !self->is_writing;
}

/* Whatever is left of the child goes; nothing that it still says is believed. */
static void break_child(struct parser_process *self, enum status status)
{
    if (!self->is_broken) {
        self->is_broken = true;
        if (self->process != NULL) {
            host_process_signal(self->process, SIGKILL);
        }
        if (self->has_input) {
            socket_close(&self->input);
        }
        if (self->has_output) {
            socket_close(&self->output);
        }
    }
    finish_current(self, status, NULL);
}

static void note_part_gone(struct parser_process *self)
{
    if (self->is_broken && is_child_gone(self)) {
        self->is_broken = false;
        forget_answer(self);
        need_turn(self);
    }
}

static void process_on_exit(struct host_process *process, const struct host_process_end *end)
{
    struct parser_process *self = host_process_context(process);
    check(self->magic == PARSER_PROCESS_MAGIC);
    (void)end;
    self->process = NULL;
    break_child(self, STATUS_UNKNOWN);
    note_part_gone(self);
}

/* ------------------------------------------------------------------ streams */

static void input_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    (void)socket;
    (void)out_base;
    *out_byte_count = 0; /* Nothing is read from it. */
}

static void input_on_read(struct socket *socket, size_t byte_count)
{
    (void)socket;
    (void)byte_count;
}

static void input_on_end(struct socket *socket, enum status why)
{
    (void)why;
    break_child(container_of(socket, struct parser_process, input), STATUS_UNKNOWN);
}

static void input_on_closed(struct socket *socket)
{
    struct parser_process *self = container_of(socket, struct parser_process, input);
    self->has_input = false;
    note_part_gone(self);
}

static const struct socket_events input_events = {.on_room = input_on_room,
                                                  .on_read = input_on_read,
                                                  .on_end = input_on_end,
                                                  .on_closed = input_on_closed};

static void output_on_room(struct socket *socket, uint8_t **out_base, size_t *out_byte_count)
{
    struct parser_process *self = container_of(socket, struct parser_process, output);
    bool is_head = self->answer == NULL;
    *out_base = (is_head ? self->answer_head : self->answer) + self->answer_read;
    *out_byte_count = (is_head ? LENGTH_BYTES : self->answer_bytes) - self->answer_read;
}

/* Memory for an answer is taken before it is there: the child is a program of ours, and bounded. */
static enum status begin_answer(struct parser_process *self)
{
    size_t byte_count = 0;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        byte_count = byte_count << 8 | self->answer_head[i];
    }
    if (byte_count == 0 || byte_count > PARSER_PROCESS_ANSWER_BYTES_MAX || self->current == NULL) {
        return STATUS_MALFORMED;
    }
    self->answer = malloc(byte_count);
    if (self->answer == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->answer_bytes = byte_count;
    self->answer_read = 0;
    return STATUS_OK;
}

static void end_answer(struct parser_process *self)
{
    Millrace__Plan__Script *script =
        millrace__plan__script__unpack(NULL, self->answer_bytes, self->answer);
    forget_answer(self);
    if (script == NULL) {
        break_child(self, STATUS_UNKNOWN);
        return;
    }
    finish_current(self, STATUS_OK, script);
    millrace__plan__script__free_unpacked(script, NULL);
}

static void output_on_read(struct socket *socket, size_t byte_count)
{
    struct parser_process *self = container_of(socket, struct parser_process, output);
    self->answer_read += byte_count;
    if (self->answer == NULL && self->answer_read == LENGTH_BYTES) {
        enum status status = begin_answer(self);
        if (status != STATUS_OK) {
            break_child(self, status == STATUS_NO_MEMORY ? status : STATUS_UNKNOWN);
        }
        return;
    }
    if (self->answer != NULL && self->answer_read == self->answer_bytes) {
        end_answer(self);
    }
}

static void output_on_end(struct socket *socket, enum status why)
{
    (void)why;
    break_child(container_of(socket, struct parser_process, output), STATUS_UNKNOWN);
}

static void output_on_closed(struct socket *socket)
{
    struct parser_process *self = container_of(socket, struct parser_process, output);
    self->has_output = false;
    note_part_gone(self);
}

static const struct socket_events output_events = {.on_room = output_on_room,
                                                   .on_read = output_on_read,
                                                   .on_end = output_on_end,
                                                   .on_closed = output_on_closed};

/* ------------------------------------------------------------------ the child's begin */

static enum status adopt(struct parser_process *self, struct socket_token input,
                         struct socket_token output)
{
    struct socket_service *service = self->loop->loop.sockets;
    enum status status = socket_adopt(service, &self->input, input, &input_events);
    if (status != STATUS_OK) {
        socket_token_drop(service, output);
        return status;
    }
    self->has_input = true;
    TRY(socket_adopt(service, &self->output, output, &output_events));
    self->has_output = true;
    socket_read_start(&self->output);
    return STATUS_OK;
}

/* When it has started but its streams could not be had, it is taken down again. */
static enum status start_child(struct parser_process *self)
{
    struct socket_token input = {0};
    struct socket_token output = {0};
    const char *const arguments[] = {self->program, NULL};
    const struct host_process_options options = {
        .loop = self->loop,
        .arguments = arguments,
        .streams = {{.kind = HOST_PROCESS_PIPE, .out_token = &input},
                    {.kind = HOST_PROCESS_PIPE, .out_token = &output},
                    {.kind = HOST_PROCESS_INHERIT}},
        .on_exit = process_on_exit,
        .context = self};
    check(is_child_gone(self) && !self->is_broken);
    TRY(host_process_open(&options, &self->process));
    enum status status = adopt(self, input, output);
    if (status != STATUS_OK) {
        break_child(self, status);
    }
    return status;
}

/* ------------------------------------------------------------------ questions */

static void write_on_done(struct socket_write *write, enum status status)
{
    struct parser_process *self = container_of(write, struct parser_process, write);
    self->is_writing = false;
    free(self->sent_text);
    self->sent_text = NULL;
    if (status != STATUS_OK) {
        break_child(self, STATUS_UNKNOWN);
    }
    note_part_gone(self);
    need_turn(self);
}

static void send_current(struct parser_process *self)
{
    struct parser_process_ask *ask = self->current;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        self->head[i] = (uint8_t)(ask->text_bytes >> (8 * (LENGTH_BYTES - 1 - i)));
    }
    self->sent_text = ask->text;
    ask->text = NULL;
    self->buffers[0] = (struct socket_buffer){.base = self->head, .byte_count = LENGTH_BYTES};
    self->buffers[1] =
        (struct socket_buffer){.base = self->sent_text, .byte_count = ask->text_bytes};
    self->write = (struct socket_write){.buffers = self->buffers,
                                        .buffer_count = ask->text_bytes > 0 ? 2 : 1,
                                        .on_done = write_on_done};
    self->is_writing = true;
    timer_start_after(&self->deadline, self->deadline_ms * CLOCK_NS_PER_MS);
    socket_write(&self->input, &self->write);
}

static void deadline_on_fire(struct timer *timer)
{
    break_child(container_of(timer, struct parser_process, deadline), STATUS_TIMEOUT);
}

static void fail_waiting(struct parser_process *self, enum status status)
{
    for (struct list *link = list_take_first(&self->waiting); link != NULL;
         link = list_take_first(&self->waiting)) {
        struct parser_process_ask *ask = container_of(link, struct parser_process_ask, link);
        ask->status = status;
        self->waiting_count--;
        list_append(&self->refused, &ask->link);
    }
}

static void tell_refused(struct parser_process *self)
{
    for (struct list *link = list_take_first(&self->refused); link != NULL;
         link = list_take_first(&self->refused)) {
        struct parser_process_ask *ask = container_of(link, struct parser_process_ask, link);
        tell(ask, ask->status, NULL);
    }
}

/* The next question, if the child is free for it. */
static void pump(struct parser_process *self)
{
    if (self->current != NULL || self->is_broken || self->is_writing || self->is_closing ||
        list_is_empty(&self->waiting)) {
        return;
    }
    if (self->process == NULL) {
        enum status status = start_child(self);
        if (status != STATUS_OK) {
            fail_waiting(self, status);
            need_turn(self);
            return;
        }
    }
    struct list *link = list_take_first(&self->waiting);
    self->waiting_count--;
    self->current = container_of(link, struct parser_process_ask, link);
    send_current(self);
}

static void destroy(struct parser_process *self)
{
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->on_closed_context;
    timer_done(&self->deadline);
    forget_answer(self);
    free(self->program);
    self->magic = 0;
    free(self);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

static void turn(struct mail *mail)
{
    struct parser_process *self = container_of(mail, struct parser_process, turn);
    check(self->magic == PARSER_PROCESS_MAGIC);
    self->is_turn_due = false;
    if (self->is_closing) {
        fail_waiting(self, STATUS_CANCELED);
    }
    pump(self);
    tell_refused(self);
    if (self->is_closing && is_child_gone(self) && !self->is_turn_due) {
        check(self->current == NULL && list_is_empty(&self->waiting));
        destroy(self);
    }
}

/* ------------------------------------------------------------------ interface */

enum status parser_process_open(const struct parser_process_options *options,
                                struct parser_process **out_process)
{
    check(options->loop != NULL && options->program != NULL);
    struct parser_process *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->program = strdup(options->program);
    if (self->program == NULL) {
        free(self);
        return STATUS_NO_MEMORY;
    }
    self->magic = PARSER_PROCESS_MAGIC;
    self->loop = options->loop;
    self->deadline_ms = options->deadline_ms > 0 ? options->deadline_ms : DEADLINE_MS_DEFAULT;
    self->turn.deliver = turn;
    list_init(&self->waiting);
    list_init(&self->refused);
    timer_init(&self->deadline, &self->loop->loop.timers, deadline_on_fire);
    *out_process = self;
    return STATUS_OK;
}

void parser_process_close(struct parser_process *self, void (*on_closed)(void *context),
                          void *context)
{
    check(self->magic == PARSER_PROCESS_MAGIC && !self->is_closing);
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    need_turn(self);
    break_child(self, STATUS_CANCELED);
    note_part_gone(self);
}

void parser_process_ask(struct parser_process *self, struct parser_process_ask *ask,
                        const char *text, size_t text_bytes)
{
    check(self->magic == PARSER_PROCESS_MAGIC && ask->on_done != NULL);
    list_init(&ask->link);
    ask->text = NULL;
    if (text_bytes > PARSER_PROCESS_TEXT_BYTES_MAX) {
        text_bytes = PARSER_PROCESS_TEXT_BYTES_MAX + 1;
    }
    ask->text_bytes = text_bytes;
    need_turn(self);
    enum status status = self->is_closing                                 ? STATUS_CANCELED
                         : self->waiting_count == PARSER_PROCESS_ASKS_MAX ? STATUS_FULL
                                                                          : STATUS_OK;
    if (status == STATUS_OK) {
        ask->text = malloc(text_bytes + 1);
        status = ask->text == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    if (status != STATUS_OK) {
        ask->status = status;
        list_append(&self->refused, &ask->link);
        return;
    }
    if (text_bytes > 0) {
        memcpy(ask->text, text, text_bytes);
    }
    self->waiting_count++;
    list_append(&self->waiting, &ask->link);
}

struct parser_process_reason parser_process_reason(enum status status)
{
    static const struct parser_process_reason missing = {
        "the program millrace-parser cannot be started",
        "put it beside millrace-processor, where everybody may run it"};
    static const struct parser_process_reason died = {
        "the program that parses it ended, as it does where memory is short",
        "run it again, or split the text; the processor's trace tells more"};
    static const struct parser_process_reason slow = {"parsing it took too long",
                                                      "run it again, or split the text"};
    static const struct parser_process_reason busy = {"too many texts are parsed already",
                                                      "run it again"};
    if (status == STATUS_NOT_FOUND || status == STATUS_IO) {
        return missing;
    }
    if (status == STATUS_TIMEOUT || status == STATUS_FULL) {
        return status == STATUS_TIMEOUT ? slow : busy;
    }
    return status == STATUS_UNKNOWN
               ? died
               : (struct parser_process_reason){status_text(status), "run it at another processor"};
}
