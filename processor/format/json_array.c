#include "processor/format/json_rows.h"

#include "processor/format/json_value.h"

enum status json_array_write(const struct column *columns, uint32_t column_count, uint32_t row,
                             uint8_t *bytes, size_t capacity, size_t *out_byte_count)
{
    size_t count = 0;
    for (uint32_t i = 0; i < column_count; i++) {
        size_t written = 0;
        if (count == capacity) {
            return STATUS_FULL;
        }
        bytes[count++] = i == 0 ? '[' : ',';
        TRY(json_value_write(&columns[i], row, bytes + count, capacity - count, &written));
        count += written;
    }
    size_t end_bytes = column_count == 0 ? 2 : 1;
    if (capacity - count < end_bytes) {
        return STATUS_FULL;
    }
    if (column_count == 0) {
        bytes[count++] = '[';
    }
    bytes[count++] = ']';
    *out_byte_count = count;
    return STATUS_OK;
}
