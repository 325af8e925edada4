/* The data directory that a real Kafka broker left behind (tests/golden/kafka/README.md,
 * "datadir"), file by file from memory, and what Kafka's dump tool says about each.
 *
 * Owner: one test. Limits: that archive; every mistake fails the test. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct golden_datadir {
    uint8_t *archive; /* Owned; an unpacked tar. */
    size_t archive_bytes;
    json_t *expected; /* Owned; array of the lines of expected.jsonl. */
};

struct golden_file {
    const char *name; /* "golden-0/00000000000000000000.log"; borrowed, as are the bytes. */
    const uint8_t *bytes;
    size_t byte_count;
};

void golden_datadir_open(struct golden_datadir *self);
void golden_datadir_close(struct golden_datadir *self);

/* The `position`th file, from 0; false behind the last one. */
bool golden_datadir_file_at(const struct golden_datadir *self, size_t position,
                            struct golden_file *out_file);
struct golden_file golden_datadir_file(const struct golden_datadir *self, const char *name);
/* The only line about a file that is no segment. Borrowed. */
const json_t *golden_datadir_expected(const struct golden_datadir *self, const char *name);
/* A member that has to be there. */
int64_t golden_datadir_number(const json_t *object, const char *member);
const char *golden_datadir_text(const json_t *object, const char *member);
