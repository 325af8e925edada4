#include "raft/quorum_envelope.h"

#include "proto/sys/check.h"
#include "proto/wire/crc32c.h"
#include "raft/quorum_bytes.h"

#define COMMAND_HEAD_BYTES 8U

static size_t padded(size_t byte_count)
{
    return (byte_count + 7U) & ~(size_t)7U;
}

size_t quorum_envelope_command_bytes(size_t byte_count)
{
    return COMMAND_HEAD_BYTES + padded(byte_count);
}

void quorum_envelope_write(uint8_t *at, uint64_t term,
                           const struct quorum_envelope_command *commands, uint32_t count)
{
    check(count > 0 && count <= QUORUM_ENVELOPE_COMMANDS_MAX);

    quorum_bytes_put16(at, QUORUM_BYTES_VERSION);
    quorum_bytes_put16(at + 2, 0);
    quorum_bytes_put32(at + 4, count);
    quorum_bytes_put64(at + 8, term);
    at += QUORUM_ENVELOPE_HEAD_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t byte_count = commands[i].byte_count;
        quorum_bytes_put32(at, byte_count);
        quorum_bytes_put32(at + 4, 0);
        at += COMMAND_HEAD_BYTES;
        if (byte_count > 0) {
            memcpy(at, commands[i].bytes, byte_count);
        }
        memset(at + byte_count, 0, padded(byte_count) - byte_count);
        at += padded(byte_count);
    }
}

enum status quorum_envelope_read(const uint8_t *bytes, size_t byte_count,
                                 struct quorum_envelope *out_envelope)
{
    if (byte_count < QUORUM_ENVELOPE_HEAD_BYTES || byte_count % 8 != 0) {
        return STATUS_MALFORMED;
    }
    uint16_t version = quorum_bytes_get16(bytes);
    uint32_t count = quorum_bytes_get32(bytes + 4);
    if (version != QUORUM_BYTES_VERSION) {
        return version > QUORUM_BYTES_VERSION ? STATUS_UNSUPPORTED : STATUS_MALFORMED;
    }
    if (count == 0 || count > QUORUM_ENVELOPE_COMMANDS_MAX) {
        return STATUS_MALFORMED;
    }
    size_t left = byte_count - QUORUM_ENVELOPE_HEAD_BYTES;
    const uint8_t *at = bytes + QUORUM_ENVELOPE_HEAD_BYTES;
    for (uint32_t i = 0; i < count; i++) {
        if (left < COMMAND_HEAD_BYTES) {
            return STATUS_MALFORMED;
        }
        size_t whole = quorum_envelope_command_bytes(quorum_bytes_get32(at));
        if (whole > left) {
            return STATUS_MALFORMED;
        }
        at += whole;
        left -= whole;
    }
    if (left != 0) {
        return STATUS_MALFORMED;
    }
    *out_envelope = (struct quorum_envelope){.term = quorum_bytes_get64(bytes + 8),
                                             .count = count,
                                             .next = bytes + QUORUM_ENVELOPE_HEAD_BYTES,
                                             .end = bytes + byte_count};
    return STATUS_OK;
}

bool quorum_envelope_next(struct quorum_envelope *self, struct quorum_envelope_command *out_command)
{
    if (self->next == self->end) {
        return false;
    }
    uint32_t byte_count = quorum_bytes_get32(self->next);
    *out_command = (struct quorum_envelope_command){.bytes = self->next + COMMAND_HEAD_BYTES,
                                                    .byte_count = byte_count};
    self->next += quorum_envelope_command_bytes(byte_count);
    return true;
}

size_t quorum_envelope_write_state_head(uint8_t *at, const struct quorum_envelope_state *state)
{
    static const uint8_t zeros[8];
    memset(at, 0, QUORUM_ENVELOPE_STATE_HEAD_BYTES);
    quorum_bytes_put16(at + 4, QUORUM_BYTES_VERSION);
    quorum_bytes_put64(at + 8, state->command_count);
    quorum_bytes_put64(at + 16, state->raft_index);
    quorum_bytes_put64(at + 24, state->byte_count);
    size_t padding = padded(state->byte_count) - state->byte_count;
    uint32_t crc = crc32c(0, at + 4, QUORUM_ENVELOPE_STATE_HEAD_BYTES - 4);
    crc = crc32c(crc, state->bytes, state->byte_count);
    crc = crc32c(crc, zeros, padding);
    quorum_bytes_put32(at, crc);
    return padding;
}

enum status quorum_envelope_read_state(const uint8_t *bytes, size_t byte_count,
                                       struct quorum_envelope_state *out_state)
{
    if (byte_count < QUORUM_ENVELOPE_STATE_HEAD_BYTES ||
        crc32c(0, bytes + 4, byte_count - 4) != quorum_bytes_get32(bytes)) {
        return STATUS_MALFORMED;
    }
    if (quorum_bytes_get16(bytes + 4) > QUORUM_BYTES_VERSION) {
        return STATUS_UNSUPPORTED;
    }
    uint64_t state_bytes = quorum_bytes_get64(bytes + 24);
    if (state_bytes > byte_count ||
        padded((size_t)state_bytes) != byte_count - QUORUM_ENVELOPE_STATE_HEAD_BYTES) {
        return STATUS_MALFORMED;
    }
    *out_state = (struct quorum_envelope_state){
        .command_count = quorum_bytes_get64(bytes + 8),
        .raft_index = quorum_bytes_get64(bytes + 16),
        .bytes = bytes + QUORUM_ENVELOPE_STATE_HEAD_BYTES,
        .byte_count = (size_t)state_bytes,
    };
    return STATUS_OK;
}
