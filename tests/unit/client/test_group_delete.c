/* Goal: a group without members is gone with its offsets; one that was not there is told; and
 * brokers that do not answer end it in time.
 * Method: a broker in a simulated world, and offsets committed for nobody, as a tool does. */
#include "client/group_delete.h"
#include "client/offset_call.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"
#include "tests/unit/client/cluster_rig.h"

#define GROUP "tools"
#define REQUEST_MS 2000

static struct wire_client tool;
static struct cluster cluster;
static struct coordinator_core coordinator;
static bool is_cluster_closed;
static struct offset_call call;
static bool is_call_done;
static struct group_delete subject;
static bool is_done;
static enum status done_status;
static int16_t done_code;

static void on_closed(void *context)
{
    *(bool *)context = true;
}

static bool is_true(void *context)
{
    return *(bool *)context;
}

static void set_up(void)
{
    rig_begin(1, 3);
    rig_leave();
    wire_client_open(&tool, &rig_cluster, 0);
    cr_assert_eq(kafka_talk_create(&tool, "events", 1, 1, NULL), 0);
    rig_enter();
    struct cluster_options options = {.loop = rig_loop,
                                      .bootstrap = rig_bootstrap,
                                      .bootstrap_count = 1,
                                      .client_id = "test",
                                      .request_timeout_ms = REQUEST_MS,
                                      .on_closed = on_closed,
                                      .context = &is_cluster_closed};
    cluster_init(&cluster, &options);
    struct coordinator_core_options core = {.cluster = &cluster,
                                            .kind = COORDINATOR_CORE_GROUP,
                                            .key = GROUP,
                                            .timeout_ms = REQUEST_MS};
    coordinator_core_init(&coordinator, &core);
}

static void tear_down(void)
{
    coordinator_core_close(&coordinator);
    cluster_close(&cluster);
    cr_expect(rig_until(is_true, &is_cluster_closed, 20000));
    rig_leave();
    wire_client_close(&tool);
    rig_enter();
    rig_end();
}

TestSuite(group_delete, .init = set_up, .fini = tear_down);

static void call_on_done(struct offset_call *self, enum status status, int16_t error_code)
{
    (void)self;
    cr_expect_eq(status, STATUS_OK);
    cr_expect_eq(error_code, ERROR_CODE_NONE);
    is_call_done = true;
}

static void begin_call(int64_t offset)
{
    struct offset_call_member nobody = {.group = GROUP, .generation = -1, .member_id = ""};
    struct offset_call_row row = {
        .topic = wire_text_of("events"), .offset = offset, .leader_epoch = -1};
    cr_assert_eq(offset_call_init(&call, &nobody, &row, 1), STATUS_OK);
    call.on_done = call_on_done;
    is_call_done = false;
}

static void commit(int64_t offset)
{
    begin_call(offset);
    offset_call_commit(&call, &coordinator, INT64_MAX);
    cr_assert(rig_until(is_true, &is_call_done, 20000));
    offset_call_done(&call);
}

static int64_t committed(void)
{
    begin_call(0);
    offset_call_fetch(&call, &coordinator, INT64_MAX);
    cr_assert(rig_until(is_true, &is_call_done, 20000));
    int64_t offset = call.rows[0].offset;
    offset_call_done(&call);
    return offset;
}

static void on_done(void *context, enum status status, int16_t error_code)
{
    cr_expect_eq(context, &subject);
    cr_expect_not(is_done);
    is_done = true;
    done_status = status;
    done_code = error_code;
}

static void delete_it(int64_t patience_ms)
{
    struct group_delete_options options = {.loop = rig_loop,
                                           .bootstrap = rig_bootstrap,
                                           .bootstrap_count = 1,
                                           .client_id = "test",
                                           .group = GROUP,
                                           .request_timeout_ms = REQUEST_MS,
                                           .deadline_ns = loop_now_ns(rig_loop) +
                                                          patience_ms * CLOCK_NS_PER_MS,
                                           .on_done = on_done,
                                           .context = &subject};
    is_done = false;
    group_delete_start(&subject, &options);
    cr_expect_not(is_done);
    cr_assert(rig_until(is_true, &is_done, patience_ms + 100));
}

Test(group_delete, the_group_and_its_offsets_are_gone)
{
    commit(7);
    cr_assert_eq(committed(), 7);

    delete_it(5000);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(done_code, ERROR_CODE_NONE);
    cr_expect_eq(committed(), -1);
}

Test(group_delete, a_group_that_is_not_there_is_told)
{
    delete_it(5000);

    cr_expect_eq(done_status, STATUS_OK);
    cr_expect_eq(done_code, ERROR_CODE_GROUP_ID_NOT_FOUND);
}

Test(group_delete, without_brokers_it_ends_in_time)
{
    rig_kill(0);
    delete_it(3000);

    cr_expect_neq(done_status, STATUS_OK);
    rig_revive(0);
}
