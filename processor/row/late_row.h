/* A record that came too late, unchanged: what stages and the sink hand to each other of it.
 *
 * Owner: whoever tells of it; all is borrowed for the call. */
#pragma once

#include "proto/wire/reader.h"

struct late_row {
    struct wire_bytes key;
    struct wire_bytes value;
    int64_t timestamp_ms;
    int32_t partition;
    int64_t offset;
    const uint8_t *headers; /* As they are in the record. */
    const uint8_t *headers_end;
    int32_t header_count;
    const char *reason; /* "late": behind the watermark. */
};
