#include "client/shell/shell_output.h"

#include "client/shell/shell_error.h"
#include "proto/sys/check.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CELL_BYTES_MAX 512U

static enum shell_exit fail_no_memory(const struct shell_call *call)
{
    return shell_fail(call, (struct shell_cause){"NO_MEMORY", "the system gives none", "free some"},
                      "the result does not fit the memory");
}

enum shell_exit shell_output_json(const struct shell_call *call, json_t *value)
{
    if (value == NULL) {
        return fail_no_memory(call);
    }
    (void)json_dumpf(value, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(value);
    return SHELL_DONE;
}

struct cell {
    char text[CELL_BYTES_MAX];
    size_t byte_count;
};

static void cell_add(struct cell *cell, const char *text, size_t byte_count)
{
    /* A control byte in a name must not move the reader's cursor. */
    for (size_t i = 0; i < byte_count && cell->byte_count + 1 < sizeof cell->text; i++) {
        unsigned char byte = (unsigned char)text[i];
        cell->text[cell->byte_count] = iscntrl(byte) ? '?' : (char)byte;
        cell->byte_count += 1;
    }
    cell->text[cell->byte_count] = '\0';
}

static void cell_add_value(struct cell *cell, const json_t *value)
{
    if (value == NULL || json_is_null(value)) {
        cell_add(cell, "-", 1);
    } else if (json_is_string(value)) {
        cell_add(cell, json_string_value(value), json_string_length(value));
    } else if (json_is_boolean(value)) {
        const char *text = json_is_true(value) ? "yes" : "no";
        cell_add(cell, text, strlen(text));
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            cell_add(cell, ",", i == 0 ? 0 : 1);
            cell_add_value(cell, json_array_get(value, i));
        }
    } else {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        cell_add(cell, text == NULL ? "?" : text, text == NULL ? 1 : strlen(text));
        free(text);
    }
}

/* Characters, not bytes: those that continue one are not counted. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0U) != 0x80U;
    }
    return width;
}

static void cell_fill(struct cell *cell, const json_t *row, const char *key)
{
    cell->byte_count = 0;
    cell->text[0] = '\0';
    cell_add_value(cell, json_object_get(row, key));
}

struct column {
    const char *key; /* Borrowed from the first row. */
    size_t width;
    bool is_number;
};

static void print_padded(FILE *out, const struct column *column, const char *text, bool is_last)
{
    size_t width = width_of(text);
    int pad = (int)(column->width > width ? column->width - width : 0);
    if (column->is_number) {
        (void)fprintf(out, "%*s%s", pad, "", text);
    } else {
        (void)fprintf(out, "%s%*s", text, is_last ? 0 : pad, "");
    }
    (void)fputs(is_last ? "\n" : "  ", out);
}

static void print_heads(FILE *out, const struct column *columns, size_t column_count)
{
    for (size_t i = 0; i < column_count; i++) {
        struct cell cell = {.byte_count = 0};
        cell_add(&cell, columns[i].key, strlen(columns[i].key));
        for (size_t j = 0; j < cell.byte_count; j++) {
            char c = cell.text[j];
            cell.text[j] = c == '_' ? ' ' : (char)toupper((unsigned char)c);
        }
        print_padded(out, &columns[i], cell.text, i + 1 == column_count);
    }
}

static size_t measure(json_t *rows, struct column *columns)
{
    size_t column_count = 0;
    const char *key = NULL;
    json_t *value = NULL;
    json_t *first = json_array_get(rows, 0);
    json_object_foreach(first, key, value)
    {
        check(column_count < SHELL_COLUMNS_MAX);
        columns[column_count] =
            (struct column){.key = key, .width = strlen(key), .is_number = json_is_number(value)};
        column_count += 1;
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t j = 0; j < column_count; j++) {
            struct cell cell;
            cell_fill(&cell, json_array_get(rows, i), columns[j].key);
            size_t width = width_of(cell.text);
            columns[j].width = width > columns[j].width ? width : columns[j].width;
        }
    }
    return column_count;
}

void shell_output_table(json_t *rows, FILE *out)
{
    if (json_array_size(rows) > 0) {
        struct column columns[SHELL_COLUMNS_MAX];
        size_t column_count = measure(rows, columns);
        print_heads(out, columns, column_count);
        for (size_t i = 0; i < json_array_size(rows); i++) {
            for (size_t j = 0; j < column_count; j++) {
                struct cell cell;
                cell_fill(&cell, json_array_get(rows, i), columns[j].key);
                print_padded(out, &columns[j], cell.text, j + 1 == column_count);
            }
        }
    }
    json_decref(rows);
}

enum shell_exit shell_output_rows(const struct shell_call *call, json_t *rows, const char *empty)
{
    if (rows == NULL) {
        return fail_no_memory(call);
    }
    if (call->format == SHELL_JSON) {
        return shell_output_json(call, rows);
    }
    if (json_array_size(rows) == 0) {
        (void)fprintf(stderr, "%s\n", empty);
    }
    shell_output_table(rows, stdout);
    return SHELL_DONE;
}

static json_t *base64_of(const uint8_t *bytes, size_t byte_count)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((byte_count + 2) / 3 * 4 + 1);
    if (text == NULL) {
        return NULL;
    }
    size_t length = 0;
    for (size_t i = 0; i < byte_count; i += 3) {
        size_t left = byte_count - i;
        uint32_t word = (uint32_t)bytes[i] << 16U;
        word |= left > 1 ? (uint32_t)bytes[i + 1] << 8U : 0U;
        word |= left > 2 ? (uint32_t)bytes[i + 2] : 0U;
        text[length] = digits[word >> 18U & 63U];
        text[length + 1] = digits[word >> 12U & 63U];
        text[length + 2] = left > 1 ? digits[word >> 6U & 63U] : '=';
        text[length + 3] = left > 2 ? digits[word & 63U] : '=';
        length += 4;
    }
    json_t *value = json_pack("{s:s%}", "base64", text, length);
    free(text);
    return value;
}

json_t *shell_output_bytes(struct millrace_bytes bytes)
{
    if (bytes.data == NULL) {
        return json_null();
    }
    json_t *value = json_stringn(bytes.data, bytes.size); /* NULL: not UTF-8. */
    return value != NULL ? value : base64_of(bytes.data, bytes.size);
}

json_t *shell_output_known(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

enum shell_exit shell_output_finish(const struct shell_call *call)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return SHELL_DONE;
    }
    return shell_fail(call,
                      (struct shell_cause){"OUTPUT", "the disk may be full or the reader gone",
                                           "look where standard output leads"},
                      "the result could not be written");
}
