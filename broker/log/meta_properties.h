/* `meta.properties` of a data directory: whose it is.
 *
 * Java's properties as text: `key=value` lines (also `key: value`), `#` or `!` comments, backslash
 * escapes, no order. Known keys: version (1), cluster.id, node.id, directory.id (22 characters of
 * URL base64). Others are passed over.
 * Owner: the node. Loop: any. Limits: META_PROPERTIES_ID_BYTES_MAX, META_PROPERTIES_BYTES_MAX. */
#pragma once

#include "proto/sys/status.h"

#include <stddef.h>
#include <stdint.h>

#define META_PROPERTIES_NAME "meta.properties"
#define META_PROPERTIES_ID_BYTES_MAX 64U
#define META_PROPERTIES_BYTES_MAX 4096U

struct meta_properties {
    int32_t node_id;                                     /* -1: the file names none. */
    char cluster_id[META_PROPERTIES_ID_BYTES_MAX + 1];   /* Empty: none. */
    char directory_id[META_PROPERTIES_ID_BYTES_MAX + 1]; /* Empty: none. */
};

/* MALFORMED: not such a text, a key twice, a value that cannot be. UNSUPPORTED: version not 1. */
MUST_USE enum status meta_properties_decode(const uint8_t *bytes, size_t byte_count,
                                            struct meta_properties *out_properties);
/* Number of bytes written, below META_PROPERTIES_BYTES_MAX, which `out_bytes` has room for. */
size_t meta_properties_encode(const struct meta_properties *self, char *out_bytes);
