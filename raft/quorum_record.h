/* One record of the quorum's log as bytes.
 *
 * A record is written in two steps: quorum_record_write() lays down what it says when it is queued,
 * quorum_record_seal() adds its place in the chain when its batch goes to disk. Replay takes a
 * record only as the successor of the one before it: same generation, next sequence, and the CRC
 * of its predecessor inside. `flushed_sequence` says what was already on disk when the record was
 * written, so that damage below it is told from a tail that never got there.
 *
 *  offset size field
 *       0    4 CRC-32C of all that follows, padding included
 *       4    2 version, 1
 *       6    2 kind
 *       8    4 generation: a log that was replaced by a snapshot starts a new one
 *      12    4 bytes of payload, without padding
 *      16    8 sequence
 *      24    8 flushed sequence
 *      32    8 raft index (SEGMENT: of the entry before it; TRUNCATE: first index that is cut)
 *      40    8 raft term (SEGMENT: of the entry before it)
 *      48    4 CRC-32C field of the record before
 *      52    4 zero
 *      56      payload, zero-padded to a multiple of 8
 *
 * Owner: the caller. Loop: any. Limits: QUORUM_RECORD_PAYLOAD_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

#define QUORUM_RECORD_HEADER_BYTES 56U
#define QUORUM_RECORD_PAYLOAD_BYTES_MAX (64U << 20)

enum quorum_record_kind {
    QUORUM_RECORD_COMMAND = 1, /* The first three carry libraft's numbers. */
    QUORUM_RECORD_BARRIER = 2,
    QUORUM_RECORD_CHANGE = 3,
    QUORUM_RECORD_SEGMENT = 16,  /* First in each file; payload: the directory id. */
    QUORUM_RECORD_TRUNCATE = 17, /* Entries from `index` on never were. */
    QUORUM_RECORD_MARK = 18,     /* Says only what was flushed, once the log is quiet. */
};

struct quorum_record {
    enum quorum_record_kind kind;
    uint32_t generation;
    uint64_t sequence;
    uint64_t flushed_sequence;
    uint64_t index;
    uint64_t term;
    uint32_t previous_crc;
    uint32_t crc;
    const uint8_t *payload; /* Borrowed. */
    uint32_t payload_bytes;
};

/* The end of a log: what the next record has to follow. */
struct quorum_chain {
    uint32_t generation;
    uint32_t crc;
    uint64_t sequence; /* Of the last record; 0 before the first. */
};

/* Of a whole record with `payload_bytes` of payload. */
size_t quorum_record_bytes(uint32_t payload_bytes);
/* Fills kind, index, term and payload; the rest is zero until sealed. */
void quorum_record_write(uint8_t *at, const struct quorum_record *record);
/* Makes the record at `at` the successor of `chain` and moves the chain. Returns its bytes. */
size_t quorum_record_seal(uint8_t *at, struct quorum_chain *chain, uint64_t flushed_sequence);
/* STATUS_NOT_FOUND: no whole, undamaged record starts here. STATUS_UNSUPPORTED: an undamaged one
 * of a newer version or of an unknown kind. */
MUST_USE enum status quorum_record_read(const uint8_t *bytes, size_t byte_count,
                                        struct quorum_record *out_record);
