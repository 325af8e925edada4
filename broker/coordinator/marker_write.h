/* One end-of-transaction marker on its way into one partition that this broker leads.
 *
 * A partition with a ledger takes it through the ledger, so that pending offsets become committed
 * in the order of the log; any other one takes it as an append. Either way it is done when it is
 * safe on all replicas in sync.
 *
 * Owner: the caller; embedded, stays put until on_done. Loop: `home`; it runs on the partition's.
 * Limits: none of its own. */
#pragma once

#include "broker/coordinator/ledger.h"
#include "broker/partition/partition_map.h"
#include "proto/record/control_record.h"

#define MARKER_WRITE_TIMEOUT_MS 3000

struct marker_write {
    struct ledger_marker marker;
    struct partition_map *map; /* Of the shard that owns the partition. */
    struct loop *home;
    struct wire_uuid topic_id;
    int32_t index;
    void (*on_done)(struct marker_write *self, int16_t code); /* Kafka's number. */
    void *context;                                            /* The caller's. */
    /* Its own: */
    struct partition_call call;
    struct partition_append append;
    struct ledger_op op;
    uint8_t bytes[CONTROL_RECORD_MARKER_BYTES];
    int16_t code;
};

/* on_done may run inside. */
void marker_write_post(struct marker_write *self);
