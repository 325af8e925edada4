/* Whose the data directory is: `meta.properties`, made at the first start of a broker that does not
 * vote (a voter's identity is the quorum's own). The directory's id survives restarts, not a wipe.
 *
 * Owner: the broker. Loop: any, at the start only. */
#pragma once

#include "proto/sys/loop.h"
#include "proto/wire/reader.h"

/* INVALID: the directory belongs to another broker. CORRUPT: the file cannot be read. */
MUST_USE enum status broker_identity_load(struct loop *loop, const char *directory,
                                          int32_t broker_id, struct wire_uuid *out_directory_id);
