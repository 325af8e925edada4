/* One question at the processor's door, from its frame to its answer.
 *
 * Made by the control for each frame with the private API key; whoever serves it ends it with
 * control_call_answer() or control_call_fail(), exactly once, now or later. Everything an answer
 * refers to may lie in the call's arena.
 *
 * Owner: the control. Loop: its. Limits: CONTROL_CALL_ARENA_BYTES_MAX. */
#pragma once

#include "processor/control/control.h"
#include "proto/internal/control.pb-c.h"
#include "proto/kafka/request_header.h"
#include "proto/wire/writer.h"

#define CONTROL_CALL_ARENA_BYTES_MAX ((size_t)32 << 20)

struct control_call {
    uint32_t magic;
    struct list in_control;
    struct control *control;
    struct ticket *ticket;
    struct frame *frame; /* Owned (one reference). */
    struct kafka_request_header header;
    Millrace__Control__Request *request; /* Owned. */
    int64_t deadline_ns;
    struct arena arena;
    struct wire_writer writer;
    struct answer answer;
    void *state; /* The server's, in the arena. */
};

struct control_fault {
    const char *code;
    uint32_t position; /* In the text of the call; 0 where it is about none. */
    const char *why;
    const char *fix;
};

/* Takes frame and ticket with OK only. MALFORMED: it is no question. */
MUST_USE enum status control_call_new(struct control *control, struct frame *frame,
                                      struct ticket *ticket, struct control_call **out_self);
/* Packs the answer and sends it; the call is gone. */
void control_call_answer(struct control_call *self, Millrace__Control__Answer *answer);
/* A fault in the arena; `what_format` as printf. Never NULL. */
Millrace__Plan__Fault *control_call_fault(struct control_call *self, struct control_fault fault,
                                          const char *what_format, ...)
    __attribute__((format(printf, 3, 4)));
/* An answer that is only a fault. */
void control_call_fail(struct control_call *self, Millrace__Plan__Fault *fault);
/* Of a status that came from the brokers or from ourselves; `what` names what was tried. */
Millrace__Plan__Fault *control_call_trouble(struct control_call *self, enum status status,
                                            int16_t error_code, const char *what);
/* No job has this name. */
Millrace__Plan__Fault *control_call_unknown_job(struct control_call *self, const char *name,
                                                uint32_t position);
/* Its drop has begun and has not ended. */
Millrace__Plan__Fault *control_call_dropping(struct control_call *self, const char *name,
                                             uint32_t position);
/* In the arena; without memory the empty text. */
char *control_call_print(struct control_call *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
