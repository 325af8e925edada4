/* Goal: a question about a group ends in time, however often its coordinator says that it is
 * another one. Method: one scripted broker on a loop of its own, which coordinates a group after so
 * many refusals; the library asks it over real sockets. */
#include "client/client.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/delete_groups.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/metadata.h"
#include "proto/sys/check.h"
#include "proto/sys/host/host_clock.h"
#include "proto/sys/host/host_loop.h"
#include "tests/rig/scripted_broker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HOST "127.0.0.1"
#define ARENA_BYTES ((size_t)1 << 20)

static const struct scripted_range ranges[] = {{API_KEY_METADATA, 0, 12},
                                               {API_KEY_API_VERSIONS, 0, 3},
                                               {API_KEY_FIND_COORDINATOR, 0, 3},
                                               {API_KEY_DELETE_GROUPS, 0, 2}};

static struct scripted_broker broker;
static struct host_loop loop;
/* Of the broker's loop; read here once it has ended. */
static int find_count;
static int delete_count;
static int refusal_count; /* How often it says that it is not the one. */

/* ---- the broker ---- */

static void serve_metadata(struct scripted_request *request)
{
    struct kafka_metadata_response_metadata_response_broker row;
    kafka_metadata_response_metadata_response_broker_defaults(&row);
    row.node_id = 1;
    row.host = wire_text_of(HOST);
    row.port = broker.port;
    struct kafka_metadata_response said;
    kafka_metadata_response_defaults(&said);
    said.brokers = &row;
    said.brokers_count = 1;
    said.controller_id = 1;
    scripted_answer(request, SCRIPTED_ENCODE(kafka_metadata_response_encode), &said);
}

static void serve_find(struct scripted_request *request)
{
    find_count += 1;
    struct kafka_find_coordinator_response said;
    kafka_find_coordinator_response_defaults(&said);
    said.node_id = 1;
    said.host = wire_text_of(HOST);
    said.port = broker.port;
    scripted_answer(request, SCRIPTED_ENCODE(kafka_find_coordinator_response_encode), &said);
}

static void serve_delete(struct scripted_request *request)
{
    delete_count += 1;
    struct kafka_delete_groups_response_deletable_group_result row;
    kafka_delete_groups_response_deletable_group_result_defaults(&row);
    row.group_id = wire_text_of("g");
    row.error_code = delete_count <= refusal_count ? ERROR_CODE_NOT_COORDINATOR : ERROR_CODE_NONE;
    struct kafka_delete_groups_response said;
    kafka_delete_groups_response_defaults(&said);
    said.results = &row;
    said.results_count = 1;
    scripted_answer(request, SCRIPTED_ENCODE(kafka_delete_groups_response_encode), &said);
}

static void serve(struct scripted_broker *self, struct scripted_request *request)
{
    (void)self;
    if (request->header.request_api_key == API_KEY_METADATA) {
        serve_metadata(request);
    } else if (request->header.request_api_key == API_KEY_FIND_COORDINATOR) {
        serve_find(request);
    } else {
        cr_assert_eq(request->header.request_api_key, API_KEY_DELETE_GROUPS);
        serve_delete(request);
    }
}

/* Sockets need some turns to close. */
static int turns_left;

static void stop_deliver(struct mail *mail)
{
    if (turns_left == 0) {
        host_loop_stop(&loop);
        return;
    }
    turns_left -= 1;
    if (broker.listener != NULL) {
        scripted_broker_stop(&broker);
    }
    mailbox_post(&loop.loop.mailbox, mail);
}

/* ---- the question ---- */

/* The code of deleting the group; how long it took. */
static int ask(int refusals, int64_t timeout_ms, int64_t *out_ms, struct millrace_error *error)
{
    refusal_count = refusals;
    cr_assert_eq(host_loop_init(&loop, &(struct host_loop_options){.name = "broker"}), STATUS_OK);
    broker = (struct scripted_broker){
        .ranges = ranges, .range_count = sizeof ranges / sizeof *ranges, .handler = serve};
    scripted_broker_start(&broker, &loop.loop, 0);
    cr_assert_eq(host_loop_start(&loop), STATUS_OK);

    char bootstrap[32];
    (void)snprintf(bootstrap, sizeof bootstrap, HOST ":%u", broker.port);
    struct millrace_client_options options = {.size = sizeof options,
                                              .bootstrap = millrace_text(bootstrap)};
    struct millrace_client *client = NULL;
    cr_assert_eq(millrace_client_open(&options, &client, error), 0);
    int64_t began_ns = clock_monotonic_ns(host_clock());
    int code = millrace_group_delete(client, millrace_text("g"), timeout_ms, error);
    *out_ms = (clock_monotonic_ns(host_clock()) - began_ns) / CLOCK_NS_PER_MS;
    struct millrace_error ignored;
    (void)millrace_client_close(client, 10000, &ignored);

    static struct mail mail;
    turns_left = 10;
    mail = (struct mail){.deliver = stop_deliver};
    mailbox_post(&loop.loop.mailbox, &mail);
    host_loop_join(&loop);
    host_loop_done(&loop);
    return code;
}

Test(group_wait, coordinator_that_moved_once_is_found_again_at_once)
{
    struct millrace_error error;
    int64_t took_ms = 0;
    cr_expect_eq(ask(1, 60000, &took_ms, &error), 0, "%s", error.name);
    cr_expect_eq(find_count, 2);
    cr_expect_eq(delete_count, 2);
}

Test(group_wait, coordinator_that_is_not_ready_is_asked_with_pauses, .timeout = 60)
{
    struct millrace_error error;
    int64_t took_ms = 0;
    cr_expect_eq(ask(6, 60000, &took_ms, &error), 0, "%s", error.name);
    cr_expect_eq(delete_count, 7);
    cr_expect_geq(took_ms, 50);
}

Test(group_wait, broker_that_never_coordinates_is_not_asked_without_end, .timeout = 60)
{
    struct millrace_error error;
    int64_t took_ms = 0;
    cr_expect_eq(ask(INT32_MAX, 1500, &took_ms, &error), ERROR_CODE_NOT_COORDINATOR, "%s",
                 error.name);
    cr_expect_lt(delete_count, 50, "%d", delete_count);
    cr_expect_lt(took_ms, 15000);
}
