/* Goal: operations on a topic end right where an answer is lost, and say what a broker said.
 * Method: scripted brokers with one topic that can be made and deleted; the connection breaks
 * behind a question that was served. */
#include "client/topic_calls.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/create_topics.h"
#include "proto/kafka/delete_topics.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/scripted_log.h"
#include "tests/unit/client/client_rig.h"

static const struct scripted_range ranges[] = {{API_KEY_METADATA, 0, 12},
                                               {API_KEY_API_VERSIONS, 0, 3},
                                               {API_KEY_LIST_OFFSETS, 1, 7},
                                               {API_KEY_CREATE_TOPICS, 2, 7},
                                               {API_KEY_DELETE_TOPICS, 1, 6}};

static struct scripted_log cluster;
static struct admin_core subject;
static struct admin_op op;
static enum status done_status;
static int done_count;
static int break_count; /* Answers that are still to be lost. */
static int32_t made_partitions;
static char made_setting[64];

/* ---- the brokers ---- */

static enum scripted_fault spoil(struct scripted_log *self, uint32_t broker, int16_t api_key)
{
    (void)self;
    (void)broker;
    if (break_count == 0 || api_key == API_KEY_METADATA) {
        return SCRIPTED_WELL;
    }
    break_count -= 1;
    return SCRIPTED_BREAK_AFTER;
}

static void serve_create(struct scripted_request *request, enum scripted_fault fault,
                         struct arena *arena)
{
    struct kafka_create_topics_request asked;
    cr_assert_eq(kafka_create_topics_request_decode(
                     request->body, request->header.request_api_version, arena, &asked),
                 STATUS_OK);
    struct kafka_create_topics_response_creatable_topic_result row;
    kafka_create_topics_response_creatable_topic_result_defaults(&row);
    row.name = asked.topics[0].name;
    row.error_code = cluster.has_topic ? ERROR_CODE_TOPIC_ALREADY_EXISTS : ERROR_CODE_NONE;
    row.error_message = wire_text_of(cluster.has_topic ? "it is there" : NULL);
    cluster.has_topic = true;
    made_partitions = asked.topics[0].num_partitions;
    if (asked.topics[0].configs_count == 1) {
        snprintf(made_setting, sizeof made_setting, "%.*s=%.*s",
                 asked.topics[0].configs[0].name.byte_count, asked.topics[0].configs[0].name.bytes,
                 asked.topics[0].configs[0].value.byte_count,
                 asked.topics[0].configs[0].value.bytes);
    }
    struct kafka_create_topics_response said;
    kafka_create_topics_response_defaults(&said);
    said.topics = &row;
    said.topics_count = 1;
    scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_create_topics_response_encode),
                        &said);
}

static void serve_delete(struct scripted_request *request, enum scripted_fault fault,
                         struct arena *arena)
{
    struct kafka_delete_topics_request asked;
    cr_assert_eq(kafka_delete_topics_request_decode(
                     request->body, request->header.request_api_version, arena, &asked),
                 STATUS_OK);
    cr_assert_eq(asked.topics_count, 1);
    cr_assert(wire_text_equals(asked.topics[0].name, SCRIPTED_LOG_TOPIC));
    struct kafka_delete_topics_response_deletable_topic_result row;
    kafka_delete_topics_response_deletable_topic_result_defaults(&row);
    row.name = asked.topics[0].name;
    row.error_code = cluster.has_topic ? ERROR_CODE_NONE : ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION;
    cluster.has_topic = false;
    struct kafka_delete_topics_response said;
    kafka_delete_topics_response_defaults(&said);
    said.responses = &row;
    said.responses_count = 1;
    scripted_log_answer(request, fault, SCRIPTED_ENCODE(kafka_delete_topics_response_encode),
                        &said);
}

static bool serve_more(struct scripted_log *self, uint32_t broker, struct scripted_request *request,
                       enum scripted_fault fault, struct arena *arena)
{
    (void)self;
    (void)broker;
    if (request->header.request_api_key == API_KEY_CREATE_TOPICS) {
        serve_create(request, fault, arena);
        return true;
    }
    if (request->header.request_api_key == API_KEY_DELETE_TOPICS) {
        serve_delete(request, fault, arena);
        return true;
    }
    return false;
}

/* ---- the core ---- */

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static void set_up(void)
{
    rig_begin(43);
    scripted_log_start(&cluster, rig_loop);
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        cluster.brokers[i].ranges = ranges;
        cluster.brokers[i].range_count = sizeof ranges / sizeof *ranges;
    }
    cluster.spoil = spoil;
    cluster.serve_more = serve_more;
    struct address bootstrap = rig_address(SCRIPTED_LOG_PORT);
    struct admin_core_options options = {.loop = rig_loop,
                                         .bootstrap = &bootstrap,
                                         .bootstrap_count = 1,
                                         .client_id = "test",
                                         .request_timeout_ms = 2000};
    admin_core_init(&subject, &options);
}

static void tear_down(void)
{
    bool has_closed = false;
    admin_core_close(&subject, on_closed, &has_closed);
    rig_run_for(SIM_S);
    cr_expect(has_closed);
    scripted_log_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

TestSuite(topic_calls, .init = set_up, .fini = tear_down);

static void op_on_done(struct admin_op *self, enum status status)
{
    cr_assert_eq(self, &op);
    done_count += 1;
    done_status = status;
}

static void run(struct admin_op made)
{
    op = made;
    op.deadline_ns = loop_now_ns(rig_loop) + 5 * CLOCK_NS_PER_S;
    op.on_done = op_on_done;
    done_count = 0;
    admin_core_run(&subject, &op);
    rig_run_for(10 * SIM_S);
    cr_assert_eq(done_count, 1);
}

static struct wire_text topic(void)
{
    return wire_text_of(SCRIPTED_LOG_TOPIC);
}

Test(topic_calls, a_topic_is_created_as_it_is_wanted)
{
    struct topic_calls_setting setting = {wire_text_of("retention.ms"), wire_text_of("-1")};
    struct topic_calls_wanted wanted = {
        .partition_count = 3, .settings = &setting, .setting_count = 1};
    cluster.has_topic = false;

    run(topic_calls_create(topic(), &wanted));

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_NONE);
    cr_expect_eq(made_partitions, 3);
    cr_expect_str_eq(made_setting, "retention.ms=-1");
}

Test(topic_calls, what_others_have_created_is_told)
{
    struct topic_calls_wanted wanted = {0};

    run(topic_calls_create(topic(), &wanted));

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_TOPIC_ALREADY_EXISTS);
    cr_expect_str_eq(op.message, "it is there");
    cr_expect_eq(made_partitions, -1);
}

Test(topic_calls, a_create_whose_answer_was_lost_has_succeeded)
{
    struct topic_calls_wanted wanted = {0};
    cluster.has_topic = false;
    break_count = 1;

    run(topic_calls_create(topic(), &wanted));

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_NONE);
    cr_expect_eq(cluster.request_counts[API_KEY_CREATE_TOPICS], 2);
}

Test(topic_calls, a_dry_run_whose_answer_was_lost_finds_the_name_free)
{
    struct topic_calls_wanted wanted = {.is_dry_run = true};
    break_count = 1;

    run(topic_calls_create(topic(), &wanted));

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_TOPIC_ALREADY_EXISTS);
    cr_expect_eq(cluster.request_counts[API_KEY_CREATE_TOPICS], 2);
}

Test(topic_calls, a_delete_whose_answer_was_lost_is_asked_until_its_time_is_over)
{
    break_count = 1;

    run(topic_calls_delete(topic()));

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_NONE);
    cr_expect_eq(cluster.request_counts[API_KEY_DELETE_TOPICS], 2);
}

Test(topic_calls, what_was_never_there_is_not_deleted)
{
    cluster.has_topic = false;

    run(topic_calls_delete(topic()));

    cr_expect_eq(done_status, STATUS_NOT_FOUND);
    cr_expect_eq(cluster.request_counts[API_KEY_DELETE_TOPICS], 1);
}

static enum status look_take(struct admin_op *self)
{
    struct kafka_metadata_response answer;
    TRY(topic_calls_read(self, &answer));
    if (self->error_code == ERROR_CODE_NONE && !topic_calls_has_leaders(&answer.topics[0])) {
        self->error_code = ERROR_CODE_LEADER_NOT_AVAILABLE;
    }
    return STATUS_OK;
}

Test(topic_calls, a_look_may_wait_for_all_leaders)
{
    run(topic_calls_look(topic(), look_take));
    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_NONE);

    cluster.partitions[3].leader = -1;
    run(topic_calls_look(topic(), look_take));
    cr_expect_eq(op.error_code, ERROR_CODE_LEADER_NOT_AVAILABLE);
}

Test(topic_calls, a_refused_offset_is_left_alone)
{
    struct topic_calls_offset wanted = {.time = TOPIC_CALLS_LATEST, .offset = -7};
    cluster.partitions[2].end = 77;

    run(topic_calls_offset(topic(), 2, &wanted));
    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(wanted.offset, 77);

    cluster.has_topic = false;
    wanted.offset = -7;
    run(topic_calls_offset(topic(), 2, &wanted));
    cr_expect_eq(op.error_code, ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
    cr_expect_eq(wanted.offset, -7);
}
