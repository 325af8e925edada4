/* The records of __transaction_state, in Kafka's own formats, made and read.
 *
 * A key begins with the int16 type (0), a value with its int16 version; version 1, which Kafka 4
 * writes, is written here, and 0 is read. Owner: the caller. Loop: any. Limits:
 * TXN_CODEC_BYTES_MAX a record. */
#pragma once

#include "proto/kafka/transaction_record.h"
#include "proto/sys/arena.h"

#define TXN_CODEC_BYTES_MAX ((size_t)16 << 20)

/* A record made; key and value live until txn_codec_done(). The key is null when the record is
 * larger than TXN_CODEC_BYTES_MAX. */
struct txn_codec_record {
    struct arena arena;
    struct wire_bytes key;
    struct wire_bytes value;
};

void txn_codec_make(struct txn_codec_record *self, struct wire_text id,
                    const struct kafka_transaction_log_value *value);
/* The id is gone. */
void txn_codec_make_gone(struct txn_codec_record *self, struct wire_text id);
void txn_codec_done(struct txn_codec_record *self);

/* The text points into the record. NOT_FOUND: a kind of key that is not known. */
MUST_USE enum status txn_codec_read_key(struct wire_bytes key, struct wire_text *out_id);
/* Partitions lie in the arena. */
MUST_USE enum status txn_codec_read(struct wire_bytes value, struct arena *arena,
                                    struct kafka_transaction_log_value *out_value);
