/* Who of a group's members reads which partition: Kafka's range and round robin, as pure functions.
 *
 * Range deals out each topic by itself, in neighbouring pieces; round robin deals all partitions of
 * all topics out one by one. Members that do not read a topic get nothing of it. Ties are broken by
 * instance id, then by member id, so that whoever leads comes to the same result.
 *
 * Owner: none. Loop: any. Limits: the caller's. */
#pragma once

#include "proto/sys/status.h"
#include "proto/wire/reader.h"

#define ASSIGNOR_NOBODY UINT32_MAX

/* In the order in which we like them. */
enum assignor_kind { ASSIGNOR_RANGE, ASSIGNOR_ROUND_ROBIN, ASSIGNOR_COUNT };

struct assignor_member {
    struct wire_text member_id;
    struct wire_text instance_id; /* Null: none. */
    const struct wire_text *topics;
    uint32_t topic_count;
};

struct assignor_topic {
    struct wire_text name;
    int32_t partition_count;
};

/* Kafka's name of it. */
struct wire_text assignor_name(enum assignor_kind kind);
/* False: not one of ours. */
bool assignor_of_name(struct wire_text name, enum assignor_kind *out_kind);

/* Sorts members and topics, and fills `owners` with the index of the member of each partition, all
 * partitions of the first topic, then of the second, and so on. */
void assignor_run(enum assignor_kind kind, struct assignor_member *members, uint32_t member_count,
                  struct assignor_topic *topics, uint32_t topic_count, uint32_t *owners);
