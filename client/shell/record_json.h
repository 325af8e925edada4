/* Records as lines of JSON: what `produce --json` reads and `consume -o json` writes.
 *
 * Bytes are a string where they are UTF-8, else {"base64": "..."}; null is null. Headers are an
 * object; a name that comes more than once has an array of its values.
 *
 *   in   {"key":…,"value":…,"headers":{…},"partition":N,"timestamp":MS}, each may be missing
 *   out  {"topic","partition","offset","timestamp","ingested","key","value","headers"}
 *
 * Owner: the command. Loop: the main thread. Limits: RECORD_JSON_HEADERS_MAX of a line read. */
#pragma once

#include "client/client.h"

#include <jansson.h>

#define RECORD_JSON_HEADERS_MAX 128U
#define RECORD_JSON_FAULT_BYTES_MAX 256U

/* What a line became; the record borrows from the rest. */
struct record_json {
    struct millrace_record record; /* Without a topic. */
    struct millrace_header headers[RECORD_JSON_HEADERS_MAX];
    json_t *json;                               /* Owned. */
    void *decoded[RECORD_JSON_HEADERS_MAX + 2]; /* Owned; from base64. */
    size_t decoded_count;
    char fault[RECORD_JSON_FAULT_BYTES_MAX]; /* Why it is no record. */
};

/* False: `fault` says why. Call done in any case. */
bool record_json_read(struct record_json *self, const char *line, size_t line_bytes);
void record_json_done(struct record_json *self);

/* NULL: no memory. */
json_t *record_json_of(const struct millrace_received *received);
