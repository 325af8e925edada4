#include "broker/broker_identity.h"

#include "broker/log/meta_properties.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX_BYTES 32U

static void to_text(const struct wire_uuid *id, char out_text[HEX_BYTES + 1])
{
    for (size_t i = 0; i < sizeof id->bytes; i++) {
        snprintf(out_text + 2 * i, 3, "%02x", id->bytes[i]);
    }
}

static enum status from_text(const char *text, struct wire_uuid *out_id)
{
    struct wire_uuid id;
    if (strlen(text) != HEX_BYTES) {
        return STATUS_CORRUPT;
    }
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1) {
            return STATUS_CORRUPT;
        }
        id.bytes[i] = (uint8_t)value;
    }
    *out_id = id;
    return STATUS_OK;
}

static enum status make(struct loop *loop, const char *directory, int32_t broker_id,
                        struct wire_uuid *out_directory_id)
{
    struct wire_uuid id;
    prng_fill(&loop->prng, id.bytes, sizeof id.bytes);
    struct meta_properties properties = {.node_id = broker_id};
    to_text(&id, properties.directory_id);
    char bytes[META_PROPERTIES_BYTES_MAX];
    size_t byte_count = meta_properties_encode(&properties, bytes);
    TRY(disk_replace_file(loop->disk, directory, META_PROPERTIES_NAME, bytes, byte_count));
    *out_directory_id = id;
    return STATUS_OK;
}

enum status broker_identity_load(struct loop *loop, const char *directory, int32_t broker_id,
                                 struct wire_uuid *out_directory_id)
{
    char path[DISK_PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", directory, META_PROPERTIES_NAME);
    if (length < 0 || (size_t)length >= sizeof path) {
        return STATUS_INVALID;
    }
    uint8_t *bytes = NULL;
    size_t byte_count = 0;
    enum status status =
        disk_read_file(loop->disk, path, META_PROPERTIES_BYTES_MAX, &bytes, &byte_count);
    if (status == STATUS_NOT_FOUND) {
        return make(loop, directory, broker_id, out_directory_id);
    }
    TRY(status);
    struct meta_properties properties;
    status = meta_properties_decode(bytes, byte_count, &properties);
    free(bytes);
    if (status != STATUS_OK) {
        return status == STATUS_MALFORMED ? STATUS_CORRUPT : status;
    }
    if (properties.node_id != broker_id) {
        return STATUS_INVALID;
    }
    return from_text(properties.directory_id, out_directory_id);
}
