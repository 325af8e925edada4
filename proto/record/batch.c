#include "proto/record/batch.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"

#define LENGTH_MIN (BATCH_HEADER_BYTES - BATCH_FRAME_BYTES)
#define LENGTH_MAX ((uint32_t)INT32_MAX - BATCH_FRAME_BYTES)

/* What a stamp may change under the checksum lies between here and BATCH_CHECKSUMMED_FROM. */
#define STAMPED_END 57U
#define STAMPED_BYTES (STAMPED_END - BATCH_CHECKSUMMED_FROM)

enum status batch_measure(const void *bytes, size_t byte_count, uint32_t *out_byte_count)
{
    const uint8_t *frame = bytes;
    if (byte_count < BATCH_FRAME_BYTES) {
        return STATUS_NOT_FOUND;
    }
    /* Before the length, since older formats had shorter entries. */
    if (byte_count >= BATCH_PEEK_BYTES && frame[16] != BATCH_MAGIC) {
        return STATUS_UNSUPPORTED;
    }
    /* Compared without sign, a negative length is too long. */
    uint32_t length = big_endian_get32(frame + 8);
    if (length < LENGTH_MIN || length > LENGTH_MAX) {
        return STATUS_MALFORMED;
    }
    if (byte_count < BATCH_PEEK_BYTES) {
        return STATUS_NOT_FOUND;
    }
    *out_byte_count = length + BATCH_FRAME_BYTES;
    return STATUS_OK;
}

enum status batch_view_init(struct batch_view *self, const void *bytes, size_t byte_count)
{
    uint32_t batch_bytes = 0;
    TRY(batch_measure(bytes, byte_count, &batch_bytes));
    if (batch_bytes > byte_count) {
        return STATUS_NOT_FOUND;
    }
    *self = (struct batch_view){.bytes = bytes, .byte_count = batch_bytes};
    return STATUS_OK;
}

bool batch_has_right_checksum(const struct batch_view *self)
{
    check(self->byte_count >= BATCH_HEADER_BYTES);

    return crc32c(0, self->bytes + BATCH_CHECKSUMMED_FROM,
                  self->byte_count - BATCH_CHECKSUMMED_FROM) == batch_crc(self);
}

/* Puts the checksum right after the stamped bytes changed from `before` to what they are now. A CRC
 * is linear: the new one differs from the old by the remainder of the difference, which is zero but
 * for these few bytes. A checksum that was wrong before stays wrong, so damage is never blessed. */
static void patch_checksum(uint8_t *batch, const uint8_t before[STAMPED_BYTES])
{
    uint8_t difference[STAMPED_BYTES];
    for (size_t i = 0; i < STAMPED_BYTES; i++) {
        difference[i] = before[i] ^ batch[BATCH_CHECKSUMMED_FROM + i];
    }
    uint32_t byte_count = big_endian_get32(batch + 8) + BATCH_FRAME_BYTES;
    check(byte_count >= BATCH_HEADER_BYTES);

    /* Complemented on both sides, since the finished value starts and ends with a complement. */
    uint32_t remainder = ~crc32c(UINT32_MAX, difference, sizeof difference);
    remainder = crc32c_shift(remainder, byte_count - STAMPED_END);
    big_endian_put32(batch + 17, big_endian_get32(batch + 17) ^ remainder);
}

void batch_stamp_offset(uint8_t *batch, int64_t base_offset, int32_t leader_epoch)
{
    check(base_offset >= 0);

    big_endian_put64(batch, (uint64_t)base_offset);
    big_endian_put32(batch + 12, (uint32_t)leader_epoch);
}

static void stamp_time(uint8_t *batch, uint16_t time_flag, int64_t max_timestamp_ms)
{
    uint16_t attributes = big_endian_get16(batch + 21);
    uint16_t wanted = (uint16_t)((attributes & ~BATCH_LOG_APPEND_TIME) | time_flag);
    if (attributes == wanted && big_endian_get64(batch + 35) == (uint64_t)max_timestamp_ms) {
        return;
    }

    uint8_t before[STAMPED_BYTES];
    memcpy(before, batch + BATCH_CHECKSUMMED_FROM, sizeof before);
    big_endian_put16(batch + 21, wanted);
    big_endian_put64(batch + 35, (uint64_t)max_timestamp_ms);
    patch_checksum(batch, before);
}

void batch_stamp_append_time(uint8_t *batch, int64_t append_time_ms)
{
    check(append_time_ms >= 0);

    stamp_time(batch, BATCH_LOG_APPEND_TIME, append_time_ms);
}

void batch_stamp_create_time(uint8_t *batch, int64_t max_timestamp_ms)
{
    stamp_time(batch, 0, max_timestamp_ms);
}

void batch_stamp_producer(uint8_t *batch, int64_t producer_id, int16_t producer_epoch,
                          int32_t base_sequence)
{
    check(producer_id >= -1);

    uint8_t before[STAMPED_BYTES];
    memcpy(before, batch + BATCH_CHECKSUMMED_FROM, sizeof before);
    big_endian_put64(batch + 43, (uint64_t)producer_id);
    big_endian_put16(batch + 51, (uint16_t)producer_epoch);
    big_endian_put32(batch + 53, (uint32_t)base_sequence);
    patch_checksum(batch, before);
}
