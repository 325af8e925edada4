/* Goal: whoever asks processors reaches one that is there, and keeps nothing of those that are not.
 * Method: a real broker in a simulated world holds the group; processors are its members, each with
 * a door at which the test answers. They leave and come back under other addresses. */
#include "client/group_member.h"
#include "client/processor_core.h"
#include "proto/internal/processor_record.pb-c.h"
#include "proto/kafka/api_key.h"
#include "tests/rig/scripted_broker.h"
#include "tests/unit/client/cluster_rig.h"

#include <string.h>

#define PROCESSORS_MAX 6
#define FIRST_PORT 7001

struct processor {
    struct scripted_broker door;
    struct group_member member;
    struct scripted_request held; /* A question that is not answered yet. */
    bool is_holding;              /* Questions wait for the test. */
    bool is_busy;                 /* Does not join again when it is called. */
    uint8_t metadata[64];
    size_t metadata_bytes;
    bool is_assigned;
    bool has_closed;
};

static struct processor processors[PROCESSORS_MAX];
static struct processor_core subject;
static struct processor_ask ask;
static struct processor_look look;
static int done_count;
static enum status done_status;
static bool has_looked;
static enum status look_status;
static bool has_closed;

/* ---- processors ---- */

static void encode_answer(const void *message, int16_t version, struct wire_writer *writer)
{
    (void)version;
    wire_write_raw(writer, message, strlen(message));
}

static void answer(struct scripted_broker *door, struct scripted_request *request)
{
    struct processor *self = container_of(door, struct processor, door);
    if (self->is_holding) {
        self->held = *request;
        return;
    }
    scripted_answer(request, encode_answer, "here");
}

static uint32_t on_describe(void *context, struct group_member_protocol *protocols)
{
    struct processor *self = context;
    protocols[0] = (struct group_member_protocol){
        .name = wire_text_of(PROCESSOR_CORE_PROTOCOL),
        .metadata = {self->metadata, (int32_t)self->metadata_bytes},
    };
    return 1;
}

static void on_lead(void *context, const struct group_member_round *round)
{
    struct processor *self = context;
    (void)round;
    cr_assert_eq(group_member_assign(&self->member, NULL, 0), STATUS_OK);
}

static void on_assigned(void *context, struct wire_text protocol, struct wire_bytes assignment)
{
    struct processor *self = context;
    (void)protocol;
    (void)assignment;
    self->is_assigned = true;
}

static void on_rebalance(void *context)
{
    struct processor *self = context;
    if (!self->is_busy) {
        group_member_rejoin(&self->member);
    }
}

static void on_lost(void *context)
{
    (void)context;
}

static void on_failed(void *context, enum status status, int16_t error_code)
{
    (void)context;
    cr_assert_fail("a processor failed: %d, %d", (int)status, (int)error_code);
}

static void member_on_closed(void *context)
{
    ((struct processor *)context)->has_closed = true;
}

static bool is_member(const struct processor *self)
{
    return self->metadata_bytes > 0 && !self->has_closed;
}

static bool is_gone(void *context)
{
    return ((struct processor *)context)->has_closed;
}

static void processor_join(uint32_t index)
{
    static const struct scripted_range ranges[] = {{API_KEY_API_VERSIONS, 0, 3}};
    struct processor *self = &processors[index];
    self->door = (struct scripted_broker){.ranges = ranges, .range_count = 1, .handler = answer};
    scripted_broker_start(&self->door, rig_loop, (uint16_t)(FIRST_PORT + index));
    char host[] = "localhost";
    Millrace__Processor__Member told;
    millrace__processor__member__init(&told);
    told.version = 1;
    told.host = host;
    told.port = FIRST_PORT + index;
    self->metadata_bytes = millrace__processor__member__pack(&told, self->metadata);
    struct group_member_options options = {.loop = rig_loop,
                                           .bootstrap = rig_bootstrap,
                                           .bootstrap_count = 1,
                                           .client_id = "processor",
                                           .group = PROCESSOR_CORE_GROUP,
                                           .protocol_type = PROCESSOR_CORE_PROTOCOL,
                                           .request_timeout_ms = 3000,
                                           .session_timeout_ms = 6000,
                                           .on_describe = on_describe,
                                           .on_lead = on_lead,
                                           .on_assigned = on_assigned,
                                           .on_rebalance = on_rebalance,
                                           .on_lost = on_lost,
                                           .on_failed = on_failed,
                                           .on_closed = member_on_closed,
                                           .context = self};
    group_member_init(&self->member, &options);
    group_member_rejoin(&self->member);
}

static bool are_assigned(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < PROCESSORS_MAX; i++) {
        if (is_member(&processors[i]) && !processors[i].is_assigned) {
            return false;
        }
    }
    return true;
}

static void processor_start(uint32_t index)
{
    processor_join(index);
    cr_assert(rig_until(are_assigned, NULL, 10000));
}

/* Leaves the group, and the others share it anew; its door stays open. */
static void processor_leave(uint32_t index)
{
    group_member_close(&processors[index].member, true, 1000);
    cr_assert(rig_until(is_gone, &processors[index], 10000));
    for (uint32_t i = 0; i < PROCESSORS_MAX; i++) {
        processors[i].is_assigned = false;
    }
    cr_assert(rig_until(are_assigned, NULL, 10000));
}

/* ---- the core ---- */

static void on_closed(void *context)
{
    (void)context;
    has_closed = true;
}

static void set_up(void)
{
    rig_begin(1, 5);
    struct processor_core_options options = {.loop = rig_loop,
                                             .bootstrap = rig_bootstrap,
                                             .bootstrap_count = 1,
                                             .client_id = "test",
                                             .request_timeout_ms = 3000};
    processor_core_init(&subject, &options);
}

static void tear_down(void)
{
    processor_core_close(&subject, on_closed, NULL);
    rig_run_ms(1000);
    cr_expect(has_closed);
    for (uint32_t i = 0; i < PROCESSORS_MAX; i++) {
        if (is_member(&processors[i])) {
            processor_leave(i);
        }
        if (processors[i].door.listener != NULL) {
            scripted_broker_stop(&processors[i].door);
        }
    }
    rig_run_ms(1000);
    rig_end();
}

TestSuite(processor_core, .init = set_up, .fini = tear_down);

static void ask_on_done(struct processor_ask *self, enum status status)
{
    cr_assert_eq(self, &ask);
    done_count += 1;
    done_status = status;
}

static void start_ask(const struct address *target)
{
    ask = (struct processor_ask){.question = {(const uint8_t *)"who", 3},
                                 .target = target,
                                 .deadline_ns = loop_now_ns(rig_loop) + 20 * CLOCK_NS_PER_S,
                                 .on_done = ask_on_done};
    done_count = 0;
    processor_core_run(&subject, &ask);
    cr_assert_eq(done_count, 0, "never from inside");
}

static bool is_done(void *context)
{
    (void)context;
    return done_count == 1;
}

static void expect_answered(void)
{
    cr_assert(rig_until(is_done, NULL, 10000));
    cr_expect_eq(done_status, STATUS_OK);
    cr_assert_eq(ask.answer.byte_count, 4);
    cr_expect_arr_eq(ask.answer.bytes, "here", 4);
    processor_core_ask_done(&ask);
}

static void look_on_done(struct processor_look *self, enum status status)
{
    cr_assert_eq(self, &look);
    has_looked = true;
    look_status = status;
}

static void start_look(int64_t timeout_ms)
{
    has_looked = false;
    look =
        (struct processor_look){.deadline_ns = loop_now_ns(rig_loop) + timeout_ms * CLOCK_NS_PER_MS,
                                .on_done = look_on_done};
    processor_core_look(&subject, &look);
}

static bool is_looked(void *context)
{
    (void)context;
    return has_looked;
}

/* Until what is closed by it is closed, too. */
static void expect_look_finds(uint32_t count)
{
    start_look(10000);
    cr_assert(rig_until(is_looked, NULL, 10000));
    cr_expect_eq(look_status, STATUS_OK);
    rig_run_ms(100);
    cr_expect_eq(subject.peer_count, count);
    cr_expect_null(processor_core_address(&subject, count));
}

static uint32_t kept_count(void)
{
    uint32_t count = 0;
    list_for_each(link, &subject.peers)
    {
        count += 1;
    }
    return count;
}

static bool is_held(void *context)
{
    return ((struct processor *)context)->held.connection != NULL;
}

Test(processor_core, without_a_processor_an_ask_ends_and_says_so)
{
    start_ask(NULL);
    ask.deadline_ns = loop_now_ns(rig_loop) + 2 * CLOCK_NS_PER_S;

    cr_assert(rig_until(is_done, NULL, 5000));

    cr_expect_eq(done_status, STATUS_NOT_FOUND);
}

Test(processor_core, an_ask_goes_on_to_the_next_where_the_first_is_not_reached)
{
    processor_start(0);
    processor_start(1);
    scripted_broker_stop(&processors[0].door);

    for (uint32_t i = 0; i < 4; i++) {
        start_ask(NULL);
        expect_answered();
    }
}

Test(processor_core, processors_that_are_gone_are_kept_for_ever)
{
    for (uint32_t i = 0; i < PROCESSORS_MAX; i++) {
        processor_start(i);
        expect_look_finds(1);
        start_ask(NULL);
        expect_answered();
        processor_leave(i);
    }

    expect_look_finds(0);

    cr_expect_eq(kept_count(), 0, "%u kept", kept_count());
}

Test(processor_core, a_processor_that_is_gone_may_still_answer)
{
    processor_start(0);
    processor_start(1);
    struct address first = {.host = "localhost", .port = FIRST_PORT};
    processors[0].is_holding = true;
    start_ask(&first);
    cr_assert(rig_until(is_held, &processors[0], 10000));

    processor_leave(0);
    expect_look_finds(1);
    cr_expect_eq(kept_count(), 2);
    scripted_answer(&processors[0].held, encode_answer, "here");
    expect_answered();

    expect_look_finds(1);
    cr_expect_eq(kept_count(), 1);
}

Test(processor_core, a_processor_that_comes_back_is_asked_again)
{
    processor_start(0);
    expect_look_finds(1);
    start_ask(NULL);
    expect_answered();
    processor_leave(0);
    expect_look_finds(0);

    scripted_broker_stop(&processors[0].door);
    rig_run_ms(100);
    processors[0] = (struct processor){0};
    processor_start(0);

    start_ask(NULL);
    expect_answered();
    cr_expect_eq(kept_count(), 1);
}

/* Brokers tell nothing of a group's members while it shares out anew. */
Test(processor_core, a_rebalance_makes_the_processors_unknown)
{
    processor_start(0);
    expect_look_finds(1);
    processors[0].is_busy = true;
    processor_join(1);
    rig_run_ms(1000);

    expect_look_finds(1);
    start_ask(NULL);
    expect_answered();

    processors[0].is_busy = false;
    group_member_rejoin(&processors[0].member);
    processors[0].is_assigned = false;
    cr_assert(rig_until(are_assigned, NULL, 10000));
    expect_look_finds(2);
}

Test(processor_core, a_first_look_at_a_rebalance_finds_nobody)
{
    processor_start(0);
    processors[0].is_busy = true;
    processor_join(1);
    rig_run_ms(1000);

    start_look(500);
    rig_run_ms(400);
    cr_expect_not(has_looked);
    rig_run_ms(200);
    cr_assert(has_looked);
    cr_expect_eq(look_status, STATUS_TIMEOUT);

    start_look(10000);
    processors[0].is_busy = false;
    group_member_rejoin(&processors[0].member);
    cr_assert(rig_until(is_looked, NULL, 10000));
    cr_expect_eq(look_status, STATUS_OK);
    cr_expect_eq(subject.peer_count, 2);
}

Test(processor_core, an_ask_outlives_its_deadline_while_no_broker_is_there)
{
    rig_kill(0);

    start_ask(NULL);
    ask.deadline_ns = loop_now_ns(rig_loop) + 500 * CLOCK_NS_PER_MS;
    rig_run_ms(600);
    cr_expect_eq(done_count, 1);
    cr_expect_eq(done_status, STATUS_TIMEOUT);

    rig_revive(0);
    rig_run_ms(8000);
}

Test(processor_core, a_look_ends_in_time_without_brokers)
{
    rig_kill(0);

    start_look(500);
    rig_run_ms(600);
    cr_assert(has_looked);
    cr_expect_neq(look_status, STATUS_OK);

    rig_revive(0);
    rig_run_ms(8000);
    expect_look_finds(0);
}
