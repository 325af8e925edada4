/* Goal: an operation is asked until it is answered for good, of whoever can answer, and ends once.
 * Method: ListOffsets as the operation, three scripted brokers that refuse, break and move. */
#include "client/admin_core.h"
#include "proto/kafka/api_key.h"
#include "proto/kafka/error_code.h"
#include "proto/kafka/list_offsets.h"
#include "tests/rig/scripted_log.h"
#include "tests/unit/client/client_rig.h"

static struct scripted_log cluster;
static struct admin_core subject;
static struct admin_op op;
static int done_count;
static enum status done_status;
static int64_t offset;
static bool has_closed;
static int left_count;

static void encode(struct admin_op *self, struct wire_writer *writer)
{
    struct kafka_list_offsets_request request;
    kafka_list_offsets_request_defaults(&request);
    request.replica_id = -1;
    struct kafka_list_offsets_request_list_offsets_partition partition;
    kafka_list_offsets_request_list_offsets_partition_defaults(&partition);
    partition.partition_index = self->partition;
    partition.timestamp = -1;
    struct kafka_list_offsets_request_list_offsets_topic topic;
    kafka_list_offsets_request_list_offsets_topic_defaults(&topic);
    topic.name = self->topic;
    topic.partitions = &partition;
    topic.partitions_count = 1;
    request.topics = &topic;
    request.topics_count = 1;
    kafka_list_offsets_request_encode(&request, self->ask.version, writer);
}

static enum status take(struct admin_op *self)
{
    struct kafka_list_offsets_response answer;
    TRY(kafka_list_offsets_response_decode(&self->ask.call.reader, self->ask.version,
                                           &self->ask.arena, &answer));
    self->error_code = answer.topics[0].partitions[0].error_code;
    offset = answer.topics[0].partitions[0].offset;
    return STATUS_OK;
}

static void on_done(struct admin_op *self, enum status status)
{
    cr_assert_eq(self, &op);
    done_count += 1;
    done_status = status;
}

static void on_closed(void *context)
{
    (void)context;
    has_closed = true;
}

static void set_up(void)
{
    rig_begin(41);
    scripted_log_start(&cluster, rig_loop);
    cluster.partitions[2].end = 77;
    struct address bootstrap[2] = {rig_address(SCRIPTED_LOG_PORT + 9),
                                   rig_address(SCRIPTED_LOG_PORT)};
    struct admin_core_options options = {.loop = rig_loop,
                                         .bootstrap = bootstrap,
                                         .bootstrap_count = 2,
                                         .client_id = "test",
                                         .request_timeout_ms = 2000};
    admin_core_init(&subject, &options);
}

static void tear_down(void)
{
    if (!subject.is_closing) {
        admin_core_close(&subject, on_closed, NULL);
    }
    rig_run_for(SIM_S);
    cr_expect(has_closed);
    cr_expect_eq(done_count, 1);
    scripted_log_stop(&cluster);
    rig_run_for(SIM_S);
    rig_end();
}

TestSuite(admin_core, .init = set_up, .fini = tear_down);

static void run(const char *topic, int32_t partition, int64_t timeout_ms)
{
    op = (struct admin_op){.api_key = API_KEY_LIST_OFFSETS,
                           .version_min = 1,
                           .version_max = 7,
                           .node = ADMIN_CORE_LEADER,
                           .topic = wire_text_of(topic),
                           .partition = partition,
                           .deadline_ns = loop_now_ns(rig_loop) + timeout_ms * CLOCK_NS_PER_MS,
                           .encode = encode,
                           .take = take,
                           .on_done = on_done};
    admin_core_run(&subject, &op);
    cr_assert_eq(done_count, 0, "never from inside");
}

Test(admin_core, the_leader_is_found_and_asked)
{
    run(SCRIPTED_LOG_TOPIC, 2, 5000);
    rig_run_for(SIM_S);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_NONE);
    cr_expect_eq(offset, 77);
}

static int16_t refuse_some(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    bool is_due = api_key == API_KEY_LIST_OFFSETS && left_count > 0;
    left_count -= is_due;
    return is_due ? ERROR_CODE_LEADER_NOT_AVAILABLE : ERROR_CODE_NONE;
}

Test(admin_core, a_retriable_refusal_is_asked_again)
{
    left_count = 4;
    cluster.refuse = refuse_some;
    run(SCRIPTED_LOG_TOPIC, 2, 10000);
    rig_run_for(5 * SIM_S);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(offset, 77);
    cr_expect_eq(cluster.request_counts[API_KEY_LIST_OFFSETS], 5);
}

Test(admin_core, the_last_refusal_is_told_when_time_is_over)
{
    left_count = 1000;
    cluster.refuse = refuse_some;
    run(SCRIPTED_LOG_TOPIC, 2, 2000);
    rig_run_for(3 * SIM_S);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(op.error_code, ERROR_CODE_LEADER_NOT_AVAILABLE);
}

static int16_t refuse_for_good(struct scripted_log *self, int16_t api_key, int32_t partition)
{
    (void)self;
    (void)partition;
    return api_key == API_KEY_LIST_OFFSETS ? ERROR_CODE_TOPIC_AUTHORIZATION_FAILED
                                           : ERROR_CODE_NONE;
}

Test(admin_core, a_final_refusal_is_asked_once)
{
    cluster.refuse = refuse_for_good;
    run(SCRIPTED_LOG_TOPIC, 2, 10000);
    rig_run_for(SIM_S);

    cr_expect_eq(done_count, 1);
    cr_expect_eq(op.error_code, ERROR_CODE_TOPIC_AUTHORIZATION_FAILED);
    cr_expect_eq(cluster.request_counts[API_KEY_LIST_OFFSETS], 1);
}

static enum scripted_fault break_some(struct scripted_log *self, uint32_t broker, int16_t api_key)
{
    (void)self;
    (void)broker;
    bool is_due = api_key == API_KEY_LIST_OFFSETS && left_count > 0;
    left_count -= is_due;
    return is_due ? SCRIPTED_BREAK_AFTER : SCRIPTED_WELL;
}

Test(admin_core, a_lost_answer_leaves_a_doubt_and_is_asked_again)
{
    left_count = 2;
    cluster.spoil = break_some;
    run(SCRIPTED_LOG_TOPIC, 2, 10000);
    rig_run_for(5 * SIM_S);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect(op.is_doubtful);
    cr_expect_eq(offset, 77);
}

Test(admin_core, a_moved_leader_is_followed)
{
    run(SCRIPTED_LOG_TOPIC, 2, 10000);
    scripted_log_kill(&cluster, 2);
    rig_run_for(5 * SIM_S);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(offset, 77);
}

Test(admin_core, an_unknown_topic_and_nobody_there_end_in_time)
{
    for (uint32_t i = 0; i < SCRIPTED_LOG_BROKERS; i++) {
        scripted_log_kill(&cluster, i);
    }
    run(SCRIPTED_LOG_TOPIC, 2, 3000);
    rig_run_for(4 * SIM_S);

    cr_expect_eq(done_count, 1);
    cr_expect_eq(done_status, STATUS_UNREACHABLE);
}

Test(admin_core, closing_ends_what_is_asked)
{
    left_count = 1000;
    cluster.refuse = refuse_some;
    run(SCRIPTED_LOG_TOPIC, 2, 60000);
    rig_run_for(SIM_S);

    admin_core_close(&subject, on_closed, NULL);
    rig_run_for(SIM_S);

    cr_expect_eq(done_status, STATUS_CANCELED);
}
