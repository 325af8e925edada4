#include "broker/log/text_lines.h"

#include "proto/sys/check.h"

#include <string.h>

#define LINE_BYTES_MAX 4096

void text_lines_init(struct text_lines *self, const uint8_t *bytes, size_t byte_count)
{
    check(bytes != NULL || byte_count == 0);
    self->next = (const char *)bytes;
    self->end = byte_count == 0 ? self->next : self->next + byte_count;
}

bool text_lines_step(struct text_lines *self, struct wire_text *out_line)
{
    if (self->next == self->end) {
        return false;
    }
    size_t left = (size_t)(self->end - self->next);
    const char *newline = memchr(self->next, '\n', left);
    size_t byte_count = newline == NULL ? left : (size_t)(newline - self->next);
    const char *line = self->next;
    self->next += newline == NULL ? left : byte_count + 1;
    if (byte_count > 0 && line[byte_count - 1] == '\r') {
        byte_count -= 1;
    }
    if (byte_count > LINE_BYTES_MAX) {
        byte_count = LINE_BYTES_MAX; /* No field of ours is as long: it fails as a field. */
    }
    *out_line = (struct wire_text){.bytes = line, .byte_count = (int32_t)byte_count};
    return true;
}

struct wire_text text_lines_field(struct wire_text *line)
{
    check(line->byte_count >= 0);
    const char *space = memchr(line->bytes, ' ', (size_t)line->byte_count);
    struct wire_text field = *line;
    if (space == NULL) {
        *line = (struct wire_text){.bytes = line->bytes + line->byte_count, .byte_count = 0};
        return field;
    }
    field.byte_count = (int32_t)(space - line->bytes);
    line->bytes += field.byte_count + 1;
    line->byte_count -= field.byte_count + 1;
    return field;
}

bool text_lines_number(struct wire_text field, int64_t value_max, bool may_be_minus_one,
                       int64_t *out_value)
{
    check(value_max >= 0);
    if (may_be_minus_one && wire_text_equals(field, "-1")) {
        *out_value = -1;
        return true;
    }
    if (field.byte_count <= 0 || (field.bytes[0] == '0' && field.byte_count > 1)) {
        return false;
    }
    int64_t value = 0;
    for (int32_t i = 0; i < field.byte_count; i++) {
        if (field.bytes[i] < '0' || field.bytes[i] > '9' ||
            __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, field.bytes[i] - '0', &value)) {
            return false;
        }
    }
    if (value > value_max) {
        return false;
    }
    *out_value = value;
    return true;
}

enum status text_lines_head(struct text_lines *self, uint32_t row_count_max,
                            uint32_t *out_row_count)
{
    struct wire_text line;
    int64_t version = 0;
    int64_t row_count = 0;
    if (!text_lines_step(self, &line) || !text_lines_number(line, INT32_MAX, false, &version)) {
        return STATUS_MALFORMED;
    }
    if (version != 0) {
        return STATUS_UNSUPPORTED;
    }
    if (!text_lines_step(self, &line) ||
        !text_lines_number(line, (int64_t)row_count_max, false, &row_count)) {
        return STATUS_MALFORMED;
    }
    /* The shortest row is "0 0". */
    if (row_count > (self->end - self->next) / 3) {
        return STATUS_MALFORMED;
    }
    *out_row_count = (uint32_t)row_count;
    return STATUS_OK;
}
