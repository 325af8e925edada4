/* Goal: what a broker that lags behind still shows is not taken for a topic.
 * Method: a scripted broker that shows one topic, which its controller may know or not. */
#include "processor/job/topic_maker.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/metadata.h"
#include "tests/unit/client/client_rig.h"

static const struct scripted_range ranges[] = {{API_KEY_METADATA, 0, 12},
                                               {API_KEY_CREATE_TOPICS, 2, 7}};
static struct scripted_broker broker;
static struct admin_core core;
static bool is_shown;
static bool is_known;
static bool has_controller;
static uint32_t create_count;
static bool is_done;
static enum status outcome;

/* ---- the broker ---- */

static void tell_metadata(struct scripted_broker *self, struct scripted_request *request)
{
    struct kafka_metadata_response_metadata_response_broker node;
    kafka_metadata_response_metadata_response_broker_defaults(&node);
    node.node_id = 1;
    node.host = wire_text_of("localhost");
    node.port = self->port;
    struct kafka_metadata_response_metadata_response_partition partition;
    kafka_metadata_response_metadata_response_partition_defaults(&partition);
    partition.leader_id = 1;
    struct kafka_metadata_response_metadata_response_topic topic;
    kafka_metadata_response_metadata_response_topic_defaults(&topic);
    topic.name = wire_text_of("events");
    topic.error_code = is_shown ? ERROR_CODE_NONE : ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    topic.partitions = &partition;
    topic.partitions_count = is_shown ? 1 : 0;
    struct kafka_metadata_response out;
    kafka_metadata_response_defaults(&out);
    out.brokers = &node;
    out.brokers_count = 1;
    out.controller_id = has_controller ? 1 : -1;
    out.topics = &topic;
    out.topics_count = 1;
    scripted_answer(request, SCRIPTED_ENCODE(kafka_metadata_response_encode), &out);
}

static void handle(struct scripted_broker *self, struct scripted_request *request)
{
    if (request->header.request_api_key == API_KEY_METADATA) {
        tell_metadata(self, request);
        return;
    }
    cr_assert_eq(request->header.request_api_key, API_KEY_CREATE_TOPICS);
    create_count += 1;
    struct kafka_create_topics_response_creatable_topic_result row;
    kafka_create_topics_response_creatable_topic_result_defaults(&row);
    row.name = wire_text_of("events");
    row.error_code = is_known ? ERROR_CODE_TOPIC_ALREADY_EXISTS : ERROR_CODE_NONE;
    struct kafka_create_topics_response out;
    kafka_create_topics_response_defaults(&out);
    out.topics = &row;
    out.topics_count = 1;
    scripted_answer(request, SCRIPTED_ENCODE(kafka_create_topics_response_encode), &out);
    is_known = true;
    is_shown = true;
}

/* ---- the wish ---- */

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static void set_up(void)
{
    rig_begin(11);
    broker = (struct scripted_broker){
        .ranges = ranges, .range_count = sizeof ranges / sizeof ranges[0], .handler = handle};
    scripted_broker_start(&broker, rig_loop, RIG_PORT);
    has_controller = true;
    struct address bootstrap = rig_address(RIG_PORT);
    admin_core_init(&core, &(struct admin_core_options){.loop = rig_loop,
                                                        .bootstrap = &bootstrap,
                                                        .bootstrap_count = 1,
                                                        .client_id = "test",
                                                        .request_timeout_ms = 2000});
}

static void tear_down(void)
{
    bool has_closed = false;
    admin_core_close(&core, on_closed, &has_closed);
    rig_run_for(SIM_S);
    cr_expect(has_closed);
    scripted_broker_stop(&broker);
    rig_end();
}

TestSuite(topic_maker, .init = set_up, .fini = tear_down);

static void on_done(struct topic_wish *self, enum status status)
{
    (void)self;
    is_done = true;
    outcome = status;
}

static void run(struct topic_wish *wish)
{
    wish->deadline_ns = loop_now_ns(rig_loop) + 20 * SIM_S;
    wish->on_done = on_done;
    topic_maker_run(&core, wish);
    rig_run_for(30 * SIM_S);
    cr_assert(is_done);
}

Test(topic_maker, a_topic_that_a_lagging_broker_still_shows_is_created)
{
    is_shown = true;
    struct topic_wish wish = {.name = "events"};

    run(&wish);

    cr_expect_eq(outcome, STATUS_OK);
    cr_expect_eq(create_count, 1);
    cr_expect_eq(wish.found_partition_count, 1);
}

Test(topic_maker, a_topic_that_is_there_is_taken_as_it_is)
{
    is_shown = true;
    is_known = true;
    struct topic_wish wish = {.name = "events", .partition_count = 4};

    run(&wish);

    cr_expect_eq(outcome, STATUS_OK);
    cr_expect_eq(wish.found_partition_count, 1);
}

Test(topic_maker, a_topic_that_nobody_deletes_waits_for_no_controller)
{
    is_shown = true;
    is_known = true;
    has_controller = false;
    struct topic_wish wish = {.name = "events", .is_never_deleted = true};

    run(&wish);

    cr_expect_eq(outcome, STATUS_OK);
    cr_expect_eq(create_count, 0);
}

Test(topic_maker, a_topic_that_must_exist_is_not_created)
{
    struct topic_wish wish = {.name = "events", .must_exist = true};

    run(&wish);

    cr_expect_neq(outcome, STATUS_OK);
    cr_expect_eq(create_count, 0);
}
