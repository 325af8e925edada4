#include "proto/internal/message_copy.h"

#include <stdint.h>
#include <stdlib.h>

void *message_copy(const ProtobufCMessage *message)
{
    size_t byte_count = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(byte_count + 1);
    if (bytes == NULL) {
        return NULL;
    }
    (void)protobuf_c_message_pack(message, bytes);
    void *copy = protobuf_c_message_unpack(message->descriptor, NULL, byte_count, bytes);
    free(bytes);
    return copy;
}

void message_copy_free(void *copy)
{
    if (copy != NULL) {
        protobuf_c_message_free_unpacked(copy, NULL);
    }
}
