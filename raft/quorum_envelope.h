/* What a command entry and a snapshot's payload look like: the proposals of others, wrapped.
 *
 * One entry carries all proposals that waited when it was made, each padded to 8 since libraft
 * loses entries of other lengths. Commands are counted, over all entries, from 1; that count is the
 * `index` that the state machine and the proposers see, and a snapshot remembers it.
 *
 *  command entry: offset size field        snapshot payload: offset size field
 *       0    2 version, 1                        0    4 CRC-32C of all that follows
 *       2    2 zero                              4    2 version, 1
 *       4    4 count of commands                 6    2 zero
 *       8    8 term                              8    8 count of commands up to here
 *      16      commands:                        16    8 bytes of the state
 *       0    4 bytes                            24      state, zero-padded to 8
 *       4    4 zero
 *       8      command, zero-padded to 8
 *
 * Owner: the caller. Loop: any. Limits: QUORUM_ENVELOPE_COMMANDS_MAX, QUORUM_ENVELOPE_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUORUM_ENVELOPE_HEAD_BYTES 16U
#define QUORUM_ENVELOPE_COMMANDS_MAX 1024U
/* The batch is closed at the first; one proposal of its own may reach the second. */
#define QUORUM_ENVELOPE_BATCH_BYTES (256U << 10)
#define QUORUM_ENVELOPE_BYTES_MAX ((1U << 20) + 64U)

#define QUORUM_ENVELOPE_STATE_HEAD_BYTES 32U

struct quorum_envelope_command {
    const void *bytes; /* Borrowed. */
    uint32_t byte_count;
};

/* Of one command, with its length and padding. */
size_t quorum_envelope_command_bytes(size_t byte_count);
/* `at` has room for the head and all commands. */
void quorum_envelope_write(uint8_t *at, uint64_t term,
                           const struct quorum_envelope_command *commands, uint32_t count);

struct quorum_envelope {
    uint64_t term;
    uint32_t count;
    const uint8_t *next; /* The command that quorum_envelope_next() gives. */
    const uint8_t *end;
};

/* Looks at the whole of it. STATUS_MALFORMED or STATUS_UNSUPPORTED. */
MUST_USE enum status quorum_envelope_read(const uint8_t *bytes, size_t byte_count,
                                          struct quorum_envelope *out_envelope);
/* False behind the last one. */
bool quorum_envelope_next(struct quorum_envelope *self,
                          struct quorum_envelope_command *out_command);

struct quorum_envelope_state {
    uint64_t command_count;
    uint64_t raft_index;
    const void *bytes; /* Borrowed. */
    size_t byte_count;
};

/* Head of a snapshot's payload; returns how many zero bytes go behind the state. */
size_t quorum_envelope_write_state_head(uint8_t *at, const struct quorum_envelope_state *state);
/* STATUS_MALFORMED or STATUS_UNSUPPORTED. */
MUST_USE enum status quorum_envelope_read_state(const uint8_t *bytes, size_t byte_count,
                                                struct quorum_envelope_state *out_state);
