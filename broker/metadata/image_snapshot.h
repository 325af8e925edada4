/* An image as the bytes of a Snapshot message, and back: the same bytes for the same image.
 *
 * Order: cluster, features, producer ids, brokers, topics (each with its partitions and
 * configuration), other configurations, remembered tokens oldest first. The quorum frames and
 * checksums it.
 *
 * Owner: the caller. Loop: any. Limits: memory that is not there ends the node. */
#pragma once

#include "broker/metadata/image.h"

#define IMAGE_SNAPSHOT_VERSION 1U

/* Made by malloc() for the caller. */
uint8_t *image_snapshot_write(const struct image *image, size_t *out_byte_count);

/* STATUS_MALFORMED: not a snapshot, or one that contradicts itself. STATUS_UNSUPPORTED: written by
 * a newer version. */
MUST_USE enum status image_snapshot_read(const void *bytes, size_t byte_count,
                                         struct image **out_image);
