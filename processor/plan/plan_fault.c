#include "processor/plan/plan_fault.h"

#include "processor/text/nearest_word.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What an exhausted arena leaves to say. */
#define NO_ROOM "out of memory"
/* More would hide the sentence that they belong to. */
#define CHOICES_SHOWN_MAX 12U

static char empty_text[1];

void plan_fault_init(struct plan_fault *self, struct arena *arena)
{
    *self = (struct plan_fault){.arena = arena};
    millrace__plan__fault__init(&self->message);
}

/* A sentence may quote names of any length: its bytes are bounded, at the end of a character. */
static enum status copy(struct arena *arena, const char *text, char **out_copy)
{
    if (text == NULL) {
        *out_copy = empty_text;
        return STATUS_OK;
    }
    size_t byte_count = strnlen(text, PLAN_FAULT_TEXT_BYTES_MAX);
    if (byte_count == PLAN_FAULT_TEXT_BYTES_MAX) {
        while (byte_count > 0 && ((unsigned char)text[byte_count] & 0xc0U) == 0x80U) {
            byte_count--;
        }
    }
    char *made = arena_copy_text(arena, text, byte_count);
    if (made == NULL) {
        return STATUS_NO_MEMORY;
    }
    *out_copy = made;
    return STATUS_OK;
}

enum status plan_fault_raise(struct plan_fault *self, const struct plan_fault_text *text)
{
    millrace__plan__fault__init(&self->message);
    self->message.position = text->position;
    TRY(copy(self->arena, text->code, &self->message.code));
    TRY(copy(self->arena, text->what, &self->message.what));
    TRY(copy(self->arena, text->why, &self->message.why));
    TRY(copy(self->arena, text->fix, &self->message.fix));
    return STATUS_INVALID;
}

const char *plan_fault_print(struct plan_fault *self, const char *format, ...)
{
    char line[PLAN_FAULT_TEXT_BYTES_MAX + 4]; /* A character that is cut ends behind the bound. */
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    char *made = NULL;
    return copy(self->arena, line, &made) == STATUS_OK ? made : NO_ROOM;
}

const char *plan_fault_nearest(const char *name, const char *const *names, size_t count)
{
    return nearest_word(name, strlen(name), names, count);
}

const char *plan_fault_choices(struct plan_fault *self, const char *name, const char *const *names,
                               size_t count)
{
    const char *near = plan_fault_nearest(name, names, count);
    char line[PLAN_FAULT_TEXT_BYTES_MAX + 1] = "one of";
    if (near != NULL) {
        return plan_fault_print(self, "did you mean %s?", near);
    }
    size_t at = strlen(line);
    for (size_t i = 0; i < count && i < CHOICES_SHOWN_MAX && at < sizeof line; i++) {
        int printed = snprintf(line + at, sizeof line - at, "%s %s", i == 0 ? "" : ",", names[i]);
        at += printed < 0 ? 0 : (size_t)printed;
    }
    return plan_fault_print(self, "%s%s", line, count > CHOICES_SHOWN_MAX ? ", …" : "");
}
