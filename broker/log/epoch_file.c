#include "broker/log/epoch_file.h"

#include "broker/log/text_lines.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD_BYTES_MAX 16U
#define ROW_BYTES_MAX 32U /* 10 + 1 + 19 + 1. */

static enum status decode_row(struct text_lines *lines, struct epoch_history *history)
{
    struct wire_text line;
    if (!text_lines_step(lines, &line)) {
        return STATUS_MALFORMED;
    }
    int64_t epoch = 0;
    int64_t start_offset = 0;
    struct wire_text epoch_field = text_lines_field(&line);
    if (!text_lines_number(epoch_field, INT32_MAX, false, &epoch) ||
        !text_lines_number(line, INT64_MAX, false, &start_offset)) {
        return STATUS_MALFORMED;
    }
    if (history->entry_count > 0) {
        const struct epoch_history_entry *last =
            &epoch_history_entries(history)[history->entry_count - 1];
        if (epoch <= last->epoch || start_offset <= last->start_offset) {
            return STATUS_MALFORMED;
        }
    }
    bool is_added = epoch_history_assign(history, (int32_t)epoch, start_offset);
    check(is_added);
    return STATUS_OK;
}

static enum status decode_rows(struct text_lines *lines, struct epoch_history *history)
{
    uint32_t row_count = 0;
    TRY(text_lines_head(lines, EPOCH_HISTORY_ENTRIES_MAX, &row_count));
    for (uint32_t i = 0; i < row_count; i++) {
        TRY(decode_row(lines, history));
    }
    struct wire_text line;
    return text_lines_step(lines, &line) ? STATUS_MALFORMED : STATUS_OK;
}

enum status epoch_file_decode(const uint8_t *bytes, size_t byte_count,
                              struct epoch_history *out_history)
{
    check(out_history->entry_count == 0);
    struct text_lines lines;
    text_lines_init(&lines, bytes, byte_count);
    enum status status = decode_rows(&lines, out_history);
    if (status != STATUS_OK) {
        epoch_history_clear(out_history);
    }
    return status;
}

enum status epoch_file_encode(const struct epoch_history *history, uint8_t **out_bytes,
                              size_t *out_byte_count)
{
    const struct epoch_history_entry *entries = epoch_history_entries(history);
    size_t room = HEAD_BYTES_MAX + (size_t)history->entry_count * ROW_BYTES_MAX;
    char *text = malloc(room);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t used = (size_t)snprintf(text, room, "0\n%" PRIu32 "\n", history->entry_count);
    for (uint32_t i = 0; i < history->entry_count; i++) {
        used += (size_t)snprintf(text + used, room - used, "%" PRId32 " %" PRId64 "\n",
                                 entries[i].epoch, entries[i].start_offset);
    }
    check(used < room);
    *out_bytes = (uint8_t *)text;
    *out_byte_count = used;
    return STATUS_OK;
}
