#include "processor/control/control_call.h"

#include "processor/plan/plan_nesting.h"
#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MAGIC 0xc0de0ca1U
#define DEADLINE_MS_DEFAULT 30000
#define DEADLINE_MS_MAX 600000
#define TEXT_BYTES_MAX 2048U

enum status control_call_new(struct control *control, struct frame *frame, struct ticket *ticket,
                             struct control_call **out_self)
{
    struct wire_reader reader;
    wire_reader_init(&reader, frame->bytes, frame->byte_count);
    struct kafka_request_header header;
    TRY(request_header_decode(&reader, &header));
    /* Unpacking is recursive. */
    TRY(plan_nesting_check(&millrace__control__request__descriptor, reader.next,
                           wire_reader_left(&reader)));
    Millrace__Control__Request *request =
        millrace__control__request__unpack(NULL, wire_reader_left(&reader), reader.next);
    if (request == NULL) {
        return STATUS_MALFORMED;
    }
    struct control_call *self = calloc(1, sizeof *self);
    if (self == NULL) {
        millrace__control__request__free_unpacked(request, NULL);
        return STATUS_NO_MEMORY;
    }
    self->magic = CALL_MAGIC;
    self->control = control;
    self->ticket = ticket;
    self->frame = frame;
    self->header = header;
    self->request = request;
    int64_t left_ms = request->deadline_ms > 0 ? request->deadline_ms : DEADLINE_MS_DEFAULT;
    left_ms = left_ms < DEADLINE_MS_MAX ? left_ms : DEADLINE_MS_MAX;
    self->deadline_ns = loop_now_ns(control->options.loop) + left_ms * CLOCK_NS_PER_MS;
    arena_init(&self->arena, CONTROL_CALL_ARENA_BYTES_MAX);
    list_init(&self->in_control);
    list_append(&control->calls, &self->in_control);
    control->call_count += 1;
    *out_self = self;
    return STATUS_OK;
}

static void answer_on_sent(struct answer *answer)
{
    struct control_call *self = container_of(answer, struct control_call, answer);
    check(self->magic == CALL_MAGIC);
    struct control *control = self->control;
    list_remove(&self->in_control);
    control->call_count -= 1;
    frame_unref(self->frame);
    millrace__control__request__free_unpacked(self->request, NULL);
    arena_done(&self->arena);
    self->magic = 0;
    free(self);
    if (control->is_closing && control->call_count == 0) {
        control->on_closed(control->context);
    }
}

void control_call_answer(struct control_call *self, Millrace__Control__Answer *answer)
{
    check(self->magic == CALL_MAGIC);
    answer->version = 1;
    size_t byte_count = millrace__control__answer__get_packed_size(answer);
    uint8_t *bytes = arena_take(&self->arena, byte_count);
    wire_writer_init(&self->writer, &self->arena);
    request_header_encode_response(&self->header, &self->writer);
    if (bytes != NULL) {
        (void)millrace__control__answer__pack(answer, bytes);
        wire_write_reference(&self->writer, bytes, byte_count);
    }
    if (bytes == NULL || wire_writer_status(&self->writer) != STATUS_OK) {
        struct connection *connection = connection_of(self->ticket);
        if (connection != NULL) {
            connection_close(connection, "an answer is too large");
        }
        connection_forget(self->ticket);
        answer_on_sent(&self->answer);
        return;
    }
    self->answer = (struct answer){.slices = self->writer.slices,
                                   .slice_count = self->writer.slice_count,
                                   .on_sent = answer_on_sent};
    connection_answer(self->ticket, &self->answer);
}

static char *print(struct control_call *self, const char *format, va_list arguments)
{
    static char nothing[1];
    char text[TEXT_BYTES_MAX];
    (void)vsnprintf(text, sizeof text, format, arguments);
    char *copy = arena_copy_text(&self->arena, text, strlen(text));
    nothing[0] = '\0';
    return copy == NULL ? nothing : copy;
}

char *control_call_print(struct control_call *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = print(self, format, arguments);
    va_end(arguments);
    return text;
}

Millrace__Plan__Fault *control_call_fault(struct control_call *self, struct control_fault given,
                                          const char *what_format, ...)
{
    static Millrace__Plan__Fault poor;
    Millrace__Plan__Fault *fault = arena_take(&self->arena, sizeof *fault);
    fault = fault == NULL ? &poor : fault;
    millrace__plan__fault__init(fault);
    va_list arguments;
    va_start(arguments, what_format);
    fault->what = print(self, what_format, arguments);
    va_end(arguments);
    fault->code = control_call_print(self, "%s", given.code);
    fault->position = given.position;
    fault->why = control_call_print(self, "%s", given.why);
    fault->fix = control_call_print(self, "%s", given.fix);
    return fault;
}

void control_call_fail(struct control_call *self, Millrace__Plan__Fault *fault)
{
    Millrace__Control__Answer answer;
    millrace__control__answer__init(&answer);
    answer.fault = fault;
    control_call_answer(self, &answer);
}

Millrace__Plan__Fault *control_call_trouble(struct control_call *self, enum status status,
                                            int16_t error_code, const char *what)
{
    if (error_code != ERROR_CODE_NONE) {
        return control_call_fault(
            self,
            (struct control_fault){error_code_name(error_code), 0, "a broker refused it",
                                   "see what the code means, and the brokers' traces"},
            "%s", what);
    }
    if (status == STATUS_TIMEOUT || status == STATUS_UNREACHABLE) {
        return control_call_fault(
            self,
            (struct control_fault){"UNREACHABLE", 0, "the brokers did not answer in time",
                                   "see whether enough brokers run: millrace cluster status"},
            "%s", what);
    }
    if (status == STATUS_UNKNOWN) {
        return control_call_fault(
            self,
            (struct control_fault){"UNKNOWN_OUTCOME", 0,
                                   "the brokers were asked, and the answer was lost",
                                   "look whether it was done, and try again if not"},
            "%s", what);
    }
    return control_call_fault(self,
                              (struct control_fault){status == STATUS_FENCED ? "BUSY" : "FAILED", 0,
                                                     status_text(status), "try again"},
                              "%s", what);
}

Millrace__Plan__Fault *control_call_unknown_job(struct control_call *self, const char *name,
                                                uint32_t position)
{
    return control_call_fault(self,
                              (struct control_fault){"UNKNOWN_JOB", position,
                                                     "no job has this name",
                                                     "see millrace job list"},
                              "there is no job '%.200s'", name);
}

Millrace__Plan__Fault *control_call_dropping(struct control_call *self, const char *name,
                                             uint32_t position)
{
    return control_call_fault(
        self,
        (struct control_fault){"JOB_DROPPING", position,
                               "a drop deletes what belongs to it, or has ended half way",
                               "drop it again to finish: CALL drop_job('…'); or choose another "
                               "name: SET job.name = '…'"},
        "the job '%.200s' is being dropped", name);
}
