#include "broker/log/ingest_index.h"

#include "proto/wire/big_endian.h"
#include "broker/log/entry_room.h"
#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "proto/wire/reader.h"

#include <stdlib.h>

#define INGEST_INDEX_MAGIC 0x196e5701U
#define BLOCK_MAGIC 0x4d49U
#define BLOCK_VERSION 1U
#define ENTRY_BYTES_MAX 15U /* Varints of 32 and 64 bits. */

struct entry {
    uint32_t relative_offset;
    int64_t ingested_ms;
};

/* The entries of one block, one after the other. */
struct block_cursor {
    struct wire_reader reader;
    uint32_t left;
    struct entry entry;
};

void ingest_index_init(struct ingest_index *self, int64_t base_offset, uint32_t byte_count_max)
{
    check(base_offset >= 0);
    check(byte_count_max >= INGEST_INDEX_BLOCK_HEADER_BYTES);
    *self = (struct ingest_index){
        .magic = INGEST_INDEX_MAGIC, .base_offset = base_offset, .byte_count_max = byte_count_max};
}

void ingest_index_done(struct ingest_index *self)
{
    check(self->magic == INGEST_INDEX_MAGIC || (self->bytes == NULL && self->blocks == NULL));
    free(self->bytes);
    free(self->blocks);
    *self = (struct ingest_index){0};
}

static enum status reserve_bytes(struct ingest_index *self, size_t more)
{
    if (more > self->byte_count_max - self->byte_count) {
        return STATUS_FULL;
    }
    void *bytes = self->bytes;
    TRY(entry_room_reserve(&bytes, &self->room, self->byte_count + (uint32_t)more,
                           self->byte_count_max, 1));
    self->bytes = bytes;
    return STATUS_OK;
}

static enum status reserve_blocks(struct ingest_index *self, uint32_t needed)
{
    void *blocks = self->blocks;
    uint32_t room_max = self->byte_count_max / INGEST_INDEX_BLOCK_HEADER_BYTES;
    TRY(entry_room_reserve(&blocks, &self->block_room, needed, room_max, sizeof *self->blocks));
    self->blocks = blocks;
    return STATUS_OK;
}

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static uint32_t put_uvarint(uint8_t *out_bytes, uint64_t value)
{
    uint32_t count = 0;
    while (value >= 0x80) {
        out_bytes[count] = (uint8_t)(value | 0x80);
        value >>= 7;
        count += 1;
    }
    out_bytes[count] = (uint8_t)value;
    return count + 1;
}

/* Over `byte_count` bytes of entries behind the header at `block`. */
static void cursor_init(struct block_cursor *self, const uint8_t *block, size_t byte_count,
                        uint32_t entry_count)
{
    check(byte_count >= INGEST_INDEX_BLOCK_HEADER_BYTES);
    check(entry_count > 0);
    wire_reader_init(&self->reader, block + INGEST_INDEX_BLOCK_HEADER_BYTES,
                     byte_count - INGEST_INDEX_BLOCK_HEADER_BYTES);
    self->left = entry_count - 1;
    self->entry = (struct entry){.relative_offset = big_endian_get32(block + 16),
                                 .ingested_ms = (int64_t)big_endian_get64(block + 20)};
}

/* False: there is no further one, or it breaks the format (`left` tells which). */
static bool cursor_step(struct block_cursor *self)
{
    if (self->left == 0) {
        return false;
    }
    uint32_t offset_delta = wire_read_uvarint32(&self->reader);
    int64_t time_delta = wire_read_varint64(&self->reader);
    uint32_t offset_left = (uint32_t)INT32_MAX - self->entry.relative_offset;
    int64_t ingested_ms = 0;
    bool is_sound = wire_reader_status(&self->reader) == STATUS_OK && offset_delta > 0 &&
                    offset_delta <= offset_left &&
                    !__builtin_add_overflow(self->entry.ingested_ms, time_delta, &ingested_ms) &&
                    ingested_ms >= INGEST_INDEX_UNKNOWN;
    if (!is_sound) {
        return false;
    }
    self->left -= 1;
    self->entry.relative_offset += offset_delta;
    self->entry.ingested_ms = ingested_ms;
    return true;
}

/* A block at the start of `bytes` whose header, checksum and entries hold. */
static enum status check_block(const uint8_t *bytes, size_t byte_count, uint32_t *out_block_bytes)
{
    if (byte_count < INGEST_INDEX_BLOCK_HEADER_BYTES || big_endian_get16(bytes) != BLOCK_MAGIC) {
        return STATUS_CORRUPT;
    }
    if (big_endian_get16(bytes + 2) != BLOCK_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    uint32_t block_bytes = big_endian_get32(bytes + 8);
    uint32_t entry_count = big_endian_get32(bytes + 12);
    if (block_bytes < INGEST_INDEX_BLOCK_HEADER_BYTES || block_bytes > byte_count ||
        entry_count == 0 || entry_count > INGEST_INDEX_BLOCK_ENTRIES ||
        crc32c(0, bytes + 8, block_bytes - 8) != big_endian_get32(bytes + 4)) {
        return STATUS_CORRUPT;
    }

    struct block_cursor cursor;
    cursor_init(&cursor, bytes, block_bytes, entry_count);
    if (cursor.entry.relative_offset > INT32_MAX ||
        cursor.entry.ingested_ms < INGEST_INDEX_UNKNOWN) {
        return STATUS_CORRUPT;
    }
    while (cursor_step(&cursor)) {
    }
    if (cursor.left > 0 || wire_reader_left(&cursor.reader) > 0) {
        return STATUS_CORRUPT;
    }
    *out_block_bytes = block_bytes;
    return STATUS_OK;
}

/* A block begins at `position`: it overrides what earlier ones say from its first offset on. */
static enum status add_block(struct ingest_index *self, uint32_t relative_offset, uint32_t position)
{
    TRY(reserve_blocks(self, self->block_count + 1));
    while (self->block_count > 0 &&
           self->blocks[self->block_count - 1].relative_offset >= relative_offset) {
        self->block_count -= 1;
    }
    self->blocks[self->block_count] =
        (struct ingest_index_block){.relative_offset = relative_offset, .position = position};
    self->block_count += 1;
    return STATUS_OK;
}

static enum status load_into(struct ingest_index *self, const uint8_t *bytes, size_t byte_count)
{
    if (byte_count > self->byte_count_max) {
        return STATUS_FULL;
    }
    uint32_t position = 0;
    while (position < byte_count) {
        uint32_t block_bytes = 0;
        TRY(check_block(bytes + position, byte_count - position, &block_bytes));
        TRY(add_block(self, big_endian_get32(bytes + position + 16), position));
        position += block_bytes;
    }
    TRY(reserve_bytes(self, byte_count));
    if (byte_count > 0) {
        memcpy(self->bytes, bytes, byte_count);
    }
    self->byte_count = (uint32_t)byte_count;
    self->sealed_byte_count = self->byte_count;
    return STATUS_OK;
}

enum status ingest_index_load(struct ingest_index *self, const uint8_t *bytes, size_t byte_count)
{
    check(self->magic == INGEST_INDEX_MAGIC);
    struct ingest_index loaded;
    ingest_index_init(&loaded, self->base_offset, self->byte_count_max);
    enum status status = load_into(&loaded, bytes, byte_count);
    if (status != STATUS_OK) {
        ingest_index_done(&loaded);
        return status;
    }
    ingest_index_done(self);
    *self = loaded;
    return STATUS_OK;
}

static enum status begin_block(struct ingest_index *self, struct entry entry)
{
    TRY(reserve_bytes(self, INGEST_INDEX_BLOCK_HEADER_BYTES));
    TRY(add_block(self, entry.relative_offset, self->byte_count));

    uint8_t *header = self->bytes + self->byte_count;
    big_endian_put16(header, BLOCK_MAGIC);
    big_endian_put16(header + 2, BLOCK_VERSION);
    memset(header + 4, 0, 12); /* Checksum, size and count: by the seal. */
    big_endian_put32(header + 16, entry.relative_offset);
    big_endian_put64(header + 20, (uint64_t)entry.ingested_ms);
    self->byte_count += INGEST_INDEX_BLOCK_HEADER_BYTES;
    self->open_entry_count = 1;
    return STATUS_OK;
}

static enum status extend_block(struct ingest_index *self, struct entry entry)
{
    TRY(reserve_bytes(self, ENTRY_BYTES_MAX));
    uint8_t *place = self->bytes + self->byte_count;
    uint32_t count = put_uvarint(place, entry.relative_offset - self->last_relative_offset);
    count += put_uvarint(place + count, zigzag(entry.ingested_ms - self->last_ingested_ms));
    check(count <= ENTRY_BYTES_MAX);
    self->byte_count += count;
    self->open_entry_count += 1;
    return STATUS_OK;
}

bool ingest_index_has_room(const struct ingest_index *self)
{
    check(self->magic == INGEST_INDEX_MAGIC);
    check(self->byte_count <= self->byte_count_max);
    return self->byte_count_max - self->byte_count >= INGEST_INDEX_BLOCK_HEADER_BYTES;
}

enum status ingest_index_append(struct ingest_index *self, int64_t batch_offset,
                                int64_t ingested_ms)
{
    check(self->magic == INGEST_INDEX_MAGIC);
    check(batch_offset >= self->base_offset);
    check(ingested_ms >= INGEST_INDEX_UNKNOWN);
    if (batch_offset - self->base_offset > INT32_MAX) {
        return STATUS_FULL;
    }
    struct entry entry = {.relative_offset = (uint32_t)(batch_offset - self->base_offset),
                          .ingested_ms = ingested_ms};
    if (self->open_entry_count == INGEST_INDEX_BLOCK_ENTRIES) {
        ingest_index_seal(self);
    }
    if (self->open_entry_count == 0) {
        TRY(begin_block(self, entry));
    } else if (ingested_ms != self->last_ingested_ms) {
        check(entry.relative_offset > self->last_relative_offset);
        TRY(extend_block(self, entry));
    } else {
        return STATUS_OK;
    }
    self->last_relative_offset = entry.relative_offset;
    self->last_ingested_ms = ingested_ms;
    return STATUS_OK;
}

/* Number of blocks in force that begin at or before `relative_offset`. */
static uint32_t count_up_to(const struct ingest_index *self, int64_t relative_offset)
{
    /* Invariant: blocks below `low` are not after it; blocks from `high` on are. */
    uint32_t low = 0;
    uint32_t high = self->block_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((int64_t)self->blocks[middle].relative_offset <= relative_offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int64_t ingest_index_find(const struct ingest_index *self, int64_t offset)
{
    check(self->magic == INGEST_INDEX_MAGIC);
    int64_t relative_offset = offset - self->base_offset;
    uint32_t count = count_up_to(self, relative_offset);
    if (count == 0) {
        return INGEST_INDEX_UNKNOWN;
    }

    uint32_t position = self->blocks[count - 1].position;
    check(position < self->byte_count);
    const uint8_t *block = self->bytes + position;
    bool is_open = position >= self->sealed_byte_count;
    size_t block_bytes = is_open ? self->byte_count - position : big_endian_get32(block + 8);
    struct block_cursor cursor;
    cursor_init(&cursor, block, block_bytes,
                is_open ? self->open_entry_count : big_endian_get32(block + 12));
    int64_t found = cursor.entry.ingested_ms;
    while (cursor_step(&cursor) && cursor.entry.relative_offset <= relative_offset) {
        found = cursor.entry.ingested_ms;
    }
    return found;
}

void ingest_index_truncate(struct ingest_index *self, int64_t offset)
{
    check(self->magic == INGEST_INDEX_MAGIC);
    /* What a last block still says beyond `offset` is overridden by the next one. */
    ingest_index_seal(self);
    self->block_count = count_up_to(self, offset - self->base_offset - 1);
}

void ingest_index_seal(struct ingest_index *self)
{
    check(self->magic == INGEST_INDEX_MAGIC);
    if (self->open_entry_count == 0) {
        return;
    }
    check(self->block_count > 0);
    uint32_t position = self->blocks[self->block_count - 1].position;
    check(position == self->sealed_byte_count);

    uint8_t *header = self->bytes + position;
    uint32_t block_bytes = self->byte_count - position;
    big_endian_put32(header + 8, block_bytes);
    big_endian_put32(header + 12, self->open_entry_count);
    big_endian_put32(header + 4, crc32c(0, header + 8, block_bytes - 8));
    self->sealed_byte_count = self->byte_count;
    self->open_entry_count = 0;
}
