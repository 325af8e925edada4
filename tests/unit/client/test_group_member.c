/* Goal: members of a group agree on who has what, whoever comes, goes, or falls silent.
 * Method: up to four members of type "millrace" with bytes of the test's own, against real brokers
 * in a simulated world; the coordinator dies, sessions end, instances are taken over. */
#include "client/group_member.h"
#include "proto/kafka/error_code.h"
#include "tests/unit/client/cluster_rig.h"

#include <stdlib.h>
#include <string.h>

#define SUBJECTS_MAX 5
#define SESSION_MS 2000

/* One member and what its owner knows. */
struct subject {
    struct group_member member;
    struct group_member_options options;
    char name[16];
    bool is_waiting; /* Does not rejoin when it is called, until the test says so. */
    bool is_open;
    bool has_closed;
    char part[64]; /* As assigned; empty: nothing. */
    int assigned_count;
    int called_count;
    int lost_count;
    int failed_count;
    int16_t failed_code;
    enum status failed_status;
    int led_count;
};

static struct subject subjects[SUBJECTS_MAX];

static uint32_t on_describe(void *context, struct group_member_protocol *protocols)
{
    struct subject *self = context;
    protocols[0] = (struct group_member_protocol){.name = wire_text_of("plain")};
    protocols[0].metadata =
        (struct wire_bytes){(const uint8_t *)self->name, (int32_t)strlen(self->name)};
    return 1;
}

/* Everybody is told who there is and how many: "b of 3". */
static void on_lead(void *context, const struct group_member_round *round)
{
    struct subject *self = context;
    self->led_count += 1;
    cr_assert(wire_text_equals(round->protocol, "plain"));
    struct group_member_share shares[SUBJECTS_MAX];
    char texts[SUBJECTS_MAX][64];
    cr_assert_leq(round->peer_count, SUBJECTS_MAX);
    for (uint32_t i = 0; i < round->peer_count; i++) {
        int byte_count =
            snprintf(texts[i], sizeof texts[i], "%.*s of %u", round->peers[i].metadata.byte_count,
                     (const char *)round->peers[i].metadata.bytes, round->peer_count);
        shares[i].member_id = round->peers[i].member_id;
        shares[i].assignment = (struct wire_bytes){(const uint8_t *)texts[i], byte_count};
    }
    cr_assert_eq(group_member_assign(&self->member, shares, round->peer_count), STATUS_OK);
}

static void on_assigned(void *context, struct wire_text protocol, struct wire_bytes assignment)
{
    struct subject *self = context;
    cr_assert(wire_text_equals(protocol, "plain"));
    snprintf(self->part, sizeof self->part, "%.*s", assignment.byte_count,
             (const char *)assignment.bytes);
    self->assigned_count += 1;
}

static void on_rebalance(void *context)
{
    struct subject *self = context;
    self->called_count += 1;
    if (!self->is_waiting) {
        group_member_rejoin(&self->member);
    }
}

static void on_lost(void *context)
{
    struct subject *self = context;
    self->lost_count += 1;
    self->part[0] = '\0';
}

static void on_failed(void *context, enum status status, int16_t error_code)
{
    struct subject *self = context;
    self->failed_count += 1;
    self->failed_status = status;
    self->failed_code = error_code;
}

static void on_closed(void *context)
{
    struct subject *self = context;
    self->has_closed = true;
}

static void prepare(struct subject *self, const char *name)
{
    *self = (struct subject){.is_open = true};
    snprintf(self->name, sizeof self->name, "%s", name);
    self->options = (struct group_member_options){.loop = rig_loop,
                                                  .bootstrap = rig_bootstrap,
                                                  .bootstrap_count = rig_cluster.broker_count,
                                                  .client_id = "test",
                                                  .group = "workers",
                                                  .protocol_type = "millrace",
                                                  .request_timeout_ms = 3000,
                                                  .session_timeout_ms = SESSION_MS,
                                                  .on_describe = on_describe,
                                                  .on_lead = on_lead,
                                                  .on_assigned = on_assigned,
                                                  .on_rebalance = on_rebalance,
                                                  .on_lost = on_lost,
                                                  .on_failed = on_failed,
                                                  .on_closed = on_closed,
                                                  .context = self};
}

static struct subject *join(int index, const char *name)
{
    struct subject *self = &subjects[index];
    prepare(self, name);
    group_member_init(&self->member, &self->options);
    group_member_rejoin(&self->member);
    return self;
}

static bool has_closed(void *context)
{
    return ((struct subject *)context)->has_closed;
}

static void leave(struct subject *self, bool is_leaving)
{
    group_member_close(&self->member, is_leaving, 1000);
    cr_assert(rig_until(has_closed, self, 10000));
    self->is_open = false;
}

static void set_up(void)
{
    rig_begin(1, 3);
}

static void tear_down(void)
{
    for (int i = 0; i < SUBJECTS_MAX; i++) {
        if (subjects[i].is_open) {
            leave(&subjects[i], true);
        }
    }
    rig_end();
}

TestSuite(group_member, .init = set_up, .fini = tear_down);

/* All that are open are stable in one generation, and each has its part of as many as there are. */
static bool is_shared_out(void *context)
{
    (void)context;
    int count = 0;
    int32_t generation = -2;
    for (int i = 0; i < SUBJECTS_MAX; i++) {
        count += subjects[i].is_open;
    }
    for (int i = 0; i < SUBJECTS_MAX; i++) {
        const struct subject *self = &subjects[i];
        char expected[64];
        snprintf(expected, sizeof expected, "%s of %d", self->name, count);
        if (!self->is_open) {
            continue;
        }
        generation = generation == -2 ? self->member.generation : generation;
        if (self->member.state != GROUP_MEMBER_STABLE || strcmp(self->part, expected) != 0 ||
            self->member.generation != generation) {
            return false;
        }
    }
    return true;
}

static void expect_shared_out(int64_t timeout_ms)
{
    bool is_well = rig_until(is_shared_out, NULL, timeout_ms);
    for (int i = 0; i < SUBJECTS_MAX && !is_well; i++) {
        const struct subject *self = &subjects[i];
        cr_log_error("%s: open %d state %d generation %d part '%s' failed %d", self->name,
                     self->is_open, self->member.state, self->member.generation, self->part,
                     self->failed_code);
    }
    cr_assert(is_well);
}

Test(group_member, a_member_alone_leads_itself)
{
    struct subject *a = join(0, "a");

    expect_shared_out(5000);

    cr_expect_eq(a->assigned_count, 1);
    cr_expect(a->member.is_leader);
    cr_expect_gt(a->member.generation, 0);
    rig_run_ms(3 * SESSION_MS);
    cr_expect_eq(a->assigned_count, 1); /* Its heartbeats keep the place. */
    cr_expect_eq(a->lost_count, 0);
}

Test(group_member, members_that_come_and_go_call_the_others)
{
    struct subject *a = join(0, "a");
    expect_shared_out(5000);
    struct subject *b = join(1, "b");
    expect_shared_out(5000);
    cr_expect_eq(a->called_count, 1);
    cr_expect_eq(b->called_count, 0);
    struct subject *c = join(2, "c");
    expect_shared_out(5000);
    cr_expect_eq(a->led_count + b->led_count + c->led_count, 3);

    leave(b, true);
    expect_shared_out(SESSION_MS / 2); /* Nobody waits for who has said goodbye. */
    leave(a, true);
    expect_shared_out(SESSION_MS / 2);

    cr_expect_eq(c->lost_count, 0);
    cr_expect(c->member.is_leader);
}

Test(group_member, whoever_goes_without_a_word_is_missed_before_its_session_ends)
{
    join(0, "a");
    struct subject *b = join(1, "b");
    expect_shared_out(8000);

    leave(b, false);
    rig_run_ms(SESSION_MS / 8);
    cr_expect_str_eq(subjects[0].part, "a of 2"); /* It might have come back. */

    expect_shared_out(SESSION_MS / 2 + SESSION_MS / 8);
}

Test(group_member, a_member_that_is_called_may_take_its_time)
{
    struct subject *a = join(0, "a");
    expect_shared_out(5000);
    a->is_waiting = true;
    struct subject *b = join(1, "b");
    rig_run_ms(SESSION_MS / 2 + SESSION_MS / 4);
    cr_expect_eq(a->called_count, 1);
    cr_expect_eq(a->member.state, GROUP_MEMBER_CALLED);
    cr_expect_eq(b->assigned_count, 0);

    group_member_rejoin(&a->member);

    expect_shared_out(SESSION_MS / 2);
    cr_expect_eq(a->lost_count, 0);
}

Test(group_member, a_member_that_takes_too_long_loses_its_place_and_comes_back)
{
    struct subject *a = join(0, "a");
    expect_shared_out(5000);
    a->is_waiting = true;
    struct subject *b = join(1, "b");
    rig_run_ms(SESSION_MS - 200);
    cr_expect_eq(b->assigned_count, 0);
    cr_expect_eq(a->lost_count, 0);

    expect_shared_out(4 * SESSION_MS);
    cr_expect_eq(a->lost_count, 1);
    cr_expect_gt(b->assigned_count, 1); /* First without the other. */
}

Test(group_member, what_a_member_tells_anew_reaches_the_leader)
{
    join(0, "a");
    struct subject *b = join(1, "b");
    expect_shared_out(8000);

    snprintf(b->name, sizeof b->name, "bee");
    group_member_rejoin(&b->member);
    group_member_rejoin(&b->member);

    expect_shared_out(8000);
    cr_expect_str_eq(b->part, "bee of 2");
}

Test(group_member, an_instance_that_returns_gets_its_part_back_and_disturbs_nobody)
{
    struct subject *a = join(0, "a");
    expect_shared_out(5000);
    struct subject *b = &subjects[1];
    prepare(b, "b");
    b->options.instance_id = "second";
    group_member_init(&b->member, &b->options);
    group_member_rejoin(&b->member);
    expect_shared_out(8000);
    int assigned_count = a->assigned_count;

    leave(b, true); /* Says nothing: it will be back. */
    prepare(b, "b");
    b->options.instance_id = "second";
    group_member_init(&b->member, &b->options);
    group_member_rejoin(&b->member);

    expect_shared_out(SESSION_MS);
    cr_expect_eq(a->assigned_count, assigned_count);
}

Test(group_member, an_instance_that_is_taken_over_fails_for_good)
{
    struct subject *a = &subjects[0];
    prepare(a, "a");
    a->options.instance_id = "one";
    group_member_init(&a->member, &a->options);
    group_member_rejoin(&a->member);
    expect_shared_out(5000);
    struct subject *b = &subjects[1];
    prepare(b, "a");
    b->options.instance_id = "one";
    group_member_init(&b->member, &b->options);
    group_member_rejoin(&b->member);

    rig_run_ms(2 * SESSION_MS);

    cr_expect_eq(a->failed_count, 1);
    cr_expect_eq(a->failed_status, STATUS_FENCED);
    cr_expect_eq(a->failed_code, ERROR_CODE_FENCED_INSTANCE_ID);
    cr_expect_eq(a->lost_count, 1);
    cr_expect_eq(a->member.state, GROUP_MEMBER_IDLE);
    cr_expect_str_eq(b->part, "a of 1");
}

Test(group_member, what_the_coordinator_refuses_for_good_is_told)
{
    struct subject *a = &subjects[0];
    prepare(a, "a");
    a->options.protocol_type = "consumer"; /* Whose sessions may not be so short. */
    group_member_init(&a->member, &a->options);
    group_member_rejoin(&a->member);

    rig_run_ms(SESSION_MS);

    cr_expect_eq(a->failed_code, ERROR_CODE_INVALID_SESSION_TIMEOUT);
    cr_expect_eq(a->failed_count, 1);
    cr_expect_eq(a->lost_count, 0);
}

Test(group_member, closing_at_any_moment_ends)
{
    join(0, "a");
    for (int ms = 0; ms < 60; ms += 3) {
        struct subject *b = join(1, "b");
        rig_run_ms(ms);
        leave(b, ms % 2 == 0);
    }
    expect_shared_out(8 * SESSION_MS);
}

static void set_up_three(void)
{
    rig_begin(3, 8);
}

TestSuite(group_member_failover, .init = set_up_three, .fini = tear_down);

Test(group_member_failover, members_outlive_their_coordinators)
{
    for (int i = 0; i < 3; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        join(i, name);
    }
    expect_shared_out(20000);
    for (uint32_t round = 0; round < 3; round++) {
        int32_t coordinator = subjects[0].member.coordinator.node;
        cr_assert_gt(coordinator, 0);
        rig_kill((uint32_t)coordinator - 1);
        rig_run_ms(3 * SESSION_MS);
        expect_shared_out(10 * SESSION_MS);
        cr_expect_neq(subjects[0].member.coordinator.node, coordinator);
        rig_revive((uint32_t)coordinator - 1);
        rig_run_ms(8000);
        expect_shared_out(10 * SESSION_MS);
    }
}

Test(group_member_failover, a_member_that_reaches_nobody_gives_its_part_up)
{
    struct subject *a = join(0, "a");
    expect_shared_out(20000);
    for (uint32_t i = 0; i < 3; i++) {
        rig_kill(i);
    }

    rig_run_ms(2 * SESSION_MS);
    cr_expect_eq(a->lost_count, 1);
    cr_expect_eq(a->failed_count, 0);

    for (uint32_t i = 0; i < 3; i++) {
        rig_revive(i);
    }
    expect_shared_out(60000);
}
