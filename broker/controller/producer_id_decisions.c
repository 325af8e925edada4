#include "broker/controller/producer_id_decisions.h"

void producer_id_decisions_allocate(struct decision *decision,
                                    struct producer_id_decisions_request *request)
{
    const struct image_broker *broker = image_broker_by_id(decision->image, request->broker_id);
    int64_t first_id = image_next_producer_id(decision->image);
    request->error = (struct decision_error){.reason = DECISION_NONE};
    request->first_id = -1;
    request->id_count = 0;
    if (broker == NULL) {
        decision_refuse(&request->error, DECISION_UNKNOWN_BROKER, "broker %d is not registered",
                        request->broker_id);
        return;
    }
    if (broker->epoch != request->broker_epoch) {
        decision_refuse(&request->error, DECISION_STALE_BROKER,
                        "broker %d has registered again since", request->broker_id);
        return;
    }
    if (first_id > INT64_MAX - PRODUCER_ID_DECISIONS_BLOCK) {
        decision_refuse(&request->error, DECISION_NO_PRODUCER_IDS,
                        "producer ids are used up; start a new cluster");
        return;
    }
    cluster_writer_producer_ids(decision->writer, request->broker_id, request->broker_epoch,
                                first_id + PRODUCER_ID_DECISIONS_BLOCK);
    request->first_id = first_id;
    request->id_count = PRODUCER_ID_DECISIONS_BLOCK;
}
