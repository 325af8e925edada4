/* A slice of the source, decoded: from records to the columns that the first stage wants.
 *
 * Owner: the attempt. Loop: its. Limits: TASK_ROWS_BYTES_MAX of one slice's columns. */
#pragma once

#include "processor/format/json_rows.h"
#include "processor/source/source.h"
#include "processor/task/task_fault.h"
#include "processor/task/task_setup.h"

#define TASK_ROWS_BYTES_MAX ((size_t)256 << 20)

struct task_rows {
    struct arena arena; /* Of one slice. */
    struct json_reader *reader;
    struct json_column *columns; /* Owned. */
    uint32_t column_count;
    bool is_skipping; /* Misfits are passed over. */
};

/* INVALID: the plan wants columns that its table lacks, or a format that is not JSON. Whatever
 * came, task_rows_done() frees it. */
MUST_USE enum status task_rows_init(struct task_rows *self, const struct task_setup *setup);
void task_rows_done(struct task_rows *self);

/* The batch and `out_misfits` live until the next call. INVALID: a misfit that stops the job;
 * `fault` says which. NO_MEMORY. */
MUST_USE enum status task_rows_decode(struct task_rows *self, struct source_rows *rows,
                                      struct task_fault *fault, struct row_batch *out_batch,
                                      uint8_t **out_misfits);
/* The fault of one record that does not fit. */
void task_rows_blame(struct task_fault *fault, int32_t partition, int64_t offset,
                     const char *reason);
