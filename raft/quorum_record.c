#include "raft/quorum_record.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"

#include <stdbool.h>

_Static_assert(QUORUM_RECORD_HEADER_BYTES % 8 == 0, "payloads are aligned like entries");

static size_t padded(uint32_t byte_count)
{
    return ((size_t)byte_count + 7U) & ~(size_t)7U;
}

size_t quorum_record_bytes(uint32_t payload_bytes)
{
    return QUORUM_RECORD_HEADER_BYTES + padded(payload_bytes);
}

void quorum_record_write(uint8_t *at, const struct quorum_record *record)
{
    check(record->payload_bytes <= QUORUM_RECORD_PAYLOAD_BYTES_MAX);
    check(record->payload_bytes == 0 || record->payload != NULL);

    memset(at, 0, QUORUM_RECORD_HEADER_BYTES);
    quorum_bytes_put16(at + 4, QUORUM_BYTES_VERSION);
    quorum_bytes_put16(at + 6, (uint16_t)record->kind);
    quorum_bytes_put32(at + 12, record->payload_bytes);
    quorum_bytes_put64(at + 32, record->index);
    quorum_bytes_put64(at + 40, record->term);
    if (record->payload_bytes > 0) {
        uint8_t *payload = at + QUORUM_RECORD_HEADER_BYTES;
        memcpy(payload, record->payload, record->payload_bytes);
        memset(payload + record->payload_bytes, 0,
               padded(record->payload_bytes) - record->payload_bytes);
    }
}

size_t quorum_record_seal(uint8_t *at, struct quorum_chain *chain, uint64_t flushed_sequence)
{
    check(flushed_sequence <= chain->sequence);

    size_t byte_count = quorum_record_bytes(quorum_bytes_get32(at + 12));
    chain->sequence += 1;
    quorum_bytes_put32(at + 8, chain->generation);
    quorum_bytes_put64(at + 16, chain->sequence);
    quorum_bytes_put64(at + 24, flushed_sequence);
    quorum_bytes_put32(at + 48, chain->crc);
    chain->crc = crc32c(0, at + 4, byte_count - 4);
    quorum_bytes_put32(at, chain->crc);
    return byte_count;
}

static bool is_known_kind(uint16_t kind)
{
    return (kind >= QUORUM_RECORD_COMMAND && kind <= QUORUM_RECORD_CHANGE) ||
           (kind >= QUORUM_RECORD_SEGMENT && kind <= QUORUM_RECORD_MARK);
}

enum status quorum_record_read(const uint8_t *bytes, size_t byte_count,
                               struct quorum_record *out_record)
{
    if (byte_count < QUORUM_RECORD_HEADER_BYTES) {
        return STATUS_NOT_FOUND;
    }
    uint16_t version = quorum_bytes_get16(bytes + 4);
    uint32_t payload_bytes = quorum_bytes_get32(bytes + 12);
    if (version == 0 || payload_bytes > QUORUM_RECORD_PAYLOAD_BYTES_MAX ||
        quorum_record_bytes(payload_bytes) > byte_count) {
        return STATUS_NOT_FOUND;
    }
    uint32_t crc = quorum_bytes_get32(bytes);
    if (crc32c(0, bytes + 4, quorum_record_bytes(payload_bytes) - 4) != crc) {
        return STATUS_NOT_FOUND;
    }
    uint16_t kind = quorum_bytes_get16(bytes + 6);
    if (version > QUORUM_BYTES_VERSION || !is_known_kind(kind)) {
        return STATUS_UNSUPPORTED;
    }

    *out_record = (struct quorum_record){
        .kind = (enum quorum_record_kind)kind,
        .generation = quorum_bytes_get32(bytes + 8),
        .sequence = quorum_bytes_get64(bytes + 16),
        .flushed_sequence = quorum_bytes_get64(bytes + 24),
        .index = quorum_bytes_get64(bytes + 32),
        .term = quorum_bytes_get64(bytes + 40),
        .previous_crc = quorum_bytes_get32(bytes + 48),
        .crc = crc,
        .payload = bytes + QUORUM_RECORD_HEADER_BYTES,
        .payload_bytes = payload_bytes,
    };
    return STATUS_OK;
}
