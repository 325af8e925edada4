/* Goal: every message of Kafka, in every version, means to us what it means to Kafka.
 * Method: the golden vectors, made by Kafka's own classes: decode, compare with their JSON, encode,
 * compare the bytes; fill from JSON, encode, compare; encode defaults where the vector has
 * defaults; and no beginning of a message is a message. Bytes that hold unknown tags are compared
 * by meaning only, since we drop those tags. */
#include "proto/kafka/api_key.h"
#include "tests/rig/golden_lines.h"
#include "tests/rig/message_json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES_MAX ((size_t)1024)
#define CUT_COUNT_MAX ((size_t)48)
#define ENTRY_COUNT_MAX 300

static struct arena arena;
static uint32_t seen_versions[ENTRY_COUNT_MAX]; /* One bit a version, by place in the table. */

static void set_up(void)
{
    arena_init(&arena, (size_t)1 << 26);
}

static void tear_down(void)
{
    arena_done(&arena);
}

TestSuite(kafka_golden, .init = set_up, .fini = tear_down);

struct bytes {
    const uint8_t *bytes;
    size_t byte_count;
};

static struct bytes decode_hex(const json_t *line, const char *name)
{
    int64_t byte_count = 0;
    uint8_t *bytes = golden_lines_hex(golden_lines_member(line, name), &byte_count);
    uint8_t *copy = arena_take(&arena, (size_t)byte_count);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, (size_t)byte_count);
    free(bytes);
    return (struct bytes){copy, (size_t)byte_count};
}

static const struct message_entry *find_entry(const char *name, enum message_kind kind)
{
    for (uint32_t i = 0; i < message_table_count; i++) {
        if (message_table[i].kind == kind && strcmp(message_table[i].name, name) == 0) {
            return &message_table[i];
        }
    }
    cr_assert_fail("no schema for %s", name);
    return NULL;
}

struct golden_case {
    const struct message_entry *entry;
    int16_t version;
    bool has_unknown_tags;
    bool has_defaults; /* In every field. */
    struct bytes bytes;
    const json_t *json;
};

static void expect_same_meaning(const struct golden_case *self, struct bytes bytes, void *out)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, bytes.byte_count);
    cr_assert_leq(self->entry->shape->byte_count, VALUE_BYTES_MAX);

    enum status status = self->entry->decode(&reader, self->version, &arena, out);

    struct message_json_place place;
    cr_assert_eq(status, STATUS_OK, "%s version %d", self->entry->name, self->version);
    cr_assert_eq(wire_reader_left(&reader), 0U, "%s version %d", self->entry->name, self->version);
    cr_assert(message_json_matches(self->entry->shape, self->version, out, self->json, &place),
              "%s version %d differs in %s.%s", self->entry->name, self->version, place.shape,
              place.field);
}

static struct bytes encode(const struct golden_case *self, const void *value)
{
    struct wire_writer writer;
    wire_writer_init(&writer, &arena);
    self->entry->encode(value, self->version, &writer);
    struct bytes encoded = {0};
    encoded.bytes = wire_writer_flatten(&writer, &encoded.byte_count);
    cr_assert_eq(wire_writer_status(&writer), STATUS_OK, "%s version %d", self->entry->name,
                 self->version);
    return encoded;
}

static void expect_same_bytes(const struct golden_case *self, struct bytes actual,
                              struct bytes expected)
{
    cr_assert_eq(actual.byte_count, expected.byte_count, "%s version %d", self->entry->name,
                 self->version);
    cr_assert(actual.byte_count == 0 ||
                  memcmp(actual.bytes, expected.bytes, actual.byte_count) == 0,
              "%s version %d", self->entry->name, self->version);
}

/* Each beginning lies at the end of its own block, where the address sanitizer sees a step out. */
static void expect_no_beginning_decodes(const struct golden_case *self)
{
    size_t step = 1 + self->bytes.byte_count / CUT_COUNT_MAX;
    _Alignas(16) uint8_t value[VALUE_BYTES_MAX];
    for (size_t cut = 0; cut < self->bytes.byte_count; cut += step) {
        uint8_t *copy = malloc(cut);
        memcpy(copy, self->bytes.bytes, cut);
        struct wire_reader reader;
        wire_reader_init(&reader, copy, cut);
        cr_assert_eq(self->entry->decode(&reader, self->version, &arena, value), STATUS_MALFORMED,
                     "%s version %d cut at %zu", self->entry->name, self->version, cut);
        free(copy);
    }
}

static void expect_golden(const struct golden_case *self)
{
    _Alignas(16) uint8_t decoded[VALUE_BYTES_MAX];
    _Alignas(16) uint8_t filled[VALUE_BYTES_MAX];

    expect_same_meaning(self, self->bytes, decoded);
    struct bytes encoded = encode(self, decoded);
    if (self->has_unknown_tags) {
        cr_assert_lt(encoded.byte_count, self->bytes.byte_count);
        expect_same_meaning(self, encoded, decoded);
    } else {
        expect_same_bytes(self, encoded, self->bytes);
    }
    cr_assert_eq(message_json_read(self->entry->shape, self->json, &arena, filled), STATUS_OK);
    expect_same_bytes(self, encode(self, filled), encoded);
    if (self->has_defaults) {
        self->entry->shape->defaults(filled);
        expect_same_bytes(self, encode(self, filled), self->bytes);
    }
    expect_no_beginning_decodes(self);

    seen_versions[self->entry - message_table] |= 1U << self->version;
}

/* ---- the two forms of line */

static bool has_fill(const json_t *line, const char *fill)
{
    return strcmp(golden_lines_text(line, "fill"), fill) == 0;
}

static void expect_message_line(const json_t *line)
{
    static const struct {
        const char *kind;
        const char *suffix;
        enum message_kind entry_kind;
    } kinds[] = {{"request", "Request", MESSAGE_REQ},
                 {"response", "Response", MESSAGE_RSP},
                 {"header", "", MESSAGE_HDR},
                 {"data", "", MESSAGE_DATA}};
    const char *kind = golden_lines_text(line, "kind");
    size_t place = 0;
    while (strcmp(kinds[place].kind, kind) != 0) {
        place += 1;
        cr_assert_lt(place, sizeof kinds / sizeof kinds[0]);
    }
    char name[100];
    snprintf(name, sizeof name, "%s%s", golden_lines_text(line, "api"), kinds[place].suffix);

    struct golden_case golden = {
        .entry = find_entry(name, kinds[place].entry_kind),
        .version = (int16_t)golden_lines_number(line, "version"),
        .has_unknown_tags = has_fill(line, "unknown_tags"),
        .has_defaults = has_fill(line, "default"),
        .bytes = decode_hex(line, "hex"),
        .json = golden_lines_member(line, "json"),
    };
    bool is_flexible = golden.version >= golden.entry->version_flexible_min;
    cr_assert_eq(is_flexible, json_is_true(golden_lines_member(line, "flexible")));
    expect_golden(&golden);

    int64_t header_version = -1;
    if (golden.entry->kind == MESSAGE_REQ) {
        header_version = api_key_request_header_version(golden.entry->key, golden.version);
    } else if (golden.entry->kind == MESSAGE_RSP) {
        header_version = api_key_response_header_version(golden.entry->key, golden.version);
    } else {
        return;
    }
    cr_assert_eq(header_version, golden_lines_number(line, "headerVersion"));
    cr_assert_eq(golden.entry->key, golden_lines_number(line, "key"));
}

/* The int16 in front of a key is the record's type, in front of a value its version. */
static struct bytes behind_int16(struct bytes bytes, int16_t *out_number)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, bytes.byte_count);
    *out_number = wire_read_int16(&reader);
    return (struct bytes){reader.next, wire_reader_left(&reader)};
}

static void expect_record_line(const json_t *line)
{
    bool has_unknown_tags = has_fill(line, "unknown_tags");
    bool has_defaults = has_fill(line, "default");
    char name[100];
    int16_t number = 0;
    snprintf(name, sizeof name, "%sKey", golden_lines_text(line, "name"));
    struct golden_case key = {.entry = find_entry(name, MESSAGE_CKEY),
                              .has_defaults = has_defaults,
                              .json = golden_lines_member(line, "key")};
    key.bytes = behind_int16(decode_hex(line, "keyHex"), &number);
    cr_assert_eq(number, key.entry->key);
    cr_assert_eq(number, golden_lines_number(line, "type"));

    snprintf(name, sizeof name, "%sValue", golden_lines_text(line, "name"));
    struct golden_case value = {.entry = find_entry(name, MESSAGE_CVAL),
                                .has_unknown_tags = has_unknown_tags,
                                .has_defaults = has_defaults,
                                .json = golden_lines_member(line, "value")};
    value.bytes = behind_int16(decode_hex(line, "valueHex"), &value.version);
    cr_assert_eq(value.version, golden_lines_number(line, "valueVersion"));

    expect_golden(&key);
    expect_golden(&value);
}

static int for_each_line(const char *name, void (*expect)(const json_t *line))
{
    struct golden_lines lines;
    golden_lines_open(&lines, name);
    int line_count = 0;
    for (const json_t *line = golden_lines_next(&lines); line != NULL;
         line = golden_lines_next(&lines)) {
        expect(line);
        arena_reset(&arena);
        line_count += 1;
    }
    golden_lines_close(&lines);
    return line_count;
}

Test(kafka_golden, every_version_of_every_message_is_as_kafka_writes_it)
{
    cr_assert_leq(message_table_count, ENTRY_COUNT_MAX);

    cr_expect_eq(for_each_line("messages.jsonl.gz", expect_message_line), 2937);
    cr_expect_eq(for_each_line("messages-legacy.jsonl.gz", expect_message_line), 220);
    cr_expect_eq(for_each_line("coordinator-records.jsonl.gz", expect_record_line), 194);

    for (uint32_t i = 0; i < message_table_count; i++) {
        const struct message_entry *entry = &message_table[i];
        for (int16_t version = entry->versions.low; version <= entry->versions.high; version++) {
            cr_expect(seen_versions[i] >> version & 1, "no vector of %s version %d", entry->name,
                      version);
        }
    }
}
