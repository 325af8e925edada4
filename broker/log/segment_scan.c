#include "broker/log/segment_scan.h"

#include "broker/log/log.h"

#include <stdlib.h>

#define AHEAD_BYTES (256U << 10)

enum status segment_scan_init(struct segment_scan *self, struct disk *disk, struct disk_file *file,
                              const struct segment_scan_range *range)
{
    *self = (struct segment_scan){.disk = disk, .file = file, .limit = range->limit};
    self->position = offset_chain_begin(&self->chain, range->index, range->offset);
    return self->position < self->limit ? STATUS_OK : STATUS_CORRUPT;
}

void segment_scan_done(struct segment_scan *self)
{
    free(self->buffer);
    *self = (struct segment_scan){0};
}

/* Makes `byte_count` bytes from `position` on be in the buffer. */
static enum status fill(struct segment_scan *self, size_t byte_count)
{
    if (byte_count > self->limit - self->position) {
        return STATUS_CORRUPT;
    }
    size_t start = self->position - self->buffer_position;
    if (self->buffer != NULL && self->position >= self->buffer_position &&
        start + byte_count <= self->buffer_bytes) {
        return STATUS_OK;
    }
    uint32_t head = self->position % DISK_BLOCK_BYTES;
    size_t wanted = head + byte_count;
    wanted = wanted < AHEAD_BYTES ? AHEAD_BYTES : wanted;
    wanted = (wanted + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES * DISK_BLOCK_BYTES;
    if (wanted > self->buffer_room) {
        free(self->buffer);
        self->buffer_room = 0;
        self->buffer_bytes = 0;
        self->buffer = aligned_alloc(DISK_BLOCK_BYTES, wanted);
        if (self->buffer == NULL) {
            return STATUS_NO_MEMORY;
        }
        self->buffer_room = wanted;
    }
    self->buffer_position = self->position - head;
    self->buffer_bytes = 0;
    TRY(disk_file_read(self->disk, self->file, self->buffer_position, self->buffer,
                       self->buffer_room, &self->buffer_bytes));
    return self->buffer_bytes >= head + byte_count ? STATUS_OK : STATUS_CORRUPT;
}

enum status segment_scan_next(struct segment_scan *self, struct batch_view *out_batch,
                              uint32_t *out_position)
{
    if (self->position == self->limit) {
        return STATUS_NOT_FOUND;
    }
    TRY(fill(self, BATCH_HEADER_BYTES));
    uint32_t byte_count = 0;
    const uint8_t *place = self->buffer + (self->position - self->buffer_position);
    if (batch_measure(place, BATCH_HEADER_BYTES, &byte_count) != STATUS_OK ||
        byte_count > LOG_APPEND_BYTES_MAX) {
        return STATUS_CORRUPT;
    }
    TRY(fill(self, byte_count));
    place = self->buffer + (self->position - self->buffer_position);
    struct batch_view batch;
    if (batch_view_init(&batch, place, byte_count) != STATUS_OK ||
        !batch_has_right_checksum(&batch)) {
        return STATUS_CORRUPT;
    }
    TRY(offset_chain_add(&self->chain, &batch));
    *out_batch = batch;
    *out_position = self->position;
    self->position += byte_count;
    return STATUS_OK;
}
