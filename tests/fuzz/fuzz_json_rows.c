/* Goal: guessing never changes what a record means, and what a record means is what JSON says.
 * Method: the input's lines are records. One reader guesses, and keeps what it learnt from all
 * inputs before; one guesses from what the input's own records taught it; one searches every key.
 * All must give the same rows. Then each record is read by
 * jansson, which knows nothing of columns: what it takes must be in the rows, what it refuses as
 * syntax must be a misfit. What is written of a row reads back as the same row. */
#include "processor/format/json_rows.h"
#include "proto/sys/check.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 64U
#define ARENA_BYTES ((size_t)64 << 20)

static const struct json_column asked[] = {
    {"flight", VALUE_BIGINT, false},    {"scheduled_at", VALUE_TIMESTAMPTZ, false},
    {"delay_min", VALUE_INT, false},    {"origin", VALUE_TEXT, false},
    {"mean", VALUE_DOUBLE, false},      {"is_late", VALUE_BOOL, false},
    {"destination", VALUE_TEXT, false},
};
#define COLUMNS (sizeof asked / sizeof asked[0])

struct rows {
    struct column columns[COLUMNS];
    uint8_t misfits[ROWS_MAX / 8];
};

static struct json_reader *guessing;
static struct json_reader *fresh;
static struct json_reader *searching;
static struct arena arena;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void read_rows(struct json_reader *reader, const struct wire_bytes *values, uint32_t count,
                      struct rows *rows)
{
    memset(rows->misfits, 0, sizeof rows->misfits);
    enum status status =
        json_reader_read(reader, values, count, &arena, rows->misfits, rows->columns);
    check(status == STATUS_OK);
}

static bool same_value(const struct column *left, const struct column *right, uint32_t left_row,
                       uint32_t right_row)
{
    if (column_is_null(left, left_row) || column_is_null(right, right_row)) {
        return column_is_null(left, left_row) && column_is_null(right, right_row);
    }
    if (left->type == VALUE_BOOL) {
        return column_bool(left, left_row) == column_bool(right, right_row);
    }
    if (left->type == VALUE_TEXT) {
        struct column_text one = column_text(left, left_row);
        struct column_text other = column_text(right, right_row);
        return one.byte_count == other.byte_count &&
               memcmp(one.bytes, other.bytes, one.byte_count) == 0;
    }
    size_t size = column_value_bytes(left->type);
    return memcmp(left->values.bools + left_row * size, right->values.bools + right_row * size,
                  size) == 0;
}

static void hold_same(const struct rows *left, const struct rows *right, uint32_t count)
{
    for (uint32_t row = 0; row < count; row++) {
        check(row_bits_get(left->misfits, row) == row_bits_get(right->misfits, row));
        for (size_t i = 0; i < COLUMNS; i++) {
            check(same_value(&left->columns[i], &right->columns[i], row, row));
            check(!row_bits_get(left->misfits, row) || column_is_null(&left->columns[i], row));
        }
    }
}

/* Of two halves of a surrogate pair jansson asks everywhere, we only where the text is wanted. */
static bool may_differ(struct wire_bytes value, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    bool is_syntax = code == json_error_invalid_syntax ||
                     code == json_error_premature_end_of_input ||
                     code == json_error_end_of_input_expected;
    return !is_syntax || memmem(value.bytes, (size_t)value.byte_count, "\\u", 2) != NULL;
}

/* Nested deeper than we allow; or with zero bytes, which jansson passes over between two tokens. */
static bool is_beyond(const uint8_t *bytes, size_t byte_count)
{
    if (memchr(bytes, 0, byte_count) != NULL) {
        return true;
    }
    size_t opened = 0;
    for (size_t i = 0; i < byte_count; i++) {
        opened += bytes[i] == '{' || bytes[i] == '[';
    }
    return opened > JSON_DEPTH_MAX;
}

static void hold_number(const json_t *value, const struct column *column, uint32_t row)
{
    bool is_whole = json_is_integer(value);
    double real = json_number_value(value);
    if (column->type == VALUE_DOUBLE) {
        double expected = is_whole ? (double)json_integer_value(value) : real;
        check(column->values.doubles[row] == expected);
    } else if (is_whole) {
        check(
            (column->type == VALUE_INT ? column->values.ints[row] : column->values.bigints[row]) ==
            json_integer_value(value));
    } else {
        /* A double says what a fraction was only up to 2^53. */
        double got = column->type == VALUE_INT ? (double)column->values.ints[row]
                                               : (double)column->values.bigints[row];
        check(got == real);
    }
}

/* Does a value that jansson gives fit the column, as far as its type says? */
static bool fits(const json_t *value, enum value_type type)
{
    switch (type) {
    case VALUE_BOOL:
        return json_is_boolean(value);
    case VALUE_INT:
    case VALUE_BIGINT:
    case VALUE_DOUBLE:
        return json_is_number(value);
    case VALUE_TEXT:
    case VALUE_TIMESTAMPTZ:
    case VALUE_INTERVAL:
        return json_is_string(value);
    }
    return false;
}

/* A column of a row that was taken, against what jansson found under its key. */
static void hold_column(const json_t *value, const struct column *column, uint32_t row)
{
    if (value == NULL || json_is_null(value)) {
        check(column_is_null(column, row));
        return;
    }
    check(!column_is_null(column, row));
    check(fits(value, column->type));
    if (json_is_number(value)) {
        hold_number(value, column, row);
    } else if (json_is_boolean(value)) {
        check(column_bool(column, row) == json_is_true(value));
    } else if (column->type == VALUE_TEXT) {
        struct column_text text = column_text(column, row);
        check(text.byte_count == json_string_length(value));
        check(memcmp(text.bytes, json_string_value(value), text.byte_count) == 0);
    }
}

/* Must a record that jansson takes be taken? Times are only guessed at by their length. */
static bool must_fit(json_t *record)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        const json_t *value = json_object_get(record, asked[i].name);
        if (value == NULL || json_is_null(value)) {
            continue;
        }
        if (!fits(value, asked[i].type) || asked[i].type == VALUE_TIMESTAMPTZ ||
            (asked[i].type == VALUE_INT &&
             (!json_is_integer(value) || json_integer_value(value) > INT32_MAX ||
              json_integer_value(value) < INT32_MIN)) ||
            (asked[i].type == VALUE_BIGINT && !json_is_integer(value))) {
            return false;
        }
    }
    return true;
}

static void hold_against_jansson(struct wire_bytes value, const struct rows *rows, uint32_t row)
{
    json_error_t error;
    bool is_misfit = row_bits_get(rows->misfits, row);
    size_t byte_count = (size_t)value.byte_count;
    json_t *strict = json_loadb((const char *)value.bytes, byte_count,
                                JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
    json_t *record =
        json_loadb((const char *)value.bytes, byte_count, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (record == NULL) {
        check(is_misfit || may_differ(value, &error));
    } else if (!json_is_object(record)) {
        check(is_misfit);
    } else if (!is_misfit) {
        for (size_t i = 0; i < COLUMNS; i++) {
            hold_column(json_object_get(record, asked[i].name), &rows->columns[i], row);
        }
    } else {
        check(strict == NULL || !must_fit(record) || is_beyond(value.bytes, byte_count));
    }
    json_decref(strict);
    json_decref(record);
}

static void hold_written(const struct rows *rows, uint32_t row, size_t input_bytes)
{
    const char *names[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        names[i] = asked[i].name;
    }
    size_t capacity = 512 + 8 * input_bytes;
    uint8_t *bytes = malloc(capacity);
    check(bytes != NULL);
    size_t written = 0;
    enum status status =
        json_row_write(rows->columns, names, COLUMNS, row, bytes, capacity, &written);
    check(status == STATUS_OK);
    struct wire_bytes value = {.bytes = bytes, .byte_count = (int32_t)written};
    struct rows back;
    read_rows(searching, &value, 1, &back);
    check(!row_bits_get(back.misfits, 0));
    for (size_t i = 0; i < COLUMNS; i++) {
        check(same_value(&rows->columns[i], &back.columns[i], row, 0));
    }
    free(bytes);
}

static uint32_t split(const uint8_t *bytes, size_t byte_count, struct wire_bytes *values)
{
    uint32_t count = 0;
    size_t start = 0;
    for (size_t i = 0; i <= byte_count && count < ROWS_MAX; i++) {
        if (i == byte_count || bytes[i] == '\n') {
            /* A copy of its own, so that a sanitizer sees its ends. */
            uint8_t *copy = malloc(i - start + 1);
            check(copy != NULL);
            uint8_t *exact = realloc(copy, i == start ? 1 : i - start);
            check(exact != NULL);
            memcpy(exact, bytes + start, i - start);
            values[count++] =
                (struct wire_bytes){.bytes = exact, .byte_count = (int32_t)(i - start)};
            start = i + 1;
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (guessing == NULL) {
        enum status one = json_reader_new(asked, COLUMNS, &guessing);
        enum status other = json_reader_new(asked, COLUMNS, &searching);
        enum status third = json_reader_new(asked, COLUMNS, &fresh);
        check(one == STATUS_OK && other == STATUS_OK && third == STATUS_OK);
        json_reader_set_learning(searching, false);
    }
    arena_init(&arena, ARENA_BYTES);
    struct wire_bytes values[ROWS_MAX];
    uint32_t count = split(bytes, byte_count, values);
    struct rows guessed;
    struct rows searched;
    read_rows(guessing, values, count, &guessed);
    read_rows(searching, values, count, &searched);
    hold_same(&guessed, &searched, count);
    json_reader_set_learning(fresh, true); /* Forgets the input before. */
    for (int pass = 0; pass < 2; pass++) {
        read_rows(fresh, values, count, &guessed);
        hold_same(&guessed, &searched, count);
    }
    for (uint32_t row = 0; row < count; row++) {
        hold_against_jansson(values[row], &guessed, row);
        if (!row_bits_get(guessed.misfits, row)) {
            hold_written(&guessed, row, (size_t)values[row].byte_count);
        }
        char reason[JSON_REASON_BYTES_MAX];
        json_reader_explain(guessing, values[row], reason);
        check((strcmp(reason, "it fits") == 0) == !row_bits_get(guessed.misfits, row));
        void *copy;
        memcpy(&copy, &values[row].bytes, sizeof copy);
        free(copy);
    }
    arena_done(&arena);
    return 0;
}
