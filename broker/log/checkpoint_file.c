#include "broker/log/checkpoint_file.h"

#include "broker/log/log_name.h"
#include "broker/log/text_lines.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES_MAX 16U
#define ROW_NUMBER_BYTES_MAX 34U /* Space, 10, space, 20, newline, NUL. */

static enum status decode_row(struct text_lines *lines, struct checkpoint_file_row *out_row)
{
    struct wire_text line;
    if (!text_lines_step(lines, &line)) {
        return STATUS_MALFORMED;
    }
    struct wire_text topic_name = text_lines_field(&line);
    struct wire_text partition_field = text_lines_field(&line);
    int64_t partition = 0;
    int64_t offset = 0;
    if (!log_name_is_topic(topic_name.bytes, (size_t)topic_name.byte_count) ||
        !text_lines_number(partition_field, INT32_MAX, false, &partition) ||
        !text_lines_number(line, INT64_MAX, false, &offset)) {
        return STATUS_MALFORMED;
    }
    *out_row = (struct checkpoint_file_row){
        .topic_name = topic_name, .partition = (int32_t)partition, .offset = offset};
    return STATUS_OK;
}

static enum status decode_rows(struct text_lines *lines, struct checkpoint_file_row *rows,
                               uint32_t row_count)
{
    for (uint32_t i = 0; i < row_count; i++) {
        TRY(decode_row(lines, &rows[i]));
    }
    struct wire_text line;
    return text_lines_step(lines, &line) ? STATUS_MALFORMED : STATUS_OK;
}

enum status checkpoint_file_decode(const uint8_t *bytes, size_t byte_count,
                                   struct checkpoint_file_row **out_rows, uint32_t *out_row_count)
{
    struct text_lines lines;
    text_lines_init(&lines, bytes, byte_count);
    uint32_t row_count = 0;
    TRY(text_lines_head(&lines, CHECKPOINT_FILE_ROWS_MAX, &row_count));
    struct checkpoint_file_row *rows = NULL;
    if (row_count > 0) {
        rows = calloc(row_count, sizeof *rows);
        if (rows == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    enum status status = decode_rows(&lines, rows, row_count);
    if (status != STATUS_OK) {
        free(rows);
        return status;
    }
    *out_rows = rows;
    *out_row_count = row_count;
    return STATUS_OK;
}

enum status checkpoint_file_encode(const struct checkpoint_file_row *rows, uint32_t row_count,
                                   uint8_t **out_bytes, size_t *out_byte_count)
{
    size_t room = HEAD_BYTES_MAX;
    for (uint32_t i = 0; i < row_count; i++) {
        check(log_name_is_topic(rows[i].topic_name.bytes, (size_t)rows[i].topic_name.byte_count));
        check(rows[i].partition >= 0);
        check(rows[i].offset >= 0);
        room += (size_t)rows[i].topic_name.byte_count + ROW_NUMBER_BYTES_MAX;
    }
    char *text = malloc(room);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t used = (size_t)snprintf(text, room, "0\n%" PRIu32 "\n", row_count);
    for (uint32_t i = 0; i < row_count; i++) {
        used += (size_t)snprintf(text + used, room - used, "%.*s %" PRId32 " %" PRId64 "\n",
                                 rows[i].topic_name.byte_count, rows[i].topic_name.bytes,
                                 rows[i].partition, rows[i].offset);
    }
    check(used < room);
    *out_bytes = (uint8_t *)text;
    *out_byte_count = used;
    return STATUS_OK;
}
