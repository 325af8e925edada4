#include "processor/task/task_fault.h"

#include "proto/kafka/error_code.h"
#include "proto/sys/check.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/* Refusals that the same question will always meet. */
static bool is_final_code(int16_t code)
{
    static const int16_t codes[] = {ERROR_CODE_MESSAGE_TOO_LARGE,
                                    ERROR_CODE_RECORD_LIST_TOO_LARGE,
                                    ERROR_CODE_INVALID_RECORD,
                                    ERROR_CODE_INVALID_TIMESTAMP,
                                    ERROR_CODE_TOPIC_AUTHORIZATION_FAILED,
                                    ERROR_CODE_GROUP_AUTHORIZATION_FAILED,
                                    ERROR_CODE_CLUSTER_AUTHORIZATION_FAILED,
                                    ERROR_CODE_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                                    ERROR_CODE_INVALID_TRANSACTION_TIMEOUT,
                                    ERROR_CODE_POLICY_VIOLATION};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

enum task_verdict task_fault_judge(enum status status, int16_t error_code)
{
    check(status != STATUS_OK);
    if (status == STATUS_FENCED) {
        return TASK_VERDICT_FENCED;
    }
    return is_final_code(error_code) ? TASK_VERDICT_FATAL : TASK_VERDICT_AGAIN;
}

void task_fault_set(struct task_fault *self, const char *code, const char *why, const char *fix)
{
    *self = (struct task_fault){.code = code, .fix = fix == NULL ? "" : fix};
    (void)snprintf(self->why, sizeof self->why, "%s", why == NULL ? "" : why);
}

void task_fault_say(struct task_fault *self, const char *format, ...)
{
    check(self->code != NULL);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(self->what, sizeof self->what, format, arguments);
    va_end(arguments);
}

/* The generated structs have no const; nobody writes through them. */
static char *lend(const char *text)
{
    union {
        const char *from;
        char *to;
    } pointer = {.from = text};
    return pointer.to;
}

const Millrace__Plan__Fault *task_fault_message(struct task_fault *self)
{
    check(self->code != NULL);
    millrace__plan__fault__init(&self->message);
    self->message.code = lend(self->code);
    self->message.what = self->what;
    self->message.why = self->why;
    self->message.fix = lend(self->fix);
    return &self->message;
}
