#include "processor/plan/expr_call.h"

#include <string.h>

enum status expr_call_begin_plain(struct expr_call *self)
{
    return column_init(&self->column, self->step->type, self->row_count, self->arena);
}

/* A bit per row, 1 where both have one; bits that are shared stay as they are. */
static enum status intersect(struct expr_call *self, const uint8_t *bits, bool is_owned)
{
    size_t byte_count = row_bits_byte_count(self->row_count);
    uint8_t *validity = self->column.validity;
    if (!is_owned) {
        validity = arena_take(self->arena, byte_count);
        if (validity == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    for (size_t i = 0; i < byte_count; i++) {
        validity[i] = self->column.validity[i] & bits[i];
    }
    self->column.validity = validity;
    return STATUS_OK;
}

enum status expr_call_begin(struct expr_call *self)
{
    bool is_owned = false;
    TRY(expr_call_begin_plain(self));
    for (uint32_t i = 0; i < self->step->argument_count; i++) {
        const struct expr_vector *argument = self->arguments[i];
        if (argument->column.validity == NULL) {
            continue;
        }
        if (argument->is_constant) {
            if (column_is_null(&argument->column, 0)) {
                self->column.validity =
                    arena_take_array(self->arena, row_bits_byte_count(self->row_count), 1);
                return self->column.validity == NULL ? STATUS_NO_MEMORY : STATUS_OK;
            }
        } else if (self->column.validity == NULL) {
            self->column.validity = argument->column.validity;
        } else {
            TRY(intersect(self, argument->column.validity, is_owned));
            is_owned = true;
        }
    }
    return STATUS_OK;
}

/* Texts of null rows have no bytes: those that are left move together. */
static enum status move_texts(struct column *column, struct arena *arena)
{
    const int32_t *old_ends = column->values.text_ends;
    int32_t *ends = arena_take_array(arena, (size_t)column->row_count + 1, sizeof *ends);
    uint8_t *bytes = arena_take(arena, (size_t)old_ends[column->row_count]);
    if (ends == NULL || bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < column->row_count; i++) {
        struct column_text text = column_text(column, i);
        size_t byte_count = column_is_null(column, i) ? 0 : text.byte_count;
        memcpy(bytes + ends[i], text.bytes, byte_count);
        ends[i + 1] = ends[i] + (int32_t)byte_count;
    }
    column->values.text_ends = ends;
    column->text_bytes = bytes;
    return STATUS_OK;
}

enum status expr_call_clear(struct column *column, const uint8_t *bits, struct arena *arena)
{
    size_t byte_count = row_bits_byte_count(column->row_count);
    uint8_t *validity = arena_take(arena, byte_count);
    if (validity == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < byte_count; i++) {
        uint8_t before = column->validity == NULL ? 0xff : column->validity[i];
        validity[i] = (uint8_t)(before & ~bits[i]);
    }
    column->validity = validity;
    return column->type == VALUE_TEXT ? move_texts(column, arena) : STATUS_OK;
}
