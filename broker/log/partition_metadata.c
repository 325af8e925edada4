#include "broker/log/partition_metadata.h"

#include "broker/log/text_lines.h"
#include "proto/sys/check.h"

#include <string.h>

#define VERSION_KEY "version: "
#define TOPIC_ID_KEY "topic_id: "
#define ID_CHARACTERS 22

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Takes `key` from the front of `line`. */
static bool take_key(struct wire_text *line, const char *key)
{
    size_t key_bytes = strlen(key);
    if ((size_t)line->byte_count < key_bytes || memcmp(line->bytes, key, key_bytes) != 0) {
        return false;
    }
    line->bytes += key_bytes;
    line->byte_count -= (int32_t)key_bytes;
    return true;
}

/* 22 characters carry 132 bits: the last four are zero. */
static bool decode_id(struct wire_text text, struct wire_uuid *out_id)
{
    if (text.byte_count != ID_CHARACTERS) {
        return false;
    }
    struct wire_uuid id = {0};
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t used = 0;
    for (int32_t i = 0; i < ID_CHARACTERS; i++) {
        const char *place = text.bytes[i] == 0 ? NULL : strchr(alphabet, text.bytes[i]);
        if (place == NULL) {
            return false;
        }
        bits = (bits << 6 | (uint32_t)(place - alphabet)) & 0x3fff;
        bit_count += 6;
        if (bit_count >= 8 && used < sizeof id.bytes) {
            bit_count -= 8;
            id.bytes[used] = (uint8_t)(bits >> bit_count);
            used += 1;
        }
    }
    check(used == sizeof id.bytes);
    if ((bits & 0x0f) != 0) {
        return false;
    }
    *out_id = id;
    return true;
}

enum status partition_metadata_decode(const uint8_t *bytes, size_t byte_count,
                                      struct wire_uuid *out_topic_id)
{
    struct text_lines lines;
    text_lines_init(&lines, bytes, byte_count);
    struct wire_text line;
    int64_t version = 0;
    if (!text_lines_step(&lines, &line) || !take_key(&line, VERSION_KEY) ||
        !text_lines_number(line, INT32_MAX, false, &version)) {
        return STATUS_MALFORMED;
    }
    if (version != 0) {
        return STATUS_UNSUPPORTED;
    }
    struct wire_uuid topic_id;
    if (!text_lines_step(&lines, &line) || !take_key(&line, TOPIC_ID_KEY) ||
        !decode_id(line, &topic_id) || wire_uuid_is_zero(&topic_id)) {
        return STATUS_MALFORMED;
    }
    if (text_lines_step(&lines, &line)) {
        return STATUS_MALFORMED;
    }
    *out_topic_id = topic_id;
    return STATUS_OK;
}

void partition_metadata_encode(const struct wire_uuid *topic_id,
                               uint8_t out_bytes[PARTITION_METADATA_BYTES])
{
    static const char head[] = VERSION_KEY "0\n" TOPIC_ID_KEY;
    _Static_assert(sizeof head - 1 + ID_CHARACTERS == PARTITION_METADATA_BYTES, "Kafka's size");
    check(!wire_uuid_is_zero(topic_id));

    memcpy(out_bytes, head, sizeof head - 1);
    uint8_t *next = out_bytes + sizeof head - 1;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    for (size_t i = 0; i < sizeof topic_id->bytes; i++) {
        bits = (bits << 8 | topic_id->bytes[i]) & 0x3fff;
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            *next++ = (uint8_t)alphabet[bits >> bit_count & 0x3f];
        }
    }
    check(bit_count == 2);
    *next++ = (uint8_t)alphabet[bits << 4 & 0x3f];
    check(next == out_bytes + PARTITION_METADATA_BYTES);
}
