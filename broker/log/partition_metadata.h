/* `partition.metadata` of a partition's directory: which topic it belongs to, by id.
 *
 *   version: 0
 *   topic_id: eZccgGQGQ7m20Cr43whWGg      URL base64 of 16 bytes; no newline behind it
 *
 * Owner: the log. Loop: any. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#include <stddef.h>
#include <stdint.h>

#define PARTITION_METADATA_NAME "partition.metadata"
#define PARTITION_METADATA_BYTES 43U
#define PARTITION_METADATA_BYTES_MAX 1024U /* Of a file that is looked at. */

/* MALFORMED: not such a text. UNSUPPORTED: another version. */
MUST_USE enum status partition_metadata_decode(const uint8_t *bytes, size_t byte_count,
                                               struct wire_uuid *out_topic_id);
void partition_metadata_encode(const struct wire_uuid *topic_id,
                               uint8_t out_bytes[PARTITION_METADATA_BYTES]);
