/* The arguments of a server's program: a settings file, single settings, help and version.
 *
 *     PROGRAM [--config FILE] [--set KEY=VALUE]... | --help | --version
 *
 * What a setting means is the program's; what is wrong is said on standard error.
 *
 * Owner: a main. Loop: none, before the start. Limits: files of 1 MiB, keys of 255 bytes. */
#pragma once

#include "proto/sys/disk.h"

#define HOST_SETTINGS_ERROR_BYTES 1536U

struct host_settings {
    const char *program; /* As "millrace-broker". */
    const char *version;
    const char *example; /* Of a setting, as "node.id=2". */
    struct disk *disk;   /* Borrowed; reads the file. */
    void (*print_help)(void);
    /* Not OK: `error` holds what, why and fix. */
    enum status (*set)(void *context, const char *key, const char *value,
                       char error[static HOST_SETTINGS_ERROR_BYTES]);
    enum status (*read)(void *context, const char *text, size_t byte_count,
                        char error[static HOST_SETTINGS_ERROR_BYTES]);
    void *context;
};

/* 0: go on; else what the program shall end with, plus one. */
int host_settings_take(const struct host_settings *self, int argument_count,
                       char *const *arguments);
/* Says that something about the usage is wrong; returns 3, as above. */
int host_settings_refuse(const char *text);
