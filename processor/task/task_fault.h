/* Why a task cannot go on, in words a person can act on; and which failures are of that kind.
 *
 * Codes: MISFIT CORRUPT_INPUT INPUT_LOST CORRUPT_STATE STATE_FULL COMPUTATION OUTPUT_TOO_LARGE
 * ROW_TOO_LARGE REFUSED OTHER_QUERY NEWER_VERSION.
 *
 * Owner: who reports. Loop: its. Limits: TASK_FAULT_TEXT_BYTES a sentence, longer ones are cut. */
#pragma once

#include "proto/internal/plan.pb-c.h"
#include "proto/sys/status.h"

#include <stdbool.h>

#define TASK_FAULT_TEXT_BYTES 400U

struct task_fault {
    const char *code; /* Borrowed for life, as `fix`. NULL: none is set. */
    const char *fix;
    char what[TASK_FAULT_TEXT_BYTES];
    char why[TASK_FAULT_TEXT_BYTES];
    Millrace__Plan__Fault message; /* Points into the rest; of task_fault_message(). */
};

/* What became of a question or a record. */
enum task_verdict {
    TASK_VERDICT_AGAIN,  /* Another attempt may succeed. */
    TASK_VERDICT_FENCED, /* Another one has the id. */
    TASK_VERDICT_FATAL,
};

/* `error_code` is a broker's; 0: it said nothing. */
enum task_verdict task_fault_judge(enum status status, int16_t error_code);

/* `why` is copied; may be NULL. */
void task_fault_set(struct task_fault *self, const char *code, const char *why, const char *fix);
/* The sentence of what is wrong, as printf; after task_fault_set(). */
__attribute__((format(printf, 2, 3))) void task_fault_say(struct task_fault *self,
                                                          const char *format, ...);
/* Valid as long as the fault stays put and unchanged. */
const Millrace__Plan__Fault *task_fault_message(struct task_fault *self);
