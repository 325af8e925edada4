/* Lines of a stream, of any length up to a limit.
 *
 * Owner: the command. Loop: the main thread. Limits: LINE_READER_BYTES_MAX. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#define LINE_READER_BYTES_MAX (16U << 20)

enum line_reader_result {
    LINE_READER_LINE,
    LINE_READER_END,
    LINE_READER_TOO_LONG,
    LINE_READER_FAILED, /* The stream, or the memory. */
};

struct line_reader {
    FILE *in;   /* Borrowed for life. */
    char *line; /* Owned. Valid until the next call; NUL-terminated, without the newline. */
    size_t line_bytes;
    size_t room_bytes;
};

void line_reader_init(struct line_reader *self, FILE *in);
void line_reader_done(struct line_reader *self);
/* A last line without newline is one, too. */
enum line_reader_result line_reader_next(struct line_reader *self);
