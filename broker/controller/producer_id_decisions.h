/* Blocks of producer ids: each broker gives them out of its own block without asking again.
 *
 * Owner: the caller. Loop: the quorum's. Limits: PRODUCER_ID_DECISIONS_BLOCK ids a block. */
#pragma once

#include "broker/controller/decision.h"

#define PRODUCER_ID_DECISIONS_BLOCK 1000

struct producer_id_decisions_request {
    int32_t broker_id;
    int64_t broker_epoch;
    /* Results: */
    struct decision_error error;
    int64_t first_id;
    int32_t id_count;
};

void producer_id_decisions_allocate(struct decision *decision,
                                    struct producer_id_decisions_request *request);
