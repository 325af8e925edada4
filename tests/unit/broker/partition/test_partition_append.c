/* Goal: what an append was promised holds at the moment when it is written, not when it came.
 * Method: a leader on a store whose journal is small enough to be filled. */
#include "broker/partition/partition.h"
#include "broker/partition/partition_fault.h"
#include "proto/record/batch_builder.h"
#include "tests/rig/log_rig.h"

#include <criterion/criterion.h>
#include <string.h>

#define BATCH_BYTES (40U << 10)
#define APPENDS_MAX 64

struct one {
    struct partition_append append;
    bool is_done;
    int taken_count;
    uint8_t bytes[BATCH_BYTES];
};

static struct log_rig rig;
static struct list blocked;
static struct partition *partition;
static struct one ones[APPENDS_MAX];
static int blocked_one;
static const int32_t replicas[] = {1, 2};

static void append_on_done(struct partition_append *append)
{
    container_of(append, struct one, append)->is_done = true;
}

/* What is not needed any more may be gone. */
static void append_on_taken(struct partition_append *append)
{
    struct one *one = container_of(append, struct one, append);
    cr_expect_not(one->is_done);
    one->taken_count += 1;
    memset(one->bytes, 0xdb, sizeof one->bytes);
}

static void assign(int32_t epoch, uint8_t isr_count)
{
    const struct partition_assignment assignment = {.leader = 1,
                                                    .leader_epoch = 1,
                                                    .partition_epoch = epoch,
                                                    .replicas = replicas,
                                                    .replica_count = 2,
                                                    .isr = replicas,
                                                    .isr_count = isr_count};
    partition_assign(partition, &assignment);
}

static void open_inside(void *context)
{
    (void)context;
    list_init(&blocked);
    struct partition_options options = {.loop = rig.options.loop,
                                        .store = rig.store,
                                        .topic_name = "t",
                                        .topic_id.bytes = {1},
                                        .broker_id = 1,
                                        .config = {.log = {.segment_bytes = 64 << 20,
                                                           .segment_ms = INT64_MAX,
                                                           .retention_bytes = -1,
                                                           .retention_ms = -1,
                                                           .index_interval_bytes = 4096},
                                                   .min_isr = 2,
                                                   .producer_expiry_ms = 86400000},
                                        .blocked = &blocked};
    cr_assert_eq(partition_open(&options, &partition), STATUS_OK);
    assign(1, 2);
}

static void append_whole(struct one *one, size_t byte_count)
{
    one->is_done = false;
    one->taken_count = 0;
    one->append = (struct partition_append){.batch = one->bytes,
                                            .byte_count = byte_count,
                                            .acks = -1,
                                            .leader_epoch = -1,
                                            .deadline_ns = loop_now_ns(rig.options.loop) +
                                                           3600 * CLOCK_NS_PER_S,
                                            .on_taken = append_on_taken,
                                            .on_done = append_on_done};
    partition_append(partition, &one->append);
}

static void append_inside(void *context)
{
    struct one *one = context;
    static uint8_t value[BATCH_BYTES - 512];
    struct batch_builder builder;
    batch_builder_init_over(&builder, one->bytes, sizeof one->bytes);
    const struct batch_builder_record record = {
        .value = {.bytes = value, .byte_count = sizeof value}};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    struct batch_view batch;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &batch), STATUS_OK);
    append_whole(one, batch.byte_count);
}
static void shrink_inside(void *context)
{
    (void)context;
    assign(2, 1);
}

static void grow_inside(void *context)
{
    (void)context;
    assign(3, 2);
}

/* The first batch of producer 7, or one behind it that begins too late. */
static void append_numbered(struct one *one, int32_t base_sequence)
{
    struct batch_builder builder;
    batch_builder_init_over(&builder, one->bytes, sizeof one->bytes);
    const struct batch_builder_record record = {
        .value = {.bytes = (const uint8_t *)"v", .byte_count = 1}};
    cr_assert_eq(batch_builder_append(&builder, &record), STATUS_OK);
    struct batch_builder_finish finish = BATCH_BUILDER_FINISH_PLAIN;
    finish.producer_id = 7;
    finish.producer_epoch = 0;
    finish.base_sequence = base_sequence;
    struct batch_view batch;
    cr_assert_eq(batch_builder_finish(&builder, &finish, NULL, &batch), STATUS_OK);
    append_whole(one, batch.byte_count);
}

static void append_first_inside(void *context)
{
    append_numbered(context, 0);
}

static void append_gap_inside(void *context)
{
    append_numbered(context, 5);
}

static void retry_inside(void *context)
{
    (void)context;
    struct list *link = list_take_first(&blocked);
    cr_assert_not_null(link);
    partition_retry(partition_of_blocked(link));
}

/* Appends in one turn, so that nothing of the journal becomes free meanwhile. */
static void fill_inside(void *context)
{
    (void)context;
    for (blocked_one = 0; blocked_one < APPENDS_MAX; blocked_one++) {
        append_inside(&ones[blocked_one]);
        if (ones[blocked_one].append.is_blocked) {
            return;
        }
    }
    cr_assert_fail("the journal never fills");
}

static void run(void (*inside)(void *context))
{
    cr_assert(sim_node_run(rig.node, inside, NULL));
}

static void set_up(void)
{
    log_rig_init(&rig, 1);
    enum status status = STATUS_UNKNOWN;
    cr_assert(log_rig_open(&rig, &status));
    cr_assert_eq(status, STATUS_OK);
    run(open_inside);
    run(fill_inside);
}

static void tear_down(void)
{
    cr_expect_not(rig.world->has_failed, "%s", rig.world->failure);
    log_rig_done(&rig);
}

TestSuite(partition_append, .init = set_up, .fini = tear_down);

Test(partition_append, blocked_append_is_written_when_there_is_room)
{
    sim_world_run_for(rig.world, 2 * CLOCK_NS_PER_S);
    run(retry_inside);

    cr_expect_not(ones[blocked_one].append.is_blocked, "it waits for the replicas now");
    cr_expect_geq(ones[blocked_one].append.base_offset, 0);
}

Test(partition_append, blocked_append_is_refused_when_the_replicas_left_meanwhile)
{
    sim_world_run_for(rig.world, 2 * CLOCK_NS_PER_S);
    run(shrink_inside);
    run(retry_inside);

    cr_expect(ones[blocked_one].is_done);
    cr_expect_eq(ones[blocked_one].append.fault, PARTITION_FAULT_FEW_REPLICAS);
    cr_expect_eq(ones[blocked_one].append.base_offset, -1);
}

Test(partition_append, batch_is_taken_once_when_it_is_written_and_not_before)
{
    for (int i = 0; i < blocked_one; i++) {
        cr_expect_eq(ones[i].taken_count, 1);
        cr_expect_not(ones[i].is_done, "it waits for the replicas");
    }
    cr_expect_eq(ones[blocked_one].taken_count, 0);

    sim_world_run_for(rig.world, 2 * CLOCK_NS_PER_S);
    run(retry_inside);

    cr_expect_eq(ones[blocked_one].taken_count, 1);
}

Test(partition_append, refused_batch_is_never_taken)
{
    sim_world_run_for(rig.world, 2 * CLOCK_NS_PER_S);
    run(shrink_inside);
    run(retry_inside);

    cr_expect(ones[blocked_one].is_done);
    cr_expect_eq(ones[blocked_one].taken_count, 0);
}

Test(partition_append, a_gap_behind_a_refusal_that_passes_is_no_broken_sequence)
{
    struct one *one = &ones[APPENDS_MAX - 1];
    sim_world_run_for(rig.world, 2 * CLOCK_NS_PER_S);
    run(retry_inside);
    cr_assert(sim_node_run(rig.node, append_first_inside, one));
    cr_assert_geq(one->append.base_offset, 0);
    one = &ones[APPENDS_MAX - 2];
    cr_assert(sim_node_run(rig.node, append_gap_inside, one));
    cr_expect_eq(one->append.fault, PARTITION_FAULT_SEQUENCE_GAP, "nothing was refused before");

    run(shrink_inside);
    cr_assert(sim_node_run(rig.node, append_gap_inside, one));
    cr_expect_eq(one->append.fault, PARTITION_FAULT_FEW_REPLICAS);
    run(grow_inside);
    cr_assert(sim_node_run(rig.node, append_gap_inside, one));
    cr_expect_eq(one->append.fault, PARTITION_FAULT_FEW_REPLICAS, "sent ahead of the refusal");

    sim_world_run_for(rig.world, 2 * CLOCK_NS_PER_S);
    cr_assert(sim_node_run(rig.node, append_gap_inside, one));
    cr_expect_eq(one->append.fault, PARTITION_FAULT_SEQUENCE_GAP);
}
