/* Goal: no producer id is given out twice.
 * Method: blocks one after another, then the end of the numbers. */
#include "broker/controller/producer_id_decisions.h"

#include "tests/rig/decider.h"

#include <criterion/criterion.h>

static struct decider decider;

static struct producer_id_decisions_request allocate(int32_t broker_id, int64_t epoch_more)
{
    struct producer_id_decisions_request request = {
        .broker_id = broker_id,
        .broker_epoch = broker_id > 3 ? 1 : decider_epoch(&decider, broker_id) + epoch_more};
    producer_id_decisions_allocate(decider_begin(&decider), &request);
    if (decider.writer.record_count > 0) {
        decider_apply(&decider);
    }
    return request;
}

Test(producer_id_decisions, blocks_follow_one_another)
{
    decider_init(&decider, 3, 0);
    for (int64_t i = 0; i < 5; i++) {
        struct producer_id_decisions_request reply = allocate(1 + (int32_t)(i % 3), 0);
        cr_expect_eq(reply.error.reason, DECISION_NONE);
        cr_expect_eq(reply.first_id, i * 1000);
        cr_expect_eq(reply.id_count, 1000);
    }
    decider_done(&decider);
}

Test(producer_id_decisions, strangers_get_none)
{
    decider_init(&decider, 3, 0);
    cr_expect_eq(allocate(1, 1).error.reason, DECISION_STALE_BROKER);
    cr_expect_eq(allocate(9, 0).error.reason, DECISION_UNKNOWN_BROKER);
    cr_expect_eq(image_next_producer_id(decider.image), 0);
    decider_done(&decider);
}

Test(producer_id_decisions, last_number_is_not_passed)
{
    decider_init(&decider, 3, 0);
    struct cluster_writer writer;
    cluster_writer_init_command(&writer);
    cluster_writer_producer_ids(&writer, 1, decider_epoch(&decider, 1), INT64_MAX - 1500);
    image_maker_apply_fit(&decider.image, &writer);
    cluster_writer_done(&writer);

    cr_expect_eq(allocate(1, 0).error.reason, DECISION_NONE);
    cr_expect_eq(allocate(1, 0).error.reason, DECISION_NO_PRODUCER_IDS);
    decider_done(&decider);
}
