/* Goal: the members of a group read everything between them, and go on where the group stands.
 * Method: consumers with their cores against real brokers in a simulated world; they come, go, die
 * and commit; what each read is written down and compared with what was produced. */
#include "client/consumer_group.h"
#include "proto/kafka/error_code.h"
#include "tests/rig/kafka_talk.h"
#include "tests/unit/client/cluster_rig.h"

#include <stdlib.h>
#include <string.h>

#define READERS_MAX 3
#define PARTITIONS 6
#define OFFSETS_MAX 2000

struct reader {
    struct consumer_core core;
    struct consumer_group group;
    struct offset_call commit;
    bool is_open;
    bool is_group_closed;
    bool is_core_closed;
    bool is_committing;
    bool is_giving_up; /* When the commit has ended. */
    bool commits_nothing;
    int64_t positions[PARTITIONS]; /* -1: nothing read. */
    int assigned_count;
    int revoked_count;
    int lost_count;
    int16_t commit_code;
    enum status commit_status;
    int16_t failed_code;
};

static struct reader readers[READERS_MAX];
static struct wire_client tools[3]; /* One per broker. */
static int seen[PARTITIONS][OFFSETS_MAX];
static int produced[PARTITIONS];

/* ---- what a reader does ---- */

static void on_fetched(void *context, struct consumer_fetched *fetched)
{
    struct reader *self = context;
    struct decompressor decompressor;
    struct decompressor_output output;
    decompressor_init(&decompressor, NULL);
    decompressor_output_init(&output, NULL, 1 << 20);
    struct fetch_walk walk;
    fetch_walk_init(&walk, &fetched->source);
    while (fetch_walk_batch(&walk, &decompressor, &output) == STATUS_OK) {
        struct record record;
        while (fetch_walk_record(&walk, &record) == STATUS_OK) {
            seen[fetched->index][record.offset] += 1;
        }
    }
    fetched->next_offset = walk.next_offset;
    self->positions[fetched->index] = walk.next_offset;
    decompressor_output_done(&output);
    decompressor_done(&decompressor);
    consumer_core_give_back(&self->core, fetched);
}

static void on_fault(void *context, const struct consumer_fault *fault)
{
    (void)context;
    cr_assert(false, "partition %d: %s %d", fault->partition, status_text(fault->status),
              fault->error_code);
}

static void on_placed(void *context)
{
    (void)context;
}

static void on_core_closed(void *context)
{
    ((struct reader *)context)->is_core_closed = true;
}

static void commit_on_done(struct offset_call *call, enum status status, int16_t error_code)
{
    struct reader *self = container_of(call, struct reader, commit);
    self->is_committing = false;
    self->commit_status = status;
    self->commit_code = error_code;
    offset_call_done(call);
    if (self->is_giving_up && self->is_open) {
        self->is_giving_up = false;
        consumer_group_give_up(&self->group);
    }
}

static enum status commit(struct reader *self)
{
    struct offset_call_row rows[PARTITIONS];
    uint32_t count = 0;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        if (self->positions[i] >= 0) {
            rows[count++] = (struct offset_call_row){.topic = wire_text_of("events"),
                                                     .partition = i,
                                                     .offset = self->positions[i],
                                                     .leader_epoch = -1};
        }
    }
    self->commit.on_done = commit_on_done;
    enum status status =
        count == 0 ? STATUS_NOT_FOUND
                   : consumer_group_commit(&self->group, &self->commit, rows, count, INT64_MAX);
    self->is_committing = status == STATUS_OK;
    return status;
}

static void forget_positions(struct reader *self)
{
    for (int i = 0; i < PARTITIONS; i++) {
        self->positions[i] = -1;
    }
}

static void on_revoke(void *context)
{
    struct reader *self = context;
    self->revoked_count += 1;
    self->is_giving_up = true;
    if (self->commits_nothing || commit(self) != STATUS_OK) {
        self->is_giving_up = false;
        consumer_group_give_up(&self->group);
    }
}

static void on_assigned(void *context)
{
    struct reader *self = context;
    self->assigned_count += 1;
    forget_positions(self);
}

static void on_lost(void *context)
{
    struct reader *self = context;
    self->lost_count += 1;
    forget_positions(self);
}

static void on_failed(void *context, enum status status, int16_t error_code)
{
    (void)status;
    ((struct reader *)context)->failed_code = error_code;
}

static void on_group_closed(void *context)
{
    ((struct reader *)context)->is_group_closed = true;
}

static struct reader *open_reader(int index)
{
    struct reader *self = &readers[index];
    *self = (struct reader){.is_open = true};
    forget_positions(self);
    struct consumer_core_options core = {.loop = rig_loop,
                                         .bootstrap = rig_bootstrap,
                                         .bootstrap_count = rig_cluster.broker_count,
                                         .client_id = "test",
                                         .is_committed = true,
                                         .buffer_bytes_max = 1 << 20,
                                         .partition_bytes_max = 1 << 16,
                                         .fetch_bytes_max = 1 << 20,
                                         .fetch_wait_ms = 100,
                                         .request_timeout_ms = 3000,
                                         .on_fetched = on_fetched,
                                         .on_fault = on_fault,
                                         .on_placed = on_placed,
                                         .on_closed = on_core_closed,
                                         .context = self};
    consumer_core_init(&self->core, &core);
    struct consumer_group_options group = {.core = &self->core,
                                           .loop = rig_loop,
                                           .bootstrap = rig_bootstrap,
                                           .bootstrap_count = rig_cluster.broker_count,
                                           .client_id = "test",
                                           .group = "readers",
                                           .request_timeout_ms = 3000,
                                           .session_timeout_ms = 6000,
                                           .rebalance_timeout_ms = 4000,
                                           .start = CONSUMER_START_EARLIEST,
                                           .on_revoke = on_revoke,
                                           .on_assigned = on_assigned,
                                           .on_lost = on_lost,
                                           .on_failed = on_failed,
                                           .on_closed = on_group_closed,
                                           .context = self};
    consumer_group_init(&self->group, &group);
    return self;
}

static struct reader *join(int index)
{
    struct reader *self = open_reader(index);
    struct wire_text topic = wire_text_of("events");
    cr_assert_eq(consumer_group_subscribe(&self->group, &topic, 1), STATUS_OK);
    return self;
}

static bool is_group_closed(void *context)
{
    const struct reader *self = context;
    return self->is_group_closed && !self->is_committing;
}

static bool is_core_closed(void *context)
{
    return ((struct reader *)context)->is_core_closed;
}

static bool is_committed(void *context)
{
    return !((struct reader *)context)->is_committing;
}

static void leave(struct reader *self, bool is_leaving)
{
    self->is_open = false;
    consumer_group_close(&self->group, is_leaving, 1000);
    cr_assert(rig_until(is_group_closed, self, 10000));
    consumer_core_close(&self->core);
    cr_assert(rig_until(is_core_closed, self, 10000));
}

/* ---- the world ---- */

static void open_tool(int16_t replication_factor)
{
    rig_leave();
    for (uint32_t i = 0; i < rig_cluster.broker_count; i++) {
        wire_client_open(&tools[i], &rig_cluster, i);
    }
    cr_assert_eq(kafka_talk_create(&tools[0], "events", PARTITIONS, replication_factor, NULL), 0);
    rig_enter();
}

static void set_up(void)
{
    rig_begin(1, 5);
    open_tool(1);
}

static void tear_down(void)
{
    for (int i = 0; i < READERS_MAX; i++) {
        if (readers[i].is_open) {
            leave(&readers[i], true);
        }
    }
    rig_leave();
    for (uint32_t i = 0; i < rig_cluster.broker_count; i++) {
        wire_client_close(&tools[i]);
    }
    rig_enter();
    rig_end();
}

TestSuite(consumer_group, .init = set_up, .fini = tear_down);

static void produce(int count)
{
    rig_leave();
    for (int i = 0; i < count; i++) {
        int32_t partition = i % PARTITIONS;
        int64_t offset = -1;
        for (uint32_t j = 0; j < rig_cluster.broker_count && offset < 0; j++) {
            offset = kafka_talk_put(&tools[j], "events", partition, "value");
        }
        cr_assert_eq(offset, produced[partition], "%lld", (long long)offset);
        produced[partition] += 1;
    }
    rig_enter();
}

static bool is_everything_seen(void *context)
{
    int minimum = *(int *)context;
    for (int p = 0; p < PARTITIONS; p++) {
        for (int i = 0; i < produced[p]; i++) {
            if (seen[p][i] < minimum) {
                return false;
            }
        }
    }
    return true;
}

static void expect_all_seen_once(void)
{
    int minimum = 1;
    cr_assert(rig_until(is_everything_seen, &minimum, 20000));
    for (int p = 0; p < PARTITIONS; p++) {
        for (int i = 0; i < produced[p]; i++) {
            cr_expect_eq(seen[p][i], 1, "%d:%d was seen %d times", p, i, seen[p][i]);
        }
    }
}

/* Everybody that is open has as many partitions as the others, give or take one. */
static bool is_shared_out(void *context)
{
    (void)context;
    uint32_t open_count = 0;
    uint32_t part_count = 0;
    for (int i = 0; i < READERS_MAX; i++) {
        open_count += readers[i].is_open;
        part_count += readers[i].is_open ? readers[i].group.part_count : 0;
    }
    for (int i = 0; i < READERS_MAX; i++) {
        const struct reader *self = &readers[i];
        if (self->is_open &&
            (!self->group.is_assigned || self->group.part_count != PARTITIONS / open_count)) {
            return false;
        }
    }
    return part_count == PARTITIONS;
}

Test(consumer_group, a_reader_alone_reads_everything_from_the_start)
{
    produce(60);
    join(0);
    expect_all_seen_once();
    produce(60);
    expect_all_seen_once();
}

Test(consumer_group, readers_that_come_and_go_read_everything_once)
{
    produce(60);
    struct reader *one = join(0);
    expect_all_seen_once();
    struct reader *two = join(1);
    cr_assert(rig_until(is_shared_out, NULL, 10000));
    join(2);
    cr_assert(rig_until(is_shared_out, NULL, 10000));
    produce(60);
    expect_all_seen_once();

    cr_assert_eq(commit(two), STATUS_OK);
    cr_assert(rig_until(is_committed, two, 5000));
    cr_expect_eq(two->commit_code, ERROR_CODE_NONE);
    leave(two, true);
    cr_assert(rig_until(is_shared_out, NULL, 10000));
    produce(60);

    expect_all_seen_once();
    cr_expect_geq(one->revoked_count, 2);
    cr_expect_eq(one->lost_count, 0);
}

Test(consumer_group, what_a_dead_reader_had_not_committed_is_read_again)
{
    produce(60);
    struct reader *one = join(0);
    expect_all_seen_once();
    cr_assert_eq(commit(one), STATUS_OK);
    cr_assert(rig_until(is_committed, one, 5000));
    produce(30);
    expect_all_seen_once();

    leave(one, false); /* Without a word, and without a commit. */
    join(1);

    int twice = 2;
    cr_assert_not(rig_until(is_everything_seen, &twice, 15000));
    for (int p = 0; p < PARTITIONS; p++) {
        for (int i = 0; i < produced[p]; i++) {
            cr_expect_eq(seen[p][i], i < 10 ? 1 : 2, "%d:%d was seen %d times", p, i, seen[p][i]);
        }
    }
}

Test(consumer_group, new_partitions_are_dealt_out_when_they_come)
{
    struct reader *one = join(0);
    cr_assert(rig_until(is_shared_out, NULL, 10000));
    struct wire_text topics[] = {wire_text_of("events"), wire_text_of("later")};
    cr_assert_eq(consumer_group_subscribe(&one->group, topics, 2), STATUS_OK);
    rig_run_ms(3000);
    cr_expect_eq(one->group.part_count, PARTITIONS);
    rig_leave();
    cr_assert_eq(kafka_talk_create(&tools[0], "later", 3, 1, NULL), 0);
    rig_enter();

    rig_run_ms(5000);

    cr_expect_eq(one->group.part_count, PARTITIONS + 3);
}

static void fetch_on_done(struct offset_call *call, enum status status, int16_t error_code)
{
    struct reader *self = container_of(call, struct reader, commit);
    cr_expect_eq(status, STATUS_OK);
    cr_expect_eq(error_code, ERROR_CODE_NONE);
    for (uint32_t i = 0; i < call->row_count; i++) {
        self->positions[call->rows[i].partition] = call->rows[i].offset;
    }
    self->is_committing = false;
    offset_call_done(call);
}

Test(consumer_group, offsets_work_without_joining)
{
    struct reader *one = open_reader(0);
    one->positions[2] = 17;
    cr_assert_eq(commit(one), STATUS_OK);
    cr_assert(rig_until(is_committed, one, 5000));
    cr_expect_eq(one->commit_code, ERROR_CODE_NONE);

    struct offset_call_row rows[2] = {{.topic = wire_text_of("events"), .partition = 1},
                                      {.topic = wire_text_of("events"), .partition = 2}};
    one->commit.on_done = fetch_on_done;
    one->is_committing = true;
    cr_assert_eq(consumer_group_fetch(&one->group, &one->commit, rows, 2, INT64_MAX), STATUS_OK);
    cr_assert(rig_until(is_committed, one, 5000));
    cr_expect_eq(one->positions[1], -1);
    cr_expect_eq(one->positions[2], 17);
}

Test(consumer_group, closing_at_any_moment_ends)
{
    produce(12);
    join(0);
    cr_assert(rig_until(is_shared_out, NULL, 10000));
    for (int ms = 0; ms < 60; ms += 4) {
        struct reader *two = join(1);
        two->commits_nothing = true;
        rig_run_ms(ms);
        leave(two, ms % 8 == 0);
    }
}

static void set_up_three(void)
{
    rig_begin(3, 9);
    open_tool(3);
}

TestSuite(consumer_group_failover, .init = set_up_three, .fini = tear_down);

Test(consumer_group_failover, a_dead_coordinator_costs_no_record)
{
    produce(60);
    struct reader *one = join(0);
    join(1);
    cr_assert(rig_until(is_shared_out, NULL, 20000));
    expect_all_seen_once();
    int32_t coordinator = one->group.member.coordinator.node;
    cr_assert_gt(coordinator, 0);
    rig_kill((uint32_t)coordinator - 1);
    rig_run_ms(8000);
    cr_assert(rig_until(is_shared_out, NULL, 20000));
    cr_assert_eq(commit(one), STATUS_OK);
    cr_assert(rig_until(is_committed, one, 20000));
    cr_expect_eq(one->commit_code, ERROR_CODE_NONE);
    cr_expect_eq(one->commit_status, STATUS_OK);
    int minimum = 1;
    cr_assert(rig_until(is_everything_seen, &minimum, 20000));
}
