#include "processor/format/json_rows.h"

#include "processor/format/json_scan.h"
#include "processor/format/json_shape.h"
#include "processor/format/json_slot.h"
#include "processor/format/json_string.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_READER_MAGIC 0x15042ead
#define KEY_ESCAPE_BYTES 6U /* As in \u00e4. */
#define KEY_BYTES_MAX 256U  /* Of a key with escapes that can still be a column's name. */
#define SHOWN_BYTES_MAX 40U

_Static_assert(JSON_DEPTH_MAX == JSON_SCAN_DEPTH_MAX, "promised in the door");

struct reader_column {
    struct json_column asked;
    size_t name_bytes;
    uint64_t row_seen; /* Number of the last row that had it. */
    int32_t next;      /* In its chain of the table; -1: the last. */
    struct json_slot slot;
};

struct json_reader {
    uint32_t magic;
    uint32_t column_count;
    struct reader_column *columns; /* Owned. */
    int32_t *table;                /* Owned. Heads of chains by hash of the name, -1: empty. */
    uint32_t table_mask;
    bool is_learning;
    uint64_t row_number; /* Of the row being read, over the reader's life, from 1. */
    struct json_reader_stats stats;
    /* Why the last row did not fit. */
    enum json_slot_fault fault;
    int32_t fault_column;       /* -1: none in particular. */
    const uint8_t *fault_value; /* Where it was met; NULL: the column is missing or null. */
    struct json_shape shape;
};

static uint32_t key_hash(const uint8_t *bytes, size_t byte_count)
{
    uint32_t hash = 2166136261U; /* FNV-1a: names are short, and only plans bring them. */
    for (size_t i = 0; i < byte_count; i++) {
        hash = (hash ^ bytes[i]) * 16777619U;
    }
    return hash ^ hash >> 15;
}

static int32_t find_column(const struct json_reader *self, const uint8_t *name, size_t byte_count)
{
    int32_t found = self->table[key_hash(name, byte_count) & self->table_mask];
    while (found >= 0) {
        const struct reader_column *column = &self->columns[found];
        if (column->name_bytes == byte_count && memcmp(column->asked.name, name, byte_count) == 0) {
            return found;
        }
        found = column->next;
    }
    return -1;
}

static void index_columns(struct json_reader *self)
{
    for (uint32_t i = 0; i <= self->table_mask; i++) {
        self->table[i] = -1;
    }
    for (uint32_t i = 0; i < self->column_count; i++) {
        struct reader_column *column = &self->columns[i];
        const uint8_t *name = (const uint8_t *)column->asked.name;
        int32_t *head = &self->table[key_hash(name, column->name_bytes) & self->table_mask];
        column->next = *head;
        *head = (int32_t)i;
    }
}

enum status json_reader_new(const struct json_column *columns, uint32_t column_count,
                            struct json_reader **out_reader)
{
    check(column_count <= INT32_MAX / 4);
    struct json_reader *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return STATUS_NO_MEMORY;
    }
    self->magic = JSON_READER_MAGIC;
    self->column_count = column_count;
    self->is_learning = true;
    self->table_mask = 1;
    while (self->table_mask < 2 * column_count) {
        self->table_mask = self->table_mask * 2 + 1;
    }
    self->columns = calloc((size_t)column_count + 1, sizeof *self->columns);
    self->table = calloc((size_t)self->table_mask + 1, sizeof *self->table);
    if (self->columns == NULL || self->table == NULL) {
        json_reader_free(self);
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column_count; i++) {
        self->columns[i].asked = columns[i];
        self->columns[i].name_bytes = strlen(columns[i].name);
    }
    index_columns(self);
    *out_reader = self;
    return STATUS_OK;
}

void json_reader_free(struct json_reader *self)
{
    if (self == NULL) {
        return;
    }
    check(self->magic == JSON_READER_MAGIC);
    self->magic = 0;
    free(self->columns);
    free(self->table);
    free(self);
}

void json_reader_set_learning(struct json_reader *self, bool is_learning)
{
    self->is_learning = is_learning;
    self->shape.member_count = 0;
}

struct json_reader_stats json_reader_stats(const struct json_reader *self)
{
    return self->stats;
}

/* What is NULL on all ways out of a row that does not fit. */
static const uint8_t *fail(struct json_reader *self, enum json_slot_fault fault, int32_t column,
                           const uint8_t *value)
{
    self->fault = fault;
    self->fault_column = column;
    self->fault_value = value;
    return NULL;
}

/* A key between its quotes, as it is written. */
static int32_t key_column(const struct json_reader *self, const uint8_t *key, size_t byte_count,
                          uint32_t flags)
{
    if ((flags & JSON_SCAN_ESCAPE) == 0) {
        return find_column(self, key, byte_count);
    }
    uint8_t decoded[KEY_BYTES_MAX * KEY_ESCAPE_BYTES];
    size_t decoded_bytes = 0;
    if (byte_count > sizeof decoded ||
        !json_string_decode(key, byte_count, decoded, &decoded_bytes)) {
        return -1;
    }
    return find_column(self, decoded, decoded_bytes);
}

/* Searches what the guess did not give: a member's key and column, or the object's end (a met key
 * of NULL). Returns where its value begins, or what is behind the object. */
static const uint8_t *search_member(struct json_reader *self, const uint8_t *next,
                                    const uint8_t *end, bool is_first, struct json_shape_met *met)
{
    *met = (struct json_shape_met){.lead = next, .is_first = is_first, .column = -1};
    next = json_scan_space(next, end);
    if (is_first) {
        if (next == end || *next != '{') {
            return fail(self, JSON_SLOT_BROKEN, -1, next);
        }
        next = json_scan_space(next + 1, end);
    }
    if (next < end && *next == '}') {
        return next + 1;
    }
    if (!is_first) {
        if (next == end || *next != ',') {
            return fail(self, JSON_SLOT_BROKEN, -1, next);
        }
        next = json_scan_space(next + 1, end);
    }
    if (next == end || *next != '"') {
        return fail(self, JSON_SLOT_BROKEN, -1, next);
    }
    uint32_t flags = 0;
    met->key_end = json_scan_string(next + 1, end, &flags);
    if (met->key_end == NULL) {
        return fail(self, JSON_SLOT_BROKEN, -1, next);
    }
    met->key = next + 1;
    next = json_scan_space(met->key_end + 1, end);
    if (next == end || *next != ':') {
        return fail(self, JSON_SLOT_BROKEN, -1, next);
    }
    next = json_scan_space(next + 1, end);
    met->lead_end = next;
    met->column = key_column(self, met->key, (size_t)(met->key_end - met->key), flags);
    return next;
}

/* A member's value, stored if it is asked for. */
static inline const uint8_t *read_value(struct json_reader *self, int32_t column, uint32_t row,
                                        const uint8_t *next, const uint8_t *end,
                                        uint32_t *seen_count)
{
    if (next < end && *next <= ' ') {
        next = json_scan_space(next, end); /* Learnt from one that had less of it. */
    }
    if (column < 0) {
        uint32_t flags = 0;
        const uint8_t *after = NULL;
        if (next < end && *next == '"') {
            after = json_scan_string(next + 1, end, &flags);
            after = after == NULL ? NULL : after + 1;
        } else {
            after = json_scan_plain(next, end);
            after = after == NULL ? json_scan_value(next, end, 1) : after;
        }
        return after == NULL ? fail(self, JSON_SLOT_BROKEN, -1, next) : after;
    }
    struct reader_column *target = &self->columns[column];
    *seen_count += target->row_seen != self->row_number;
    target->row_seen = self->row_number;
    const uint8_t *after = json_slot_read(&target->slot, row, next, end);
    return after == NULL ? fail(self, target->slot.fault, column, next) : after;
}

/* All members of one record. `seen_count`: how many columns it had. */
static const uint8_t *read_members(struct json_reader *self, uint32_t row, const uint8_t *next,
                                   const uint8_t *end, uint32_t *seen_count)
{
    struct json_shape *shape = &self->shape;
    uint32_t guess = 0;
    bool is_first = true;
    for (;;) {
        int32_t column = -1;
        if (guess < shape->member_count &&
            json_shape_holds(&shape->members[guess], is_first, next, (size_t)(end - next))) {
            next = json_scan_space(next + shape->members[guess].lead_bytes, end);
            column = shape->members[guess].column;
            guess++;
        } else {
            struct json_shape_met met;
            next = search_member(self, next, end, is_first, &met);
            if (next == NULL || met.key == NULL) {
                return next;
            }
            column = met.column;
            self->stats.members_searched++;
            guess = self->is_learning ? json_shape_learn(shape, guess, &met) : 0;
        }
        is_first = false;
        next = read_value(self, column, row, next, end, seen_count);
        if (next == NULL) {
            return NULL;
        }
    }
}

/* Columns that the record did not have become null; NOT NULL is held against the rest. */
static bool finish_row(struct json_reader *self, uint32_t row, uint32_t seen_count)
{
    for (uint32_t i = 0; i < self->column_count; i++) {
        struct reader_column *column = &self->columns[i];
        if (seen_count < self->column_count && column->row_seen != self->row_number &&
            json_slot_set_null(&column->slot, row) != STATUS_OK) {
            fail(self, JSON_SLOT_NO_MEMORY, (int32_t)i, NULL);
            return false;
        }
        if (column->asked.is_not_null && column->slot.has_null &&
            column_is_null(&column->slot.column, row)) {
            fail(self, JSON_SLOT_FITS, (int32_t)i, NULL);
            return false;
        }
    }
    return true;
}

static bool read_row(struct json_reader *self, struct wire_bytes value, uint32_t row)
{
    uint32_t seen_count = 0;
    self->row_number++;
    if (value.byte_count < 0) {
        fail(self, JSON_SLOT_FITS, -1, NULL);
        return false;
    }
    const uint8_t *end = value.bytes + value.byte_count;
    const uint8_t *next = read_members(self, row, value.bytes, end, &seen_count);
    if (next == NULL) {
        return false;
    }
    next = json_scan_space(next, end);
    if (next != end) {
        fail(self, JSON_SLOT_BROKEN, -1, next);
        return false;
    }
    return finish_row(self, row, seen_count);
}

static enum status drop_row(struct json_reader *self, uint32_t row)
{
    for (uint32_t i = 0; i < self->column_count; i++) {
        TRY(json_slot_set_null(&self->columns[i].slot, row));
    }
    return STATUS_OK;
}

enum status json_reader_read(struct json_reader *self, const struct wire_bytes *values,
                             uint32_t row_count, struct arena *arena, uint8_t *misfits,
                             struct column *out_columns)
{
    check(self->magic == JSON_READER_MAGIC);
    check(row_count <= ROW_BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < self->column_count; i++) {
        TRY(json_slot_begin(&self->columns[i].slot, self->columns[i].asked.type, row_count, arena));
    }
    for (uint32_t row = 0; row < row_count; row++) {
        if (read_row(self, values[row], row)) {
            continue;
        }
        if (self->fault == JSON_SLOT_NO_MEMORY) {
            return STATUS_NO_MEMORY;
        }
        TRY(drop_row(self, row));
        row_bits_set(misfits, row);
        self->stats.misfits++;
    }
    self->stats.rows += row_count;
    for (uint32_t i = 0; i < self->column_count; i++) {
        out_columns[i] = self->columns[i].slot.column;
    }
    return STATUS_OK;
}

static const char *type_name(enum value_type type)
{
    static const char *const names[] = {"",       "bool", "int",         "bigint",
                                        "double", "text", "timestamptz", "interval"};
    check((size_t)type < sizeof names / sizeof names[0]);
    return names[type];
}

/* The start of the value that did not fit, in printable ASCII. */
static void show_value(const uint8_t *value, const uint8_t *end,
                       char out_text[static SHOWN_BYTES_MAX + 4])
{
    const uint8_t *after = json_scan_value(value, end, 1);
    size_t byte_count = (size_t)((after == NULL ? end : after) - value);
    size_t shown = byte_count > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : byte_count;
    for (size_t i = 0; i < shown; i++) {
        out_text[i] = value[i] >= 0x20 && value[i] <= 0x7e ? (char)value[i] : '?';
    }
    memcpy(out_text + shown, "...", 4);
    if (shown == byte_count) {
        out_text[shown] = '\0';
    }
}

static void explain_column(const struct json_reader *self, const uint8_t *end,
                           char out_reason[static JSON_REASON_BYTES_MAX])
{
    const struct json_column *column = &self->columns[self->fault_column].asked;
    int name_bytes = (int)self->columns[self->fault_column].name_bytes;
    name_bytes = name_bytes > 64 ? 64 : name_bytes;
    if (self->fault_value == NULL) {
        int written =
            snprintf(out_reason, JSON_REASON_BYTES_MAX,
                     "column %.*s: missing or null, but NOT NULL", name_bytes, column->name);
        check(written > 0 && (size_t)written < JSON_REASON_BYTES_MAX);
        return;
    }
    static const char *const what[] = {
        [JSON_SLOT_FITS] = "fits",
        [JSON_SLOT_BROKEN] = "is no JSON",
        [JSON_SLOT_TYPE] = "is no",
        [JSON_SLOT_FRACTION] = "is not whole, no",
        [JSON_SLOT_RANGE] = "is beyond",
        [JSON_SLOT_TIME] = "is no RFC 3339 time, no",
        [JSON_SLOT_INTERVAL] = "is no",
        [JSON_SLOT_CHARACTER] = "has characters that Unicode has not, no",
        [JSON_SLOT_NO_MEMORY] = "is too large for",
    };
    char shown[SHOWN_BYTES_MAX + 4];
    show_value(self->fault_value, end, shown);
    bool has_type = self->fault != JSON_SLOT_BROKEN;
    int written = snprintf(out_reason, JSON_REASON_BYTES_MAX, "column %.*s: %s %s%s%s", name_bytes,
                           column->name, shown, what[self->fault], has_type ? " " : "",
                           has_type ? type_name(column->type) : "");
    check(written > 0 && (size_t)written < JSON_REASON_BYTES_MAX);
}

void json_reader_explain(struct json_reader *self, struct wire_bytes value,
                         char out_reason[static JSON_REASON_BYTES_MAX])
{
    check(self->magic == JSON_READER_MAGIC);
    struct arena arena;
    struct column *columns = calloc((size_t)self->column_count + 1, sizeof *columns);
    arena_init(&arena,
               ((size_t)1 << 20) + (size_t)(value.byte_count < 0 ? 0 : value.byte_count) * 4);
    uint8_t misfits = 0;
    struct json_reader_stats stats = self->stats;
    enum status status = columns == NULL
                             ? STATUS_NO_MEMORY
                             : json_reader_read(self, &value, 1, &arena, &misfits, columns);
    self->stats = stats;
    if (status != STATUS_OK) {
        snprintf(out_reason, JSON_REASON_BYTES_MAX, "no memory to say why");
    } else if (misfits == 0) {
        snprintf(out_reason, JSON_REASON_BYTES_MAX, "it fits");
    } else if (self->fault_column >= 0) {
        explain_column(self, value.bytes + value.byte_count, out_reason);
    } else if (value.byte_count < 0) {
        snprintf(out_reason, JSON_REASON_BYTES_MAX, "the record has no value");
    } else {
        snprintf(out_reason, JSON_REASON_BYTES_MAX,
                 "not one JSON object of at most %u levels: broken near byte %zu", JSON_DEPTH_MAX,
                 (size_t)(self->fault_value - value.bytes));
    }
    free(columns);
    arena_done(&arena);
}
