/* Goal: every call ends once, with what is known about it, whatever the broker does.
 * Method: a scripted broker in a simulated world: answers late, never, wrong, cut, out of order. */
#include "client/link.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/heartbeat.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define CALLS_MAX 16

static const struct scripted_range ranges[] = {
    {API_KEY_API_VERSIONS, 0, 3}, {API_KEY_HEARTBEAT, 1, 3}, {API_KEY_METADATA, 5, 9}};
static struct scripted_broker broker;
static struct scripted_request held[CALLS_MAX];
static uint32_t held_count;
static struct link *subject;
static int open_count;
static int closed_count;
static enum status closed_why;
static struct link_call calls[CALLS_MAX];
static enum status ends[CALLS_MAX];
static int end_counts[CALLS_MAX];
static int32_t throttles[CALLS_MAX];
static int order[CALLS_MAX];
static int order_count;
static const uint8_t body_bytes[] = {0, 1, 'g', 0, 0, 0, 1, 0, 1, 'm'}; /* A heartbeat, v1. */
static struct wire_slice body[2] = {{body_bytes, 3}, {body_bytes + 3, sizeof body_bytes - 3}};

static void hold(struct scripted_broker *self, struct scripted_request *request)
{
    (void)self;
    cr_assert_eq(request->header.request_api_key, API_KEY_HEARTBEAT);
    cr_assert_eq(wire_reader_left(request->body), sizeof body_bytes);
    cr_assert_arr_eq(request->body->next, body_bytes, sizeof body_bytes);
    held[held_count++] = *request;
}

static void answer(uint32_t index, int32_t throttle_ms)
{
    struct kafka_heartbeat_response response;
    kafka_heartbeat_response_defaults(&response);
    response.throttle_time_ms = throttle_ms;
    scripted_answer(&held[index], SCRIPTED_ENCODE(kafka_heartbeat_response_encode), &response);
}

static void answer_at_once(struct scripted_broker *self, struct scripted_request *request)
{
    hold(self, request);
    answer(held_count - 1, (int32_t)held_count);
}

static void on_open(struct link *link, void *context)
{
    (void)context;
    cr_assert_eq(link, subject);
    open_count += 1;
}

static void on_closed(struct link *link, void *context, enum status why)
{
    (void)link;
    (void)context;
    closed_count += 1;
    closed_why = why;
    subject = NULL;
}

static void on_done(struct link_call *call, enum status status)
{
    int index = (int)(call - calls);
    cr_assert_eq(closed_count, 0, "calls end before the link does");
    ends[index] = status;
    end_counts[index] += 1;
    order[order_count++] = index;
    if (status == STATUS_OK) {
        throttles[index] = wire_read_int32(&call->reader);
    }
    link_call_done(call);
}

static void open_link(struct link_options options)
{
    options.loop = rig_loop;
    options.address = rig_address(RIG_PORT);
    options.on_open = on_open;
    options.on_closed = on_closed;
    cr_assert_eq(link_open(&options, &subject), STATUS_OK);
}

static void send(int index, int64_t timeout_ms)
{
    calls[index] = (struct link_call){.api_key = API_KEY_HEARTBEAT,
                                      .api_version = 1,
                                      .body = body,
                                      .body_count = 2,
                                      .timeout_ms = timeout_ms,
                                      .on_done = on_done};
    cr_assert_eq(link_send(subject, &calls[index]), STATUS_OK);
    cr_assert_eq(end_counts[index], 0, "never from inside");
}

static void set_up(void)
{
    rig_begin(11);
    broker = (struct scripted_broker){.ranges = ranges, .range_count = 3, .handler = hold};
    scripted_broker_start(&broker, rig_loop, RIG_PORT);
}

static void tear_down(void)
{
    if (subject != NULL) {
        link_close(subject);
    }
    rig_run_for(SIM_S);
    cr_expect_null(subject);
    rig_end();
}

TestSuite(link, .init = set_up, .fini = tear_down);

Test(link, it_opens_when_the_versions_are_known)
{
    broker.is_millrace = true;
    open_link((struct link_options){0});
    cr_expect_eq(link_version(subject, API_KEY_HEARTBEAT, 0, 4), -1);

    rig_run_for(SIM_S);

    cr_expect_eq(open_count, 1);
    cr_expect(link_is_open(subject));
    cr_expect_eq(link_version(subject, API_KEY_HEARTBEAT, 0, 4), 3);
    cr_expect_eq(link_version(subject, API_KEY_HEARTBEAT, 0, 2), 2);
    cr_expect_eq(link_version(subject, API_KEY_HEARTBEAT, 4, 4), -1);
    cr_expect_eq(link_version(subject, API_KEY_METADATA, 0, 4), -1);
    cr_expect_eq(link_version(subject, API_KEY_PRODUCE, 0, 9), -1);
    cr_expect_eq(link_supported_feature(subject, "millrace.version"), 1);
    cr_expect_eq(link_supported_feature(subject, "other"), 0);
    cr_expect_eq(link_feature_level(subject, "millrace.version"), 0);
}

Test(link, an_old_broker_is_asked_again_in_version_0)
{
    broker.refuses_new_versions = true;
    open_link((struct link_options){0});

    rig_run_for(SIM_S);

    cr_expect_eq(open_count, 1);
    cr_expect_eq(link_version(subject, API_KEY_HEARTBEAT, 0, 4), 3);
    cr_expect_eq(broker.connections[0].request_count, 2);
}

Test(link, calls_made_before_it_is_open_are_sent_then_and_answered_in_order)
{
    broker.handler = answer_at_once;
    open_link((struct link_options){0});
    for (int i = 0; i < 4; i++) {
        send(i, 1000);
    }

    rig_run_for(SIM_S / 2);

    for (int i = 0; i < 4; i++) {
        cr_expect_eq(ends[i], STATUS_OK);
        cr_expect_eq(end_counts[i], 1);
        cr_expect_eq(throttles[i], i + 1);
        cr_expect_eq(order[i], i);
    }
}

Test(link, no_more_than_the_limit_are_on_the_wire)
{
    open_link((struct link_options){.in_flight_max = 2, .waiting_max = 3});
    rig_run_for(SIM_S);
    for (int i = 0; i < 5; i++) {
        send(i, 60000);
    }
    calls[5] = calls[4];

    cr_expect_eq(link_send(subject, &calls[5]), STATUS_FULL);
    rig_run_for(SIM_S);
    cr_expect_eq(held_count, 2);
    answer(0, 1);
    rig_run_for(SIM_S);
    cr_expect_eq(held_count, 3);
    cr_expect_eq(end_counts[0], 1);
    cr_expect_eq(end_counts[1], 0);
}

Test(link, a_call_without_answer_breaks_the_link_and_tells_apart_who_was_sent)
{
    open_link((struct link_options){.in_flight_max = 2});
    rig_run_for(SIM_S);
    send(0, 60000);
    send(1, 500);
    send(2, 60000);

    rig_run_for(SIM_S);

    cr_expect_eq(ends[0], STATUS_UNKNOWN);
    cr_expect_eq(ends[1], STATUS_TIMEOUT);
    cr_expect_eq(ends[2], STATUS_CANCELED);
    cr_expect_eq(closed_count, 1);
    cr_expect_eq(closed_why, STATUS_TIMEOUT);
}

Test(link, a_call_that_waits_in_line_too_long_ends_alone)
{
    open_link((struct link_options){.in_flight_max = 1, .waiting_max = 2});
    rig_run_for(SIM_S);
    send(0, 60000);
    send(1, 500);
    send(2, 60000);

    rig_run_for(SIM_S);
    cr_expect_eq(ends[1], STATUS_CANCELED);
    cr_expect_eq(end_counts[1], 1);
    cr_expect_eq(closed_count, 0);
    send(3, 60000); /* Its place in line is free again. */
    for (uint32_t i = 0; i < 3; i++) {
        answer(i, 9);
        rig_run_for(SIM_S);
    }

    cr_expect_eq(ends[0], STATUS_OK);
    cr_expect_eq(ends[2], STATUS_OK);
    cr_expect_eq(ends[3], STATUS_OK);
    cr_expect_eq(throttles[3], 9);
}

Test(link, a_broken_stream_leaves_the_fate_of_what_was_sent_open)
{
    open_link((struct link_options){.in_flight_max = 1});
    rig_run_for(SIM_S);
    send(0, 60000);
    send(1, 60000);
    rig_run_for(SIM_S);

    scripted_broker_break(&broker);
    rig_run_for(SIM_S);

    cr_expect_eq(ends[0], STATUS_UNKNOWN);
    cr_expect_eq(ends[1], STATUS_CANCELED);
    cr_expect_eq(closed_count, 1);
}

Test(link, nobody_listening_closes_it_with_the_reason)
{
    scripted_broker_stop(&broker);
    open_link((struct link_options){0});
    send(0, 60000);

    rig_run_for(20 * SIM_S);

    cr_expect_eq(ends[0], STATUS_CANCELED);
    cr_expect_eq(closed_count, 1);
    cr_expect_neq(closed_why, STATUS_OK);
    cr_expect_eq(open_count, 0);
}

static void answer_wrong_correlation(struct scripted_broker *self, struct scripted_request *request)
{
    request->header.correlation_id += 1;
    answer_at_once(self, request);
}

Test(link, an_answer_to_another_question_breaks_it)
{
    broker.handler = answer_wrong_correlation;
    open_link((struct link_options){0});
    send(0, 60000);

    rig_run_for(SIM_S);

    cr_expect_eq(ends[0], STATUS_UNKNOWN);
    cr_expect_eq(closed_why, STATUS_MALFORMED);
}

Test(link, an_answer_that_nobody_asked_for_breaks_it)
{
    broker.handler = answer_at_once;
    open_link((struct link_options){0});
    send(0, 60000);
    rig_run_for(SIM_S);
    cr_assert_eq(ends[0], STATUS_OK);

    answer(0, 5);
    rig_run_for(SIM_S);

    cr_expect_eq(closed_count, 1);
    cr_expect_eq(closed_why, STATUS_MALFORMED);
}

Test(link, a_length_that_cannot_be_breaks_it)
{
    static const uint8_t lengths[3][8] = {{0, 0, 0, 3}, {0xff, 0xff, 0xff, 0xff}, {0x10, 0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        closed_count = 0;
        end_counts[0] = 0;
        held_count = 0;
        open_link((struct link_options){.frame_bytes_max = 1U << 20});
        rig_run_for(SIM_S);
        send(0, 60000);
        rig_run_for(SIM_S);

        scripted_raw(held[0].connection, lengths[i], sizeof lengths[i]);
        rig_run_for(SIM_S);

        cr_expect_eq(closed_count, 1);
        cr_expect_eq(closed_why, STATUS_MALFORMED);
        cr_expect_eq(ends[0], STATUS_UNKNOWN);
    }
}

Test(link, closing_ends_all_calls_once)
{
    open_link((struct link_options){.in_flight_max = 1});
    rig_run_for(SIM_S);
    send(0, 60000);
    send(1, 60000);

    link_close(subject);
    link_close(subject);
    calls[2] = calls[1];
    cr_expect_eq(link_send(subject, &calls[2]), STATUS_CLOSED);
    rig_run_for(SIM_S);

    cr_expect_eq(end_counts[0], 1);
    cr_expect_eq(ends[0], STATUS_UNKNOWN);
    cr_expect_eq(end_counts[1], 1);
    cr_expect_eq(ends[1], STATUS_CANCELED);
    cr_expect_eq(closed_count, 1);
}

static void close_from_inside(struct link_call *call, enum status status)
{
    on_done(call, status);
    link_close(subject);
}

Test(link, it_may_be_closed_from_an_answer)
{
    broker.handler = answer_at_once;
    open_link((struct link_options){0});
    send(0, 60000);
    calls[0].on_done = close_from_inside;
    send(1, 60000);

    rig_run_for(SIM_S);

    cr_expect_eq(ends[0], STATUS_OK);
    cr_expect_eq(end_counts[1], 1);
    cr_expect_eq(closed_count, 1);
    cr_expect_eq(closed_why, STATUS_CLOSED);
}
