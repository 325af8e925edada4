#include "client/shell/line_reader.h"

#include <stdbool.h>
#include <stdlib.h>

#define ROOM_BYTES_FIRST 4096U

void line_reader_init(struct line_reader *self, FILE *in)
{
    *self = (struct line_reader){.in = in};
}

void line_reader_done(struct line_reader *self)
{
    free(self->line);
    *self = (struct line_reader){0};
}

static bool grow(struct line_reader *self)
{
    size_t room_bytes = self->room_bytes == 0 ? ROOM_BYTES_FIRST : self->room_bytes * 2;
    char *line = realloc(self->line, room_bytes);
    if (line == NULL) {
        return false;
    }
    self->line = line;
    self->room_bytes = room_bytes;
    return true;
}

enum line_reader_result line_reader_next(struct line_reader *self)
{
    self->line_bytes = 0;
    bool has_any = false;
    for (;;) {
        if (self->line_bytes + 1 >= self->room_bytes && !grow(self)) {
            return LINE_READER_FAILED;
        }
        int byte = getc_unlocked(self->in);
        if (byte == '\n' || (byte == EOF && has_any && ferror(self->in) == 0)) {
            self->line[self->line_bytes] = '\0';
            return LINE_READER_LINE;
        }
        if (byte == EOF) {
            return ferror(self->in) != 0 ? LINE_READER_FAILED : LINE_READER_END;
        }
        if (self->line_bytes == LINE_READER_BYTES_MAX) {
            return LINE_READER_TOO_LONG;
        }
        has_any = true;
        self->line[self->line_bytes] = (char)byte;
        self->line_bytes += 1;
    }
}
