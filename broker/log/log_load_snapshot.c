#include "broker/log/log.h"

#include "broker/log/log_store.h"
#include "broker/log/snapshot_file.h"

#include <stdlib.h>
#include <string.h>

static bool is_sound(const uint8_t *bytes, size_t byte_count)
{
    struct snapshot_file_row *rows = NULL;
    uint32_t row_count = 0;
    enum status status = snapshot_file_decode(bytes, byte_count, &rows, &row_count);
    free(rows);
    return status == STATUS_OK;
}

/* The one written when the segment was begun. NOT_FOUND: none that can be used. */
static enum status load_of_segment(struct log *self, const struct segment *segment,
                                   uint8_t **out_bytes, size_t *out_byte_count)
{
    if (segment->snapshot != NULL) {
        *out_bytes = malloc(segment->snapshot_byte_count);
        if (*out_bytes == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(*out_bytes, segment->snapshot, segment->snapshot_byte_count);
        *out_byte_count = segment->snapshot_byte_count;
        return STATUS_OK;
    }
    if (!segment->has_snapshot) {
        return STATUS_NOT_FOUND;
    }
    char path[DISK_PATH_BYTES_MAX];
    segment_path(self->state.directory, segment->base_offset, LOG_NAME_SNAPSHOT, LOG_NAME_LIVE,
                 path);
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    TRY(disk_read_file(self->store->disk, path, SNAPSHOT_FILE_BYTES_MAX, &bytes, &byte_count));
    if (!is_sound(bytes, byte_count)) {
        free(bytes);
        return STATUS_NOT_FOUND; /* Damaged: an older one and a longer replay do as well. */
    }
    *out_bytes = bytes;
    *out_byte_count = byte_count;
    return STATUS_OK;
}

enum status log_load_snapshot(struct log *self, int64_t *out_offset, uint8_t **out_bytes,
                              size_t *out_byte_count)
{
    const struct log_state *state = &self->state;
    *out_bytes = NULL;
    *out_byte_count = 0;
    *out_offset = state->start;
    if (state->snapshot != NULL && is_sound(state->snapshot, state->snapshot_byte_count)) {
        uint8_t *bytes = malloc(state->snapshot_byte_count);
        if (bytes == NULL) {
            return STATUS_NO_MEMORY;
        }
        memcpy(bytes, state->snapshot, state->snapshot_byte_count);
        *out_offset = state->snapshot_offset;
        *out_bytes = bytes;
        *out_byte_count = state->snapshot_byte_count;
        return STATUS_OK;
    }
    for (uint32_t i = state->segment_count; i-- > 0;) {
        const struct segment *segment = state->segments[i];
        enum status status = load_of_segment(self, segment, out_bytes, out_byte_count);
        if (status == STATUS_OK) {
            *out_offset = segment->base_offset;
            return STATUS_OK;
        }
        if (status != STATUS_NOT_FOUND) {
            return status;
        }
    }
    return STATUS_OK;
}
