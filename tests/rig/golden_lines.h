/* The cases of a golden file: gzip'ed lines, each one JSON value (tests/golden/kafka/README.md).
 *
 * Every mistake in the file or its reading aborts, so that a test cannot pass by reading nothing.
 * Owner: one test. Limits: the memory of one line. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct golden_lines {
    void *file; /* Owned. */
    char *line; /* Owned. */
    size_t capacity_bytes;
    json_t *value; /* Owned. The last one returned. */
    unsigned line_number;
};

/* `name` is relative to tests/golden/kafka. */
void golden_lines_open(struct golden_lines *self, const char *name);
void golden_lines_close(struct golden_lines *self);
/* Borrowed until the next call; NULL behind the last line. */
const json_t *golden_lines_next(struct golden_lines *self);

/* Members that have to be there. Integers keep their 64 bits. */
const json_t *golden_lines_member(const json_t *object, const char *name);
int64_t golden_lines_number(const json_t *object, const char *name);
const char *golden_lines_text(const json_t *object, const char *name);

/* Bytes of a hex text, in a block of exactly that size, so that a sanitizer sees reads beyond them.
 * NULL and -1 for JSON's null; free() them. */
uint8_t *golden_lines_hex(const json_t *text, int64_t *out_byte_count);
