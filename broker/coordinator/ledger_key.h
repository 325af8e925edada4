/* Which partition of an internal topic a group or a transactional id lives in: as Kafka's brokers
 * choose it, since tools that read those topics count on it. */
#pragma once

#include "proto/wire/reader.h"

/* abs(Java's String.hashCode) mod `partition_count`; Java's absolute value of the smallest number
 * counts as 0. */
int32_t ledger_key_partition(struct wire_text key, uint32_t partition_count);
