#include "broker/log/journal_format.h"

#include "proto/record/batch_iterator.h"
#include "proto/sys/check.h"
#include "proto/wire/big_endian.h"
#include "proto/wire/crc32c.h"

#include <string.h>

#define FILE_MAGIC 0x4d524a46U
#define SHEET_MAGIC 0x4d524a53U
#define RECORD_MAGIC 0x4d524a52U
#define CRC_FROM 8U /* Magic and checksum themselves are not covered. */
#define BATCHES_HEAD_BYTES 84U
#define CREATED_HEAD_BYTES 54U
#define JOIN_BYTES_MIN (16U << 10) /* Below it, reading the bytes is the cheaper way. */

_Static_assert(CREATED_HEAD_BYTES + JOURNAL_FORMAT_TOPIC_BYTES_MAX <= JOURNAL_FORMAT_HEAD_BYTES_MAX,
               "a head holds the longest topic name");

static uint32_t crc_begin(const struct journal_identity *identity)
{
    uint8_t bytes[16];
    big_endian_put64(bytes, identity->generation);
    big_endian_put64(bytes + 8, identity->salt);
    return crc32c(0, bytes, sizeof bytes);
}

void journal_format_encode_file_header(const struct journal_file_header *header,
                                       uint8_t out_bytes[JOURNAL_FORMAT_FILE_HEADER_BYTES])
{
    memset(out_bytes, 0, JOURNAL_FORMAT_FILE_HEADER_BYTES);
    big_endian_put32(out_bytes, FILE_MAGIC);
    out_bytes[8] = JOURNAL_FORMAT_VERSION;
    big_endian_put32(out_bytes + 12, header->shard);
    big_endian_put64(out_bytes + 16, header->identity.generation);
    big_endian_put64(out_bytes + 24, header->identity.salt);
    big_endian_put64(out_bytes + 32, header->byte_count);
    big_endian_put32(out_bytes + 4,
                     crc32c(0, out_bytes + CRC_FROM, JOURNAL_FORMAT_FILE_HEADER_BYTES - CRC_FROM));
}

enum status journal_format_decode_file_header(const uint8_t *bytes, size_t byte_count,
                                              struct journal_file_header *out_header)
{
    static const uint8_t zeros[JOURNAL_FORMAT_FILE_HEADER_BYTES];
    if (byte_count < JOURNAL_FORMAT_FILE_HEADER_BYTES) {
        return STATUS_NOT_FOUND;
    }
    if (memcmp(bytes, zeros, sizeof zeros) == 0) {
        return STATUS_NOT_FOUND;
    }
    if (big_endian_get32(bytes) != FILE_MAGIC ||
        big_endian_get32(bytes + 4) !=
            crc32c(0, bytes + CRC_FROM, JOURNAL_FORMAT_FILE_HEADER_BYTES - CRC_FROM)) {
        return STATUS_CORRUPT;
    }
    if (bytes[8] != JOURNAL_FORMAT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    *out_header = (struct journal_file_header){
        .identity.generation = big_endian_get64(bytes + 16),
        .identity.salt = big_endian_get64(bytes + 24),
        .byte_count = big_endian_get64(bytes + 32),
        .shard = big_endian_get32(bytes + 12),
    };
    return STATUS_OK;
}

static uint32_t sheet_crc(const uint8_t *bytes, const struct journal_identity *identity)
{
    return crc32c(crc_begin(identity), bytes + CRC_FROM,
                  JOURNAL_FORMAT_SHEET_HEADER_BYTES - CRC_FROM);
}

void journal_format_encode_sheet_header(const struct journal_sheet_header *header,
                                        const struct journal_identity *identity,
                                        uint8_t out_bytes[JOURNAL_FORMAT_SHEET_HEADER_BYTES])
{
    memset(out_bytes, 0, JOURNAL_FORMAT_SHEET_HEADER_BYTES);
    big_endian_put32(out_bytes, SHEET_MAGIC);
    out_bytes[8] = JOURNAL_FORMAT_VERSION;
    big_endian_put32(out_bytes + 12, header->byte_count);
    big_endian_put64(out_bytes + 16, identity->generation);
    big_endian_put64(out_bytes + 24, header->first_sequence);
    big_endian_put64(out_bytes + 32, header->acknowledged_sequence);
    big_endian_put32(out_bytes + 40, header->record_count);
    big_endian_put32(out_bytes + 4, sheet_crc(out_bytes, identity));
}

enum status journal_format_decode_sheet_header(const uint8_t *bytes, size_t byte_count,
                                               const struct journal_identity *identity,
                                               struct journal_sheet_header *out_header)
{
    if (byte_count < JOURNAL_FORMAT_SHEET_HEADER_BYTES || big_endian_get32(bytes) != SHEET_MAGIC ||
        big_endian_get64(bytes + 16) != identity->generation ||
        big_endian_get32(bytes + 4) != sheet_crc(bytes, identity)) {
        return STATUS_NOT_FOUND;
    }
    if (bytes[8] != JOURNAL_FORMAT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    *out_header = (struct journal_sheet_header){
        .first_sequence = big_endian_get64(bytes + 24),
        .acknowledged_sequence = big_endian_get64(bytes + 32),
        .byte_count = big_endian_get32(bytes + 12),
        .record_count = big_endian_get32(bytes + 40),
    };
    return STATUS_OK;
}

static size_t head_bytes(const struct journal_record *record)
{
    switch (record->kind) {
    case JOURNAL_BATCHES:
        return BATCHES_HEAD_BYTES;
    case JOURNAL_LOG_CREATED:
        return CREATED_HEAD_BYTES + record->byte_count;
    case JOURNAL_LOG_DELETED:
        return JOURNAL_FORMAT_RECORD_HEADER_BYTES;
    case JOURNAL_TRUNCATED:
        return 64;
    case JOURNAL_START_MOVED:
    case JOURNAL_RESET:
        return 52;
    case JOURNAL_EPOCH_ASSIGNED:
        return 56;
    case JOURNAL_TXN_ABORTED:
        return 76;
    case JOURNAL_BATCHES_IN_SEGMENT:
        check_unreachable("reserved, never written");
    }
    check_unreachable("no such kind");
}

size_t journal_format_record_bytes(const struct journal_record *record)
{
    size_t byte_count = head_bytes(record);
    if (record->kind == JOURNAL_BATCHES) {
        byte_count += (size_t)record->ingested_count * 8 + record->byte_count;
    }
    return byte_count;
}

static void put_body(const struct journal_record *record, uint8_t *body)
{
    switch (record->kind) {
    case JOURNAL_BATCHES:
        big_endian_put64(body, (uint64_t)record->offset);
        big_endian_put64(body + 8, (uint64_t)record->next_offset);
        big_endian_put64(body + 16, (uint64_t)record->segment_base);
        big_endian_put32(body + 24, record->segment_position);
        big_endian_put32(body + 28, (uint32_t)record->leader_epoch);
        big_endian_put32(body + 32, record->batch_count);
        big_endian_put32(body + 36, record->ingested_count);
        break;
    case JOURNAL_LOG_CREATED:
        check(record->byte_count <= JOURNAL_FORMAT_TOPIC_BYTES_MAX);
        big_endian_put64(body, (uint64_t)record->offset);
        big_endian_put16(body + 8, (uint16_t)record->byte_count);
        memcpy(body + 10, record->bytes, record->byte_count);
        break;
    case JOURNAL_TRUNCATED:
        big_endian_put64(body, (uint64_t)record->offset);
        big_endian_put64(body + 8, (uint64_t)record->segment_base);
        big_endian_put32(body + 16, record->segment_position);
        break;
    case JOURNAL_START_MOVED:
    case JOURNAL_RESET:
        big_endian_put64(body, (uint64_t)record->offset);
        break;
    case JOURNAL_EPOCH_ASSIGNED:
        big_endian_put64(body, (uint64_t)record->offset);
        big_endian_put32(body + 8, (uint32_t)record->leader_epoch);
        break;
    case JOURNAL_TXN_ABORTED:
        big_endian_put64(body, (uint64_t)record->producer_id);
        big_endian_put64(body + 8, (uint64_t)record->offset);
        big_endian_put64(body + 16, (uint64_t)record->next_offset);
        big_endian_put64(body + 24, (uint64_t)record->last_stable_offset);
        break;
    case JOURNAL_LOG_DELETED:
    case JOURNAL_BATCHES_IN_SEGMENT:
        break;
    }
}

/* Goes on with `crc` over batches. A large one tells the checksum of nearly all its bytes itself,
 * and whoever appends it has just held it against them, so they are not read a second time. */
static uint32_t crc_of_batches(uint32_t crc, const uint8_t *bytes, uint32_t byte_count)
{
    struct batch_iterator batches;
    struct batch_view batch;
    batch_iterator_init(&batches, bytes, byte_count);
    while (batch_iterator_next(&batches, &batch) == STATUS_OK) {
        if (batch.byte_count < JOIN_BYTES_MIN) {
            crc = crc32c(crc, batch.bytes, batch.byte_count);
        } else {
            crc = crc32c(crc, batch.bytes, BATCH_CHECKSUMMED_FROM);
            crc = crc32c_join(crc, batch_crc(&batch), batch.byte_count - BATCH_CHECKSUMMED_FROM);
        }
    }
    size_t left = batch_iterator_left(&batches);
    return crc32c(crc, bytes + (byte_count - left), left);
}

size_t journal_format_encode_head(const struct journal_record *record,
                                  const struct journal_identity *identity,
                                  uint8_t out_bytes[JOURNAL_FORMAT_HEAD_BYTES_MAX])
{
    size_t byte_count = journal_format_record_bytes(record);
    size_t head_count = head_bytes(record);
    check(byte_count <= JOURNAL_FORMAT_RECORD_BYTES_MAX);
    check(head_count <= JOURNAL_FORMAT_HEAD_BYTES_MAX);
    big_endian_put32(out_bytes, RECORD_MAGIC);
    out_bytes[8] = JOURNAL_FORMAT_VERSION;
    out_bytes[9] = (uint8_t)record->kind;
    out_bytes[10] = 0;
    out_bytes[11] = 0;
    big_endian_put32(out_bytes + 12, (uint32_t)byte_count);
    big_endian_put64(out_bytes + 16, record->sequence);
    memcpy(out_bytes + 24, record->topic_id.bytes, sizeof record->topic_id.bytes);
    big_endian_put32(out_bytes + 40, (uint32_t)record->partition);
    put_body(record, out_bytes + JOURNAL_FORMAT_RECORD_HEADER_BYTES);

    uint32_t crc = crc32c(crc_begin(identity), out_bytes + CRC_FROM, head_count - CRC_FROM);
    if (record->kind == JOURNAL_BATCHES) {
        crc = crc32c(crc, record->ingested, (size_t)record->ingested_count * 8);
        crc = crc_of_batches(crc, record->bytes, record->byte_count);
    }
    big_endian_put32(out_bytes + 4, crc);
    return head_count;
}

/* Times, or -1 where the leader's is not known. */
static bool are_times(const uint8_t *ingested, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((int64_t)big_endian_get64(ingested + (size_t)i * 8) < -1) {
            return false;
        }
    }
    return true;
}

/* The checksum is right, so what does not add up was written by a mistake of ours. */
static enum status decode_batches(struct wire_reader *reader, struct journal_record *record)
{
    record->offset = wire_read_int64(reader);
    record->next_offset = wire_read_int64(reader);
    record->segment_base = wire_read_int64(reader);
    record->segment_position = wire_read_uint32(reader);
    record->leader_epoch = wire_read_int32(reader);
    record->batch_count = wire_read_uint32(reader);
    record->ingested_count = wire_read_uint32(reader);
    record->ingested = wire_read_raw(reader, (size_t)record->ingested_count * 8);
    record->byte_count = (uint32_t)wire_reader_left(reader);
    record->bytes = wire_read_raw(reader, record->byte_count);
    bool is_sound =
        wire_reader_status(reader) == STATUS_OK && record->batch_count > 0 &&
        (record->ingested_count == 1 || record->ingested_count == record->batch_count) &&
        record->segment_base >= 0 && record->offset >= record->segment_base &&
        record->next_offset > record->offset && record->byte_count > 0 &&
        (uint64_t)record->segment_position + record->byte_count <= INT32_MAX &&
        are_times(record->ingested, record->ingested_count);
    return is_sound ? STATUS_OK : STATUS_CORRUPT;
}

static enum status decode_body(struct wire_reader *reader, struct journal_record *record)
{
    switch (record->kind) {
    case JOURNAL_BATCHES:
        return decode_batches(reader, record);
    case JOURNAL_LOG_CREATED:
        record->offset = wire_read_int64(reader);
        record->byte_count = wire_read_uint16(reader);
        record->bytes = wire_read_raw(reader, record->byte_count);
        if (record->byte_count == 0 || record->byte_count > JOURNAL_FORMAT_TOPIC_BYTES_MAX) {
            return STATUS_CORRUPT;
        }
        break;
    case JOURNAL_LOG_DELETED:
        break;
    case JOURNAL_TRUNCATED:
        record->offset = wire_read_int64(reader);
        record->segment_base = wire_read_int64(reader);
        record->segment_position = wire_read_uint32(reader);
        break;
    case JOURNAL_START_MOVED:
    case JOURNAL_RESET:
        record->offset = wire_read_int64(reader);
        break;
    case JOURNAL_EPOCH_ASSIGNED:
        record->offset = wire_read_int64(reader);
        record->leader_epoch = wire_read_int32(reader);
        break;
    case JOURNAL_TXN_ABORTED:
        record->producer_id = wire_read_int64(reader);
        record->offset = wire_read_int64(reader);
        record->next_offset = wire_read_int64(reader);
        record->last_stable_offset = wire_read_int64(reader);
        break;
    case JOURNAL_BATCHES_IN_SEGMENT:
    default:
        return STATUS_UNSUPPORTED;
    }
    bool is_sound = wire_reader_status(reader) == STATUS_OK && wire_reader_left(reader) == 0 &&
                    record->offset >= 0 && record->leader_epoch >= 0 &&
                    record->segment_position <= INT32_MAX;
    return is_sound ? STATUS_OK : STATUS_CORRUPT;
}

enum status journal_format_decode_record(const uint8_t *bytes, size_t byte_count,
                                         const struct journal_identity *identity, uint64_t sequence,
                                         struct journal_record *out_record,
                                         uint32_t *out_byte_count)
{
    if (byte_count < JOURNAL_FORMAT_RECORD_HEADER_BYTES ||
        big_endian_get32(bytes) != RECORD_MAGIC || big_endian_get64(bytes + 16) != sequence) {
        return STATUS_NOT_FOUND;
    }
    uint32_t record_bytes = big_endian_get32(bytes + 12);
    if (record_bytes < JOURNAL_FORMAT_RECORD_HEADER_BYTES || record_bytes > byte_count ||
        record_bytes > JOURNAL_FORMAT_RECORD_BYTES_MAX) {
        return STATUS_NOT_FOUND;
    }
    if (big_endian_get32(bytes + 4) !=
        crc32c(crc_begin(identity), bytes + CRC_FROM, record_bytes - CRC_FROM)) {
        return STATUS_NOT_FOUND;
    }
    if (bytes[8] != JOURNAL_FORMAT_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    struct journal_record record = {
        .kind = (enum journal_record_kind)bytes[9],
        .sequence = sequence,
        .partition = (int32_t)big_endian_get32(bytes + 40),
    };
    memcpy(record.topic_id.bytes, bytes + 24, sizeof record.topic_id.bytes);
    struct wire_reader reader;
    wire_reader_init(&reader, bytes + JOURNAL_FORMAT_RECORD_HEADER_BYTES,
                     record_bytes - JOURNAL_FORMAT_RECORD_HEADER_BYTES);
    TRY(decode_body(&reader, &record));
    if (record.partition < 0) {
        return STATUS_CORRUPT;
    }
    *out_record = record;
    *out_byte_count = record_bytes;
    return STATUS_OK;
}

int64_t journal_format_ingested_ms(const struct journal_record *record, uint32_t batch)
{
    check(batch < record->batch_count);
    uint32_t which = record->ingested_count == 1 ? 0 : batch;
    return (int64_t)big_endian_get64(record->ingested + (size_t)which * 8);
}
