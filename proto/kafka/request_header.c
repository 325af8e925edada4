#include "proto/kafka/request_header.h"

#include "proto/kafka/api_key.h"

enum status request_header_decode(struct wire_reader *reader, struct kafka_request_header *out)
{
    struct wire_reader ahead = *reader;
    int16_t key = wire_read_int16(&ahead);
    int16_t version = wire_read_int16(&ahead);
    int16_t header_version = api_key_request_header_version(key, version);
    if (wire_reader_status(&ahead) != STATUS_OK || header_version < 0) {
        enum status why = wire_reader_status(&ahead);
        wire_reader_fail(reader, why == STATUS_OK ? STATUS_UNSUPPORTED : why);
        return wire_reader_status(reader);
    }
    /* Nothing in a header needs memory. */
    struct arena arena;
    arena_init(&arena, 0);
    return kafka_request_header_decode(reader, header_version, &arena, out);
}

void request_header_encode(const struct kafka_request_header *in, struct wire_writer *writer)
{
    int16_t header_version =
        api_key_request_header_version(in->request_api_key, in->request_api_version);
    kafka_request_header_encode(in, header_version, writer);
}

void request_header_encode_response(const struct kafka_request_header *request,
                                    struct wire_writer *writer)
{
    int16_t header_version =
        api_key_response_header_version(request->request_api_key, request->request_api_version);
    struct kafka_response_header header = {.correlation_id = request->correlation_id};
    kafka_response_header_encode(&header, header_version, writer);
}

enum status request_header_decode_response(struct wire_reader *reader,
                                           const struct kafka_request_header *request)
{
    int16_t header_version =
        api_key_response_header_version(request->request_api_key, request->request_api_version);
    struct arena arena;
    arena_init(&arena, 0);
    struct kafka_response_header header;
    TRY(kafka_response_header_decode(reader, header_version, &arena, &header));
    if (header.correlation_id != request->correlation_id) {
        wire_reader_fail(reader, STATUS_MALFORMED);
    }
    return wire_reader_status(reader);
}
