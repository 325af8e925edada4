/* Goal: no line of standard input and no place to begin breaks the shell, and what it takes it
 * gives back.
 * Method: the first byte chooses. A line that becomes a record is shown as received, and its bytes
 * must stand in the line shown; a time that is understood is printed and understood again. */
#include "client/shell/from_text.h"
#include "client/shell/record_json.h"
#include "proto/sys/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static bool is_same(struct millrace_bytes a, struct millrace_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* A line that `consume` shows is, with two members renamed, one that `produce` takes. */
static void read_again(const struct millrace_record *record)
{
    const struct millrace_received received = {.topic = millrace_text("t"),
                                               .timestamp_ms = record->timestamp_ms,
                                               .key = record->key,
                                               .value = record->value,
                                               .headers = record->headers,
                                               .header_count = record->header_count};
    json_t *shown = record_json_of(&received);
    check(shown != NULL);
    (void)json_object_del(shown, "topic");
    (void)json_object_del(shown, "offset");
    (void)json_object_del(shown, "ingested");
    char *line = json_dumps(shown, JSON_COMPACT);
    check(line != NULL);
    struct record_json *again = calloc(1, sizeof *again);
    check(again != NULL);
    check(record_json_read(again, line, strlen(line)));
    check(is_same(again->record.key, record->key));
    check(is_same(again->record.value, record->value));
    check(again->record.timestamp_ms == record->timestamp_ms);
    check(again->record.header_count == record->header_count);
    for (size_t i = 0; i < record->header_count; i++) {
        check(is_same(again->record.headers[i].key, record->headers[i].key));
        check(is_same(again->record.headers[i].value, record->headers[i].value));
    }
    record_json_done(again);
    free(again);
    free(line);
    json_decref(shown);
}

static void try_line(const uint8_t *bytes, size_t byte_count)
{
    struct record_json *parsed = calloc(1, sizeof *parsed);
    check(parsed != NULL);
    if (record_json_read(parsed, (const char *)bytes, byte_count)) {
        read_again(&parsed->record);
    } else {
        check(parsed->fault[0] != '\0');
    }
    record_json_done(parsed);
    free(parsed);
}

static void try_from(const uint8_t *bytes, size_t byte_count)
{
    char *text = malloc(byte_count + 1);
    check(text != NULL);
    memcpy(text, bytes, byte_count);
    text[byte_count] = '\0';
    struct millrace_start start;
    struct millrace_start again;
    if (from_text_parse(text, &start) && start.kind == MILLRACE_START_TIME) {
        char shown[32];
        from_text_format_time(start.value, shown);
        check(shown[0] == '-' || from_text_parse(shown, &again));
        check(shown[0] == '-' || again.value == start.value);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count > 0 && bytes[0] == 'f') {
        try_from(bytes + 1, byte_count - 1);
    } else if (byte_count > 0) {
        try_line(bytes + 1, byte_count - 1);
    }
    return 0;
}
