#include "proto/sys/host/host_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (1U << 20)
#define KEY_BYTES 256U
#define DONE 1
#define REFUSED 3

int host_settings_refuse(const char *text)
{
    (void)fprintf(stderr, "error USAGE: %s\n", text);
    return REFUSED;
}

static enum status read_file(const struct host_settings *self, const char *path, char *error)
{
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status = disk_read_file(self->disk, path, FILE_BYTES_MAX, &bytes, &byte_count);
    if (status != STATUS_OK) {
        (void)snprintf(error, HOST_SETTINGS_ERROR_BYTES,
                       "the settings file '%.800s' cannot be read; %s; name another with --config",
                       path, status_text(status));
        return status;
    }
    status = self->read(self->context, (const char *)bytes, byte_count, error);
    free(bytes);
    return status;
}

static enum status set_pair(const struct host_settings *self, const char *pair, char *error)
{
    char key[KEY_BYTES];
    const char *equals = strchr(pair, '=');
    size_t key_bytes = equals == NULL ? 0 : (size_t)(equals - pair);
    if (key_bytes == 0 || key_bytes >= sizeof key) {
        (void)snprintf(error, HOST_SETTINGS_ERROR_BYTES,
                       "--set '%.200s' names no setting; it is KEY=VALUE; for example --set %s",
                       pair, self->example);
        return STATUS_INVALID;
    }
    memcpy(key, pair, key_bytes);
    key[key_bytes] = '\0';
    return self->set(self->context, key, equals + 1, error);
}

int host_settings_take(const struct host_settings *self, int argument_count, char *const *arguments)
{
    char error[HOST_SETTINGS_ERROR_BYTES];
    for (int i = 1; i < argument_count; i++) {
        const char *word = arguments[i];
        if (strcmp(word, "--help") == 0) {
            self->print_help();
            return DONE;
        }
        if (strcmp(word, "--version") == 0) {
            printf("%s %s\n", self->program, self->version);
            return DONE;
        }
        bool is_config = strcmp(word, "--config") == 0;
        bool is_known = is_config || strcmp(word, "--set") == 0;
        if (!is_known || i + 1 == argument_count) {
            (void)snprintf(error, sizeof error, "'%.200s' %s; see %s --help", word,
                           is_known ? "needs a value" : "is not known", self->program);
            return host_settings_refuse(error);
        }
        i += 1;
        enum status status =
            is_config ? read_file(self, arguments[i], error) : set_pair(self, arguments[i], error);
        if (status != STATUS_OK) {
            return host_settings_refuse(error);
        }
    }
    return 0;
}
