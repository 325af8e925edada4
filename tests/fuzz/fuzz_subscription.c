/* Goal: what members of a group tell each other, however hostile, is refused or read within its
 * bytes; and what was read can be written and comes back the same.
 * Method: the first byte chooses between subscription and assignment, the rest is the bytes. */
#include "client/subscription.h"
#include "proto/sys/check.h"

#include <string.h>

#define ARENA_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static void read_subscription(struct arena *arena, struct wire_bytes bytes)
{
    struct kafka_consumer_protocol_subscription got;
    if (subscription_decode(arena, bytes, &got) != STATUS_OK) {
        return;
    }
    struct wire_bytes written;
    struct kafka_consumer_protocol_subscription again;
    if (subscription_encode(arena, got.topics, (uint32_t)got.topics_count, &written) == STATUS_OK) {
        check(subscription_decode(arena, written, &again) == STATUS_OK);
        check(again.topics_count == got.topics_count);
        for (int32_t i = 0; i < got.topics_count; i++) {
            check(again.topics[i].byte_count == got.topics[i].byte_count);
            check(memcmp(again.topics[i].bytes, got.topics[i].bytes,
                         (size_t)got.topics[i].byte_count) == 0);
        }
    }
}

static void read_assignment(struct arena *arena, struct wire_bytes bytes)
{
    struct kafka_consumer_protocol_assignment got;
    if (subscription_decode_assignment(arena, bytes, &got) != STATUS_OK) {
        return;
    }
    struct wire_bytes written;
    struct kafka_consumer_protocol_assignment again;
    if (subscription_encode_assignment(arena, &got, &written) == STATUS_OK) {
        check(subscription_decode_assignment(arena, written, &again) == STATUS_OK);
        check(again.assigned_partitions_count == got.assigned_partitions_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    if (byte_count < 1 || byte_count > INT32_MAX) {
        return 0;
    }
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    struct wire_bytes rest = {bytes + 1, (int32_t)(byte_count - 1)};
    if (bytes[0] % 2 == 0) {
        read_subscription(&arena, rest);
    } else {
        read_assignment(&arena, rest);
    }
    arena_done(&arena);
    return 0;
}
