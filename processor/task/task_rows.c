#include "processor/task/task_rows.h"

#include "processor/operator/chain.h"
#include "proto/sys/check.h"

#include <stdlib.h>
#include <string.h>

/* Numbers are the plan's. */
static bool is_type(Millrace__Plan__Type type)
{
    return type >= MILLRACE__PLAN__TYPE__TYPE_BOOL && type <= MILLRACE__PLAN__TYPE__TYPE_INTERVAL;
}

enum status task_rows_init(struct task_rows *self, const struct task_setup *setup)
{
    *self = (struct task_rows){0};
    arena_init(&self->arena, TASK_ROWS_BYTES_MAX);
    const Millrace__Plan__Table *table = setup->plan->source;
    const Millrace__Plan__Stage *stage = setup->stage;
    self->is_skipping = table->on_misfit == MILLRACE__PLAN__ON_MISFIT__ON_MISFIT_SKIP;
    self->columns = calloc(stage->n_source_columns + 1, sizeof *self->columns);
    if (self->columns == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (strcmp(table->format, "json") != 0) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < stage->n_source_columns; i++) {
        uint32_t index = stage->source_columns[i];
        if (index >= CHAIN_SYSTEM_COLUMN_BASE) {
            continue; /* The chain makes it. */
        }
        if (index >= table->n_columns || !is_type(table->columns[index]->type)) {
            return STATUS_INVALID;
        }
        const Millrace__Plan__Column *column = table->columns[index];
        self->columns[self->column_count++] =
            (struct json_column){.name = column->name,
                                 .type = (enum value_type)column->type,
                                 .is_not_null = column->is_not_null};
    }
    return json_reader_new(self->columns, self->column_count, &self->reader);
}

void task_rows_done(struct task_rows *self)
{
    json_reader_free(self->reader);
    free(self->columns);
    arena_done(&self->arena);
    *self = (struct task_rows){0};
}

void task_rows_blame(struct task_fault *fault, int32_t partition, int64_t offset,
                     const char *reason)
{
    task_fault_set(fault, "MISFIT", reason,
                   "mend the producer and start the job behind the record, or declare the table "
                   "WITH (on_misfit = 'skip')");
    task_fault_say(fault, "partition %d offset %lld does not fit the table: %s", partition,
                   (long long)offset, reason);
}

/* The first row whose bit is set; `row_count` when none is. */
static uint32_t first_misfit(const uint8_t *misfits, uint32_t row_count)
{
    for (uint32_t i = 0; i < row_count; i++) {
        if (misfits[i / 8] == 0) {
            i |= 7;
        } else if (((uint32_t)misfits[i / 8] >> (i % 8) & 1U) != 0) {
            return i;
        }
    }
    return row_count;
}

/* The same rows would not fit the next time either: no reason for another attempt. */
static void blame_room(struct task_fault *fault, const struct source_rows *rows)
{
    task_fault_set(fault, "COMPUTATION", "columns of one slice of rows are limited",
                   "read fewer columns, or write smaller batches");
    task_fault_say(fault, "partition %d: the columns of %u rows from offset %lld take over %zu MiB",
                   rows->origin.partition, rows->row_count, (long long)rows->origin.offsets[0],
                   TASK_ROWS_BYTES_MAX >> 20);
}

enum status task_rows_decode(struct task_rows *self, struct source_rows *rows,
                             struct task_fault *fault, struct row_batch *out_batch,
                             uint8_t **out_misfits)
{
    arena_reset(&self->arena);
    uint32_t row_count = rows->row_count;
    struct column *columns = arena_take_array(&self->arena, self->column_count, sizeof *columns);
    uint8_t *misfits = arena_take_array(&self->arena, (row_count + 7) / 8, 1);
    if (columns == NULL || misfits == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = json_reader_read(self->reader, rows->origin.values, row_count,
                                          &self->arena, misfits, columns);
    if (status == STATUS_NO_MEMORY && self->arena.is_exhausted) {
        blame_room(fault, rows);
        return STATUS_INVALID;
    }
    TRY(status);
    uint32_t misfit = self->is_skipping ? row_count : first_misfit(misfits, row_count);
    if (misfit < row_count) {
        char reason[JSON_REASON_BYTES_MAX] = "";
        json_reader_explain(self->reader, rows->origin.values[misfit], reason);
        task_rows_blame(fault, rows->origin.partition, rows->origin.offsets[misfit], reason);
        return STATUS_INVALID;
    }
    *out_batch = (struct row_batch){.arena = &self->arena,
                                    .row_count = row_count,
                                    .column_count = self->column_count,
                                    .columns = columns,
                                    .origin = &rows->origin};
    *out_misfits = misfits;
    return STATUS_OK;
}
