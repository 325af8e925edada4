/* Producer ids of one shard: given out of a block that the controller has granted.
 *
 * Whoever asks while the block is used up waits for the next one. Ids of a block that was not used
 * up before a restart are never given out again.
 *
 * Owner: the shard. Loop: the shard's. Limits: waits are embedded in requests. */
#pragma once

#include "broker/uplink/uplink.h"

struct api_shard;

struct producer_ids {
    struct api_shard *shard;
    int64_t next_id;
    int64_t end_id;
    struct list waiting;
    bool is_asking;
    struct uplink_call asked;
    struct producer_id_decisions_request command;
};

struct producer_ids_wait {
    /* Later or from inside producer_ids_take(); `producer_id` is valid with STATUS_OK. */
    void (*on_taken)(struct producer_ids_wait *self, enum status status, int64_t producer_id);
    struct list link;
};

void producer_ids_init(struct producer_ids *self, struct api_shard *shard);
void producer_ids_take(struct producer_ids *self, struct producer_ids_wait *wait);
