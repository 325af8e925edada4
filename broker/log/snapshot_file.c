#include "broker/log/snapshot_file.h"

#include "proto/wire/big_endian.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdbool.h>
#include <stdlib.h>

#define SNAPSHOT_VERSION 1U
#define CHECKSUMMED_FROM 6U

static struct snapshot_file_row decode_row(const uint8_t *bytes)
{
    return (struct snapshot_file_row){
        .producer_id = (int64_t)big_endian_get64(bytes),
        .producer_epoch = (int16_t)big_endian_get16(bytes + 8),
        .last_sequence = (int32_t)big_endian_get32(bytes + 10),
        .last_offset = (int64_t)big_endian_get64(bytes + 14),
        .offset_delta = (int32_t)big_endian_get32(bytes + 22),
        .timestamp_ms = (int64_t)big_endian_get64(bytes + 26),
        .coordinator_epoch = (int32_t)big_endian_get32(bytes + 34),
        .txn_first_offset = (int64_t)big_endian_get64(bytes + 38),
    };
}

static void encode_row(const struct snapshot_file_row *row, uint8_t *bytes)
{
    big_endian_put64(bytes, (uint64_t)row->producer_id);
    big_endian_put16(bytes + 8, (uint16_t)row->producer_epoch);
    big_endian_put32(bytes + 10, (uint32_t)row->last_sequence);
    big_endian_put64(bytes + 14, (uint64_t)row->last_offset);
    big_endian_put32(bytes + 22, (uint32_t)row->offset_delta);
    big_endian_put64(bytes + 26, (uint64_t)row->timestamp_ms);
    big_endian_put32(bytes + 34, (uint32_t)row->coordinator_epoch);
    big_endian_put64(bytes + 38, (uint64_t)row->txn_first_offset);
}

/* Epochs and times may be any that a batch can carry. */
static bool is_possible(const struct snapshot_file_row *row)
{
    return row->producer_id >= 0 && row->last_sequence >= -1 && row->last_offset >= -1 &&
           row->offset_delta >= 0 && row->txn_first_offset >= -1 &&
           (row->last_offset < 0 || row->offset_delta <= row->last_offset);
}

static int compare_ids(const void *left, const void *right)
{
    int64_t left_id = ((const struct snapshot_file_row *)left)->producer_id;
    int64_t right_id = ((const struct snapshot_file_row *)right)->producer_id;
    return (left_id > right_id) - (left_id < right_id);
}

static enum status check_rows(struct snapshot_file_row *rows, uint32_t row_count)
{
    qsort(rows, row_count, sizeof *rows, compare_ids);
    for (uint32_t i = 0; i < row_count; i++) {
        if (!is_possible(&rows[i]) || (i > 0 && rows[i].producer_id == rows[i - 1].producer_id)) {
            return STATUS_CORRUPT;
        }
    }
    return STATUS_OK;
}

enum status snapshot_file_decode(const uint8_t *bytes, size_t byte_count,
                                 struct snapshot_file_row **out_rows, uint32_t *out_row_count)
{
    if (byte_count < SNAPSHOT_FILE_HEADER_BYTES) {
        return STATUS_CORRUPT;
    }
    if (big_endian_get16(bytes) != SNAPSHOT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    uint32_t row_count = big_endian_get32(bytes + 6);
    if (row_count > SNAPSHOT_FILE_ROWS_MAX ||
        byte_count - SNAPSHOT_FILE_HEADER_BYTES != (size_t)row_count * SNAPSHOT_FILE_ROW_BYTES ||
        crc32c(0, bytes + CHECKSUMMED_FROM, byte_count - CHECKSUMMED_FROM) !=
            big_endian_get32(bytes + 2)) {
        return STATUS_CORRUPT;
    }
    if (row_count == 0) {
        *out_rows = NULL;
        *out_row_count = 0;
        return STATUS_OK;
    }

    struct snapshot_file_row *rows = calloc(row_count, sizeof *rows);
    if (rows == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < row_count; i++) {
        rows[i] =
            decode_row(bytes + SNAPSHOT_FILE_HEADER_BYTES + (size_t)i * SNAPSHOT_FILE_ROW_BYTES);
    }
    enum status status = check_rows(rows, row_count);
    if (status != STATUS_OK) {
        free(rows);
        return status;
    }
    *out_rows = rows;
    *out_row_count = row_count;
    return STATUS_OK;
}

enum status snapshot_file_encode(const struct snapshot_file_row *rows, uint32_t row_count,
                                 uint8_t **out_bytes, size_t *out_byte_count)
{
    if (row_count > SNAPSHOT_FILE_ROWS_MAX) {
        return STATUS_FULL;
    }
    size_t byte_count = SNAPSHOT_FILE_HEADER_BYTES + (size_t)row_count * SNAPSHOT_FILE_ROW_BYTES;
    uint8_t *bytes = malloc(byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    big_endian_put16(bytes, SNAPSHOT_VERSION);
    big_endian_put32(bytes + 6, row_count);
    for (uint32_t i = 0; i < row_count; i++) {
        check(is_possible(&rows[i]));
        encode_row(&rows[i],
                   bytes + SNAPSHOT_FILE_HEADER_BYTES + (size_t)i * SNAPSHOT_FILE_ROW_BYTES);
    }
    big_endian_put32(bytes + 2, crc32c(0, bytes + CHECKSUMMED_FROM, byte_count - CHECKSUMMED_FROM));
    *out_bytes = bytes;
    *out_byte_count = byte_count;
    return STATUS_OK;
}
