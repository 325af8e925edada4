#include "processor/text/text_builder.h"

#include "proto/sys/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ROOM_MIN 256U

void text_builder_init(struct text_builder *self, struct arena *arena)
{
    *self = (struct text_builder){.arena = arena};
}

/* Room for `byte_count` more and a NUL. */
static bool need(struct text_builder *self, size_t byte_count)
{
    if (self->is_failed) {
        return false;
    }
    if (self->room - self->byte_count > byte_count) {
        return true;
    }
    size_t room = self->room * 2 + byte_count + ROOM_MIN;
    char *bytes = arena_take(self->arena, room);
    if (bytes == NULL) {
        self->is_failed = true;
        return false;
    }
    if (self->byte_count > 0) {
        memcpy(bytes, self->bytes, self->byte_count);
    }
    self->bytes = bytes;
    self->room = room;
    return true;
}

void text_builder_add_bytes(struct text_builder *self, const char *bytes, size_t byte_count)
{
    if (byte_count > 0 && need(self, byte_count)) {
        memcpy(self->bytes + self->byte_count, bytes, byte_count);
        self->byte_count += byte_count;
    }
}

void text_builder_add(struct text_builder *self, const char *text)
{
    text_builder_add_bytes(self, text, strlen(text));
}

void text_builder_print(struct text_builder *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int byte_count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    check(byte_count >= 0);
    if (!need(self, (size_t)byte_count)) {
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(self->bytes + self->byte_count, (size_t)byte_count + 1, format, arguments);
    va_end(arguments);
    self->byte_count += (size_t)byte_count;
}

enum status text_builder_end(struct text_builder *self, const char **out_text)
{
    if (!need(self, 0)) {
        return STATUS_NO_MEMORY;
    }
    self->bytes[self->byte_count] = '\0';
    *out_text = self->bytes;
    return STATUS_OK;
}
