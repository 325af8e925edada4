#include "broker/api/txn_rows.h"

#include "proto/kafka/error_code.h"

enum status txn_rows_make(struct arena *arena, const txn_topic_in *topics, int32_t topics_count,
                          txn_topic_out **out_rows)
{
    txn_topic_out *rows = arena_take_array(arena, (size_t)topics_count, sizeof *rows);
    if (rows == NULL) {
        return STATUS_FULL;
    }
    for (int32_t i = 0; i < topics_count; i++) {
        int32_t count = topics[i].partitions_count;
        rows[i].name = topics[i].name;
        rows[i].results_by_partition_count = count;
        rows[i].results_by_partition =
            arena_take_array(arena, (size_t)count, sizeof *rows[i].results_by_partition);
        if (rows[i].results_by_partition == NULL) {
            return STATUS_FULL;
        }
        for (int32_t k = 0; k < count; k++) {
            rows[i].results_by_partition[k].partition_index = topics[i].partitions[k];
        }
    }
    *out_rows = rows;
    return STATUS_OK;
}

void txn_rows_fill(txn_topic_out *rows, int32_t row_count, int16_t code)
{
    txn_rows_replace(rows, row_count, ERROR_CODE_NONE, code);
}

void txn_rows_replace(txn_topic_out *rows, int32_t row_count, int16_t from, int16_t to)
{
    for (int32_t i = 0; i < row_count; i++) {
        for (int32_t k = 0; k < rows[i].results_by_partition_count; k++) {
            int16_t *code = &rows[i].results_by_partition[k].partition_error_code;
            *code = *code == from ? to : *code;
        }
    }
}

int16_t txn_rows_code(const txn_topic_out *rows, int32_t row_count)
{
    for (int32_t i = 0; i < row_count; i++) {
        for (int32_t k = 0; k < rows[i].results_by_partition_count; k++) {
            if (rows[i].results_by_partition[k].partition_error_code != ERROR_CODE_NONE) {
                return rows[i].results_by_partition[k].partition_error_code;
            }
        }
    }
    return ERROR_CODE_NONE;
}
