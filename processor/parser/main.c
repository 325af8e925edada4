/* millrace-parser: texts in, Scripts out, until its input ends.
 *
 * A request is a length (4 bytes, big endian) and as many bytes of SQL; an answer is a length and
 * a packed Script (proto/internal/plan.proto). It runs as a child of millrace-processor because the
 * grammar's library must not share its process; it keeps nothing between two requests. */
#include "processor/parser/sql_script.h"
#include "proto/sys/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* False: the stream ended or broke. */
static bool read_all(uint8_t *bytes, size_t byte_count)
{
    while (byte_count > 0) {
        ssize_t count = read(STDIN_FILENO, bytes, byte_count);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        bytes += count;
        byte_count -= (size_t)count;
    }
    return true;
}

static bool write_all(const uint8_t *bytes, size_t byte_count)
{
    while (byte_count > 0) {
        ssize_t count = write(STDOUT_FILENO, bytes, byte_count);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        bytes += count;
        byte_count -= (size_t)count;
    }
    return true;
}

static bool answer(struct arena *arena, const uint8_t *text, size_t byte_count)
{
    Millrace__Plan__Script *script = NULL;
    if (sql_script_parse((const char *)text, byte_count, arena, &script) != STATUS_OK) {
        return false;
    }
    size_t packed_bytes = millrace__plan__script__get_packed_size(script);
    uint8_t *frame = malloc(packed_bytes + 4);
    if (frame == NULL || packed_bytes > UINT32_MAX) {
        free(frame);
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        frame[i] = (uint8_t)(packed_bytes >> (24 - 8 * i));
    }
    check(millrace__plan__script__pack(script, frame + 4) == packed_bytes);
    bool is_written = write_all(frame, packed_bytes + 4);
    free(frame);
    return is_written;
}

/* One byte more than is allowed is read of a longer text, so that its Script says so. */
int main(void)
{
    static uint8_t text[SQL_SCRIPT_TEXT_BYTES_MAX + 1];
    uint8_t head[4];
    struct arena arena;
    arena_init(&arena, SQL_SCRIPT_ARENA_BYTES);
    bool is_good = true;
    while (is_good && read_all(head, sizeof head)) {
        size_t byte_count =
            (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | (size_t)head[3];
        is_good = byte_count <= sizeof text && read_all(text, byte_count) &&
                  answer(&arena, text, byte_count);
        arena_reset(&arena);
    }
    arena_done(&arena);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
