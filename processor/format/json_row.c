#include "processor/format/json_rows.h"

#include "processor/format/json_string.h"
#include "processor/format/json_value.h"

#include <string.h>

static enum status write_name(const char *name, uint8_t *bytes, size_t capacity, size_t *written)
{
    TRY(json_string_write((const uint8_t *)name, strlen(name), bytes, capacity, written));
    if (*written == capacity) {
        return STATUS_FULL;
    }
    bytes[*written] = ':';
    *written += 1;
    return STATUS_OK;
}

enum status json_row_write(const struct column *columns, const char *const *names,
                           uint32_t column_count, uint32_t row, uint8_t *bytes, size_t capacity,
                           size_t *out_byte_count)
{
    size_t count = 0;
    for (uint32_t i = 0; i < column_count; i++) {
        size_t written = 0;
        if (count == capacity) {
            return STATUS_FULL;
        }
        bytes[count++] = i == 0 ? '{' : ',';
        TRY(write_name(names[i], bytes + count, capacity - count, &written));
        count += written;
        TRY(json_value_write(&columns[i], row, bytes + count, capacity - count, &written));
        count += written;
    }
    size_t end_bytes = column_count == 0 ? 2 : 1;
    if (capacity - count < end_bytes) {
        return STATUS_FULL;
    }
    if (column_count == 0) {
        bytes[count++] = '{';
    }
    bytes[count++] = '}';
    *out_byte_count = count;
    return STATUS_OK;
}
