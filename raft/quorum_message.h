/* Messages between voters as frames: Kafka's framing and header, our protobuf, then raw bytes.
 *
 *  offset size field (numbers big-endian, as on all of Kafka's wire)
 *       0    4 bytes that follow
 *       4    2 API key, QUORUM_MESSAGE_API_KEY
 *       6    2 API version, 0
 *       8    4 correlation id, 0: nothing is answered
 *      12    2 client id, null (-1)
 *      14    1 tagged fields, none
 *      15    4 CRC-32C of all that follows
 *      19    4 bytes of the message
 *      23      millrace.quorum.RaftMessage (proto/internal/raft_message.proto)
 *              bytes of the entries, or of the snapshot
 *
 * A decoded message is checked as a whole, entries, configuration and snapshot included: libraft
 * believes what it is given.
 *
 * Owner: whoever decoded it. Loop: any. Limits: QUORUM_MESSAGE_BYTES_MAX, and in one AppendEntries
 * QUORUM_MESSAGE_ENTRY_BYTES (at least one entry goes). */
#pragma once

#include "proto/sys/list.h"
#include "raft/quorum_meta.h"

#include <raft.h>

#define QUORUM_MESSAGE_API_KEY 30000
#define QUORUM_MESSAGE_VERSION 1U
#define QUORUM_MESSAGE_BYTES_MAX ((size_t)96 << 20)
#define QUORUM_MESSAGE_ENTRY_BYTES ((size_t)4 << 20)
#define QUORUM_MESSAGE_ENTRIES_MAX 65536U

struct quorum_message_head {
    bool has_cluster_id;
    uint8_t cluster_id[16];
    uint64_t from;
    uint64_t to; /* 0 in a greeting. */
};

struct quorum_message_hello {
    int32_t node_id;
    uint8_t directory_id[16];
    bool is_born;
    uint32_t voter_count; /* How many it waits for, or was born with. */
    uint32_t known_count;
    struct quorum_meta_voter known[QUORUM_META_VOTERS_MAX]; /* Node ids ascend. */
};

struct quorum_message_entry {
    uint64_t term;
    unsigned short kind; /* libraft's. */
    size_t position;     /* In the payload; a multiple of 8. */
    uint32_t byte_count;
};

struct quorum_message {
    struct list link; /* The holder's. */
    struct quorum_message_head head;
    bool is_hello;
    struct quorum_message_hello hello;
    struct raft_message raft;             /* Sender and pointers are unset: the bulk is below. */
    struct quorum_message_entry *entries; /* Owned. */
    uint32_t entry_count;
    uint8_t *configuration; /* Owned; InstallSnapshot only. */
    uint32_t configuration_bytes;
    uint8_t *payload; /* Owned. */
    size_t payload_bytes;
    size_t byte_count; /* Of the frame, for whoever holds it. */
};

/* `out_frame` is malloc'ed. Of an AppendEntries the first `out_entry_count` entries went in.
 * STATUS_FULL: over the limit, such a message cannot be sent. */
MUST_USE enum status quorum_message_encode(const struct quorum_message_head *head,
                                           const struct raft_message *message, uint8_t **out_frame,
                                           size_t *out_byte_count, uint32_t *out_entry_count);
MUST_USE enum status quorum_message_encode_hello(const struct quorum_message_head *head,
                                                 const struct quorum_message_hello *hello,
                                                 uint8_t **out_frame, size_t *out_byte_count);

/* `bytes` is a frame behind its length. STATUS_MALFORMED, STATUS_UNSUPPORTED, STATUS_NO_MEMORY. */
MUST_USE enum status quorum_message_decode(const uint8_t *bytes, size_t byte_count,
                                           struct quorum_message **out_message);
void quorum_message_free(struct quorum_message *self); /* Accepts NULL. */
