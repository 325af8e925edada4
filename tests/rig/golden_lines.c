#include "tests/rig/golden_lines.h"

#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define LINE_BYTES_MIN ((size_t)64 << 10)

void golden_lines_open(struct golden_lines *self, const char *name)
{
    char path[1024];
    int length = snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    check(length > 0 && (size_t)length < sizeof path);
    *self = (struct golden_lines){.file = gzopen(path, "rb")};
    check(self->file != NULL);
}

void golden_lines_close(struct golden_lines *self)
{
    json_decref(self->value);
    free(self->line);
    int code = gzclose(self->file);
    check(code == Z_OK);
    *self = (struct golden_lines){0};
}

/* Reads up to the line's end into memory that doubles; false behind the last line. */
static bool read_line(struct golden_lines *self)
{
    size_t byte_count = 0;
    for (;;) {
        if (self->capacity_bytes - byte_count < 2) {
            size_t doubled = self->capacity_bytes * 2;
            self->capacity_bytes = doubled < LINE_BYTES_MIN ? LINE_BYTES_MIN : doubled;
            self->line = realloc(self->line, self->capacity_bytes);
            check(self->line != NULL);
        }
        int room = (int)(self->capacity_bytes - byte_count);
        if (gzgets(self->file, self->line + byte_count, room) == NULL) {
            check(gzeof(self->file));
            return byte_count > 0;
        }
        byte_count += strlen(self->line + byte_count);
        if (byte_count > 0 && self->line[byte_count - 1] == '\n') {
            return true;
        }
    }
}

const json_t *golden_lines_next(struct golden_lines *self)
{
    json_decref(self->value);
    self->value = NULL;
    if (!read_line(self)) {
        check(self->line_number > 0);
        return NULL;
    }
    self->line_number += 1;
    self->value = json_loads(self->line, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    check(self->value != NULL);
    return self->value;
}

const json_t *golden_lines_member(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    check(member != NULL);
    return member;
}

int64_t golden_lines_number(const json_t *object, const char *name)
{
    const json_t *member = golden_lines_member(object, name);
    check(json_is_integer(member));
    return json_integer_value(member);
}

const char *golden_lines_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(golden_lines_member(object, name));
    check(text != NULL);
    return text;
}

static uint8_t nibble_of(char digit)
{
    const char *digits = "0123456789abcdef";
    const char *place = digit == 0 ? NULL : strchr(digits, digit);
    check(place != NULL);
    return (uint8_t)(place - digits);
}

uint8_t *golden_lines_hex(const json_t *text, int64_t *out_byte_count)
{
    if (json_is_null(text)) {
        *out_byte_count = -1;
        return NULL;
    }
    check(json_is_string(text));
    const char *digits = json_string_value(text);
    size_t byte_count = json_string_length(text) / 2;
    check(json_string_length(text) % 2 == 0);
    /* A block of no bytes is one that must not be read either. */
    uint8_t *bytes = malloc(byte_count);
    check(bytes != NULL);
    for (size_t i = 0; i < byte_count; i++) {
        bytes[i] = (uint8_t)(nibble_of(digits[2 * i]) << 4 | nibble_of(digits[2 * i + 1]));
    }
    *out_byte_count = (int64_t)byte_count;
    return bytes;
}
