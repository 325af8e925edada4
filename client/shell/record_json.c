#include "client/shell/record_json.h"

#include "client/shell/shell_output.h"
#include "proto/sys/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool fail(struct record_json *self, const char *what, const char *name)
{
    (void)snprintf(self->fault, sizeof self->fault, "%s%.60s", what, name);
    return false;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: it is no base64 with its padding. `out` holds 3 bytes for 4 characters. */
static bool decode_base64(const char *text, size_t text_bytes, uint8_t *out, size_t *out_count)
{
    size_t padding = 0;
    while (padding < 2 && padding < text_bytes && text[text_bytes - 1 - padding] == '=') {
        padding += 1;
    }
    if (text_bytes % 4 != 0) {
        return false;
    }
    uint32_t bits = 0;
    size_t count = 0;
    for (size_t i = 0; i < text_bytes; i++) {
        int digit = i < text_bytes - padding ? base64_digit(text[i]) : 0;
        if (digit < 0) {
            return false;
        }
        bits = bits << 6U | (uint32_t)digit;
        if (i % 4 == 3) {
            out[count] = (uint8_t)(bits >> 16U);
            out[count + 1] = (uint8_t)(bits >> 8U);
            out[count + 2] = (uint8_t)bits;
            count += 3;
            bits = 0;
        }
    }
    *out_count = count - padding;
    return true;
}

/* A string, null or {"base64": ...}; `name` is for the fault. */
static bool read_bytes(struct record_json *self, const json_t *value, const char *name,
                       struct millrace_bytes *out_bytes)
{
    if (value == NULL || json_is_null(value)) {
        *out_bytes = (struct millrace_bytes){NULL, 0};
        return true;
    }
    if (json_is_string(value)) {
        *out_bytes = (struct millrace_bytes){json_string_value(value), json_string_length(value)};
        return true;
    }
    const json_t *base64 = json_object_get(value, "base64");
    if (json_object_size(value) != 1 || !json_is_string(base64)) {
        return fail(self, "a string, null or {\"base64\": \"...\"} must stand in ", name);
    }
    check(self->decoded_count < sizeof self->decoded / sizeof self->decoded[0]);
    uint8_t *bytes = malloc(json_string_length(base64) + 1); /* Never an allocation of nothing. */
    if (bytes == NULL) {
        return fail(self, "there is no memory for ", name);
    }
    self->decoded[self->decoded_count] = bytes;
    self->decoded_count += 1;
    out_bytes->data = bytes;
    return decode_base64(json_string_value(base64), json_string_length(base64), bytes,
                         &out_bytes->size) ||
           fail(self, "base64 with padding must stand in ", name);
}

static bool add_header(struct record_json *self, const char *name, const json_t *value)
{
    size_t count = self->record.header_count;
    if (count == RECORD_JSON_HEADERS_MAX) {
        return fail(self, "there are too many headers, from ", name);
    }
    self->headers[count].key = millrace_text(name);
    self->record.header_count += 1;
    return read_bytes(self, value, name, &self->headers[count].value);
}

static bool read_headers(struct record_json *self, json_t *headers)
{
    if (!json_is_object(headers)) {
        return fail(self, "an object must stand in ", "headers");
    }
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(headers, name, value)
    {
        if (!json_is_array(value)) {
            if (!add_header(self, name, value)) {
                return false;
            }
            continue;
        }
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (!add_header(self, name, json_array_get(value, i))) {
                return false;
            }
        }
    }
    self->record.headers = self->headers;
    return true;
}

static bool read_number(struct record_json *self, const json_t *value, const char *name,
                        int64_t *out_number)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return fail(self, "a whole number from 0 on must stand in ", name);
    }
    *out_number = json_integer_value(value);
    return true;
}

static bool read_member(struct record_json *self, const char *name, json_t *value)
{
    struct millrace_record *record = &self->record;
    if (strcmp(name, "key") == 0) {
        return read_bytes(self, value, name, &record->key);
    }
    if (strcmp(name, "value") == 0) {
        return read_bytes(self, value, name, &record->value);
    }
    if (strcmp(name, "headers") == 0) {
        return json_is_null(value) || read_headers(self, value);
    }
    if (strcmp(name, "timestamp") == 0) {
        return json_is_null(value) || read_number(self, value, name, &record->timestamp_ms);
    }
    if (strcmp(name, "partition") == 0) {
        int64_t partition = 0;
        if (json_is_null(value)) {
            return true;
        }
        if (!read_number(self, value, name, &partition) || partition > INT32_MAX) {
            return fail(self, "a partition's number must stand in ", name);
        }
        record->has_partition = true;
        record->partition = (int32_t)partition;
        return true;
    }
    return fail(self, "there is no such member: ", name);
}

bool record_json_read(struct record_json *self, const char *line, size_t line_bytes)
{
    self->record = (struct millrace_record){.size = sizeof self->record};
    self->decoded_count = 0;
    json_error_t error;
    self->json = json_loadb(line, line_bytes, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    if (self->json == NULL) {
        (void)snprintf(self->fault, sizeof self->fault, "column %d: %s", error.column, error.text);
        return false;
    }
    if (!json_is_object(self->json)) {
        return fail(self, "a line must be an object", "");
    }
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(self->json, name, value)
    {
        if (!read_member(self, name, value)) {
            return false;
        }
    }
    return true;
}

void record_json_done(struct record_json *self)
{
    for (size_t i = 0; i < self->decoded_count; i++) {
        free(self->decoded[i]);
    }
    self->decoded_count = 0;
    json_decref(self->json);
    self->json = NULL;
}

static void add_value(json_t *headers, struct millrace_bytes name, json_t *value)
{
    json_t *there = json_object_getn(headers, name.data, name.size);
    if (there == NULL) {
        (void)json_object_setn_new(headers, name.data, name.size, value);
    } else if (json_is_array(there)) {
        (void)json_array_append_new(there, value);
    } else {
        (void)json_object_setn_new(headers, name.data, name.size, json_pack("[O,o]", there, value));
    }
}

static json_t *headers_of(const struct millrace_received *received)
{
    json_t *headers = json_object();
    for (size_t i = 0; i < received->header_count; i++) {
        const struct millrace_header *header = &received->headers[i];
        /* A name is text by the protocol; one that is not cannot be shown. */
        if (header->key.data != NULL) {
            add_value(headers, header->key, shell_output_bytes(header->value));
        }
    }
    return headers;
}

json_t *record_json_of(const struct millrace_received *received)
{
    return json_pack(
        "{s:o,s:i,s:I,s:o,s:o,s:o,s:o,s:o}", "topic", shell_output_bytes(received->topic),
        "partition", (int)received->partition, "offset", (json_int_t)received->offset, "timestamp",
        shell_output_known(received->timestamp_ms), "ingested",
        shell_output_known(received->ingested_ms), "key", shell_output_bytes(received->key),
        "value", shell_output_bytes(received->value), "headers", headers_of(received));
}
