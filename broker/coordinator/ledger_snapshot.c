#include "broker/coordinator/ledger_snapshot.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC 0x4d4c534eU
#define HEAD_BYTES 50U
#define CHECKSUMMED_FROM 10U
#define RECORD_HEAD_BYTES 26U

static void store(uint8_t *place, uint64_t value, size_t byte_count)
{
    for (size_t i = 0; i < byte_count; i++) {
        place[i] = (uint8_t)(value >> (8 * (byte_count - 1 - i)));
    }
}

void ledger_snapshot_begin(struct ledger_snapshot_writer *self)
{
    *self = (struct ledger_snapshot_writer){.byte_count = HEAD_BYTES, .capacity_bytes = 4096};
    self->bytes = calloc(1, self->capacity_bytes);
    self->has_failed = self->bytes == NULL;
}

static bool make_room(struct ledger_snapshot_writer *self, size_t byte_count)
{
    size_t wanted = self->byte_count + byte_count;
    if (wanted > LEDGER_SNAPSHOT_BYTES_MAX) {
        return false;
    }
    size_t capacity = self->capacity_bytes;
    while (capacity < wanted) {
        capacity *= 2;
    }
    if (capacity != self->capacity_bytes) {
        uint8_t *wider = realloc(self->bytes, capacity);
        if (wider == NULL) {
            return false;
        }
        self->bytes = wider;
        self->capacity_bytes = capacity;
    }
    return true;
}

static void add_raw(struct ledger_snapshot_writer *self, const void *bytes, int32_t byte_count)
{
    if (byte_count > 0) {
        memcpy(self->bytes + self->byte_count, bytes, (size_t)byte_count);
        self->byte_count += (size_t)byte_count;
    }
}

void ledger_snapshot_add(struct ledger_snapshot_writer *self, const struct ledger_record *record)
{
    check(record->key.byte_count >= 0);
    check(record->value.byte_count >= 0); /* What is gone is not in a snapshot. */
    size_t byte_count =
        RECORD_HEAD_BYTES + (size_t)record->key.byte_count + (size_t)record->value.byte_count;
    if (self->has_failed || !make_room(self, byte_count)) {
        self->has_failed = true;
        return;
    }
    uint8_t *place = self->bytes + self->byte_count;
    store(place, (uint64_t)record->offset, 8);
    store(place + 8, (uint64_t)record->producer_id, 8);
    store(place + 16, (uint64_t)(uint16_t)record->producer_epoch, 2);
    store(place + 18, (uint64_t)record->key.byte_count, 4);
    store(place + 22, (uint64_t)record->value.byte_count, 4);
    self->byte_count += RECORD_HEAD_BYTES;
    add_raw(self, record->key.bytes, record->key.byte_count);
    add_raw(self, record->value.bytes, record->value.byte_count);
    self->record_count += 1;
}

enum status ledger_snapshot_finish(struct ledger_snapshot_writer *self,
                                   const struct ledger_snapshot_head *head, uint8_t **out_bytes,
                                   size_t *out_byte_count)
{
    if (self->has_failed) {
        enum status status = self->bytes == NULL ? STATUS_NO_MEMORY : STATUS_FULL;
        free(self->bytes);
        *self = (struct ledger_snapshot_writer){0};
        return status;
    }
    uint8_t *bytes = self->bytes;
    store(bytes, MAGIC, 4);
    store(bytes + 4, LEDGER_SNAPSHOT_VERSION, 2);
    memcpy(bytes + 10, head->topic_id.bytes, sizeof head->topic_id.bytes);
    store(bytes + 26, (uint64_t)(uint32_t)head->partition, 4);
    store(bytes + 30, (uint64_t)(uint32_t)head->leader_epoch, 4);
    store(bytes + 34, (uint64_t)head->next_offset, 8);
    store(bytes + 42, (uint64_t)self->record_count, 8);
    store(bytes + 6, crc32c(0, bytes + CHECKSUMMED_FROM, self->byte_count - CHECKSUMMED_FROM), 4);
    *out_bytes = bytes;
    *out_byte_count = self->byte_count;
    *self = (struct ledger_snapshot_writer){0};
    return STATUS_OK;
}

enum status ledger_snapshot_open(const uint8_t *bytes, size_t byte_count,
                                 struct ledger_snapshot_head *out_head,
                                 struct wire_reader *out_reader)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes, byte_count);
    if (wire_read_uint32(&reader) != MAGIC || byte_count < HEAD_BYTES) {
        return STATUS_CORRUPT;
    }
    if (wire_read_int16(&reader) != LEDGER_SNAPSHOT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    uint32_t checksum = wire_read_uint32(&reader);
    if (checksum != crc32c(0, bytes + CHECKSUMMED_FROM, byte_count - CHECKSUMMED_FROM)) {
        return STATUS_CORRUPT;
    }
    struct ledger_snapshot_head head = {.topic_id = wire_read_uuid(&reader)};
    head.partition = wire_read_int32(&reader);
    head.leader_epoch = wire_read_int32(&reader);
    head.next_offset = wire_read_int64(&reader);
    head.record_count = wire_read_int64(&reader);
    if (wire_reader_status(&reader) != STATUS_OK || head.next_offset < 0 || head.record_count < 0) {
        return STATUS_CORRUPT;
    }
    *out_head = head;
    *out_reader = reader;
    return STATUS_OK;
}

enum status ledger_snapshot_next(struct wire_reader *reader, struct ledger_record *out_record)
{
    if (wire_reader_left(reader) == 0) {
        return STATUS_NOT_FOUND;
    }
    struct ledger_record record = {.offset = wire_read_int64(reader)};
    record.producer_id = wire_read_int64(reader);
    record.producer_epoch = wire_read_int16(reader);
    int32_t key_bytes = wire_read_int32(reader);
    int32_t value_bytes = wire_read_int32(reader);
    if (key_bytes < 0 || value_bytes < 0) {
        return STATUS_CORRUPT;
    }
    record.key = (struct wire_bytes){wire_read_raw(reader, (size_t)key_bytes), key_bytes};
    record.value = (struct wire_bytes){wire_read_raw(reader, (size_t)value_bytes), value_bytes};
    if (wire_reader_status(reader) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    *out_record = record;
    return STATUS_OK;
}
