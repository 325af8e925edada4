/* Goal: no bytes make a generated decoder crash, take memory out of proportion, or read a message
 * that cannot be written again.
 * Method: two bytes choose the message, one its version, the rest is its body. What decodes is
 * encoded, which may not be longer than the input, and that decodes to the same bytes again.
 * The tag order, sizes and counts of hostile input are so met by every struct of every message. */
#include "proto/sys/check.h"
#include "tests/rig/message_table.h"

#include <string.h>

#define VALUE_BYTES_MAX ((size_t)1024)
#define CHOICE_BYTES 3U
/* A struct is at most 22 times its smallest form on the wire; an arena wastes at most half. */
#define AMPLIFICATION_MAX 48U
#define ARENA_BYTES_MIN ((size_t)64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

struct output {
    const uint8_t *bytes;
    size_t byte_count;
};

static struct output encode(const struct message_entry *entry, int16_t version, const void *value,
                            struct arena *arena)
{
    struct wire_writer writer;
    wire_writer_init(&writer, arena);
    entry->encode(value, version, &writer);
    struct output output = {0};
    output.bytes = wire_writer_flatten(&writer, &output.byte_count);
    check(wire_writer_status(&writer) == STATUS_OK);
    return output;
}

static void check_round_trip(const struct message_entry *entry, int16_t version, const void *value,
                             size_t read_byte_count)
{
    _Alignas(16) uint8_t again[VALUE_BYTES_MAX];
    struct arena arena;
    arena_init(&arena, (size_t)1 << 28);

    struct output first = encode(entry, version, value, &arena);
    check(first.byte_count <= read_byte_count);
    struct wire_reader reader;
    wire_reader_init(&reader, first.bytes, first.byte_count);
    check(entry->decode(&reader, version, &arena, again) == STATUS_OK);
    check(wire_reader_left(&reader) == 0);
    struct output second = encode(entry, version, again, &arena);
    check(second.byte_count == first.byte_count);
    check(first.byte_count == 0 || memcmp(first.bytes, second.bytes, first.byte_count) == 0);

    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < CHOICE_BYTES) {
        return 0;
    }
    uint32_t choice = (uint32_t)bytes[0] << 8 | bytes[1];
    const struct message_entry *entry = &message_table[choice % message_table_count];
    int version_count = entry->versions.high - entry->versions.low + 1;
    int16_t version = (int16_t)(entry->versions.low + bytes[2] % version_count);
    size_t body_byte_count = byte_count - CHOICE_BYTES;
    _Alignas(16) uint8_t value[VALUE_BYTES_MAX];
    check(entry->shape->byte_count <= sizeof value);

    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MIN + AMPLIFICATION_MAX * body_byte_count);
    struct wire_reader reader;
    wire_reader_init(&reader, bytes + CHOICE_BYTES, body_byte_count);
    enum status status = entry->decode(&reader, version, &arena, value);
    check(status == STATUS_OK || status == STATUS_MALFORMED);
    if (status == STATUS_OK) {
        check_round_trip(entry, version, value, body_byte_count - wire_reader_left(&reader));
    } else {
        check(wire_reader_left(&reader) == 0);
    }
    arena_done(&arena);
    return 0;
}
