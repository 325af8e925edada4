/* The settings of one processor: a table of keys, read from a file and from the command line.
 *
 * Owner: the main. Loop: none, before the start. Limits: PROCESSOR_CONFIG_VALUE_BYTES_MAX. */
#pragma once

#include "proto/sys/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESSOR_CONFIG_VALUE_BYTES_MAX 4096U
#define PROCESSOR_CONFIG_BOOTSTRAP_MAX 32U
#define PROCESSOR_CONFIG_ERROR_BYTES_MAX 1536U

struct processor_config {
    struct address bootstrap[PROCESSOR_CONFIG_BOOTSTRAP_MAX];
    uint32_t bootstrap_count;
    struct address listener;   /* Port 0: the system chooses. */
    struct address advertised; /* Host empty: the listener's; port 0: the listener's. */
    bool is_insecure; /* May listen where others can come, although nobody has to log in. */
    char parser[PROCESSOR_CONFIG_VALUE_BYTES_MAX]; /* The main fills it in when it is empty. */
    int64_t state_bytes_max;                       /* Of each task. */
    int64_t output_bytes_max;                      /* The same. */
    char kill_point[64]; /* For tests: the process kills itself at this point; empty: never. */
    int64_t kill_count;  /* At its so-many-th passing. */
};

struct processor_config_row {
    const char *key;
    const char *initial;
    const char *help;
};

void processor_config_init(struct processor_config *self);
/* False past the last row. */
bool processor_config_row_at(uint32_t index, struct processor_config_row *out_row);
/* INVALID: `error` says what, why and fix. */
MUST_USE enum status processor_config_set(struct processor_config *self, const char *key,
                                          const char *value,
                                          char error[static PROCESSOR_CONFIG_ERROR_BYTES_MAX]);
/* A file's text: KEY=VALUE a line, # begins a comment. */
MUST_USE enum status processor_config_read(struct processor_config *self, const char *text,
                                           size_t byte_count,
                                           char error[static PROCESSOR_CONFIG_ERROR_BYTES_MAX]);
/* When all is set: does it go together? INVALID as above. */
MUST_USE enum status processor_config_finish(const struct processor_config *self,
                                             char error[static PROCESSOR_CONFIG_ERROR_BYTES_MAX]);
