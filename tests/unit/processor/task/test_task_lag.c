/* Goal: a group without members has the offsets of committed epochs within a second, asked gently,
 * and never anything else; nobody waits for that.
 * Method: a scripted coordinator in a simulated world, which writes down what is committed, and
 * refuses, delays or falls silent as a test wants. */
#include "processor/task/task_lag.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/find_coordinator.h"
#include "proto/kafka/metadata.h"
#include "proto/kafka/offset_commit.h"
#include "tests/unit/client/client_rig.h"

#include <stdlib.h>
#include <string.h>

#define PARTITIONS 3U
#define TASKS 2U /* The one under test has partitions 1, 3 and 5. */

static const struct scripted_range ranges[] = {
    {API_KEY_METADATA, 0, 12}, {API_KEY_FIND_COORDINATOR, 0, 6}, {API_KEY_OFFSET_COMMIT, 2, 9}};
static struct scripted_broker broker;
static char job_name[] = "delays";
static char topic_name[] = "flights";
static Millrace__Plan__Table table;
static Millrace__Plan__Stage stage;
static Millrace__Plan__JobPlan plan;
static int32_t partitions[PARTITIONS] = {1, 3, 5};
static struct address bootstrap;
static struct task_setup setup;
static struct task_lag *subject;
static bool is_closed;
static int64_t closed_ns;

/* What the coordinator knows and does. */
static int64_t offsets[6];
static uint32_t commit_count;
static uint32_t row_count; /* Of all commits. */
static int64_t last_ns;
static int64_t gap_min_ns;
static uint32_t open_count;
static uint32_t open_count_max;
static int16_t refusal;
static int64_t delay_ns;
static bool is_mute;
static uint32_t complaint_count;

/* ---- the coordinator ---- */

struct late_answer {
    struct scripted_request request;
    struct timer timer;
    struct kafka_offset_commit_response response;
    struct kafka_offset_commit_response_offset_commit_response_topic topic;
    struct kafka_offset_commit_response_offset_commit_response_partition parts[PARTITIONS];
};

static void answer_on_fire(struct timer *timer)
{
    struct late_answer *late = container_of(timer, struct late_answer, timer);
    open_count -= 1;
    if (!is_mute && late->request.connection->is_open) {
        scripted_answer(&late->request, SCRIPTED_ENCODE(kafka_offset_commit_response_encode),
                        &late->response);
    }
    timer_done(&late->timer);
    free((void *)(uintptr_t)late->topic.name.bytes);
    free(late);
}

static void take_rows(struct late_answer *late,
                      const struct kafka_offset_commit_request_offset_commit_request_topic *topic)
{
    cr_expect(wire_text_equals(topic->name, topic_name));
    cr_assert_leq(topic->partitions_count, (int32_t)PARTITIONS);
    late->topic.name.bytes = strdup(topic_name);
    late->topic.name.byte_count = topic->name.byte_count;
    late->topic.partitions = late->parts;
    late->topic.partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        int32_t partition = topic->partitions[i].partition_index;
        cr_assert(partition >= 0 && partition < 6);
        late->parts[i].partition_index = partition;
        late->parts[i].error_code = refusal;
        if (refusal == ERROR_CODE_NONE) {
            offsets[partition] = topic->partitions[i].committed_offset;
        }
    }
    row_count += (uint32_t)topic->partitions_count;
}

static void take_commit(struct scripted_request *request)
{
    struct arena arena;
    arena_init(&arena, 1 << 16);
    struct kafka_offset_commit_request in;
    cr_assert_eq(kafka_offset_commit_request_decode(
                     request->body, request->header.request_api_version, &arena, &in),
                 STATUS_OK);
    cr_expect(wire_text_equals(in.group_id, "millrace-delays"));
    cr_expect_eq(in.generation_id_or_member_epoch, -1);
    cr_expect_eq(in.member_id.byte_count, 0);
    cr_expect_lt(in.group_instance_id.byte_count, 0);
    cr_assert_eq(in.topics_count, 1);
    struct late_answer *late = calloc(1, sizeof *late);
    late->request = *request;
    kafka_offset_commit_response_defaults(&late->response);
    take_rows(late, &in.topics[0]);
    late->response.topics = &late->topic;
    late->response.topics_count = 1;
    arena_done(&arena);
    int64_t now_ns = loop_now_ns(rig_loop);
    int64_t gap_ns = now_ns - last_ns;
    gap_min_ns = commit_count > 0 && gap_ns < gap_min_ns ? gap_ns : gap_min_ns;
    last_ns = now_ns;
    commit_count += 1;
    open_count += 1;
    open_count_max = open_count > open_count_max ? open_count : open_count_max;
    timer_init(&late->timer, &rig_loop->timers, answer_on_fire);
    timer_start_after(&late->timer, delay_ns);
}

static void handle(struct scripted_broker *self, struct scripted_request *request)
{
    if (request->header.request_api_key == API_KEY_METADATA) {
        struct kafka_metadata_response_metadata_response_broker node;
        kafka_metadata_response_metadata_response_broker_defaults(&node);
        node.node_id = 1;
        node.host = wire_text_of("localhost");
        node.port = self->port;
        struct kafka_metadata_response out;
        kafka_metadata_response_defaults(&out);
        out.brokers = &node;
        out.brokers_count = 1;
        scripted_answer(request, SCRIPTED_ENCODE(kafka_metadata_response_encode), &out);
    } else if (request->header.request_api_key == API_KEY_FIND_COORDINATOR) {
        struct kafka_find_coordinator_response_coordinator found;
        kafka_find_coordinator_response_coordinator_defaults(&found);
        found.key = wire_text_of("millrace-delays");
        found.node_id = 1;
        found.host = wire_text_of("localhost");
        found.port = self->port;
        struct kafka_find_coordinator_response out;
        kafka_find_coordinator_response_defaults(&out);
        out.coordinators = &found;
        out.coordinators_count = 1;
        scripted_answer(request, SCRIPTED_ENCODE(kafka_find_coordinator_response_encode), &out);
    } else {
        cr_assert_eq(request->header.request_api_key, API_KEY_OFFSET_COMMIT);
        take_commit(request);
    }
}

/* ---- the task ---- */

static void on_closed(void *context)
{
    (void)context;
    is_closed = true;
    closed_ns = loop_now_ns(rig_loop);
}

static void count_lines(struct trace *self, enum trace_level level, const char *line,
                        size_t byte_count)
{
    (void)self;
    (void)level;
    (void)byte_count;
    complaint_count += strstr(line, "lag-not-told") != NULL;
}

static struct trace counting = {.level = TRACE_DEBUG, .write_line = count_lines};

static void set_up(void)
{
    rig_begin(11);
    rig_loop->trace = &counting;
    broker = (struct scripted_broker){
        .ranges = ranges, .range_count = sizeof ranges / sizeof ranges[0], .handler = handle};
    scripted_broker_start(&broker, rig_loop, RIG_PORT);
    millrace__plan__table__init(&table);
    table.topic = topic_name;
    millrace__plan__stage__init(&stage);
    stage.input_partition_count = PARTITIONS * TASKS;
    stage.task_count = TASKS;
    millrace__plan__job_plan__init(&plan);
    plan.name = job_name;
    plan.source = &table;
    bootstrap = rig_address(RIG_PORT);
    setup = (struct task_setup){.plan = &plan,
                                .stage = &stage,
                                .partitions = partitions,
                                .partition_count = PARTITIONS,
                                .options = {.loop = rig_loop,
                                            .bootstrap = &bootstrap,
                                            .bootstrap_count = 1,
                                            .client_id = "test",
                                            .task = 1,
                                            .request_timeout_ms = 2000}};
    job_topics_group(&plan, setup.group);
    gap_min_ns = INT64_MAX;
    memset(offsets, -1, sizeof offsets);
    cr_assert_eq(task_lag_open(&setup, on_closed, NULL, &subject), STATUS_OK);
}

static void tear_down(void)
{
    if (subject != NULL) {
        task_lag_close(subject);
        rig_run_for(10 * SIM_S);
    }
    cr_expect(is_closed);
    scripted_broker_stop(&broker);
    rig_end();
}

TestSuite(task_lag, .init = set_up, .fini = tear_down);

/* An epoch is committed; -1: the partition has no place yet. */
static void note_one(int64_t one, int64_t three, int64_t five, bool is_final)
{
    const int64_t next[PARTITIONS] = {one, three, five};
    Millrace__Processor__Progress progress;
    Millrace__Processor__InputProgress inputs[PARTITIONS];
    Millrace__Processor__InputProgress *rows[PARTITIONS];
    millrace__processor__progress__init(&progress);
    progress.inputs = rows;
    progress.is_final = is_final;
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (next[i] >= 0) {
            millrace__processor__input_progress__init(&inputs[i]);
            inputs[i].partition = partitions[i];
            inputs[i].next_offset = next[i];
            rows[progress.n_inputs++] = &inputs[i];
        }
    }
    task_lag_note(subject, &progress);
}

static void note(int64_t one, int64_t three, int64_t five)
{
    note_one(one, three, five, false);
}

static void expect_offsets(int64_t one, int64_t three, int64_t five)
{
    cr_expect_eq(offsets[1], one, "partition 1 has %lld", (long long)offsets[1]);
    cr_expect_eq(offsets[3], three, "partition 3 has %lld", (long long)offsets[3]);
    cr_expect_eq(offsets[5], five, "partition 5 has %lld", (long long)offsets[5]);
}

/* Closes it; how long that took. */
static int64_t close_it(void)
{
    int64_t began_ns = loop_now_ns(rig_loop);
    task_lag_close(subject);
    subject = NULL;
    rig_run_for(5 * SIM_S);
    cr_assert(is_closed);
    return closed_ns - began_ns;
}

Test(task_lag, committed_offsets_are_the_group_s_at_once)
{
    note(7, -1, 0);
    rig_run_for(SIM_S / 2);

    cr_expect_eq(commit_count, 1);
    expect_offsets(7, -1, 0);
}

Test(task_lag, many_epochs_a_second_make_one_question_a_second)
{
    for (int64_t i = 1; i <= 100; i++) {
        note(i, 2 * i, 3 * i);
        rig_run_for(SIM_S / 20);
    }
    rig_run_for(2 * SIM_S);

    expect_offsets(100, 200, 300);
    cr_expect_leq(commit_count, 7);
    cr_expect_geq(commit_count, 5);
    cr_expect_geq(gap_min_ns, SIM_S - SIM_S / 100, "%lld ns", (long long)gap_min_ns);
}

Test(task_lag, one_question_is_under_way_at_a_time)
{
    delay_ns = 3 * SIM_S / 2;
    for (int64_t i = 1; i <= 100; i++) {
        note(i, i, i);
        rig_run_for(SIM_S / 10);
    }
    rig_run_for(8 * SIM_S);

    expect_offsets(100, 100, 100);
    cr_expect_eq(open_count_max, 1);
}

Test(task_lag, what_has_not_changed_is_not_said_again)
{
    note(1, 1, 1);
    rig_run_for(2 * SIM_S);
    note(1, 2, 1);
    rig_run_for(2 * SIM_S);
    note(1, 2, 1);
    rig_run_for(2 * SIM_S);

    expect_offsets(1, 2, 1);
    cr_expect_eq(commit_count, 2);
    cr_expect_eq(row_count, 4);
}

Test(task_lag, a_quiet_job_s_group_is_kept_alive)
{
    note(1, 2, 3);
    rig_run_for(2 * SIM_S);
    offsets[1] = 0; /* A former owner's word that came too late. */
    rig_run_for(70 * SIM_S);

    cr_expect_eq(commit_count, 3);
    expect_offsets(1, 2, 3);
}

Test(task_lag, what_was_refused_is_said_again_and_complained_of_seldom)
{
    refusal = ERROR_CODE_GROUP_AUTHORIZATION_FAILED;
    note(5, 6, 7);
    rig_run_for(30 * SIM_S);
    cr_expect_geq(commit_count, 25);
    cr_expect_leq(commit_count, 31);
    cr_expect_eq(complaint_count, 1);
    expect_offsets(-1, -1, -1);

    refusal = ERROR_CODE_NONE;
    rig_run_for(2 * SIM_S);

    expect_offsets(5, 6, 7);
}

Test(task_lag, offsets_do_not_go_back)
{
    note(5, 6, 7);
    rig_run_for(2 * SIM_S);
    note(4, 8, 7);
    rig_run_for(35 * SIM_S); /* All of it has been said anew. */

    cr_expect_eq(commit_count, 3);
    expect_offsets(5, 8, 7);
}

Test(task_lag, the_end_says_what_the_last_second_brought)
{
    note(5, 6, 7);
    rig_run_for(SIM_S / 10);
    note(8, 9, 10);

    cr_expect_lt(close_it(), SIM_S / 10);
    expect_offsets(8, 9, 10);
}

Test(task_lag, behind_the_last_epoch_all_is_said_anew)
{
    note(5, 6, 7);
    rig_run_for(2 * SIM_S);
    offsets[3] = 1; /* As above. */
    note_one(5, 6, 8, true);

    cr_expect_lt(close_it(), SIM_S / 10);
    expect_offsets(5, 6, 8);
}

Test(task_lag, the_end_waits_for_the_question_under_way_and_says_the_rest)
{
    delay_ns = SIM_S / 10;
    note(5, 6, 7);
    rig_run_for(SIM_S / 20);
    note(8, 9, 10);

    cr_expect_lt(close_it(), SIM_S / 2);
    expect_offsets(8, 9, 10);
    cr_expect_eq(open_count_max, 1);
}

Test(task_lag, the_end_does_not_wait_for_a_broker_that_is_mute)
{
    note(5, 6, 7);
    rig_run_for(SIM_S / 10);
    is_mute = true;
    note(8, 9, 10);

    cr_expect_leq(close_it(), SIM_S + SIM_S / 10);
}

Test(task_lag, the_end_without_brokers_comes_in_time)
{
    scripted_broker_stop(&broker);
    note(8, 9, 10);
    rig_run_for(3 * SIM_S);

    cr_expect_leq(close_it(), SIM_S + SIM_S / 10);
    scripted_broker_start(&broker, rig_loop, RIG_PORT);
}

Test(task_lag, who_is_fenced_says_nothing_more)
{
    note(5, 6, 7);
    rig_run_for(SIM_S / 10);
    note(8, 9, 10);
    task_lag_fall_silent(subject);
    note(11, 12, 13);
    rig_run_for(400 * SIM_S);
    (void)close_it();

    expect_offsets(5, 6, 7);
    cr_expect_eq(commit_count, 1);
}
