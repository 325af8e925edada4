#include "broker/coordinator/txn_codec.h"

#define TYPE_TRANSACTION 0
#define VERSION 1

static struct wire_bytes take(struct wire_writer *writer)
{
    size_t byte_count = 0;
    const uint8_t *bytes = wire_writer_flatten(writer, &byte_count);
    return bytes == NULL ? (struct wire_bytes){NULL, -1}
                         : (struct wire_bytes){bytes, (int32_t)byte_count};
}

void txn_codec_make_gone(struct txn_codec_record *self, struct wire_text id)
{
    *self = (struct txn_codec_record){.value = {NULL, -1}};
    arena_init(&self->arena, TXN_CODEC_BYTES_MAX);
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    wire_write_int16(&writer, TYPE_TRANSACTION);
    struct kafka_transaction_log_key key = {.transactional_id = id};
    kafka_transaction_log_key_encode(&key, 0, &writer);
    self->key = take(&writer);
}

void txn_codec_make(struct txn_codec_record *self, struct wire_text id,
                    const struct kafka_transaction_log_value *value)
{
    txn_codec_make_gone(self, id);
    struct wire_writer writer;
    wire_writer_init(&writer, &self->arena);
    wire_write_int16(&writer, VERSION);
    kafka_transaction_log_value_encode(value, VERSION, &writer);
    self->value = take(&writer);
    if (self->value.byte_count < 0) { /* It must not look like a deletion. */
        self->key = (struct wire_bytes){NULL, -1};
    }
}

void txn_codec_done(struct txn_codec_record *self)
{
    arena_done(&self->arena);
}

enum status txn_codec_read_key(struct wire_bytes bytes, struct wire_text *out_id)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, (size_t)bytes.byte_count);
    int16_t type = wire_read_int16(&reader);
    TRY(wire_reader_status(&reader));
    if (type != TYPE_TRANSACTION) {
        return STATUS_NOT_FOUND;
    }
    struct kafka_transaction_log_key key;
    TRY(kafka_transaction_log_key_decode(&reader, 0, NULL, &key));
    *out_id = key.transactional_id;
    return STATUS_OK;
}

enum status txn_codec_read(struct wire_bytes bytes, struct arena *arena,
                           struct kafka_transaction_log_value *out_value)
{
    struct wire_reader reader;
    wire_reader_init(&reader, bytes.bytes, (size_t)bytes.byte_count);
    int16_t version = wire_read_int16(&reader);
    TRY(wire_reader_status(&reader));
    if (version < 0 || version > KAFKA_TRANSACTION_LOG_VALUE_VERSION_MAX) {
        return STATUS_UNSUPPORTED;
    }
    return kafka_transaction_log_value_decode(&reader, version, arena, out_value);
}
