#include "broker/metadata/config_key.h"

#include "proto/sys/check.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct wire_text config_key_trim(struct wire_text text)
{
    while (text.byte_count > 0 && (text.bytes[0] == ' ' || text.bytes[0] == '\t')) {
        text.bytes += 1;
        text.byte_count -= 1;
    }
    while (text.byte_count > 0 &&
           (text.bytes[text.byte_count - 1] == ' ' || text.bytes[text.byte_count - 1] == '\t')) {
        text.byte_count -= 1;
    }
    return text;
}

const struct config_key *config_key_find(const struct config_key *keys, uint32_t key_count,
                                         struct wire_text name)
{
    uint32_t low = 0;
    uint32_t high = key_count;
    size_t byte_count = name.byte_count < 0 ? 0 : (size_t)name.byte_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *candidate = keys[middle].name;
        int order = byte_count == 0 ? -1 : strncmp(name.bytes, candidate, byte_count);
        if (order == 0 && candidate[byte_count] == '\0') {
            return &keys[middle];
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle; /* A prefix sorts before what it begins. */
        }
    }
    return NULL;
}

/* Copies a trimmed number into a buffer that ends with NUL; false when it is too long for one. */
static bool take_number_text(struct wire_text value, char out_text[32])
{
    struct wire_text text = config_key_trim(value);
    if (text.byte_count <= 0 || text.byte_count >= 32) {
        return false;
    }
    memcpy(out_text, text.bytes, (size_t)text.byte_count);
    out_text[text.byte_count] = '\0';
    return true;
}

static bool parse_whole(struct wire_text value, int64_t *out_number)
{
    char text[32];
    char *end = NULL;
    if (!take_number_text(value, text) || strspn(text, "-+0123456789") != strlen(text)) {
        return false;
    }
    errno = 0;
    *out_number = strtoll(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool parse_fraction(struct wire_text value, double *out_number)
{
    char text[32];
    char *end = NULL;
    if (!take_number_text(value, text) || strspn(text, "-+.eE0123456789") != strlen(text)) {
        return false;
    }
    errno = 0;
    *out_number = strtod(text, &end);
    return errno == 0 && end != text && *end == '\0' && isfinite(*out_number);
}

/* True when the space-separated `choices` hold `item`. */
static bool is_choice(const char *choices, struct wire_text item)
{
    const char *next = choices;
    while (*next != '\0') {
        size_t length = strcspn(next, " ");
        if (item.byte_count >= 0 && length == (size_t)item.byte_count &&
            memcmp(next, item.bytes, length) == 0) {
            return true;
        }
        next += length;
        next += strspn(next, " ");
    }
    return false;
}

static enum status refuse(char out_reason[CONFIG_KEY_REASON_BYTES], const struct config_key *key,
                          const char *wanted)
{
    int written = snprintf(out_reason, CONFIG_KEY_REASON_BYTES, "%s must be %s", key->name, wanted);
    check(written > 0);
    return STATUS_INVALID;
}

static enum status check_range(const struct config_key *self, char *out_reason)
{
    int written = 0;
    if (self->type == CONFIG_KEY_LONG && self->most == INT64_MAX) {
        written = snprintf(out_reason, CONFIG_KEY_REASON_BYTES,
                           "%s must be a whole number of at least %lld", self->name,
                           (long long)self->least);
    } else {
        written =
            snprintf(out_reason, CONFIG_KEY_REASON_BYTES, "%s must be a %snumber from %lld to %lld",
                     self->name, self->type == CONFIG_KEY_DOUBLE ? "" : "whole ",
                     (long long)self->least, (long long)self->most);
    }
    check(written > 0);
    return STATUS_INVALID;
}

static enum status check_list(const struct config_key *self, struct wire_text value,
                              char out_reason[CONFIG_KEY_REASON_BYTES])
{
    struct wire_text left = config_key_trim(value);
    while (left.byte_count > 0) {
        const char *comma = memchr(left.bytes, ',', (size_t)left.byte_count);
        int32_t length = comma == NULL ? left.byte_count : (int32_t)(comma - left.bytes);
        struct wire_text item =
            config_key_trim((struct wire_text){.bytes = left.bytes, .byte_count = length});
        if (item.byte_count == 0) {
            return refuse(out_reason, self, "a list without empty items");
        }
        if (self->choices != NULL && !is_choice(self->choices, item)) {
            char wanted[160];
            int written = snprintf(wanted, sizeof wanted, "a list of: %s", self->choices);
            check(written > 0);
            return refuse(out_reason, self, wanted);
        }
        int32_t taken = length + (comma == NULL ? 0 : 1);
        left.bytes += taken;
        left.byte_count -= taken;
        if (comma != NULL && left.byte_count == 0) {
            return refuse(out_reason, self, "a list without empty items");
        }
    }
    return STATUS_OK;
}

static enum status check_text(const struct config_key *self, struct wire_text value,
                              char out_reason[CONFIG_KEY_REASON_BYTES])
{
    if (self->choices == NULL || is_choice(self->choices, config_key_trim(value))) {
        return STATUS_OK;
    }
    char wanted[160];
    int written = snprintf(wanted, sizeof wanted, "one of: %s", self->choices);
    check(written > 0);
    return refuse(out_reason, self, wanted);
}

enum status config_key_check(const struct config_key *self, struct wire_text value,
                             char out_reason[CONFIG_KEY_REASON_BYTES])
{
    int64_t whole = 0;
    double fraction = 0;
    if (value.byte_count < 0) {
        return refuse(out_reason, self, "given a value");
    }
    if ((uint32_t)value.byte_count > CONFIG_KEY_VALUE_BYTES_MAX) {
        return refuse(out_reason, self, "at most 4096 bytes long");
    }
    if (value.byte_count > 0 && memchr(value.bytes, '\0', (size_t)value.byte_count) != NULL) {
        return refuse(out_reason, self, "free of NUL bytes");
    }
    switch (self->type) {
    case CONFIG_KEY_BOOLEAN: {
        struct wire_text text = config_key_trim(value);
        bool is_known = (text.byte_count == 4 && strncasecmp(text.bytes, "true", 4) == 0) ||
                        (text.byte_count == 5 && strncasecmp(text.bytes, "false", 5) == 0);
        return is_known ? STATUS_OK : refuse(out_reason, self, "true or false");
    }
    case CONFIG_KEY_INT:
    case CONFIG_KEY_LONG:
        return parse_whole(value, &whole) && whole >= self->least && whole <= self->most
                   ? STATUS_OK
                   : check_range(self, out_reason);
    case CONFIG_KEY_DOUBLE:
        return parse_fraction(value, &fraction) && fraction >= (double)self->least &&
                       fraction <= (double)self->most
                   ? STATUS_OK
                   : check_range(self, out_reason);
    case CONFIG_KEY_LIST:
        return check_list(self, value, out_reason);
    case CONFIG_KEY_STRING:
    case CONFIG_KEY_PASSWORD:
        return check_text(self, value, out_reason);
    default:
        check_unreachable("a type of configuration");
    }
}

const char *config_key_lookup(const struct image_config_value *values, uint32_t count,
                              const char *key)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(key, values[middle].key);
        if (order == 0) {
            return values[middle].value;
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

bool config_key_broker_value(const struct config_key_view *view, const char *name,
                             struct config_key_value *out_value)
{
    uint32_t count = 0;
    const struct image_config_value *values = NULL;
    const char *text = NULL;
    if (view->broker_id >= 0) {
        values = image_broker_configs(view->image, view->broker_id, &count);
        text = config_key_lookup(values, count, name);
        if (text != NULL) {
            *out_value = (struct config_key_value){.text = text, .source = CONFIG_KEY_FROM_BROKER};
            return true;
        }
    }
    values = image_broker_configs(view->image, -1, &count);
    text = config_key_lookup(values, count, name);
    if (text != NULL) {
        *out_value = (struct config_key_value){.text = text, .source = CONFIG_KEY_FROM_CLUSTER};
        return true;
    }
    text = config_key_lookup(view->file_values, view->file_value_count, name);
    if (text != NULL) {
        *out_value = (struct config_key_value){.text = text, .source = CONFIG_KEY_FROM_FILE};
        return true;
    }
    return false;
}

int64_t config_key_number(const char *text)
{
    int64_t number = 0;
    check(parse_whole(wire_text_of(text), &number));
    return number;
}

double config_key_fraction(const char *text)
{
    double number = 0;
    check(parse_fraction(wire_text_of(text), &number));
    return number;
}

bool config_key_is_true(const char *text)
{
    struct wire_text trimmed = config_key_trim(wire_text_of(text));
    return trimmed.byte_count == 4 && strncasecmp(trimmed.bytes, "true", 4) == 0;
}

bool config_key_lists(const char *text, const char *item)
{
    struct wire_text left = wire_text_of(text);
    while (left.byte_count > 0) {
        const char *comma = memchr(left.bytes, ',', (size_t)left.byte_count);
        int32_t length = comma == NULL ? left.byte_count : (int32_t)(comma - left.bytes);
        struct wire_text one =
            config_key_trim((struct wire_text){.bytes = left.bytes, .byte_count = length});
        if (wire_text_equals(one, item)) {
            return true;
        }
        int32_t taken = length + (comma == NULL ? 0 : 1);
        left.bytes += taken;
        left.byte_count -= taken;
    }
    return false;
}
