#include "client/subscription.h"

#include "proto/wire/writer.h"

#define SUBSCRIPTION_VERSION 1 /* Of what we write. */
#define SUBSCRIPTION_VERSION_MAX KAFKA_CONSUMER_PROTOCOL_SUBSCRIPTION_VERSION_MAX
#define ASSIGNMENT_VERSION 1
#define ASSIGNMENT_VERSION_MAX KAFKA_CONSUMER_PROTOCOL_ASSIGNMENT_VERSION_MAX

static enum status finish(struct wire_writer *writer, struct wire_bytes *out)
{
    size_t byte_count = 0;
    TRY(wire_writer_status(writer));
    const uint8_t *bytes = wire_writer_flatten(writer, &byte_count);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (byte_count > INT32_MAX) {
        return STATUS_FULL;
    }
    *out = (struct wire_bytes){bytes, (int32_t)byte_count};
    return STATUS_OK;
}

enum status subscription_encode(struct arena *arena, const struct wire_text *topics,
                                uint32_t topic_count, struct wire_bytes *out)
{
    struct kafka_consumer_protocol_subscription subscription;
    kafka_consumer_protocol_subscription_defaults(&subscription);
    subscription.topics = arena_take_array(arena, topic_count, sizeof *topics);
    if (subscription.topics == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < topic_count; i++) {
        subscription.topics[i] = topics[i];
    }
    subscription.topics_count = (int32_t)topic_count;
    subscription.user_data = (struct wire_bytes){.byte_count = -1};
    struct wire_writer writer;
    wire_writer_init(&writer, arena);
    wire_write_int16(&writer, SUBSCRIPTION_VERSION);
    kafka_consumer_protocol_subscription_encode(&subscription, SUBSCRIPTION_VERSION, &writer);
    return finish(&writer, out);
}

/* The version to read with. */
static enum status begin(struct wire_reader *reader, struct wire_bytes bytes, int16_t version_max,
                         int16_t *out_version)
{
    wire_reader_init(reader, bytes.bytes, bytes.byte_count > 0 ? (size_t)bytes.byte_count : 0);
    int16_t version = wire_read_int16(reader);
    TRY(reader->status);
    if (version < 0) {
        return STATUS_MALFORMED;
    }
    *out_version = version < version_max ? version : version_max;
    return STATUS_OK;
}

enum status subscription_decode(struct arena *arena, struct wire_bytes bytes,
                                struct kafka_consumer_protocol_subscription *out)
{
    struct wire_reader reader;
    int16_t version = 0;
    TRY(begin(&reader, bytes, SUBSCRIPTION_VERSION_MAX, &version));
    return kafka_consumer_protocol_subscription_decode(&reader, version, arena, out);
}

enum status
subscription_encode_assignment(struct arena *arena,
                               const struct kafka_consumer_protocol_assignment *assignment,
                               struct wire_bytes *out)
{
    struct wire_writer writer;
    wire_writer_init(&writer, arena);
    wire_write_int16(&writer, ASSIGNMENT_VERSION);
    kafka_consumer_protocol_assignment_encode(assignment, ASSIGNMENT_VERSION, &writer);
    return finish(&writer, out);
}

enum status subscription_decode_assignment(struct arena *arena, struct wire_bytes bytes,
                                           struct kafka_consumer_protocol_assignment *out)
{
    if (bytes.byte_count <= 0) {
        kafka_consumer_protocol_assignment_defaults(out);
        return STATUS_OK;
    }
    struct wire_reader reader;
    int16_t version = 0;
    TRY(begin(&reader, bytes, ASSIGNMENT_VERSION_MAX, &version));
    return kafka_consumer_protocol_assignment_decode(&reader, version, arena, out);
}
