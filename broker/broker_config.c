#include "broker/broker_config.h"

#include "proto/sys/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_INT, KIND_BOOL, KIND_TEXT };

struct row {
    const char *key;
    enum kind kind;
    size_t position; /* Of the field in struct broker_config. */
    const char *initial;
    int64_t minimum;
    int64_t maximum;
    const char *help;
};

static const struct row rows[] = {
#define X(key, kind, field, initial, minimum, maximum, help)                                       \
    {key, KIND_##kind, offsetof(struct broker_config, field), initial, minimum, maximum, help},
    BROKER_CONFIG_TABLE(X)
#undef X
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static enum status set_int(const struct row *row, void *field, const char *value,
                           struct broker_config_error *out_error)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < row->minimum ||
        number > row->maximum) {
        snprintf(out_error->text, sizeof out_error->text,
                 "%s cannot be '%.200s'; it is a whole number from %" PRId64 " to %" PRId64
                 "; the default is %s",
                 row->key, value, row->minimum, row->maximum, row->initial);
        return STATUS_INVALID;
    }
    int64_t stored = number;
    memcpy(field, &stored, sizeof stored);
    return STATUS_OK;
}

static enum status set_bool(const struct row *row, void *field, const char *value,
                            struct broker_config_error *out_error)
{
    bool is_true = strcmp(value, "true") == 0;
    if (!is_true && strcmp(value, "false") != 0) {
        snprintf(out_error->text, sizeof out_error->text,
                 "%s cannot be '%.200s'; it is true or false; the default is %s", row->key, value,
                 row->initial);
        return STATUS_INVALID;
    }
    memcpy(field, &is_true, sizeof is_true);
    return STATUS_OK;
}

static enum status set_text(const struct row *row, void *field, const char *value,
                            struct broker_config_error *out_error)
{
    size_t byte_count = strlen(value);
    if (byte_count >= BROKER_CONFIG_VALUE_BYTES_MAX) {
        snprintf(out_error->text, sizeof out_error->text,
                 "%s is too long; it has %zu bytes; at most %u are taken", row->key, byte_count,
                 BROKER_CONFIG_VALUE_BYTES_MAX - 1);
        return STATUS_INVALID;
    }
    memcpy(field, value, byte_count + 1);
    return STATUS_OK;
}

enum status broker_config_set(struct broker_config *self, const char *key, const char *value,
                              struct broker_config_error *out_error)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (strcmp(rows[i].key, key) != 0) {
            continue;
        }
        void *field = (char *)self + rows[i].position;
        switch (rows[i].kind) {
        case KIND_INT:
            return set_int(&rows[i], field, value, out_error);
        case KIND_BOOL:
            return set_bool(&rows[i], field, value, out_error);
        case KIND_TEXT:
            return set_text(&rows[i], field, value, out_error);
        }
    }
    snprintf(out_error->text, sizeof out_error->text,
             "there is no setting '%.200s'; it may be misspelt; millrace-broker --help lists them "
             "all",
             key);
    return STATUS_INVALID;
}

void broker_config_init(struct broker_config *self)
{
    *self = (struct broker_config){0};
    struct broker_config_error error;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        enum status status = broker_config_set(self, rows[i].key, rows[i].initial, &error);
        check(status == STATUS_OK);
    }
}

/* The text between `begin` and `end` without the blanks around it, NUL-terminated in place. */
static char *trim(char *begin, char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t')) {
        begin++;
    }
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) {
        end--;
    }
    *end = '\0';
    return begin;
}

static enum status read_line(struct broker_config *self, char *line, char *end, int number,
                             struct broker_config_error *out_error)
{
    char *text = trim(line, end);
    if (*text == '\0' || *text == '#') {
        return STATUS_OK;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        snprintf(out_error->text, sizeof out_error->text,
                 "line %d has no '='; a line is key=value, blank, or a comment after '#'; it is: "
                 "%.200s",
                 number, text);
        return STATUS_INVALID;
    }
    char *value = trim(equals + 1, text + strlen(text));
    char *key = trim(text, equals);
    struct broker_config_error inner;
    enum status status = broker_config_set(self, key, value, &inner);
    if (status != STATUS_OK) {
        snprintf(out_error->text, sizeof out_error->text, "line %d: %.1400s", number, inner.text);
    }
    return status;
}

enum status broker_config_read(struct broker_config *self, const char *text, size_t byte_count,
                               struct broker_config_error *out_error)
{
    char *copy = strndup(text, byte_count);
    if (copy == NULL) {
        snprintf(out_error->text, sizeof out_error->text, "%s", status_text(STATUS_NO_MEMORY));
        return STATUS_NO_MEMORY;
    }
    enum status status = STATUS_OK;
    int number = 1;
    char *next = copy;
    while (status == STATUS_OK && *next != '\0') {
        char *end = next + strcspn(next, "\n");
        bool is_last = *end == '\0';
        status = read_line(self, next, end, number, out_error);
        number += 1;
        next = is_last ? end : end + 1;
    }
    free(copy);
    return status;
}

static enum status parse_voter(struct broker_config *self, const char *text,
                               struct broker_config_error *out_error)
{
    char *at = NULL;
    errno = 0;
    long id = strtol(text, &at, 10);
    struct quorum_voter voter = {.node_id = (int32_t)id};
    if (errno != 0 || at == text || *at != '@' || id < 1 || id > INT32_MAX ||
        address_parse(at + 1, &voter.address) != STATUS_OK) {
        snprintf(out_error->text, sizeof out_error->text,
                 "controller.quorum.voters has '%.200s'; a voter is ID@HOST:PORT; for example "
                 "1@127.0.0.1:9092,2@127.0.0.1:9093,3@127.0.0.1:9094",
                 text);
        return STATUS_INVALID;
    }
    if (self->voter_count == QUORUM_VOTERS_MAX) {
        snprintf(out_error->text, sizeof out_error->text,
                 "controller.quorum.voters names more than %u voters; a quorum has 1, 3 or 5; the "
                 "other brokers follow it without a vote",
                 QUORUM_VOTERS_MAX);
        return STATUS_INVALID;
    }
    self->voters[self->voter_count] = voter;
    self->voter_count += 1;
    return STATUS_OK;
}

static enum status parse_voters(struct broker_config *self, struct broker_config_error *out_error)
{
    self->voter_count = 0;
    char copy[BROKER_CONFIG_VALUE_BYTES_MAX];
    memcpy(copy, self->voters_text, sizeof copy);
    char *place = NULL;
    for (char *text = strtok_r(copy, ", ", &place); text != NULL;
         text = strtok_r(NULL, ", ", &place)) {
        TRY(parse_voter(self, text, out_error));
    }
    return STATUS_OK;
}

enum status broker_config_finish(struct broker_config *self, struct broker_config_error *out_error)
{
    if (address_parse(self->listeners, &self->listen) != STATUS_OK) {
        snprintf(out_error->text, sizeof out_error->text,
                 "listeners is '%.200s'; it is one HOST:PORT; for example 127.0.0.1:9092",
                 self->listeners);
        return STATUS_INVALID;
    }
    if (!address_is_loopback(&self->listen) && !self->is_insecure) {
        snprintf(out_error->text, sizeof out_error->text,
                 "listeners is '%.200s', which others can reach, and nobody has to log in; that is "
                 "refused by default; listen on 127.0.0.1, or say insecure=true",
                 self->listeners);
        return STATUS_INVALID;
    }
    self->advertised = self->listen;
    if (self->advertised_listeners[0] != '\0' &&
        address_parse(self->advertised_listeners, &self->advertised) != STATUS_OK) {
        snprintf(out_error->text, sizeof out_error->text,
                 "advertised.listeners is '%.200s'; it is one HOST:PORT; leave it out to advertise "
                 "the listener itself",
                 self->advertised_listeners);
        return STATUS_INVALID;
    }
    return parse_voters(self, out_error);
}

bool broker_config_row_at(uint32_t index, struct broker_config_row *out_row)
{
    if (index >= ROW_COUNT) {
        return false;
    }
    *out_row = (struct broker_config_row){
        .key = rows[index].key, .initial = rows[index].initial, .help = rows[index].help};
    return true;
}
