#include "broker/log/checkpoint_base.h"

#include "proto/sys/check.h"

#include <stdlib.h>

static enum status index_blobs(struct checkpoint_base *self)
{
    uint32_t count = self->header.entry_count;
    if (count == 0) {
        return self->byte_count == CHECKPOINT_FORMAT_HEADER_BYTES ? STATUS_OK : STATUS_CORRUPT;
    }
    if (count > self->byte_count) {
        return STATUS_CORRUPT;
    }
    self->blobs = calloc(count, sizeof *self->blobs);
    if (self->blobs == NULL) {
        return STATUS_NO_MEMORY;
    }
    size_t position = CHECKPOINT_FORMAT_HEADER_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        struct checkpoint_blob *blob = &self->blobs[i];
        TRY(checkpoint_format_next(self->bytes, self->byte_count, &position, blob));
        self->blob_count += 1;
        if (log_table_find(&self->table, &blob->topic_id, blob->partition) != NULL) {
            return STATUS_CORRUPT;
        }
        TRY(log_table_add(&self->table, &blob->topic_id, blob->partition, blob));
    }
    return position == self->byte_count ? STATUS_OK : STATUS_CORRUPT;
}

enum status checkpoint_base_load(struct checkpoint_base *self, struct disk *disk, const char *path)
{
    *self = (struct checkpoint_base){0};
    enum status status =
        disk_read_file(disk, path, CHECKPOINT_FORMAT_BYTES_MAX, &self->bytes, &self->byte_count);
    if (status == STATUS_OK) {
        status = checkpoint_format_open(self->bytes, self->byte_count, &self->header);
    }
    if (status == STATUS_OK) {
        status = index_blobs(self);
    }
    if (status != STATUS_OK) {
        checkpoint_base_done(self);
    }
    return status;
}

void checkpoint_base_done(struct checkpoint_base *self)
{
    log_table_done(&self->table);
    free(self->blobs);
    free(self->bytes);
    *self = (struct checkpoint_base){0};
}

const struct checkpoint_blob *checkpoint_base_find(const struct checkpoint_base *self,
                                                   const struct wire_uuid *topic_id,
                                                   int32_t partition)
{
    return log_table_find(&self->table, topic_id, partition);
}
