#include "processor/processor_config.h"

#include "processor/task/task_point.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_BYTES PROCESSOR_CONFIG_ERROR_BYTES_MAX

static bool set_address(const char *value, struct address *out_address)
{
    return address_parse(value, out_address) == STATUS_OK;
}

static bool set_bootstrap(struct processor_config *self, const char *value)
{
    char text[PROCESSOR_CONFIG_VALUE_BYTES_MAX];
    (void)snprintf(text, sizeof text, "%s", value);
    uint32_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        if (count == PROCESSOR_CONFIG_BOOTSTRAP_MAX ||
            !set_address(word, &self->bootstrap[count])) {
            return false;
        }
        count += 1;
    }
    self->bootstrap_count = count;
    return count > 0;
}

static bool set_number(const char *value, int64_t least, int64_t *out_number)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < least) {
        return false;
    }
    *out_number = number;
    return true;
}

/* "point" or "point:3". */
static bool set_kill(struct processor_config *self, const char *value)
{
    const char *colon = strchr(value, ':');
    size_t length = colon == NULL ? strlen(value) : (size_t)(colon - value);
    enum task_point point;
    if (length >= sizeof self->kill_point) {
        return false;
    }
    memcpy(self->kill_point, value, length);
    self->kill_point[length] = '\0';
    self->kill_count = 1;
    return (length == 0 || task_point_find(self->kill_point, &point)) &&
           (colon == NULL || set_number(colon + 1, 1, &self->kill_count));
}

static bool set_parser(struct processor_config *self, const char *value)
{
    (void)snprintf(self->parser, sizeof self->parser, "%s", value);
    return true;
}

static bool set_listener(struct processor_config *self, const char *value)
{
    return set_address(value, &self->listener);
}

static bool set_advertised(struct processor_config *self, const char *value)
{
    return set_address(value, &self->advertised);
}

static bool set_insecure(struct processor_config *self, const char *value)
{
    self->is_insecure = strcmp(value, "true") == 0;
    return self->is_insecure || strcmp(value, "false") == 0;
}

static bool set_state(struct processor_config *self, const char *value)
{
    return set_number(value, 1 << 20, &self->state_bytes_max);
}

/* Twice the largest record. */
#define OUTPUT_BYTES_MIN (INT64_C(32) << 20)

static bool set_output(struct processor_config *self, const char *value)
{
    return set_number(value, OUTPUT_BYTES_MIN, &self->output_bytes_max);
}

static const struct key {
    struct processor_config_row row;
    bool (*set)(struct processor_config *self, const char *value);
    const char *shape;
} keys[] = {
    {{"bootstrap.servers", "127.0.0.1:9092", "brokers to begin with, HOST:PORT,…"},
     set_bootstrap,
     "it is HOST:PORT,HOST:PORT,…"},
    {{"listeners", "127.0.0.1:0", "where questions are heard; port 0: a free one"},
     set_listener,
     "it is HOST:PORT"},
    {{"advertised.listeners", "", "how others reach it; as listeners"},
     set_advertised,
     "it is HOST:PORT"},
    {{"insecure", "false",
      "allow a listener that is not on loopback although nobody has to log in"},
     set_insecure,
     "it is true or false"},
    {{"parser.path", "", "the program millrace-parser; beside this one"}, set_parser, "a path"},
    {{"task.state.bytes.max", "1073741824", "memory for the state of one task"},
     set_state,
     "it is a number of bytes from 1048576 on"},
    {{"task.output.bytes.max", "268435456",
      "output of one task that brokers have not acknowledged"},
     set_output,
     "it is a number of bytes from 33554432 on"},
    {{"test.kill.at", "", "for tests: kills itself at a point of an epoch, POINT or POINT:N"},
     set_kill,
     "it is a point of processor/task/task_point.h, with a count from 1 on"},
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

bool processor_config_row_at(uint32_t index, struct processor_config_row *out_row)
{
    if (index >= KEY_COUNT) {
        return false;
    }
    *out_row = keys[index].row;
    return true;
}

void processor_config_init(struct processor_config *self)
{
    *self = (struct processor_config){.bootstrap_count = 1,
                                      .state_bytes_max = INT64_C(1) << 30,
                                      .output_bytes_max = INT64_C(256) << 20};
    self->bootstrap[0] = (struct address){.host = "127.0.0.1", .port = 9092};
    self->listener = (struct address){.host = "127.0.0.1"};
}

enum status processor_config_set(struct processor_config *self, const char *key, const char *value,
                                 char error[static PROCESSOR_CONFIG_ERROR_BYTES_MAX])
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].row.key, key) != 0) {
            continue;
        }
        if (strlen(value) >= PROCESSOR_CONFIG_VALUE_BYTES_MAX || !keys[i].set(self, value)) {
            (void)snprintf(error, ERROR_BYTES, "the setting %s cannot be '%.200s'; %s; correct it",
                           key, value, keys[i].shape);
            return STATUS_INVALID;
        }
        return STATUS_OK;
    }
    (void)snprintf(error, ERROR_BYTES,
                   "there is no setting '%.200s'; a key is misspelled or of another version; see "
                   "millrace-processor --help",
                   key);
    return STATUS_INVALID;
}

static enum status read_line(struct processor_config *self, char *line, char *error)
{
    while (isspace((unsigned char)*line)) {
        line += 1;
    }
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1])) {
        length -= 1;
        line[length] = '\0';
    }
    if (*line == '\0' || *line == '#') {
        return STATUS_OK;
    }
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        (void)snprintf(error, ERROR_BYTES,
                       "the line '%.200s' is no setting; it has no '='; write KEY=VALUE", line);
        return STATUS_INVALID;
    }
    *equals = '\0';
    return processor_config_set(self, line, equals + 1, error);
}

enum status processor_config_read(struct processor_config *self, const char *text,
                                  size_t byte_count,
                                  char error[static PROCESSOR_CONFIG_ERROR_BYTES_MAX])
{
    char *copy = strndup(text, byte_count);
    if (copy == NULL) {
        (void)snprintf(error, ERROR_BYTES, "the settings cannot be read; no memory; free some");
        return STATUS_NO_MEMORY;
    }
    enum status status = STATUS_OK;
    char *rest = NULL;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL && status == STATUS_OK;
         line = strtok_r(NULL, "\n", &rest)) {
        status = read_line(self, line, error);
    }
    free(copy);
    return status;
}

enum status processor_config_finish(const struct processor_config *self,
                                    char error[static PROCESSOR_CONFIG_ERROR_BYTES_MAX])
{
    if (address_is_loopback(&self->listener) || self->is_insecure) {
        return STATUS_OK;
    }
    (void)snprintf(error, ERROR_BYTES,
                   "listeners is '%.200s:%u', which others can reach, and nobody has to log in; "
                   "that is refused by default; listen on 127.0.0.1, or say insecure=true",
                   self->listener.host, self->listener.port);
    return STATUS_INVALID;
}
