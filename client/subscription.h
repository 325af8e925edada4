/* What members of a consumer group tell each other, in Kafka's bytes: an int16 version, then
 * ConsumerProtocolSubscription (which topics) or ConsumerProtocolAssignment (which partitions).
 *
 * Newer versions than ours are read by the fields we know, as they only add behind.
 *
 * Owner: none. Loop: any. Limits: the arena's. */
#pragma once

#include "proto/kafka/consumer_protocol.h"

/* NO_MEMORY. The bytes are the arena's. */
MUST_USE enum status subscription_encode(struct arena *arena, const struct wire_text *topics,
                                         uint32_t topic_count, struct wire_bytes *out);
/* MALFORMED, NO_MEMORY. Texts point into `bytes`. */
MUST_USE enum status subscription_decode(struct arena *arena, struct wire_bytes bytes,
                                         struct kafka_consumer_protocol_subscription *out);
MUST_USE enum status
subscription_encode_assignment(struct arena *arena,
                               const struct kafka_consumer_protocol_assignment *assignment,
                               struct wire_bytes *out);
/* Empty bytes are nothing assigned. */
MUST_USE enum status subscription_decode_assignment(struct arena *arena, struct wire_bytes bytes,
                                                    struct kafka_consumer_protocol_assignment *out);
